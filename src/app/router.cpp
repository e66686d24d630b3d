#include "app/router.hpp"

#include "app/engine_metrics.hpp"
#include "app/model_parts.hpp"
#include "app/request_metrics.hpp"
#include "app/room_settings.hpp"
#include "app/trace_recorder.hpp"
#include "truffula/api/docs.hpp"
#include "truffula/api/native.hpp"
#include "truffula/api/openai/routes.hpp"
#include "truffula/config/load.hpp"
#include "truffula/http/server.hpp"
#include "truffula/telemetry/registry.hpp"
#include "truffula/text/model_files.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <exception>
#include <future>
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
        if (images) images->stop();
        // A worker may still compute for a connection that was cancelled: its answer goes to the
        // server's threads, if only to be dropped there.
        if (server) server->stop(std::chrono::milliseconds{0});
        workers->stop();
        // Cancelled coroutines refer to the rest: they go first.
        server.reset();
    }

    std::vector<asio::any_io_executor> http_executors() const {
        std::vector<asio::any_io_executor> all;
        all.reserve(server->threads());
        for (std::size_t i = 0; i < server->threads(); ++i) all.push_back(server->executor(i));
        return all;
    }

    std::shared_ptr<const api::services> services();
    std::vector<http::route> routes();
    bool ends_within(const std::function<bool()>& is_over, std::chrono::milliseconds limit) const;

    /// Its coroutines have been told: they end by themselves, and free what they hold.
    void end_engine() {
        engine_work.reset();
        ends_within([this] { return engine_has_ended.load(); }, farewell);
    }

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
    std::shared_ptr<text::adapter_templates> adapter_chats;
    std::shared_ptr<http::fetcher> images;  // none: no image is fetched

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
    to->adapter_chats = adapter_chats;
    to->workers = workers;
    to->observer = request_events;
    to->limits = request_limits(settings);
    to->facts = facts(settings, files);
    to->vision = vision;
    if (images) to->remote_images = image_fetching(settings, images, metrics);
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
    i->files = find_files(i->settings);
    i->encoder = load_encoder(i->files);
    i->vision = load_vision(i->files, i->encoder != nullptr);
    i->request_log = make_request_logger(i->settings, i->metrics);
    i->chat = load_chat_template(i->files);
    auto chats = open_adapter_templates(i->settings.adapters.local_adapter_folder, i->files);
    if (!chats) return chats.error();
    i->adapter_chats = std::move(*chats);
    auto images = make_image_fetcher(i->settings);
    if (!images) return images.error();
    i->images = std::move(*images);
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
    if (auto listening = i.server->start(i.routes()); !listening) {
        i.engine->stop();
        i.end_engine();
        return listening;
    }
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
    i.end_engine();
    spdlog::info("stopped");
}

}  // namespace truffula::app
