#pragma once

#include "shard/grpc_framing.hpp"
#include "truffula/error/error.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct nghttp2_session;

namespace truffula::shard {

/// HTTP/2's client side for unary gRPC calls, without a socket: bytes in, bytes out. nghttp2 does
/// the protocol; here is what gRPC adds.
class h2_session {
public:
    struct finished_call {
        std::int32_t stream = 0;
        result<std::string> answer;
    };

    /// \param max_message_bytes of an answer; a longer one fails its call.
    explicit h2_session(std::size_t max_message_bytes);
    ~h2_session();
    h2_session(const h2_session&) = delete;
    h2_session& operator=(const h2_session&) = delete;

    /// Opens a stream with one whole request. The bytes are taken over.
    ///
    /// \errors `errc::connection` when the peer takes no more streams.
    result<std::int32_t> submit(
        std::string_view method, std::string_view authority, std::string request);

    /// Gives a call up: its stream is reset, its answer ignored.
    void abandon(std::int32_t stream);

    void ping();

    /// Feeds what arrived; `finished()` has the calls that it completed.
    ///
    /// \errors `errc::protocol` if the peer does not speak HTTP/2; the session is dead then.
    result<> receive(std::string_view bytes);
    std::vector<finished_call>& finished() { return finished_; }

    /// Nothing will come or go any more: one side has said goodbye, or broke the protocol.
    bool is_over() const;

    /// Appends all that is to be written now.
    void take_output(std::string& to);

    std::size_t open_calls() const { return calls_.size(); }

    /// Fails every open call.
    void fail_all(const error& why);

private:
    struct call {
        std::string request;  // with gRPC's prefix
        std::size_t sent = 0;
        std::string answer;
        call_status status;
    };
    struct callbacks;

    void close(std::int32_t stream, std::uint32_t http2_error);

    std::size_t max_message_bytes_;
    std::unique_ptr<nghttp2_session, void (*)(nghttp2_session*)> session_;
    std::unordered_map<std::int32_t, call> calls_;
    std::vector<finished_call> finished_;
    std::optional<error> broken_;
};

}  // namespace truffula::shard
