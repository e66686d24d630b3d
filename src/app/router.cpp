#include "app/router.hpp"

#include "app/engine_metrics.hpp"
#include "app/request_metrics.hpp"
#include "app/trace_recorder.hpp"
#include "truffula/api/adapter_choice.hpp"
#include "truffula/api/docs.hpp"
#include "truffula/api/native.hpp"
#include "truffula/api/openai/fault.hpp"
#include "truffula/api/openai/routes.hpp"
#include "truffula/api/validate.hpp"
#include "truffula/api/vision.hpp"
#include "truffula/batching/block_rules.hpp"
#include "truffula/config/load.hpp"
#include "truffula/http/server.hpp"
#include "truffula/scheduler/settings_of.hpp"
#include "truffula/telemetry/registry.hpp"
#include "truffula/text/model_files.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace truffula::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto poll_interval = 20ms;
constexpr auto farewell = 2s;  ///< For the last error events to reach their readers.

std::size_t http_threads(const config::settings& s) {
    if (s.server.http_threads > 0) return s.server.http_threads;
    return std::max(std::thread::hardware_concurrency(), 2U) - 1;
}

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

batching::engine_settings engine_settings(const config::settings& s) {
    batching::engine_settings to;
    to.scheduling = scheduler::settings_of(s);
    to.scheduling.adapters.pinned = pinned_adapters(s);
    to.scheduling.hash_seed = api::random_seed();
    to.joining = scheduler::join_settings_of(s);
    to.eager_prefill = s.batching.eager_prefill;
    to.paced_adapter_calls = s.adapters.adapter_calls == "paced";
    to.max_batch_prefill_tokens = s.batching.max_batch_prefill_tokens;
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

api::static_facts facts(const config::settings& s, const text::model_files& files) {
    api::static_facts to;
    to.model_id = s.text.tokenizer_name;
    to.model_sha = files.sha;
    to.started = std::time(nullptr);
    to.max_concurrent_requests = s.server.max_concurrent_requests;
    // Weighing knows no smallest batch.
    to.waiting_served_ratio = config::joining_ratio(s).value_or(0.0F);
    to.max_waiting_tokens = s.batching.max_waiting_tokens;
    to.validation_workers = s.text.validation_workers;
    to.eager_prefill = s.batching.eager_prefill;
    to.version = config::version;
    if (!s.telemetry.request_logger_url.empty()) {
        to.request_logger_url = s.telemetry.request_logger_url;
    }
    return to;
}

/// The model's tokenizer; none, with a warning that says what follows, when there is no file.
std::shared_ptr<const api::encoder> load_encoder(const text::model_files& files) {
    constexpr auto consequence =
        "prompt lengths are not checked, and /tokenize and truncate have no effect";
    if (files.tokenizer.tokenizer_json.empty()) {
        spdlog::warn("found no tokenizer.json: {}", consequence);
        return nullptr;
    }
    auto loaded = text::tokenizer::load(files.tokenizer);
    if (!loaded) {
        spdlog::warn("{}: {}", loaded.error().detail, consequence);
        return nullptr;
    }
    spdlog::info("tokenizer of {}", files.tokenizer.tokenizer_json.string());
    return api::make_encoder(std::move(*loaded));
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

/// How the model sees images; nothing for one that does not, or without a tokenizer to count with.
std::shared_ptr<const api::vision> load_vision(const text::model_files& files, bool has_encoder) {
    if (files.config.empty()) return nullptr;
    const auto preprocessor = files.config.parent_path() / "preprocessor_config.json";
    auto found = api::vision::read(text_of(files.config), text_of(preprocessor));
    if (!found) {
        spdlog::warn("{}: images in prompts are not read", found.error().detail);
        return nullptr;
    }
    if (*found && !has_encoder) {
        spdlog::warn("without tokenizer images in prompts are not read");
        return nullptr;
    }
    if (*found) spdlog::info("the model reads images");
    return *found;
}

std::unique_ptr<telemetry::request_logger> make_request_logger(
    const config::settings& s, telemetry::registry& metrics) {
    if (s.telemetry.request_logger_url.empty()) return nullptr;
    telemetry::request_logger_settings to;
    to.url = s.telemetry.request_logger_url;
    to.queue = s.telemetry.request_logger_queue;
    const auto count = [&metrics](const char* outcome) -> std::function<void()> {
        auto& counter = metrics.counter("truffula_request_logs", {{"outcome", outcome}});
        return [&counter] { counter.Increment(); };
    };
    return std::make_unique<telemetry::request_logger>(
        std::move(to),
        telemetry::request_logger_events{count("sent"), count("failed"), count("dropped")});
}

/// The model's chat templates; none, with a warning that says what follows, when there are none.
std::optional<text::chat_template> load_chat_template(const text::model_files& files) {
    constexpr auto consequence = "/v1/chat/completions and apply_chat_template are refused";
    auto loaded = text::chat_template::load(files.chat);
    if (!loaded) {
        spdlog::warn("{}: {}", loaded.error().detail, consequence);
        return std::nullopt;
    }
    if (!loaded->has_templates()) spdlog::warn("found no chat template: {}", consequence);
    return std::move(*loaded);
}

}  // namespace

struct router::impl {
    explicit impl(config::settings s)
        : settings(std::move(s)),
          engine_events(metrics),
          request_events(std::make_shared<request_metrics>(
              metrics, settings.batching.max_input_length, settings.batching.max_total_tokens)),
          engine_work(asio::make_work_guard(engine_context)),
          workers(std::make_shared<api::workers>(settings.text.validation_workers)),
          admission(
              std::make_shared<scheduler::admission>(settings.server.max_concurrent_requests)) {}

    ~impl() {
        engine_work.reset();
        engine_context.stop();
        if (engine_thread.joinable()) engine_thread.join();
        // Cancelled coroutines refer to the rest: they go first.
        server.reset();
    }

    std::vector<asio::any_io_executor> http_executors() const {
        std::vector<asio::any_io_executor> all;
        for (std::size_t i = 0; i < server->threads(); ++i) all.push_back(server->executor(i));
        return all;
    }

    std::shared_ptr<const api::services> services();
    std::vector<http::route> routes();
    bool ends_within(const std::function<bool()>& is_over, std::chrono::milliseconds limit) const;

    config::settings settings;
    telemetry::registry metrics;
    std::unique_ptr<trace_recorder> recorder;  // none: `record_trace` was not given
    engine_metrics engine_events;
    std::shared_ptr<request_metrics> request_events;
    text::model_files files;
    std::shared_ptr<const api::encoder> encoder;
    std::shared_ptr<const api::vision> vision;
    std::unique_ptr<telemetry::request_logger> request_log;  // outlives the server's threads
    std::optional<text::chat_template> chat;

    asio::io_context engine_context{1};
    asio::executor_work_guard<asio::io_context::executor_type> engine_work;
    asio::cancellation_signal give_up;
    std::shared_ptr<api::workers> workers;
    std::shared_ptr<scheduler::admission> admission;
    std::unique_ptr<http::server> server;
    std::shared_ptr<batching::engine> engine;
    std::thread engine_thread;
    std::atomic<bool> engine_has_ended{false};
    std::atomic<bool> is_shutting_down{false};
};

std::shared_ptr<const api::services> router::impl::services() {
    auto to = std::make_shared<api::services>();
    to->engine = engine;
    to->admission = admission;
    to->encoder = encoder;
    to->chat = chat;
    to->workers = workers;
    to->observer = request_events;
    to->limits.max_best_of = settings.server.max_best_of;
    to->limits.max_stop_sequences = settings.server.max_stop_sequences;
    to->limits.max_input_length = settings.batching.max_input_length;
    to->limits.max_total_tokens = settings.batching.max_total_tokens;
    to->facts = facts(settings, files);
    to->vision = vision;
    to->logs_api_tokens = settings.telemetry.request_logger_api_token;
    if (request_log) {
        to->log_request = [log = request_log.get()](const telemetry::logged_request& what) {
            (void)log->post(telemetry::request_log_body(what));
        };
    }
    to->default_adapter_source = settings.adapters.adapter_source;
    to->has_prefix_cache = settings.batching.prefix_caching;
    const auto& allowed = settings.adapters.allowed_adapters;
    to->allowed_adapters.insert(allowed.begin(), allowed.end());
    to->compat = settings.server.compat == "lorax" ? api::compat::lorax : api::compat::openai;
    to->is_shutting_down = [this] { return is_shutting_down.load(); };
    to->retry_after = [this] { return engine_events.retry_after(); };
    to->metrics_text = [this] { return metrics.text(); };
    to->metrics_json = [this] { return metrics.json(); };
    return to;
}

std::vector<http::route> router::impl::routes() {
    const auto with = services();
    std::vector<http::route> table;
    const auto add = [&](std::vector<api::route> some) {
        for (auto& r : some) {
            table.push_back({std::move(r.method), std::move(r.path), std::move(r.handler)});
        }
    };
    add(api::native_routes(with));
    add(api::openai::openai_routes(with));
    add(api::docs_routes(with));
    return table;
}

bool router::impl::ends_within(
    const std::function<bool()>& is_over, std::chrono::milliseconds limit) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!is_over()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(poll_interval);
    }
    return true;
}

