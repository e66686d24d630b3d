// The transport against the standard gRPC server of C++.
#include "truffula/shard/transport.hpp"

#include "support/grpc_shard.hpp"
#include "support/run_coro.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <thread>

using namespace truffula;
using namespace std::chrono_literals;
using test::grpc_shard;
using test::run_coro;
namespace asio = boost::asio;
namespace wire = generate::v1;

namespace {

using answer = result<std::string>;

/// A message of exactly `size` bytes, in a field that the protocol does not know.
template <class Message>
void pad(Message& m, std::size_t size) {
    constexpr std::size_t overhead = 6;  // tag, and a length of four bytes, and the rest
    auto* const unknown = m.GetReflection()->MutableUnknownFields(&m);
    unknown->AddLengthDelimited(99, std::string(size - overhead, 'x'));
    if (m.ByteSizeLong() != size) throw std::logic_error{"the padding is wrong"};
}

asio::awaitable<std::unique_ptr<shard::transport>> open(const grpc_shard& server) {
    auto opened = co_await shard::connect(server.address());
    REQUIRE(opened.has_value());
    co_return std::move(*opened);
}

asio::awaitable<answer> ask(
    shard::transport& to,
    std::string method,
    std::string request,
    std::chrono::milliseconds limit) {
    auto call = to.start(method, request, limit);
    co_return co_await call->get();
}

}  // namespace

TEST_CASE("transport: a call and its answer", "[shard]") {
    grpc_shard server;
    server.service.decode = [](auto&, const auto& request, auto& response) {
        response.add_generations()->set_request_id(request.batches(0).id() + 1);
        return grpc::Status::OK;
    };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        for (std::uint64_t id : {1ULL, 1ULL << 40U}) {
            wire::DecodeRequest request;
            request.add_batches()->set_id(id);
            const auto got = co_await ask(*to, "Decode", request.SerializeAsString(), 10s);
            REQUIRE(got.has_value());
            wire::DecodeResponse response;
            REQUIRE(response.ParseFromString(*got));
            CHECK(response.generations(0).request_id() == id + 1);
        }
    });
}

TEST_CASE("transport: a shard's errors come with its words", "[shard]") {
    grpc_shard server;
    const std::string words = "CUDA out of memory: 100%\nzwölf GiB";
    server.service.health = [&](auto&) { return grpc::Status{grpc::StatusCode::INTERNAL, words}; };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        const auto got = co_await ask(*to, "Health", "", 10s);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::rpc_failed);
        CHECK(got.error().detail == words);
        const auto unknown = co_await ask(*to, "NoSuchMethod", "", 10s);
        REQUIRE(unknown.has_error());
        CHECK(unknown.error().code == errc::rpc_failed);
    });
}

TEST_CASE("transport: UNAVAILABLE counts as a lost connection", "[shard]") {
    grpc_shard server;
    server.service.health = [](auto&) {
        return grpc::Status{grpc::StatusCode::UNAVAILABLE, "going down"};
    };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        const auto got = co_await ask(*to, "Health", "", 10s);
        REQUIRE(got.has_error());
        CHECK(got.error().code == errc::connection);
    });
}

TEST_CASE("transport: calls are written before the function returns", "[shard]") {
    grpc_shard server;
    test::latch_gate arrived;
    server.service.health = [&](auto&) {
        arrived.open();
        return grpc::Status::OK;
    };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        // Once connection and settings are through: nothing runs on our thread in between.
        const auto first = co_await ask(*to, "Info", "", 10s);
        REQUIRE(first.has_value());
        const auto call = to->start("Health", "", 10s);
        CHECK(arrived.wait());
    });
}

TEST_CASE("transport: messages up to 64 MiB, and not one byte more", "[shard]") {
    constexpr std::size_t limit = 64U << 20U;
    grpc_shard server;
    std::size_t extra = 0;
    server.service.decode = [&](auto&, const auto& request, auto& response) {
        if (request.ByteSizeLong() != limit) pad(response, limit + extra);
        return grpc::Status::OK;
    };
    run_coro(
        [&]() -> asio::awaitable<void> {
            const auto to = co_await open(server);
            const auto whole = co_await ask(*to, "Decode", "", 60s);
            REQUIRE(whole.has_value());
            CHECK(whole->size() == limit);
            extra = 1;
            const auto longer = co_await ask(*to, "Decode", "", 60s);
            REQUIRE(longer.has_error());
            CHECK(longer.error().code == errc::protocol);
            CHECK(longer.error().detail.find("67108864") != std::string::npos);

            wire::DecodeRequest request;
            pad(request, limit);
            auto bytes = request.SerializeAsString();
            const auto large = co_await ask(*to, "Decode", bytes, 60s);
            CHECK(large.has_value());
            bytes += '\0';
            const auto larger = co_await ask(*to, "Decode", bytes, 60s);
            REQUIRE(larger.has_error());
            CHECK(larger.error().code == errc::protocol);
            const auto after = co_await ask(*to, "Health", "", 60s);
            CHECK(after.has_value());  // the connection goes on
        },
        100s);
}

TEST_CASE("transport: deadlines run one after the other", "[shard]") {
    grpc_shard server;
    test::latch_gate gate;
    server.service.health = [&](auto&) {
        gate.wait();
        return grpc::Status::OK;
    };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        const auto start = std::chrono::steady_clock::now();
        const auto first = to->start("Health", "", 200ms);
        const auto second = to->start("Health", "", 100ms);
        const auto late = co_await second->get();
        const auto took = std::chrono::steady_clock::now() - start;
        REQUIRE(late.has_error());
        CHECK(late.error().code == errc::deadline_exceeded);
        CHECK(took >= 300ms);  // its own time began when the first was given up
        const auto earlier = co_await first->get();
        REQUIRE(earlier.has_error());
        CHECK(earlier.error().code == errc::deadline_exceeded);
        gate.open();
        const auto after = co_await ask(*to, "Info", "", 10s);
        CHECK(after.has_value());
    });
    gate.open();
}

