// Runs the scheduler's effects: the adapter calls that are due.
#include "batching/engine_core.hpp"
#include "truffula/shard/refusals.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

namespace truffula::batching {
namespace {

constexpr std::size_t at_once = 64;

const char* name_of(adapter::call_kind kind) {
    switch (kind) {
        case adapter::call_kind::download: return "download";
        case adapter::call_kind::load: return "load";
        case adapter::call_kind::offload: return "offload";
    }
    return "unknown";
}

std::string joined(const std::vector<std::string>& ids) {
    std::string text;
    for (const auto& id : ids) text += (text.empty() ? "" : ",") + id;
    return text;
}

}  // namespace

/// A shard that serves one call at a time stalls for each adapter call: while requests run, at
/// most one is started per step.
asio::awaitable<void> engine_core::run_adapter_calls(std::shared_ptr<engine_core> self) {
    try {
        while (!self->is_stopping_) {
            auto calls = co_await self->scheduler.next_calls(
                self->settings_.paced_adapter_calls ? 1 : at_once);
            if (!calls) co_return;
            for (auto& c : *calls) {
                self->spawn_beside(make_call(self, std::move(c)));
            }
            if (!self->settings_.paced_adapter_calls) continue;
            if (!self->is_computing_) continue;
            self->stepped_.try_receive([](auto&&...) {});  // of an earlier step
            co_await self->stepped_.async_receive(asio::as_tuple(asio::use_awaitable));
        }
    } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted) throw;  // how a stop ends us
    }
}

asio::awaitable<void> engine_core::make_call(
    std::shared_ptr<engine_core> self, adapter::call what) {
    const auto group = self->group_;
    if (!group) co_return;  // the shards are lost, and with them this call
    const auto kind = what.kind;
    const auto started = std::chrono::steady_clock::now();
    shard::adapter_call c;
    c.what = std::move(what.what);
    c.from = what.from;
    c.api_token = std::move(what.api_token);
    c.index = what.index;
    const auto ids = joined(c.what.ids);
    result<adapter::memory_share> outcome = adapter::memory_share{0};
    if (kind == adapter::call_kind::download) {
        outcome = co_await group->download_adapter(std::move(c), what.timeout);
    } else if (kind == adapter::call_kind::load) {
        const auto done = co_await group->load_adapter(std::move(c), what.timeout);
        if (!done) outcome = done.error();
    } else {
        const auto done = co_await group->offload_adapter(std::move(c), what.timeout);
        if (!done) outcome = done.error();
    }
    if (self->is_stopping_) co_return;
    const auto took = std::chrono::steady_clock::now() - started;
    self->observer_.adapter_call(kind, outcome.has_value(), took);
    if (outcome) {
        spdlog::info(
            "adapter {}: {} took {} ms",
            ids,
            name_of(kind),
            std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    } else {
        spdlog::warn("adapter {}: {} failed: {}", ids, name_of(kind), outcome.error().detail);
        // Every error of a LoRAX shard is INTERNAL; nearly always the adapter is at fault.
        const bool is_refused = outcome.error().code == errc::rpc_failed;
        const bool is_final = is_refused && !shard::lacks_memory(outcome.error().detail);
        if (is_final && kind != adapter::call_kind::offload) {
            outcome = error{errc::no_adapter, outcome.error().detail};
        }
        // The shards' adapters are taken as lost with the connection: nothing to report then.
        if (outcome.error().code == errc::connection) self->note_connection(outcome.error());
        if (!self->is_connected_) co_return;
    }
    self->scheduler.finished(what.id, std::move(outcome));
}

}  // namespace truffula::batching
