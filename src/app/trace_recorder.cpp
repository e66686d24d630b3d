#include "app/trace_recorder.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

namespace truffula::app {
namespace {

std::string joined(const std::vector<std::string>& ids) {
    std::string text;
    for (const auto& id : ids) text += (text.empty() ? "" : ",") + id;
    return text;
}

}  // namespace

/// spdlog's queue, thread and rotating file, apart from those of the log.
struct trace_recorder::writer {
    writer(const std::string& file, const trace_limits& limits)
        : pool(std::make_shared<spdlog::details::thread_pool>(limits.lines_waiting, 1)),
          lines(std::make_shared<spdlog::async_logger>(
              "trace",
              std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
                  file, limits.file_bytes, 1, true),
              pool,
              spdlog::async_overflow_policy::overrun_oldest)) {
        lines->set_pattern("%v");
        lines->flush_on(spdlog::level::info);
        lines->set_error_handler([this](const std::string& why) {
            if (failed++ == 0) spdlog::warn("record_trace: cannot write: {}", why);
        });
    }

    /// The queue's thread ends first: it still counts.
    std::size_t close() {
        const auto overrun = pool->overrun_counter();
        lines.reset();
        pool.reset();
        return overrun + failed;
    }

    std::atomic<std::size_t> failed{0};  // lines that the disk did not take

    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<spdlog::async_logger> lines;
};

result<std::unique_ptr<trace_recorder>> trace_recorder::open(
    const std::string& file, time_point start, trace_limits limits) {
    try {
        auto opened = std::make_unique<writer>(file, limits);
        return std::unique_ptr<trace_recorder>{new trace_recorder{std::move(opened), start}};
    } catch (const spdlog::spdlog_ex& e) {
        return error{
            errc::invalid_config,
            "record_trace: cannot write " + file + ": " + e.what() +
                "; expected a file in a directory that the router may write to"};
    }
}

trace_recorder::trace_recorder(std::unique_ptr<writer> w, time_point start)
    : writer_(std::move(w)), start_(start) {}

trace_recorder::~trace_recorder() {
    const auto lost = writer_->close();
    if (lost > 0) spdlog::warn("record_trace: {} requests are not in the trace", lost);
}

std::size_t trace_recorder::lost() const {
    return writer_->pool->overrun_counter() + writer_->failed;
}

void trace_recorder::record(const scheduler::entry& what, std::uint32_t steps) {
    const auto came = std::max(what.created - start_, std::chrono::steady_clock::duration{});
    nlohmann::ordered_json line;
    line["time_s"] = std::chrono::duration<double>(came).count();
    line["adapter"] = joined(what.adapter->what.ids);
    line["tenant"] = what.adapter->tenant;
    line["input_tokens"] = what.what->input_length;
    const bool is_batch = what.what->priority == inference::priority::batch;
    line["priority"] = is_batch ? "batch" : "interactive";
    line["output_tokens"] = std::min(steps, what.what->stopping.max_new_tokens);
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;
    writer_->lines->info("{}", line.dump(-1, ' ', false, replace));
}

}  // namespace truffula::app
