#pragma once

#include "bench/stream_reader.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace truffula::bench {

/// A POST with a JSON body on a connection that is kept.
std::string post(std::string_view path, std::string_view body);

/// Many HTTP clients on one thread, on epoll, that do as little as they can: the load must cost
/// less than what it measures.
class http_load {
public:
    enum class kind : std::uint8_t {
        whole,   ///< Answers with a content-length; each is followed by the next request.
        stream,  ///< One stream of events for each connection, read until `stop`.
    };

    /// Connects; nothing is asked yet. Throws when that fails.
    ///
    /// \param requests dealt out in turn.
    http_load(
        std::uint16_t port, std::size_t connections, std::vector<std::string> requests, kind k);
    ~http_load() { stop(); }
    http_load(const http_load&) = delete;
    http_load& operator=(const http_load&) = delete;

    void start();
    /// Closes the connections. Idempotent.
    void stop();

    /// So far; \threads any.
    std::uint64_t responses() const { return responses_; }
    std::uint64_t events() const { return events_; }
    /// Connections on which an event has come.
    std::size_t streaming() const { return streaming_; }
    /// Streams that have ended, connections that broke, statuses other than 200.
    std::uint64_t ended() const { return ended_; }
    std::uint64_t failures() const { return failures_; }

private:
    struct connection {
        int fd = -1;
        const std::string* request = nullptr;
        std::string head;      // until the head of an answer is whole
        std::size_t left = 0;  // bytes of its body that are to come
        bool has_head = false;
        bool has_event = false;
        stream_reader body;  // of a stream
    };
    void run();
    bool receive(connection& c);
    bool take_whole(connection& c, std::string_view bytes);
    bool take_stream(connection& c, std::string_view bytes);
    void ask(connection& c);

    std::vector<std::string> requests_;
    kind kind_;
    std::vector<connection> connections_;
    std::vector<char> buffer_;
    int epoll_;
    int stop_;
    std::thread thread_;
    std::atomic<std::uint64_t> responses_{0};
    std::atomic<std::uint64_t> events_{0};
    std::atomic<std::size_t> streaming_{0};
    std::atomic<std::uint64_t> ended_{0};
    std::atomic<std::uint64_t> failures_{0};
};

}  // namespace truffula::bench
