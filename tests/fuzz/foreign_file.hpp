#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>

/// A file in memory, for code that wants a path.
class foreign_file {
public:
    foreign_file() : descriptor_(::memfd_create("foreign", MFD_CLOEXEC)) {
        if (descriptor_ < 0) std::abort();
    }
    foreign_file(const foreign_file&) = delete;
    foreign_file& operator=(const foreign_file&) = delete;
    ~foreign_file() { ::close(descriptor_); }

    /// Replaces what is in it.
    void write(std::string_view content) {
        const auto size = static_cast<::ssize_t>(content.size());
        const bool is_written = ::ftruncate(descriptor_, 0) == 0 &&
                                ::pwrite(descriptor_, content.data(), content.size(), 0) == size;
        if (!is_written) std::abort();
    }

    /// Valid as long as the object lives.
    std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
    int descriptor_;
};
