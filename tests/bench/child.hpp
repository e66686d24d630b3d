#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::bench {

/// A program of ours that runs beside the benchmark and ends with it.
class child {
public:
    /// Starts `program`; what it prints goes to the file `log`.
    child(
        const std::filesystem::path& program,
        std::vector<std::string> arguments,
        std::filesystem::path log);
    /// Ends it (SIGTERM, after 10 s SIGKILL).
    ~child();
    child(const child&) = delete;
    child& operator=(const child&) = delete;

    /// Processor time that all its threads have used.
    std::chrono::nanoseconds cpu_time() const;
    std::size_t resident_kib() const;

    /// Throws, with its log, when it has ended.
    void check_alive();

private:
    pid_t pid_;
    std::filesystem::path program_;
    std::filesystem::path log_;
};

/// The processors that this thread may run on, by number.
std::vector<int> processors();

/// This thread, and the threads and programs that it starts from now on, run on these only.
void run_on(const std::vector<int>& processors);

/// A program in the folder of this one.
std::filesystem::path sibling(std::string_view name);
std::filesystem::path this_program();

/// A folder that is removed at the end.
class temporary_folder {
public:
    temporary_folder();
    ~temporary_folder();
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

std::uint16_t free_port();

/// Waits until `condition` holds; throws, naming `what`, after `limit`.
void wait_until(
    const std::function<bool()>& condition,
    std::string_view what,
    std::chrono::seconds limit = std::chrono::seconds{60});

/// The answer to a GET on the loopback interface; empty when nobody listens.
std::string http_get(std::uint16_t port, std::string_view path);

/// Starts the router in front of `shard_socket` and waits until it is healthy. No budget of its
/// own limits what the benchmarks ask for.
class router {
public:
    router(
        const temporary_folder& folder,
        const std::filesystem::path& shard_socket,
        std::vector<std::string> more = {});

    child process;
    std::uint16_t port() const { return port_; }

private:
    router(
        std::uint16_t port,
        const temporary_folder& folder,
        const std::filesystem::path& shard_socket,
        std::vector<std::string> more);

    std::uint16_t port_;
};

}  // namespace truffula::bench
