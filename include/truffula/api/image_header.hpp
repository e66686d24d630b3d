#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace truffula::api {

/// What the first bytes of an image say. No pixel is decoded: shards do that.
struct image_header {
    std::string_view mime_type;
    std::uint32_t width = 0;   ///< Pixels, at least 1.
    std::uint32_t height = 0;  ///< Pixels, at least 1.
};

/// Reads the header of a PNG, JPEG, GIF or WebP file; nothing for anything else, and for files
/// that end before it does. Own code: libraries that know all four decode whole images, which is
/// what a router must not do with foreign bytes.
std::optional<image_header> read_image_header(std::string_view bytes);

}  // namespace truffula::api
