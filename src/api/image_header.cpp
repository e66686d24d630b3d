#include "truffula/api/image_header.hpp"

#include <cstddef>

namespace truffula::api {
namespace {

using std::uint32_t;

/// Bytes from the front; reading past the end gives zeros, and `is_short`.
class byte_reader {
public:
    explicit byte_reader(std::string_view bytes) : bytes_(bytes) {}

    uint32_t at(std::size_t i) {
        if (i < bytes_.size()) return static_cast<unsigned char>(bytes_[i]);
        is_short = true;
        return 0;
    }
    uint32_t big16(std::size_t i) { return at(i) << 8U | at(i + 1); }
    uint32_t big32(std::size_t i) { return big16(i) << 16U | big16(i + 2); }
    uint32_t little16(std::size_t i) { return at(i) | at(i + 1) << 8U; }
    uint32_t little24(std::size_t i) { return little16(i) | at(i + 2) << 16U; }

    bool is_short = false;

private:
    std::string_view bytes_;
};

bool is_frame(uint32_t marker) {
    // C4, C8 and CC are tables and extensions among the start-of-frame markers.
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

bool stands_alone(uint32_t marker) {
    return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

/// Segments until the one that tells the size.
image_header read_jpeg(std::string_view bytes, byte_reader& in) {
    image_header out{"image/jpeg"};
    for (std::size_t i = 2; i + 1 < bytes.size();) {
        if (in.at(i) != 0xFF) return out;
        const auto marker = in.at(i + 1);
        if (marker == 0xFF) {  // fill
            ++i;
        } else if (stands_alone(marker)) {
            i += 2;
        } else if (is_frame(marker)) {
            out.height = in.big16(i + 5);
            out.width = in.big16(i + 7);
            return out;
        } else {
            const auto length = in.big16(i + 2);
            if (marker == 0xDA || marker == 0xD9 || length < 2) return out;
            i += 2 + length;
        }
    }
    return out;
}

image_header read_webp(std::string_view bytes, byte_reader& in) {
    image_header out{"image/webp"};
    const auto kind = bytes.substr(12, 4);
    if (kind == "VP8 " && in.little24(23) == 0x2A019D) {
        out.width = in.little16(26) & 0x3FFFU;
        out.height = in.little16(28) & 0x3FFFU;
    } else if (kind == "VP8L" && in.at(20) == 0x2F) {
        const auto packed = in.little24(21) | in.at(24) << 24U;
        out.width = (packed & 0x3FFFU) + 1;
        out.height = (packed >> 14U & 0x3FFFU) + 1;
    } else if (kind == "VP8X") {
        out.width = in.little24(24) + 1;
        out.height = in.little24(27) + 1;
    }
    return out;
}

}  // namespace

std::optional<image_header> read_image_header(std::string_view bytes) {
    byte_reader in{bytes};
    image_header out;
    if (bytes.starts_with("\x89PNG\r\n\x1A\n") && bytes.size() >= 16 &&
        bytes.substr(12, 4) == "IHDR") {
        out = {"image/png", in.big32(16), in.big32(20)};
    } else if (bytes.starts_with("\xFF\xD8\xFF")) {
        out = read_jpeg(bytes, in);
    } else if (bytes.starts_with("GIF87a") || bytes.starts_with("GIF89a")) {
        out = {"image/gif", in.little16(6), in.little16(8)};
    } else if (bytes.starts_with("RIFF") && bytes.size() >= 16 && bytes.substr(8, 4) == "WEBP") {
        out = read_webp(bytes, in);
    }
    if (in.is_short || out.width == 0 || out.height == 0) return std::nullopt;
    return out;
}

}  // namespace truffula::api
