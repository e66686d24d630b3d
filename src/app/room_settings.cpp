#include "app/room_settings.hpp"

#include "app/build_facts.hpp"
#include "truffula/api/adapter_choice.hpp"
#include "truffula/api/openai/fault.hpp"
#include "truffula/api/validate.hpp"
#include "truffula/batching/block_rules.hpp"
#include "truffula/config/load.hpp"
#include "truffula/scheduler/settings_of.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <thread>
#include <vector>

namespace truffula::app {
namespace {

std::size_t http_threads(const config::settings& s) {
    if (s.server.http_threads > 0) return s.server.http_threads;
    return std::max(std::thread::hardware_concurrency(), 2U) - 1;
}

shard::group_settings group_settings(const config::settings& s) {
    shard::group_settings to;
    to.master = s.master_address();
    to.call_timeout = std::chrono::seconds{s.shard.call_timeout_s};
    to.warmup_timeout = std::chrono::seconds{s.shard.warmup_timeout_s};
    to.connect_timeout = std::chrono::seconds{s.shard.connect_timeout_s};
    to.warmup.max_input_length = s.batching.max_input_length;
    to.warmup.max_prefill_tokens = s.batching.max_batch_prefill_tokens;
    to.warmup.max_total_tokens = s.batching.max_total_tokens;
    return to;
}

/// As requests without an api token name them.
std::vector<adapter::adapter_ref> pinned_adapters(const config::settings& s) {
    std::vector<adapter::adapter_ref> pinned;
    for (const auto& id : s.adapters.pinned) {
        api::generate_parameters asked;
        asked.adapter_id = id;
        pinned.push_back(api::choose_adapter(asked, s.adapters.adapter_source, std::nullopt).ref);
    }
    return pinned;
}

}  // namespace

http::server_settings server_settings(const config::settings& s) {
    http::server_settings to;
    to.address = s.server.hostname;
    to.port = s.server.port;
    to.threads = http_threads(s);
    to.max_body_bytes = s.server.max_body_bytes;
    to.read_timeout = std::chrono::seconds{s.server.read_timeout_s};
    to.write_timeout = std::chrono::seconds{s.server.write_timeout_s};
    if (s.server.compat == "openai") to.describe_refusal = api::openai::describe_refusal;
    to.cors.allow_origin = s.server.cors_allow_origin;
    to.cors.allow_method = s.server.cors_allow_method;
    to.cors.allow_header = s.server.cors_allow_header;
    to.cors.expose_header = s.server.cors_expose_header;
    to.cors.allow_credentials = s.server.cors_allow_credentials;
    return to;
}

batching::engine_settings engine_settings(const config::settings& s) {
    batching::engine_settings to;
    to.scheduling = scheduler::settings_of(s);
    to.scheduling.adapters.pinned = pinned_adapters(s);
    to.scheduling.hash_seed = api::random_seed();
    to.joining = scheduler::join_settings_of(s);
    to.eager_prefill = s.batching.eager_prefill;
    to.paced_adapter_calls = s.adapters.adapter_calls == "paced";
    to.max_batch_prefill_tokens = s.batching.max_batch_prefill_tokens;
    to.busy_poll = std::chrono::microseconds{s.shard.busy_poll_us};
    to.max_undelivered_bytes = std::size_t{s.batching.max_undelivered_mib} << 20U;
    to.max_stream_bytes = std::size_t{s.server.stream_buffer_kib} << 10U;
    to.connect = [settings = group_settings(s)] { return shard::start_group(settings); };
    to.total_budget = [s](const shard::started_group& group) -> result<std::uint32_t> {
        const auto supported = group.max_supported_total_tokens;
        const auto total = config::total_token_budget(s, supported, group.info.supports_generation);
        const auto& model = group.info;
        if (auto ok = config::check_budgets(s, total, model.chunked_prefill); !ok) {
            return ok.error();
        }
        auto ok = batching::check_blocks(model, total, s.batching.prefix_caching);
        if (!ok) return ok.error();
        return total;
    };
    return to;
}

api::limits request_limits(const config::settings& s) {
    api::limits to;
    to.max_best_of = s.server.max_best_of;
    to.max_stop_sequences = s.server.max_stop_sequences;
    to.max_input_length = s.batching.max_input_length;
    to.max_total_tokens = s.batching.max_total_tokens;
    return to;
}

api::static_facts facts(const config::settings& s, const text::model_files& files) {
    api::static_facts to;
    const auto& name = s.text.served_model_name;
    to.model_id = name.empty() ? s.text.tokenizer_name : name;
    to.model_sha = files.sha;
    to.started = std::time(nullptr);
    to.max_concurrent_requests = s.server.max_concurrent_requests;
    // Weighing knows no smallest batch.
    to.waiting_served_ratio = config::joining_ratio(s).value_or(0.0F);
    to.max_waiting_tokens = s.batching.max_waiting_tokens;
    to.validation_workers = s.text.validation_workers;
    to.eager_prefill = s.batching.eager_prefill;
    to.version = config::version;
    to.sha = git_sha();
    to.docker_label = docker_label();
    if (!s.telemetry.request_logger_url.empty()) {
        to.request_logger_url = config::without_credentials(s.telemetry.request_logger_url);
    }
    return to;
}

}  // namespace truffula::app
