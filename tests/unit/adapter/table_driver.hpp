#pragma once

#include "truffula/adapter/adapter_table.hpp"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace truffula::test {

using namespace std::chrono_literals;

inline adapter::adapter_ref named(
    std::string id, adapter::source from = adapter::source::local, std::string token = {}) {
    adapter::adapter_ref ref;
    ref.what.ids = {std::move(id)};
    ref.from = from;
    ref.api_token = std::move(token);
    return ref;
}

inline adapter::table_settings with_slots(std::size_t slots) {
    adapter::table_settings s;
    s.max_active_adapters = slots;
    return s;
}

/// A table in virtual time, and what it said last.
struct table_driver {
    explicit table_driver(
        adapter::table_settings settings = {},
        std::vector<adapter::adapter_table::preloaded_adapter> preloaded = {},
        bool shards_were_up = false)
        : table(settings, preloaded, shards_were_up) {}

    /// One request more waits for the adapter.
    adapter::adapter_key wait_for(const adapter::adapter_ref& ref) {
        const auto joined = table.join(ref, now).value();
        if (joined.pending != 0) table.set_pending(joined.key, joined.pending, 1);
        const auto at = waiting.try_emplace(joined.key, 0, now).first;
        table.set_waiting(joined.key, ++at->second.first, at->second.second);
        last = joined;
        return joined.key;
    }

    void nobody_waits_for(adapter::adapter_key key) {
        waiting.erase(key);
        table.set_waiting(key, 0, adapter::time_point::max());
    }

    /// All who wait are in a batch now.
    void run(adapter::adapter_key key) {
        table.served(key);
        nobody_waits_for(key);
        table.set_running(key, 1, now);
    }

    std::vector<adapter::call> due(std::size_t limit = 64) {
        said = {};
        return table.due(now, limit, said);
    }

    /// The only call that is due.
    adapter::call only_due() {
        auto calls = due();
        if (calls.size() != 1) throw std::logic_error{std::to_string(calls.size()) + " calls due"};
        return std::move(calls.front());
    }

    void succeed(const adapter::call& c, adapter::memory_share share = 1000) {
        said = {};
        table.finished(c.id, share, now, said);
    }
    void fail(const adapter::call& c, std::string words = "no") {
        said = {};
        table.finished(c.id, error{errc::rpc_failed, std::move(words)}, now, said);
    }

    /// All calls that are due succeed, till none is left.
    void settle(adapter::memory_share share = 1000) {
        for (auto calls = due(); !calls.empty(); calls = due()) {
            for (const auto& c : calls) succeed(c, share);
        }
    }

    /// It is on the shards, idle, and has served.
    adapter::adapter_key make_ready(std::string id, adapter::memory_share share = 1000) {
        const auto key = wait_for(named(std::move(id)));
        settle(share);
        table.served(key);
        nobody_waits_for(key);
        return key;
    }

    adapter::adapter_table table;
    adapter::time_point now{1h};
    adapter::changes said;
    adapter::adapter_table::joined last;
    std::map<adapter::adapter_key, std::pair<std::size_t, adapter::time_point>> waiting;
};

}  // namespace truffula::test
