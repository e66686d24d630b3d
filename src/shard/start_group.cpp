// From an address to a group that is ready: the same steps at the first start and after a loss.
#include "shard/group.hpp"
#include "shard/messages.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace truffula::shard {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto retry_pause = 100ms;
constexpr clock::duration shortest_attempt = 1s;
constexpr auto progress_interval = 5s;

error in_step(const char* step, const error& why) {
    return {why.code, step + (": " + why.detail)};
}

/// False: cancelled before the time was over.
asio::awaitable<bool> pause(clock::duration time) {
    asio::steady_timer timer{co_await asio::this_coro::executor, time};
    const auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return !ec;
}

long seconds(clock::duration d) {
    return static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
}

/// One attempt. A host that is down does not even refuse: Linux would wait for two minutes.
asio::awaitable<result<std::unique_ptr<transport>>> try_to_connect(
    std::string address, clock::duration limit) {
    using namespace asio::experimental::awaitable_operators;
    auto first = co_await (connect(address) || pause(limit));
    if (first.index() == 1) co_return error{errc::connection, address + ": no answer"};
    co_return std::get<0>(std::move(first));
}

/// Waits for a shard to listen; `was_up`: the first attempt found it.
asio::awaitable<result<std::unique_ptr<transport>>> wait_for(
    std::string address, clock::duration limit, bool& was_up) {
    const auto start = clock::now();
    auto next_line = start + progress_interval;
    was_up = true;
    for (;;) {
        const auto left = limit - (clock::now() - start);
        auto opened = co_await try_to_connect(
            address, std::clamp(left, shortest_attempt, clock::duration{progress_interval}));
        if (opened || opened.error().code == errc::invalid_config) co_return std::move(opened);
        was_up = false;
        const auto now = clock::now();
        if (now - start >= limit) {
            co_return error{
                errc::connection,
                "no shard at " + opened.error().detail + " after " +
                    std::to_string(seconds(limit)) + " s"};
        }
        if (now >= next_line) {
            next_line += progress_interval;
            spdlog::info(
                "waiting for the shard at {} ({} s of {} s)",
                address,
                seconds(now - start),
                seconds(limit));
        }
        co_await pause(retry_pause);
    }
}

/// Says every few seconds that a long call is still under way; ends by cancellation only.
asio::awaitable<void> tell_progress(std::string what, clock::duration limit) {
    const auto start = clock::now();
    while (co_await pause(progress_interval)) {
        spdlog::info("{} ({} s of {} s)", what, seconds(clock::now() - start), seconds(limit));
    }
}

std::string with_scheme(const std::string& url) {
    const bool has_one = url.starts_with("unix://") || url.starts_with("tcp://");
    if (has_one) return url;
    return (url.starts_with('/') ? "unix://" : "tcp://") + url;
}

/// Addresses of all shards, as the first one knows them.
asio::awaitable<result<std::vector<std::string>>> discover(
    transport& master, clock::duration timeout) {
    auto call = master.start("ServiceDiscovery", {}, timeout);
    const auto answer = co_await call->get();
    if (!answer) co_return answer.error();
    const auto parsed = parse<wire::ServiceDiscoveryResponse>(*answer);
    if (!parsed) co_return parsed.error();
    if (parsed->urls_size() == 0) co_return error{errc::protocol, "the shard knows no shards"};
    std::vector<std::string> urls;
    for (const auto& url : parsed->urls()) urls.push_back(with_scheme(url));
    co_return urls;
}

asio::awaitable<result<std::optional<std::uint32_t>>> warm_up(
    connected_group& group, const group_settings& settings) {
    using namespace asio::experimental::awaitable_operators;
    spdlog::info("warming up the model");
    auto first = co_await (
        group.warm_up(settings.warmup, settings.warmup_timeout) ||
        tell_progress("still warming up", settings.warmup_timeout));
    if (first.index() == 1) co_return error{errc::cancelled, "cancelled"};
    co_return std::get<0>(std::move(first));
}

}  // namespace

asio::awaitable<result<started_group>> start_group(group_settings settings) {
    started_group out;
    spdlog::info("connecting to the shard at {}", settings.master);
    auto master = co_await wait_for(settings.master, settings.connect_timeout, out.was_up);
    if (!master) co_return in_step("connection", master.error());
    auto urls = co_await discover(**master, settings.call_timeout);
    if (!urls) co_return in_step("connection", urls.error());

    std::vector<std::unique_ptr<transport>> shards;
    for (const auto& url : *urls) {
        bool ignored = false;
        auto shard = co_await wait_for(url, settings.connect_timeout, ignored);
        if (!shard) co_return in_step("connection", shard.error());
        shards.push_back(std::move(*shard));
    }
    auto group = std::make_unique<connected_group>(std::move(shards), settings.call_timeout);
    spdlog::info("connected to {} shard(s)", group->size());

    auto cleared = co_await group->clear_cache(std::nullopt);
    if (!cleared) co_return in_step("cache", cleared.error());
    auto info = co_await group->info();
    if (!info) co_return in_step("info", info.error());
    out.info = std::move(*info);
    auto most = co_await warm_up(*group, settings);
    if (!most) co_return in_step("warm-up", most.error());
    out.max_supported_total_tokens = *most;
    out.group = std::move(group);
    co_return std::move(out);
}

}  // namespace truffula::shard
