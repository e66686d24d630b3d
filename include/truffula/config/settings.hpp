#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace truffula::config {

// One struct per section of the YAML file. Every field is one row of the table in
// src/config/options.cpp, which has its range, unit and meaning; the defaults are here.

/// `server`: listening, limits of requests, CORS.
struct server_section {
    std::string hostname = "0.0.0.0";
    std::uint16_t port = 3000;
    std::string compat = "openai";
    std::uint32_t http_threads = 0;
    std::uint64_t max_concurrent_requests = 1024;
    std::uint64_t max_best_of = 2;
    std::uint64_t max_stop_sequences = 10;
    std::uint64_t max_body_bytes = 2'097'152;
    std::uint32_t read_timeout_s = 30;
    std::uint32_t write_timeout_s = 30;
    std::uint32_t stream_buffer_kib = 64;
    std::uint32_t shutdown_grace_s = 60;
    std::vector<std::string> remote_image_hosts;
    std::vector<std::string> remote_image_networks;
    std::uint64_t remote_image_max_bytes = 2'097'152;
    std::uint32_t remote_image_timeout_s = 10;
    std::vector<std::string> cors_allow_origin;
    std::vector<std::string> cors_allow_method;
    std::vector<std::string> cors_allow_header;
    std::vector<std::string> cors_expose_header;
    std::optional<bool> cors_allow_credentials;
    bool ngrok = false;
    std::string ngrok_authtoken;
    std::string ngrok_edge;
};

/// `shard`: where the shards are and how long they may take.
struct shard_section {
    std::string master_shard;  ///< `unix:///…` or `tcp://…`; empty: the path below.
    std::string master_shard_uds_path = "/tmp/lorax-server-0";
    std::uint32_t connect_timeout_s = 600;
    std::uint32_t call_timeout_s = 60;
    std::uint32_t warmup_timeout_s = 900;
    std::uint32_t busy_poll_us = 400;
};

/// `batching`: token budgets, and when waiting requests join.
struct batching_section {
    std::uint32_t max_input_length = 1792;
    std::uint32_t max_total_tokens = 2048;
    std::uint32_t max_batch_prefill_tokens = 4096;
    std::optional<std::uint32_t> max_batch_total_tokens;
    std::optional<std::uint32_t> max_batch_size;
    std::uint64_t max_waiting_tokens = 20;
    std::optional<float> waiting_served_ratio;
    std::string join;  ///< `auto`, `ratio`; empty: `ratio` if a ratio is given.
    bool eager_prefill = false;
    bool prefix_caching = false;
    std::uint32_t max_undelivered_mib = 16;
};

/// The parts of a `name=weight`; nothing if it is none, or the weight is not above 0.
std::optional<std::pair<std::string, double>> read_weight(std::string_view text);

/// `scheduling`: who goes first.
struct scheduling_section {
    std::string policy = "fifo";
    std::string prefix_cache_salt = "none";
    std::uint32_t max_overtakes = 64;
    float max_overtake_wait_s = 2.0F;
    float ttft_weight = 8.0F;
    float queue_timeout_s = 0;
    std::vector<std::string> tenant_weights;  ///< `name=weight`
    float batch_weight = 0.05F;
};

/// `adapters`: slots, downloads, proofs of access.
struct adapters_section {
    std::string adapter_source = "hub";
    std::uint64_t max_active_adapters = 128;
    std::uint64_t adapter_cycle_time_s = 2;
    std::vector<std::string> pinned;
    std::string adapter_calls = "paced";
    std::uint32_t adapter_download_concurrency = 4;
    std::uint32_t adapter_load_concurrency = 16;
    std::uint32_t adapter_download_timeout_s = 600;
    std::uint32_t adapter_load_timeout_s = 120;
    std::uint32_t adapter_proof_s = 300;
    std::uint32_t adapter_backoff_s = 5;
    std::uint32_t adapter_max_backoff_s = 300;
    std::uint64_t max_known_adapters = 10'000;
    std::uint32_t max_downloads_per_tenant = 1024;
    std::vector<std::string> allowed_adapters;
    std::string local_adapter_folder;
};

/// `text`: the tokenizer.
struct text_section {
    std::string tokenizer_name;
    std::string served_model_name;
    std::string tokenizer_config_path;
    std::string revision;
    std::uint32_t validation_workers = 2;
};

/// `telemetry`: logs.
struct telemetry_section {
    bool json_output = false;
    std::string log_level = "info";
    std::string otlp_endpoint;
    std::string request_logger_url;
    std::uint32_t request_logger_queue = 32;
    bool request_logger_api_token = false;
    std::string record_trace;
};

/// The effective settings of a router.
struct settings {
    server_section server;
    shard_section shard;
    batching_section batching;
    scheduling_section scheduling;
    adapters_section adapters;
    text_section text;
    telemetry_section telemetry;

    /// Where the first shard is: `unix:///path` or `tcp://host:port`.
    std::string master_address() const {
        if (!shard.master_shard.empty()) return shard.master_shard;
        return "unix://" + shard.master_shard_uds_path;
    }
};

}  // namespace truffula::config
