#include "app/check_settings.hpp"
#include "app/router.hpp"
#include "truffula/config/load.hpp"
#include "truffula/telemetry/log.hpp"

#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <ctime>
#include <iostream>
#include <pthread.h>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace truffula;

constexpr int exit_failed_start = 1;
constexpr int exit_usage = 2;

/// SIGTERM and SIGINT, taken one by one by the main thread; all threads block them.
class stop_signals {
public:
    stop_signals() {
        sigemptyset(&set_);
        sigaddset(&set_, SIGTERM);
        sigaddset(&set_, SIGINT);
        pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    }
    void wait() {
        int which = 0;
        sigwait(&set_, &which);
    }
    /// True if one came since the last question.
    bool came() {
        constexpr timespec at_once{};
        return sigtimedwait(&set_, nullptr, &at_once) > 0;
    }

private:
    sigset_t set_{};
};

int fail(const error& why, int status) {
    std::cerr << "Error: " << (why.detail.empty() ? client_message(why) : why.detail) << '\n';
    return status;
}

int serve(const config::loaded& config) {
    stop_signals signals;
    for (const auto& w : config.warnings) spdlog::warn("{}", w);
    for (const auto& n : config.notes) spdlog::debug("{}", n);
    spdlog::info("truffula-router {}", config::version);
    auto made = app::router::create(config.values);
    if (!made) return fail(made.error(), exit_failed_start);
    auto& router = **made;
    if (const auto started = router.start([&] { return signals.came(); }); !started) {
        if (started.error().code == errc::cancelled) return 0;
        return fail(started.error(), exit_failed_start);
    }
    signals.wait();
    router.stop([&] { return signals.came(); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    // It would write a line for every broken text of a shard; the request's error tells of it.
    google::protobuf::SetLogHandler(nullptr);
    const std::vector<std::string> arguments{argv + 1, argv + argc};
    const auto config = config::load(arguments, config::current_environment(), argv[0]);
    if (!config) return fail(config.error(), exit_usage);
    if (const auto ok = app::check_settings(*config); !ok) return fail(ok.error(), exit_usage);
    if (config->print) {
        std::cout << *config->print;
        return 0;
    }
    telemetry::log_settings log;
    log.level = config->values.telemetry.log_level;
    log.as_json = config->values.telemetry.json_output;
    if (const auto ok = telemetry::start_logging(log); !ok) return fail(ok.error(), exit_usage);
    return serve(*config);
}
