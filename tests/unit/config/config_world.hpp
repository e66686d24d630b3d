#pragma once

#include "support/run_coro.hpp"  // how results are shown
#include "truffula/config/load.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace truffula::test {

/// A file that goes with the test.
class temporary_file {
public:
    explicit temporary_file(const std::string& text) {
        static std::atomic<int> count{0};
        path_ = std::filesystem::temp_directory_path() /
                ("truffula-config-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
        std::ofstream{path_} << text;
    }
    ~temporary_file() { std::filesystem::remove(path_); }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

using arguments = std::vector<std::string>;

/// With the one option that has no default.
inline arguments with(arguments more) {
    more.insert(more.end(), {"--tokenizer-name", "m"});
    return more;
}

inline result<config::loaded> from_yaml(const std::string& text) {
    const temporary_file file{text};
    return config::load(with({"--config", file.path()}), {});
}

inline std::string failure(const result<config::loaded>& r) {
    REQUIRE(r.has_error());
    CHECK(r.error().code == errc::invalid_config);
    CHECK(r.error().detail.find('\n') == std::string::npos);
    return r.error().detail;
}

inline bool has(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

}  // namespace truffula::test
