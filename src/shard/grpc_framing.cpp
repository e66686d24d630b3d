#include "shard/grpc_framing.hpp"

#include "truffula/shard/refusals.hpp"

#include <charconv>

namespace truffula::shard {
namespace {

constexpr int resource_exhausted = 8;
constexpr int unavailable = 14;

}  // namespace

std::array<char, frame_prefix_size> frame_prefix(std::size_t message_bytes) {
    const auto size = static_cast<std::uint32_t>(message_bytes);
    const auto byte = [size](unsigned shift) { return static_cast<char>((size >> shift) & 0xFFU); };
    return {'\0', byte(24), byte(16), byte(8), byte(0)};
}

std::size_t announced_size(std::string_view start) noexcept {
    if (start.size() < frame_prefix_size) return 0;
    std::uint32_t size = 0;
    for (std::size_t i = 1; i < frame_prefix_size; ++i) {
        size = (size << 8U) | static_cast<unsigned char>(start[i]);
    }
    return std::size_t{size} + frame_prefix_size;
}

result<std::string_view> unframe(std::string_view body) {
    if (body.size() < frame_prefix_size) return error{errc::protocol, "an answer without message"};
    if (body[0] != '\0') return error{errc::protocol, "a compressed message"};
    if (body.size() != announced_size(body)) {
        return error{errc::protocol, "an answer whose length is not that of its message"};
    }
    return body.substr(frame_prefix_size);
}

std::string percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const auto* const hex = text.data() + i + 1;
        if (text[i] == '%' && text.size() - i > 2 &&
            std::from_chars(hex, hex + 2, value, 16).ptr == hex + 2) {
            out += static_cast<char>(value);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

result<> to_result(const call_status& status) {
    if (status.grpc_status == 0 && status.http_status == 200) return {};
    if (status.grpc_status < 0) {
        if (status.http_status != 200 && status.http_status != 0) {
            return error{errc::protocol, "HTTP status " + std::to_string(status.http_status)};
        }
        return error{errc::protocol, "an answer without grpc-status"};
    }
    auto words = percent_decode(status.message);
    if (status.grpc_status == unavailable) return error{errc::connection, std::move(words)};
    if (status.grpc_status == resource_exhausted) words.insert(0, out_of_resources);
    return error{errc::rpc_failed, std::move(words)};
}

}  // namespace truffula::shard
