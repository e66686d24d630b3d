#include "truffula/telemetry/request_logger.hpp"

#include <curl/curl.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace truffula::telemetry {
namespace {

using clock = std::chrono::steady_clock;

enum class outcome { sent, try_again, refused };

struct freer {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t ignore(char*, std::size_t size, std::size_t count, void*) {
    return size * count;
}

outcome judge(long status) {
    if (status >= 200 && status < 300) return outcome::sent;
    const bool may_pass = status == 408 || status == 429 || status >= 500;
    return may_pass ? outcome::try_again : outcome::refused;
}

}  // namespace

std::string request_log_body(const logged_request& what) {
    nlohmann::ordered_json body;
    body["tokens"] = what.tokens;
    body["adapter_id"] = what.adapter_id;
    body["input"] = what.input;
    body["output"] = what.output;
    body["api_token"] = what.api_token;
    body["model_id"] = what.model_id;
    return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

struct request_logger::core {
    core(request_logger_settings s, request_logger_events e)
        : settings(std::move(s)), events(std::move(e)), handle(curl_easy_init()) {
        headers.reset(curl_slist_append(nullptr, "content-type: application/json"));
        worker = std::thread{[this] { run(); }};
    }

    void run() {
        while (auto body = next()) {
            const bool is_sent = send_with_retries(*body);
            (is_sent ? events.sent : events.failed)();
        }
    }

    /// Waits for a body; none: it is over.
    std::optional<std::string> next() {
        std::unique_lock lock{mutex};
        is_idle = true;
        changed.wait(lock, [this] { return is_over || !queue.empty(); });
        if (is_over) return std::nullopt;
        is_idle = false;
        auto first = std::move(queue.front());
        queue.pop_front();
        return first;
    }

    bool send_with_retries(const std::string& body) {
        auto pause = settings.first_pause;
        for (unsigned attempt = 0;; ++attempt) {
            const auto got = send(body);
            if (got == outcome::sent) return true;
            if (got == outcome::refused || attempt == settings.retries || !wait(pause)) {
                spdlog::warn("request log: gave up after {} attempts: {}", attempt + 1, trouble);
                return false;
            }
            pause *= 2;
        }
    }

    /// False: it was over before.
    bool wait(std::chrono::milliseconds time) {
        std::unique_lock lock{mutex};
        return !changed.wait_for(lock, time, [this] { return is_over; });
    }

    outcome send(const std::string& body) {
        auto* const h = handle.get();
        curl_easy_reset(h);  // keeps the connection
        curl_easy_setopt(h, CURLOPT_URL, settings.url.c_str());
        curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, body.data());
        curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(settings.call_timeout.count()));
        curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, &core::is_to_break_off);
        curl_easy_setopt(h, CURLOPT_XFERINFODATA, this);
        const auto code = curl_easy_perform(h);
        if (code != CURLE_OK) {
            trouble = curl_easy_strerror(code);
            return outcome::try_again;
        }
        long status = 0;
        curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
        trouble = "status " + std::to_string(status);
        return judge(status);
    }

    static int is_to_break_off(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        auto& me = *static_cast<core*>(self);
        const std::lock_guard lock{me.mutex};
        return me.is_over ? 1 : 0;
    }

    request_logger_settings settings;
    request_logger_events events;
    std::unique_ptr<CURL, freer> handle;
    std::unique_ptr<curl_slist, freer> headers;
    std::string trouble;  // of the worker

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> queue;
    bool is_idle = false;
    bool is_over = false;
    std::thread worker;
};

request_logger::request_logger(request_logger_settings settings, request_logger_events events) {
    static const auto initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)initialised;
    core_ = std::make_unique<core>(std::move(settings), std::move(events));
}

request_logger::~request_logger() {
    stop();
}

bool request_logger::post(std::string body) {
    {
        const std::lock_guard lock{core_->mutex};
        if (!core_->is_over && core_->queue.size() < core_->settings.queue) {
            core_->queue.push_back(std::move(body));
            core_->changed.notify_all();
            return true;
        }
    }
    core_->events.dropped();
    return false;
}

bool request_logger::is_idle() const {
    const std::lock_guard lock{core_->mutex};
    return core_->is_idle && core_->queue.empty();
}

void request_logger::stop() {
    std::deque<std::string> lost;
    {
        const std::lock_guard lock{core_->mutex};
        if (std::exchange(core_->is_over, true)) return;
        lost.swap(core_->queue);
        core_->changed.notify_all();
    }
    for (std::size_t i = 0; i < lost.size(); ++i) core_->events.dropped();
    core_->worker.join();
}

}  // namespace truffula::telemetry
