#pragma once

#include "truffula/error/error.hpp"
#include "truffula/http/cors.hpp"
#include "truffula/http/message.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::http {

struct route {
    std::string method;  ///< GET also answers HEAD.
    std::string path;    ///< Matched whole, without decoding; `/a/*` is all below `/a/`.
    handler handle;
};

struct server_settings {
    std::string address = "0.0.0.0";
    std::uint16_t port = 3000;  ///< 0: any free one.
    std::size_t threads = 1;
    std::size_t max_body_bytes = 2'097'152;
    std::size_t max_header_bytes = 65'535;  ///< More would overflow a field of Beast's.
    std::size_t max_headers = 100;
    std::chrono::milliseconds read_timeout{30'000};   ///< From a request's first byte to its last.
    std::chrono::milliseconds write_timeout{30'000};  ///< Without progress.
    std::chrono::milliseconds keep_alive_interval{15'000};  ///< Comments in silent streams.
    cors_settings cors;
    /// Body and content type of what the server itself refuses (404, 405, 413, 500), by path;
    /// unset, or nothing: the server's own. \threads any.
    std::function<std::optional<response>(std::string_view path, int status, std::string_view text)>
        describe_refusal;
};

/// An HTTP/1.1 server: one thread per `io_context`, a connection stays on the thread that it was
/// dealt to. It knows nothing of what the handlers do.
///
/// \threads `executor`, `begin_shutdown` any; the rest from the owner's thread.
class server {
public:
    /// Takes the port for itself and starts the threads; who connects before `start` is refused.
    ///
    /// \errors `errc::io` naming address and reason, when somebody else has the port, listening or
    /// not, too; `errc::invalid_config` for CORS settings.
    static result<std::unique_ptr<server>> create(server_settings settings);

    /// Waits for all threads: call `stop` first.
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    /// Accepts connections and answers them by `routes`.
    ///
    /// \errors `errc::io` naming address and reason, when the system does not let it listen.
    result<> start(std::vector<route> routes);

    /// Every response says `connection: close` from now on, and idle connections are closed.
    void begin_shutdown();

    /// Accepts no more, lets what runs end within `grace`, then cancels it; returns when all is
    /// done.
    void stop(std::chrono::milliseconds grace);

    std::uint16_t port() const;
    std::size_t threads() const;
    boost::asio::any_io_executor executor(std::size_t thread) const;

    /// Connections open now.
    std::size_t connections() const;

private:
    struct impl;
    explicit server(std::unique_ptr<impl> i);
    std::unique_ptr<impl> impl_;
};

}  // namespace truffula::http
