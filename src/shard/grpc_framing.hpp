#pragma once

#include "truffula/error/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace truffula::shard {

/// Bytes in front of a message: a flag and the length, big-endian (gRPC over HTTP/2).
constexpr std::size_t frame_prefix_size = 5;

std::array<char, frame_prefix_size> frame_prefix(std::size_t message_bytes);

/// Bytes of a body, prefix included, as its first bytes announce them; 0 if those are too few.
std::size_t announced_size(std::string_view start) noexcept;

/// The message of a complete answer body, which holds exactly one.
///
/// \errors `errc::protocol` for a compressed, missing or cut message, or bytes after it.
result<std::string_view> unframe(std::string_view body);

/// What the headers and trailers of an answer said.
struct call_status {
    int http_status = 0;   ///< 0: none seen.
    int grpc_status = -1;  ///< -1: none seen.
    std::string message;   ///< Still percent-encoded.
};

/// Success only for HTTP status 200 and gRPC status 0.
///
/// \errors `errc::rpc_failed` with the shard's words; `errc::connection` for UNAVAILABLE;
/// `errc::protocol` without a status.
result<> to_result(const call_status& status);

/// `%XX` decoded; what is no such sequence stays.
std::string percent_decode(std::string_view text);

}  // namespace truffula::shard
