#pragma once

#include "truffula/api/compat.hpp"
#include "truffula/api/encoder.hpp"
#include "truffula/api/request_observer.hpp"
#include "truffula/api/validate.hpp"
#include "truffula/api/workers.hpp"
#include "truffula/batching/engine.hpp"
#include "truffula/http/fetcher.hpp"
#include "truffula/http/message.hpp"
#include "truffula/scheduler/admission.hpp"
#include "truffula/telemetry/request_logger.hpp"
#include "truffula/text/adapter_templates.hpp"
#include "truffula/text/chat_template.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace truffula::api {

class vision;

/// What `/info` shows beside limits and the shard's words; `null` where unknown.
struct static_facts {
    std::string model_id;
    std::optional<std::string> model_sha;
    std::optional<std::string> model_pipeline_tag;
    std::int64_t started = 0;  ///< Seconds of the epoch; `created` of the models.
    std::uint64_t max_concurrent_requests = 0;
    float waiting_served_ratio = 0.0F;
    std::uint64_t max_waiting_tokens = 0;
    std::uint64_t validation_workers = 0;
    bool eager_prefill = false;
    std::string version;
    std::optional<std::string> sha;
    std::optional<std::string> docker_label;
    std::optional<std::string> request_logger_url;
};

/// How images that prompts name by URL are fetched. The limits are for all of one prompt together.
struct image_fetching {
    std::shared_ptr<http::fetcher> by;
    std::size_t max_bytes = 0;
    std::chrono::seconds timeout{0};
    std::function<void(bool is_fetched)> counted;
};

/// What the routes work with. All of it outlives the last request; functions may be called from
/// every HTTP thread.
struct services {
    std::shared_ptr<batching::engine> engine;
    std::shared_ptr<scheduler::admission> admission;
    std::shared_ptr<const api::encoder> encoder;  ///< None: lengths are not checked.
    std::optional<text::chat_template> chat;      ///< None: chat is refused.
    /// None: all adapters have the template above.
    std::shared_ptr<text::adapter_templates> adapter_chats;
    std::shared_ptr<api::workers> workers;
    std::shared_ptr<request_observer> observer;
    api::limits limits;
    static_facts facts;
    std::string default_adapter_source = "hub";
    bool has_prefix_cache = false;  ///< Of the shards: equal prompts are computed once.
    std::set<std::string, std::less<>> allowed_adapters;  ///< Empty: any.
    api::compat compat = api::compat::openai;
    bool is_full_text_default = false;  ///< Of `/` and `/invocations` (pipeline tag `lorax`).
    std::function<bool()> is_shutting_down;
    std::function<std::string()> metrics_text;
    std::function<std::string()> metrics_json;
    /// Takes the log of a successful generation; unset: none is kept. Must be quick.
    std::function<void(const telemetry::logged_request&)> log_request;
    bool logs_api_tokens = false;
    std::shared_ptr<const api::vision> vision;    ///< None: the model reads text only.
    std::optional<image_fetching> remote_images;  ///< None: nothing is fetched.
    /// When to come back after a 429; unset: no `retry-after`.
    std::function<std::chrono::seconds()> retry_after;
};

/// One row of the server's table.
struct route {
    std::string method;
    std::string path;
    http::handler handler;
};

/// The native routes: POST `/`, `/invocations`, `/generate`, `/generate_stream`, `/embed`,
/// `/classify`, `/classify_batch`, `/tokenize`; GET
/// `/`, `/health`, `/ping`, `/startup`, `/info`, `/metrics`.
std::vector<route> native_routes(std::shared_ptr<const services> with);

}  // namespace truffula::api
