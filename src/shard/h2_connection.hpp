#pragma once

#include "shard/deadline_book.hpp"
#include "shard/h2_session.hpp"
#include "shard/open_call.hpp"
#include "truffula/shard/transport.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace truffula::shard {

using stream_socket = boost::asio::generic::stream_protocol::socket;

/// h2_session on an Asio socket, with deadlines and pings. Plain callbacks, so that an answer
/// resumes its caller straight from the read, without a hop.
class h2_connection : public std::enable_shared_from_this<h2_connection> {
public:
    using clock = std::chrono::steady_clock;

    /// \param socket connected, and non-blocking.
    h2_connection(stream_socket socket, std::string authority, transport_options options);

    /// Greets the peer and listens. Once, before the first call.
    void start();

    /// Sends one request. The call is complete at once when it cannot be sent.
    std::pair<std::int32_t, std::shared_ptr<open_call<std::string>>> call(
        std::string_view method, std::string_view request, clock::duration timeout);

    /// Gives a call up: its answer is ignored. Nothing happens when it has ended.
    void abandon(std::int32_t stream);

    /// Takes what has arrived, without waiting for it.
    void poll();

    /// Closes the socket; calls that are open stay unanswered.
    void close();

private:
    void read();
    void take(std::string_view bytes);
    void finish_calls();
    void flush();
    void wait_writable();
    void fail(const error& why);
    void arm();
    void on_deadline();
    void watch_silence();

    stream_socket socket_;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer ping_timer_;
    std::string authority_;
    transport_options options_;
    h2_session session_;
    std::unordered_map<std::int32_t, std::shared_ptr<open_call<std::string>>> calls_;
    deadline_book book_;
    std::optional<clock::time_point> armed_;
    std::string input_;
    std::string output_;
    std::size_t written_ = 0;
    bool is_writing_ = false;
    int pings_ = 0;
    std::optional<error> broken_;
};

}  // namespace truffula::shard