router::router(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
router::~router() = default;

result<std::unique_ptr<router>> router::create(config::settings settings) {
    auto i = std::make_unique<impl>(std::move(settings));
    if (const auto& file = i->settings.telemetry.record_trace; !file.empty()) {
        auto opened = trace_recorder::open(file, std::chrono::steady_clock::now());
        if (!opened) return opened.error();
        i->recorder = std::move(*opened);
        i->engine_events.record_to(*i->recorder);
    }
    auto server = http::server::create(server_settings(i->settings));
    if (!server) return server.error();
    i->server = std::move(*server);
    const auto& t = i->settings.text;
    i->files = text::find_model_files(
        t.tokenizer_name, t.revision, t.tokenizer_config_path, config::current_environment());
    i->encoder = load_encoder(i->files);
    i->vision = load_vision(i->files, i->encoder != nullptr);
    i->request_log = make_request_logger(i->settings, i->metrics);
    i->chat = load_chat_template(i->files);
    return std::unique_ptr<router>{new router{std::move(i)}};
}

namespace {

using engine_result = result<std::shared_ptr<batching::engine>>;

asio::awaitable<engine_result> start_engine(
    batching::engine_settings settings,
    std::vector<asio::any_io_executor> http,
    batching::engine_observer* observer) {
    const auto executor = co_await asio::this_coro::executor;
    auto group = co_await settings.connect();
    if (!group) co_return group.error();
    co_return batching::create_engine(
        executor, std::move(http), std::move(settings), std::move(*group), *observer);
}

}  // namespace

result<> router::start(const std::function<bool()>& should_stop) {
    auto& i = *impl_;
    auto promise = std::make_shared<std::promise<engine_result>>();
    auto ready = promise->get_future();
    const auto finish = [promise](std::exception_ptr e, engine_result made) {
        e ? promise->set_exception(std::move(e)) : promise->set_value(std::move(made));
    };
    asio::co_spawn(
        i.engine_context,
        start_engine(engine_settings(i.settings), i.http_executors(), &i.engine_events),
        asio::bind_cancellation_slot(i.give_up.slot(), finish));
    i.engine_thread = std::thread{[&i] {
        i.engine_context.run();
        i.engine_has_ended = true;
    }};

    bool has_given_up = false;
    while (ready.wait_for(poll_interval) != std::future_status::ready) {
        if (has_given_up || !should_stop()) continue;
        has_given_up = true;
        asio::post(i.engine_context, [&signal = i.give_up] {
            signal.emit(asio::cancellation_type::terminal);
        });
    }
    // What was given up may also have ended by an exception, or just in time.
    if (has_given_up) return error{errc::cancelled, "stopped before the shards were ready"};
    auto made = ready.get();
    if (!made) return made.error();
    i.engine = std::move(*made);
    i.server->start(i.routes());
    spdlog::info("listening on {}:{}", i.settings.server.hostname, i.server->port());
    return {};
}

void router::stop(const std::function<bool()>& should_hurry) {
    auto& i = *impl_;
    const std::chrono::seconds grace{i.settings.server.shutdown_grace_s};
    i.is_shutting_down = true;
    i.server->begin_shutdown();
    spdlog::info(
        "shutting down: {} requests may end within {} s", i.admission->in_use(), grace.count());
    const auto end = std::chrono::steady_clock::now() + grace;
    const auto is_over = [&] { return i.admission->in_use() == 0 || should_hurry(); };
    i.ends_within(is_over, grace);
    if (i.admission->in_use() > 0) {
        spdlog::warn("ending {} requests that still run", i.admission->in_use());
    }
    i.engine->stop();
    i.server->stop(farewell);
    if (i.request_log) {
        const auto left = end - std::chrono::steady_clock::now();
        const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(left);
        i.ends_within([&] { return i.request_log->is_idle() || should_hurry(); }, wait);
        i.request_log->stop();
    }
    i.engine_work.reset();
    // Its coroutines have been told: they end by themselves, and free what they hold.
    i.ends_within([&] { return i.engine_has_ended.load(); }, farewell);
    spdlog::info("stopped");
}

}  // namespace truffula::app
