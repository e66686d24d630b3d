#include "shard_sim/call_loop.hpp"
#include "shard_sim/command_line.hpp"
#include "shard_sim/service.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

using namespace truffula::shard_sim;

constexpr int exit_cannot_listen = 1;
constexpr int exit_violations = 3;
constexpr int exit_crash = 70;

// Through another name, so that a reader never sees half a report.
void write_report(const options& settings, const std::string& text) {
    if (settings.report.empty()) return;
    const auto fresh = settings.report + ".new";
    std::ofstream{fresh} << text;
    if (std::rename(fresh.c_str(), settings.report.c_str()) != 0) {
        spdlog::error("cannot write {}", settings.report);
    }
}

// Blocked in all threads to come; waited for in main.
sigset_t take_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return set;
}

std::unique_ptr<grpc::Server> listen(const options& settings, call_loop& calls) {
    grpc::ServerBuilder builder;
    const auto credentials = grpc::InsecureServerCredentials();
    const auto rank = settings.model.rank;
    int port = 0;
    if (!settings.uds_path.empty()) {
        builder.AddListeningPort(
            "unix:" + settings.uds_path + "-" + std::to_string(rank), credentials);
    }
    if (!settings.tcp.empty()) {
        builder.AddListeningPort(tcp_address(settings.tcp, rank), credentials, &port);
    }
    builder.SetMaxReceiveMessageSize(-1);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // two on one port: an error
    calls.add_to(builder);
    auto server = builder.BuildAndStart();
    if (!settings.tcp.empty() && port == 0) return nullptr;
    return server;
}

}  // namespace

int main(int argc, char** argv) {
    options settings;
    if (const auto status = parse_command_line(argc, argv, settings, std::cout)) return *status;
    spdlog::set_default_logger(
        spdlog::stderr_color_mt("sim-" + std::to_string(settings.model.rank)));
    const auto signals = take_signals();
    // Time is slept for: by default Linux wakes sleepers up to 50 µs late.
    ::prctl(PR_SET_TIMERSLACK, 1);

    // Neither is destroyed: calls that hang would have to end before, and they never do.
    auto* calls = new service(settings, [&settings](const std::string& report) {
        spdlog::warn("fault: crash");
        write_report(settings, report);
        std::_Exit(exit_crash);
    });
    auto* loop = new call_loop(*calls, settings.serial);
    const auto server = listen(settings, *loop);
    if (!server) {
        spdlog::error("cannot listen on {}{}", settings.uds_path, settings.tcp);
        std::_Exit(exit_cannot_listen);
    }
    std::thread{[loop] { loop->run(); }}.detach();
    spdlog::info("ready: rank {} of {}", settings.model.rank, settings.model.world);

    for (int signal = 0; sigwait(&signals, &signal) == 0 && signal == SIGUSR1;) {
        write_report(settings, calls->report());
    }
    const auto violations = calls->violations();
    const auto report = calls->report();
    if (!settings.uds_path.empty()) {
        unlink((settings.uds_path + "-" + std::to_string(settings.model.rank)).c_str());
    }
    if (violations != 0) spdlog::error("{} violations of the protocol", violations);
    spdlog::info("report: {}", report);
    write_report(settings, report);
    spdlog::shutdown();
    std::_Exit(settings.strict && violations != 0 ? exit_violations : 0);
}