TEST_CASE("transport: an answer is shown before its waiter goes on", "[shard]") {
    grpc_shard server;
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        auto call = to->start("Info", "", 10s);
        bool is_shown = false;
        call->on_answer([&](const auto& answer) { is_shown = answer.has_value(); });
        const auto answer = co_await call->get();
        CHECK(answer.has_value());
        CHECK(is_shown);
    });
}

TEST_CASE("transport: who polls gets the answer without the executor", "[shard]") {
    grpc_shard server;
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        const auto first = co_await ask(*to, "Info", "", 10s);
        REQUIRE(first.has_value());
        auto call = to->start("Info", "", 10s);
        bool is_shown = false;
        call->on_answer([&](const auto& answer) { is_shown = answer.has_value(); });
        const auto limit = std::chrono::steady_clock::now() + 10s;
        while (!is_shown && std::chrono::steady_clock::now() < limit) to->poll();
        CHECK(is_shown);
        const auto answer = co_await call->get();
        CHECK(answer.has_value());
        const auto next = co_await ask(*to, "Info", "", 10s);  // the connection still listens
        CHECK(next.has_value());
    });
}

TEST_CASE("transport: who polls learns that the connection is lost", "[shard]") {
    auto server = std::make_unique<grpc_shard>();
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(*server);
        const auto first = co_await ask(*to, "Info", "", 10s);
        REQUIRE(first.has_value());
        server.reset();
        std::optional<boost::system::error_code> code;
        const auto limit = std::chrono::steady_clock::now() + 10s;
        while (!code && std::chrono::steady_clock::now() < limit) {
            to->poll();
            auto call = to->start("Info", "", 10s);
            call->on_answer([&](const auto& answer) { code = answer.error().code; });
        }
        CHECK(code == errc::connection);
    });
}

TEST_CASE("transport: a call that is dropped is cancelled at the shard", "[shard]") {
    grpc_shard server;
    test::latch_gate arrived;
    test::latch_gate cancelled;
    server.service.health = [&](grpc::ServerContext& context) {
        arrived.open();
        for (int i = 0; i < 10'000 && !context.IsCancelled(); ++i) std::this_thread::sleep_for(1ms);
        if (context.IsCancelled()) cancelled.open();
        return grpc::Status::OK;
    };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        const auto first = co_await ask(*to, "Info", "", 10s);
        REQUIRE(first.has_value());
        auto call = to->start("Health", "", 10s);
        bool is_shown = false;
        call->on_answer([&](const auto&) { is_shown = true; });
        REQUIRE(arrived.wait());
        call.reset();
        CHECK(cancelled.wait());
        const auto after = co_await ask(*to, "Info", "", 10s);
        CHECK(after.has_value());
        CHECK_FALSE(is_shown);
    });
}

TEST_CASE("transport: a waiter that is cancelled gives the call up", "[shard]") {
    using namespace asio::experimental::awaitable_operators;
    grpc_shard server;
    test::latch_gate gate;
    server.service.health = [&](auto&) {
        gate.wait();
        return grpc::Status::OK;
    };
    run_coro([&]() -> asio::awaitable<void> {
        const auto to = co_await open(server);
        asio::steady_timer soon{co_await asio::this_coro::executor, 20ms};
        const auto first =
            co_await (ask(*to, "Health", "", 10s) || soon.async_wait(asio::use_awaitable));
        CHECK(first.index() == 1);
        gate.open();
        const auto after = co_await ask(*to, "Info", "", 10s);
        CHECK(after.has_value());
    });
}

TEST_CASE("transport: a connection lost in a call fails it, and all that follow", "[shard]") {
    grpc_shard server;
    test::latch_gate arrived;
    server.service.health = [&](grpc::ServerContext& context) {
        arrived.open();
        for (int i = 0; i < 10'000 && !context.IsCancelled(); ++i) std::this_thread::sleep_for(1ms);
        return grpc::Status::OK;
    };
    std::thread killer;
    run_coro(
        [&]() -> asio::awaitable<void> {
            const auto to = co_await open(server);
            killer = std::thread{[&] {
                arrived.wait();
                server.stop();
            }};
            const auto got = co_await ask(*to, "Health", "", 20s);
            REQUIRE(got.has_error());
            CHECK(got.error().code == errc::connection);
            const auto after = co_await ask(*to, "Info", "", 20s);
            REQUIRE(after.has_error());
            CHECK(after.error().code == errc::connection);
        },
        30s);
    killer.join();
}

TEST_CASE("transport: nobody listens, or the address is none", "[shard]") {
    const test::temporary_folder folder;
    run_coro([&]() -> asio::awaitable<void> {
        const auto nobody = co_await shard::connect("unix://" + folder.file("nobody"));
        REQUIRE(nobody.has_error());
        CHECK(nobody.error().code == errc::connection);
        const auto refused = co_await shard::connect("tcp://127.0.0.1:1");
        REQUIRE(refused.has_error());
        CHECK(refused.error().code == errc::connection);
        const std::string long_path(108, 'x');
        for (const std::string& bad :
             std::vector<std::string>{"http://x:1", "tcp://no-port", "unix:///" + long_path}) {
            const auto got = co_await shard::connect(bad);
            INFO(bad);
            REQUIRE(got.has_error());
            CHECK(got.error().code == errc::invalid_config);
        }
    });
}
