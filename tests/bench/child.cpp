#include "bench/child.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <utility>

namespace truffula::bench {
namespace {

using namespace std::chrono_literals;

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in{file};
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
}

pid_t start(const std::filesystem::path& program, std::vector<std::string> arguments, int log) {
    arguments.insert(arguments.begin(), program.string());
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    const auto parent = ::getpid();
    const auto pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

std::vector<std::string> router_arguments(
    std::uint16_t port, const std::filesystem::path& shard_socket, std::vector<std::string> more) {
    const std::vector<std::pair<std::string, std::string>> usual{
        {"--hostname", "127.0.0.1"},
        {"--port", std::to_string(port)},
        {"--master-shard-uds-path", shard_socket.string()},
        {"--adapter-source", "local"},
        {"--max-concurrent-requests", "20000"},
        {"--tokenizer-name", "none"}};  // prompts are not counted
    for (const auto& [flag, value] : usual) {
        const bool is_given = std::any_of(more.begin(), more.end(), [&](const std::string& one) {
            return one == flag || one.starts_with(flag + "=");
        });
        if (!is_given) more.push_back(flag + "=" + value);
    }
    return more;
}

}  // namespace

child::child(
    const std::filesystem::path& program,
    std::vector<std::string> arguments,
    std::filesystem::path log)
    : program_(program), log_(std::move(log)) {
    const auto fd = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = start(program, std::move(arguments), fd);
    ::close(fd);
    if (pid_ < 0) throw std::runtime_error("cannot start " + program.string());
}

child::~child() {
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < 1000; ++i) {
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return;
        std::this_thread::sleep_for(10ms);
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

std::chrono::nanoseconds child::cpu_time() const {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) {
        throw std::runtime_error("cannot read the processor time of " + program_.string());
    }
    return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

std::size_t child::resident_kib() const {
    std::ifstream status{"/proc/" + std::to_string(pid_) + "/status"};
    for (std::string word; status >> word;) {
        std::size_t kib = 0;
        if (word == "VmRSS:" && status >> kib) return kib;
    }
    throw std::runtime_error("cannot read the memory of " + program_.string());
}

void child::check_alive() {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid == pid_) {
        throw std::runtime_error(program_.string() + " ended:\n" + text_of(log_));
    }
}

std::vector<int> processors() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        throw std::runtime_error("cannot tell which processors there are");
    }
    std::vector<int> found;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &allowed)) found.push_back(i);
    }
    return found;
}

void run_on(const std::vector<int>& processors) {
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    for (const auto i : processors) CPU_SET(i, &wanted);
    if (::sched_setaffinity(0, sizeof wanted, &wanted) != 0) {
        throw std::runtime_error("cannot choose processors");
    }
}

std::filesystem::path this_program() {
    return std::filesystem::read_symlink("/proc/self/exe");
}

std::filesystem::path sibling(std::string_view name) {
    return this_program().parent_path() / name;
}

temporary_folder::temporary_folder() {
    auto name = (std::filesystem::temp_directory_path() / "truffula-bench.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
    path_ = name;
}

temporary_folder::~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
    const auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const bool is_bound = ::bind(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0;
    ::close(fd);
    if (!is_bound) throw std::runtime_error("no free port");
    return ntohs(address.sin_port);
}

void wait_until(
    const std::function<bool()>& condition, std::string_view what, std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            throw std::runtime_error("waited in vain for " + std::string{what});
        }
        std::this_thread::sleep_for(5ms);
    }
}

std::string http_get(std::uint16_t port, std::string_view path) {
    const auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = loopback(port);
    std::string answer;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        const auto request =
            "GET " + std::string{path} + " HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        std::array<char, 65'536> part;
        for (ssize_t n = 0; (n = ::recv(fd, part.data(), part.size(), 0)) > 0;) {
            answer.append(part.data(), static_cast<std::size_t>(n));
        }
    }
    ::close(fd);
    return answer;
}

router::router(
    const temporary_folder& folder,
    const std::filesystem::path& shard_socket,
    std::vector<std::string> more)
    : router(free_port(), folder, shard_socket, std::move(more)) {}

router::router(
    std::uint16_t port,
    const temporary_folder& folder,
    const std::filesystem::path& shard_socket,
    std::vector<std::string> more)
    : process(
          sibling("truffula-router"),
          router_arguments(port, shard_socket, std::move(more)),
          folder / "router.log"),
      port_(port) {
    const auto is_healthy = [&] {
        process.check_alive();
        return http_get(port_, "/health").starts_with("HTTP/1.1 200");
    };
    try {
        wait_until(is_healthy, "the router's health", 20s);
    } catch (const std::exception& e) {
        throw std::runtime_error(e.what() + (":\n" + text_of(folder / "router.log")));
    }
}

}  // namespace truffula::bench
