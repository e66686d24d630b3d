#include "truffula/http/server.hpp"

#include "http/connection.hpp"
#include "truffula/actor/spawn.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

#include <set>
#include <thread>
#include <utility>

namespace truffula::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using reuse_address = tcp::acceptor::reuse_address;

constexpr auto accept_pause = std::chrono::milliseconds{100};  // when out of descriptors

error cannot_listen(const server_settings& s, const std::string& why) {
    return {errc::io, "cannot listen on " + s.address + ":" + std::to_string(s.port) + ": " + why};
}

}  // namespace

struct server::impl {
    /// One HTTP thread and the connections dealt to it.
    struct lane {
        asio::io_context context{1};
        asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
        std::set<std::shared_ptr<connection>> open;  // its own thread's
        std::thread thread;
    };

    explicit impl(server_settings s) : settings(std::move(s)) {
        for (std::size_t i = 0; i < std::max<std::size_t>(settings.threads, 1); ++i) {
            lanes.push_back(std::make_unique<lane>());
        }
        acceptor.emplace(lanes.front()->context);
        pause.emplace(lanes.front()->context);
    }

    /// Keeps others off the port from now on. Sockets that all allow reuse could share it until one
    /// of them listens, so reuse is allowed only for the moment that takes it over from the last
    /// connections of an earlier server.
    result<> bind() {
        error_code ec;
        const auto address = asio::ip::make_address(settings.address, ec);
        if (ec) return cannot_listen(settings, "not an IP address");
        const tcp::endpoint where{address, settings.port};
        acceptor->open(where.protocol(), ec);
        // Connections inherit it: one whose client is gone without a word is not kept for ever.
        if (!ec) acceptor->set_option(tcp::acceptor::keep_alive{true}, ec);
        if (!ec) acceptor->bind(where, ec);
        if (ec == asio::error::address_in_use) {
            acceptor->set_option(reuse_address{true}, ec);
            if (!ec) acceptor->bind(where, ec);
            if (!ec) acceptor->set_option(reuse_address{false}, ec);
        }
        if (ec) return cannot_listen(settings, ec.message());
        return {};
    }

    /// Its connections have the option from the acceptor: a later server can take the port over.
    result<> listen() {
        error_code ec;
        acceptor->set_option(reuse_address{true}, ec);
        if (!ec) acceptor->listen(asio::socket_base::max_listen_connections, ec);
        if (ec) return cannot_listen(settings, ec.message());
        return {};
    }

    void accept() {
        auto& to = *lanes[next];
        acceptor->async_accept(to.context, [this](error_code ec, tcp::socket socket) {
            if (ec == asio::error::operation_aborted) return;
            if (ec) {
                spdlog::warn("cannot accept a connection: {}", ec.message());
                pause->expires_after(accept_pause);
                pause->async_wait([this](error_code aborted) {
                    if (!aborted) accept();
                });
                return;
            }
            serve(next, std::move(socket));
            next = (next + 1) % lanes.size();
            accept();
        });
    }

    void serve(std::size_t index, tcp::socket socket) {
        auto& to = *lanes[index];
        auto made = std::make_shared<connection>(context, std::move(socket), index);
        asio::post(to.context, [&to, made] {
            to.open.insert(made);
            asio::co_spawn(
                to.context,
                connection::run(made),
                asio::bind_cancellation_slot(made->slot(), [&to, made](std::exception_ptr e) {
                    to.open.erase(made);
                    if (e) rethrow(e);
                }));
        });
    }

    template <class F>
    void for_all(F what) {
        for (auto& l : lanes) {
            asio::post(l->context, [&to = *l, what] {
                for (const auto& c : std::set{to.open}) what(*c);
            });
        }
    }

    /// Looks every few milliseconds: a connection ends on its own thread, after its last word.
    bool wait_for_end(std::chrono::milliseconds limit) const {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (context->connections != 0) {
            if (std::chrono::steady_clock::now() >= deadline) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
        }
        return true;
    }

    server_settings settings;
    std::vector<std::unique_ptr<lane>> lanes;
    std::optional<tcp::acceptor> acceptor;
    std::optional<asio::steady_timer> pause;
    std::shared_ptr<server_context> context;
    std::optional<cors> cross_origin;
    std::size_t next = 0;
    bool is_stopped = false;
};

server::server(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

result<std::unique_ptr<server>> server::create(server_settings settings) {
    auto cross_origin = cors::create(settings.cors);
    if (!cross_origin) return cross_origin.error();
    auto made = std::make_unique<impl>(std::move(settings));
    if (auto bound = made->bind(); !bound) return bound.error();
    made->cross_origin = std::move(*cross_origin);
    for (auto& l : made->lanes) {
        l->thread = std::thread{[&context = l->context] { context.run(); }};
    }
    return std::unique_ptr<server>{new server{std::move(made)}};
}

server::~server() {
    stop(std::chrono::milliseconds{0});
    for (auto& l : impl_->lanes) {
        l->work.reset();
        l->thread.join();
    }
}

result<> server::start(std::vector<route> routes) {
    if (auto listening = impl_->listen(); !listening) return listening;
    impl_->context = std::make_shared<server_context>(
        impl_->settings, std::move(*impl_->cross_origin), routing_table{std::move(routes)});
    asio::post(impl_->lanes.front()->context, [this] { impl_->accept(); });
    return {};
}

void server::begin_shutdown() {
    if (!impl_->context) return;
    impl_->context->is_closing = true;
    impl_->for_all([](connection& c) { c.close_if_kept(); });
}

void server::stop(std::chrono::milliseconds grace) {
    if (std::exchange(impl_->is_stopped, true)) return;
    begin_shutdown();
    asio::post(impl_->lanes.front()->context, [this] {
        error_code ignored;
        impl_->acceptor->close(ignored);
        impl_->pause->cancel();
    });
    if (!impl_->context) return;
    impl_->for_all([](connection& c) { c.close_if_idle(); });
    if (impl_->wait_for_end(grace)) return;
    // A connection dealt out meanwhile is idle or ends with its answer: ask until none is left.
    do {
        impl_->for_all([](connection& c) {
            c.close_if_idle();
            c.cancel();
        });
    } while (!impl_->wait_for_end(std::chrono::milliseconds{50}));
}

std::uint16_t server::port() const {
    return impl_->acceptor->local_endpoint().port();
}
std::size_t server::threads() const {
    return impl_->lanes.size();
}
asio::any_io_executor server::executor(std::size_t thread) const {
    return impl_->lanes[thread]->context.get_executor();
}
std::size_t server::connections() const {
    return impl_->context ? impl_->context->connections.load() : 0;
}

}  // namespace truffula::http
