// The table of all settings.
#include "config/option_table.hpp"

#include <limits>
#include <optional>

namespace truffula::config {
namespace {

template <class T>
constexpr T most = std::numeric_limits<T>::max();
using u32 = std::uint32_t;
using u64 = std::uint64_t;

/// The Warmup message holds a batch of the longest prompts, text of 12 bytes for each token: with
/// more it would be longer than a message may be (64 MiB).
constexpr u32 most_prompt_tokens = 4'000'000;

/// `unix:///path` or `tcp://host:port`.
bool is_shard_address(std::string_view text) {
    constexpr std::string_view unix_root = "unix:///";
    constexpr std::string_view tcp = "tcp://";
    if (text.starts_with(unix_root)) return text.size() > unix_root.size();
    if (!text.starts_with(tcp)) return false;
    text.remove_prefix(tcp.size());
    const auto colon = text.rfind(':');
    std::uint16_t port = 0;
    return colon != text.npos && colon > 0 && read_number(text.substr(colon + 1), port) && port > 0;
}

// clang-format off
#define FIELD(section, name) ([](settings& s) -> auto& { return s.section.name; })

void add_server(option_table& t) {
    t.section("server");
    t.text("hostname", FIELD(server, hostname), "an IP address", "Address to listen on");
    t.number<std::uint16_t>("port", FIELD(server, port), 0, 65535, "", "Port to listen on; 0: any free one");
    t.choice("compat", FIELD(server, compat), {"openai", "lorax"}, "How the /v1 routes behave: as OpenAI's reference says, or as a LoRAX router's; lorax is the default under the program name lorax-router");
    t.number<u32>("http_threads", FIELD(server, http_threads), 0, 256, "threads", "Threads that serve HTTP; 0: processors less one");
    t.number<u64>("max_concurrent_requests", FIELD(server, max_concurrent_requests), 1, most<u64>, "requests", "Requests waiting or running; beyond it clients get 429");
    t.number<u64>("max_best_of", FIELD(server, max_best_of), 1, most<u64>, "sequences", "Most `best_of` that a client may ask for");
    t.number<u64>("max_stop_sequences", FIELD(server, max_stop_sequences), 0, most<u64>, "", "Most stop sequences of a request");
    t.number<u64>("max_body_bytes", FIELD(server, max_body_bytes), 1, u64{1} << 30U, "bytes", "Longest request body; beyond it clients get 413");
    t.number<u32>("read_timeout_s", FIELD(server, read_timeout_s), 1, 3600, "seconds", "A request must arrive whole within it");
    t.number<u32>("write_timeout_s", FIELD(server, write_timeout_s), 1, 3600, "seconds", "A client must take something within it");
    t.number<u32>("stream_buffer_kib", FIELD(server, stream_buffer_kib), 1, 1U << 20U, "KiB", "Tokens kept for a slow reader before its stream is ended");
    t.number<u32>("shutdown_grace_s", FIELD(server, shutdown_grace_s), 0, 86'400, "seconds", "After SIGTERM: how long requests may go on");
    t.list("remote_image_hosts", FIELD(server, remote_image_hosts), "a list of names, *.names, * or addresses, each also with :port", "Hosts from which images in prompts are fetched, on ports 80 and 443 unless one is named; none given: no image is fetched");
    t.list("remote_image_networks", FIELD(server, remote_image_networks), "a list of networks as 10.1.0.0/16", "Private networks that such hosts may lie in; none given: only public addresses");
    t.number<u64>("remote_image_max_bytes", FIELD(server, remote_image_max_bytes), 1, u64{1} << 30U, "bytes", "Most that is fetched for all images of a prompt together");
    t.number<u32>("remote_image_timeout_s", FIELD(server, remote_image_timeout_s), 1, 3600, "seconds", "All images of a prompt must have come within it");
    t.list("cors_allow_origin", FIELD(server, cors_allow_origin), "a list of origins", "Origins that browsers may call from; none given: any");
    t.list("cors_allow_method", FIELD(server, cors_allow_method), "a list of methods", "Methods that browsers may use; none given: GET, POST");
    t.list("cors_allow_header", FIELD(server, cors_allow_header), "a list of header names", "Headers that browsers may send; none given: content-type");
    t.list("cors_expose_header", FIELD(server, cors_expose_header), "a list of header names", "Headers that browsers may read");
    t.flag("cors_allow_credentials", [](settings& s) -> auto& { if (!s.server.cors_allow_credentials) s.server.cors_allow_credentials = false; return *s.server.cors_allow_credentials; }, "Browsers may send credentials");
    t.last().type = option::kind::value;
    t.last().is_optional = true;
    t.last().show = [](const settings& s) { return s.server.cors_allow_credentials ? std::vector<std::string>{*s.server.cors_allow_credentials ? "true" : "false"} : std::vector<std::string>{}; };
    t.flag("ngrok", FIELD(server, ngrok), "Not supported: using it ends the process");
    t.text("ngrok_authtoken", FIELD(server, ngrok_authtoken), "text", "Goes with ngrok");
    t.last().is_secret = true;
    t.text("ngrok_edge", FIELD(server, ngrok_edge), "text", "Goes with ngrok");
}

void add_shard(option_table& t) {
    t.section("shard");
    t.text("master_shard", FIELD(shard, master_shard), "unix:///path or tcp://host:port", "Address of the first shard; it knows the others");
    t.last().set = [](settings& s, std::string_view value) {
        if (!is_shard_address(value)) return false;
        s.shard.master_shard = value;
        return true;
    };
    t.text("master_shard_uds_path", FIELD(shard, master_shard_uds_path), "a path", "The same as the path of a Unix socket");
    t.last().set = [](settings& s, std::string_view value) {
        s.shard.master_shard_uds_path = value;
        return !value.empty();
    };
    t.number<u32>("connect_timeout_s", FIELD(shard, connect_timeout_s), 0, 86'400, "seconds", "How long to wait for shards at start");
    t.number<u32>("call_timeout_s", FIELD(shard, call_timeout_s), 1, 86'400, "seconds", "A shard must answer a step within it");
    t.number<u32>("warmup_timeout_s", FIELD(shard, warmup_timeout_s), 1, 86'400, "seconds", "A shard must warm up within it");
    t.number<u32>("busy_poll_us", FIELD(shard, busy_poll_us), 0, 10'000, "microseconds", "Longest time per decode step in which the router polls for an answer that is due by the steps before, instead of sleeping; at most 1/20 of a step; 0: never");
}

void add_batching(option_table& t) {
    t.section("batching");
    t.number<u32>("max_input_length", FIELD(batching, max_input_length), 1, most_prompt_tokens, "tokens", "Longest prompt");
    t.number<u32>("max_total_tokens", FIELD(batching, max_total_tokens), 2, most<u32>, "tokens", "Longest prompt and answer together");
    t.number<u32>("max_batch_prefill_tokens", FIELD(batching, max_batch_prefill_tokens), 1, most_prompt_tokens, "tokens", "Prompt tokens of one prefill");
    t.number<u32>("max_batch_total_tokens", FIELD(batching, max_batch_total_tokens), 1, most<u32>, "tokens", "Tokens of all running requests; not given: what the shards support");
    t.number<u32>("max_batch_size", FIELD(batching, max_batch_size), 1, most<u32>, "requests", "Most requests running at once; not given: no limit but tokens");
    t.number<u64>("max_waiting_tokens", FIELD(batching, max_waiting_tokens), 0, most<u64>, "decode steps", "After so many steps waiting requests join in any case");
    t.number<float>("waiting_served_ratio", FIELD(batching, waiting_served_ratio), 0.0F, 1e6F, "", "Smallest joining batch, as share of the running one; not given: see join");
    t.choice("join", FIELD(batching, join), {"auto", "ratio"}, "When waiting requests join: by weighing their wait against the stall of the running ones, or by waiting_served_ratio (0.3 if not given); not given: ratio if waiting_served_ratio is given, else auto");
    t.last().is_optional = true;
    t.flag("eager_prefill", FIELD(batching, eager_prefill), "Let more join at once, until nothing fits");
    t.flag("prefix_caching", FIELD(batching, prefix_caching), "Compute the common beginning of prompts once; needs shards with blocks of 1 token");
    t.number<u32>("max_undelivered_mib", FIELD(batching, max_undelivered_mib), 1, 65'536, "MiB", "Answer bytes that an HTTP thread may lag behind before the next step waits");
}

void add_scheduling(option_table& t) {
    t.section("scheduling");
    t.choice("policy", FIELD(scheduling, policy), {"fifo", "fair"}, "Order in which requests are served: as they came (fifo), or shared among tenants by the tokens they cost (fair)");
    t.list("tenant_weights", FIELD(scheduling, tenant_weights), "names with weights above 0 (acme: 4 in a file, acme=4 elsewhere)", "policy: fair: shares of tenants; others have 1");
    t.last().is_map = true;
    t.last().set = [](settings& s, std::string_view value) {
        if (!read_weight(value)) return false;
        s.scheduling.tenant_weights.emplace_back(value);
        return true;
    };
    t.number<float>("batch_weight", FIELD(scheduling, batch_weight), 0.001F, 1.0F, "", "policy: fair: share of a tenant's requests of class batch, against interactive ones");
    t.choice("prefix_cache_salt", FIELD(scheduling, prefix_cache_salt), {"none", "tenant"}, "Who shares cached prefixes: all users of an adapter, or only those of one tenant");
    t.number<u32>("max_overtakes", FIELD(scheduling, max_overtakes), 1, most<u32>, "requests", "So many younger requests may pass one that does not fit");
    t.number<float>("max_overtake_wait_s", FIELD(scheduling, max_overtake_wait_s), 0.0F, 3600.0F, "seconds", "So long they may, from the first on");
    t.number<float>("queue_timeout_s", FIELD(scheduling, queue_timeout_s), 0.0F, 86'400.0F, "seconds", "Longest wait of a request for its batch; then it gets 408; 0: any");
    t.number<float>("ttft_weight", FIELD(scheduling, ttft_weight), 0.0F, 1e6F, "", "join: auto: what a second of a waiting request counts against one of a running request");
}

void add_adapters(option_table& t) {
    t.section("adapters");
    t.choice("adapter_source", FIELD(adapters, adapter_source), {"hub", "s3", "local", "pbase"}, "Source of adapters for requests that name none");
    t.number<u64>("max_active_adapters", FIELD(adapters, max_active_adapters), 1, most<u64>, "adapters", "Adapters loaded at once, the base model not counted");
    t.number<u64>("adapter_cycle_time_s", FIELD(adapters, adapter_cycle_time_s), 0, 86'400, "seconds", "A busy adapter keeps its slot about so long while others wait for one");
    t.list("pinned", FIELD(adapters, pinned), "a list of adapter ids", "Adapters that are loaded at start, from adapter_source, and never evicted; fewer than max_active_adapters");
    t.choice("adapter_calls", FIELD(adapters, adapter_calls), {"paced", "concurrent"}, "Adapter calls while requests run: one per step, or side by side");
    t.number<u32>("adapter_download_concurrency", FIELD(adapters, adapter_download_concurrency), 1, 1024, "calls", "Downloads at a time");
    t.number<u32>("adapter_load_concurrency", FIELD(adapters, adapter_load_concurrency), 1, 1024, "calls", "Loads and offloads at a time");
    t.number<u32>("adapter_download_timeout_s", FIELD(adapters, adapter_download_timeout_s), 1, 86'400, "seconds", "A download must end within it");
    t.number<u32>("adapter_load_timeout_s", FIELD(adapters, adapter_load_timeout_s), 1, 86'400, "seconds", "A load or offload must end within it");
    t.number<u32>("adapter_proof_s", FIELD(adapters, adapter_proof_s), 1, 86'400, "seconds", "How long a token that a shard accepted for an adapter is not asked about again");
    t.number<u32>("adapter_backoff_s", FIELD(adapters, adapter_backoff_s), 1, 86'400, "seconds", "An adapter that failed is refused so long; doubles each time");
    t.number<u32>("adapter_max_backoff_s", FIELD(adapters, adapter_max_backoff_s), 1, 86'400, "seconds", "At most so long");
    t.number<u64>("max_known_adapters", FIELD(adapters, max_known_adapters), 1, 100'000'000, "adapters", "Adapters remembered that are neither loaded nor waited for");
    t.number<u32>("max_downloads_per_tenant", FIELD(adapters, max_downloads_per_tenant), 1, most<u32>, "downloads", "Downloads that one tenant may have waiting");
    t.list("allowed_adapters", FIELD(adapters, allowed_adapters), "a list of adapter ids", "Adapters that requests may name, beside preloaded ones; none given: any");
    t.text("local_adapter_folder", FIELD(adapters, local_adapter_folder), "a folder", "Where adapters of source local lie on this machine: their own chat templates are used; not given: the base model's are");
}

void add_text(option_table& t) {
    t.section("text");
    t.text("tokenizer_name", FIELD(text, tokenizer_name), "a directory or a model id in the local cache", "Where tokenizer.json is; also the model's name, if served_model_name is not given");
    t.text("served_model_name", FIELD(text, served_model_name), "a name", "The model's name in requests and answers; not given: tokenizer_name");
    t.text("tokenizer_config_path", FIELD(text, tokenizer_config_path), "a file", "Replaces the model's tokenizer_config.json");
    t.text("revision", FIELD(text, revision), "a branch, tag or commit", "Revision in the local cache; main if not given");
    t.number<u32>("validation_workers", FIELD(text, validation_workers), 1, 256, "threads", "Threads that tokenize long inputs");
}

void add_telemetry(option_table& t) {
    t.section("telemetry");
    t.flag("json_output", FIELD(telemetry, json_output), "Log lines as JSON");
    t.text("log_level", FIELD(telemetry, log_level), "trace, debug, info, warn, error or off", "What is logged");
    t.url("otlp_endpoint", FIELD(telemetry, otlp_endpoint), "Accepted for LoRAX's launcher; this version exports no traces");
    t.url("request_logger_url", FIELD(telemetry, request_logger_url), "Every successful generation is posted there as JSON; none given: nowhere");
    t.number<u32>("request_logger_queue", FIELD(telemetry, request_logger_queue), 1, 1'000'000, "generations", "So many may wait to be posted; beyond it they are dropped and counted");
    t.flag("request_logger_api_token", FIELD(telemetry, request_logger_api_token), "Post the API tokens of clients, too; else the key is there and empty");
    t.text("record_trace", FIELD(telemetry, record_trace), "a file", "Gets a line of JSON for each request that was answered, without its text, for truffula-sim; begun anew at 256 MiB, the last one is kept");
}

#undef FIELD
// clang-format on

}  // namespace

const std::vector<option>& options() {
    static const std::vector<option> all = [] {
        option_table t;
        add_server(t);
        add_shard(t);
        add_batching(t);
        add_scheduling(t);
        add_adapters(t);
        add_text(t);
        add_telemetry(t);
        return t.take();
    }();
    return all;
}

}  // namespace truffula::config
