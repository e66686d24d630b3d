#pragma once

#include <span>
#include <string_view>

namespace truffula::api {

/// A file below `/docs/`; the one without a name is the page itself.
struct docs_page_file {
    std::string_view name;
    std::string_view type;
    std::string_view content;
};

/// None in a build without npm.
std::span<const docs_page_file> docs_page_files();

}  // namespace truffula::api
