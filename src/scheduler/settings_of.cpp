#include "truffula/scheduler/settings_of.hpp"

#include "truffula/config/load.hpp"

#include <chrono>

namespace truffula::scheduler {
namespace {

adapter::table_settings table_settings(const config::settings& s) {
    const auto& a = s.adapters;
    adapter::table_settings to;
    to.max_active_adapters = a.max_active_adapters;
    to.cycle_time = std::chrono::seconds{a.adapter_cycle_time_s};
    to.download_concurrency = a.adapter_download_concurrency;
    to.load_concurrency = a.adapter_load_concurrency;
    to.download_timeout = std::chrono::seconds{a.adapter_download_timeout_s};
    to.load_timeout = std::chrono::seconds{a.adapter_load_timeout_s};
    to.proof_lifetime = std::chrono::seconds{a.adapter_proof_s};
    to.first_backoff = std::chrono::seconds{a.adapter_backoff_s};
    to.last_backoff = std::chrono::seconds{a.adapter_max_backoff_s};
    to.max_known_adapters = a.max_known_adapters;
    to.max_downloads_per_tenant = a.max_downloads_per_tenant;
    return to;
}

}  // namespace

scheduler_settings settings_of(const config::settings& s) {
    scheduler_settings to;
    const auto wait = std::chrono::duration<float>(s.scheduling.max_overtake_wait_s);
    to.max_overtakes = s.scheduling.max_overtakes;
    to.max_overtake_wait = std::chrono::duration_cast<std::chrono::milliseconds>(wait);
    to.cycle_time = std::chrono::seconds{s.adapters.adapter_cycle_time_s};
    to.is_fair = s.scheduling.policy == "fair";
    to.shares.batch_weight = static_cast<double>(s.scheduling.batch_weight);
    for (const auto& text : s.scheduling.tenant_weights) {
        if (auto weight = config::read_weight(text)) to.shares.tenant_weights.insert(*weight);
    }
    const auto longest = std::chrono::duration<float>(s.scheduling.queue_timeout_s);
    to.queue_timeout = std::chrono::ceil<std::chrono::milliseconds>(longest);
    if (s.batching.max_batch_size) to.max_batch_size = *s.batching.max_batch_size;
    to.prefix_caching = s.batching.prefix_caching;
    to.prefix_cache_salt =
        s.scheduling.prefix_cache_salt == "tenant" ? prefix_salt::tenant : prefix_salt::none;
    to.adapters = table_settings(s);
    to.adapters.shares_slots = to.is_fair;
    to.adapters.tenant_weights = to.shares.tenant_weights;
    return to;
}

join_settings join_settings_of(const config::settings& s) {
    join_settings to;
    to.waiting_served_ratio = config::joining_ratio(s);
    to.max_waiting_tokens = s.batching.max_waiting_tokens;
    to.ttft_weight = s.scheduling.ttft_weight;
    return to;
}

}  // namespace truffula::scheduler
