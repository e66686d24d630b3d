#include "truffula/http/fetcher.hpp"

#include "truffula/actor/oneshot.hpp"

#include <boost/asio/this_coro.hpp>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace truffula::http {
namespace {

namespace ip = boost::asio::ip;
using clock = std::chrono::steady_clock;

constexpr long max_connections = 64;  // more transfers wait, within their deadlines
constexpr int look_ms = 100;          // how soon one that nobody waits for is broken off

// CURL and CURLM are both `void`: a type for each.
struct easy_freer {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct multi_freer {
    void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct url_freer {
    void operator()(CURLU* url) const { curl_url_cleanup(url); }
    void operator()(char* text) const { curl_free(text); }
};
using easy_handle = std::unique_ptr<CURL, easy_freer>;
using multi_handle = std::unique_ptr<CURLM, multi_freer>;
using parsed_url = std::unique_ptr<CURLU, url_freer>;

error refusal(std::string why) {
    return {errc::validation, std::move(why)};
}

std::string part_of(CURLU* url, CURLUPart what) {
    char* text = nullptr;
    if (curl_url_get(url, what, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return {};
    const std::unique_ptr<char, url_freer> owner{text};
    return text;
}

/// The URL as curl will read it, if the rules allow its host.
result<parsed_url> check_url(const std::string& url, const outbound_rules& rules) {
    parsed_url parsed{curl_url()};
    const auto code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER);
    const auto scheme = part_of(parsed.get(), CURLUPART_SCHEME);
    if (code != CURLUE_OK || (scheme != "http" && scheme != "https")) {
        return refusal("the URL must be http or https, without user name");
    }
    const auto host = part_of(parsed.get(), CURLUPART_HOST);
    const auto port_text = part_of(parsed.get(), CURLUPART_PORT);
    std::uint16_t port = 0;
    std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (!rules.allows_host(host, port)) {
        return refusal("the host " + host + ":" + port_text + " is none that this router may ask");
    }
    return parsed;
}

std::optional<ip::address> address_of(const sockaddr& raw) {
    if (raw.sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &raw, sizeof v4);
        ip::address_v4::bytes_type bytes{};
        std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
        return ip::address_v4{bytes};
    }
    if (raw.sa_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &raw, sizeof v6);
        ip::address_v6::bytes_type bytes{};
        std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
        return ip::address_v6{bytes};
    }
    return std::nullopt;
}

struct transfer {
    transfer(const outbound_rules& r, parsed_url u, std::size_t most, reply<std::string> a)
        : rules(r), url(std::move(u)), max_bytes(most), answer(std::move(a)) {}

    static std::size_t on_bytes(char* data, std::size_t size, std::size_t count, void* self) {
        auto& me = *static_cast<transfer*>(self);
        const auto bytes = size * count;
        me.is_too_long = bytes > me.max_bytes - me.body.size();
        if (me.is_too_long) return 0;
        me.body.append(data, bytes);
        return bytes;
    }

    // Asked for the address that is really connected to: a name cannot mean another one later.
    static curl_socket_t on_connect(void* self, curlsocktype, curl_sockaddr* to) {
        auto& me = *static_cast<transfer*>(self);
        const auto address = address_of(to->addr);
        if (!address || !me.rules.allows_address(*address)) {
            me.is_refused = true;
            return CURL_SOCKET_BAD;
        }
        return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    }

    result<std::string> outcome(CURLcode code) {
        if (code == CURLE_OK) {
            long status = 0;
            curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
            if (status == 200) return std::move(body);
            const bool leads_away = status >= 300 && status < 400;
            return refusal(
                "the host answered with status " + std::to_string(status) +
                (leads_away ? ": redirects are not followed" : ""));
        }
        if (is_too_long || code == CURLE_FILESIZE_EXCEEDED) {
            return refusal("more than " + std::to_string(max_bytes) + " bytes are not taken");
        }
        if (is_refused) return refusal("the host's address is not public");
        if (code == CURLE_OPERATION_TIMEDOUT) return refusal("the host took too long");
        return refusal(curl_easy_strerror(code));
    }

    const outbound_rules& rules;
    parsed_url url;
    std::size_t max_bytes;
    reply<std::string> answer;
    easy_handle handle;
    std::string body;
    bool is_too_long = false;
    bool is_refused = false;
};

easy_handle make_handle(transfer& t, std::chrono::milliseconds time) {
    easy_handle handle{curl_easy_init()};
    auto* const h = handle.get();
    curl_easy_setopt(h, CURLOPT_CURLU, t.url.get());
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");  // whatever the environment says
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(time.count()));
    curl_easy_setopt(h, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(t.max_bytes));
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &transfer::on_bytes);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, &transfer::on_connect);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, &t);
    curl_easy_setopt(h, CURLOPT_PRIVATE, &t);
    return handle;
}

}  // namespace

struct fetcher::core {
    explicit core(outbound_rules r) : rules(std::move(r)), multi(curl_multi_init()) {
        curl_multi_setopt(multi.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
        worker = std::thread{[this] { run(); }};
    }

    void run() {
        while (take_new()) {
            int active = 0;
            curl_multi_perform(multi.get(), &active);
            settle_ended();
            running.remove_if([this](const auto& t) { return t->answer.abandoned() && drop(*t); });
            // Until something happens: `curl_multi_wakeup` ends it, too.
            constexpr int idle_ms = 60'000;
            curl_multi_poll(multi.get(), nullptr, 0, running.empty() ? idle_ms : look_ms, nullptr);
        }
        for (const auto& t : running) drop(*t);
        running.clear();
    }

    /// False: it is over.
    bool take_new() {
        const std::lock_guard lock{mutex};
        if (is_over) {
            waiting.clear();
            return false;
        }
        for (auto& t : waiting) {
            curl_multi_add_handle(multi.get(), t->handle.get());
            running.push_back(std::move(t));
        }
        waiting.clear();
        return true;
    }

    bool drop(transfer& t) {
        curl_multi_remove_handle(multi.get(), t.handle.get());
        return true;
    }

    void settle_ended() {
        int left = 0;
        while (auto* const message = curl_multi_info_read(multi.get(), &left)) {
            if (message->msg != CURLMSG_DONE) continue;
            char* data = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
            auto* const ended = reinterpret_cast<transfer*>(data);
            ended->answer.send(ended->outcome(message->data.result));
            drop(*ended);
            running.remove_if([&](const auto& t) { return t.get() == ended; });
        }
    }

    /// False: it is over.
    bool post(std::unique_ptr<transfer> t) {
        const std::lock_guard lock{mutex};
        if (is_over) return false;
        waiting.push_back(std::move(t));
        curl_multi_wakeup(multi.get());
        return true;
    }

    void stop() {
        {
            const std::lock_guard lock{mutex};
            if (std::exchange(is_over, true)) return;
            curl_multi_wakeup(multi.get());
        }
        worker.join();
    }

    const outbound_rules rules;
    multi_handle multi;
    std::mutex mutex;
    std::vector<std::unique_ptr<transfer>> waiting;  // with the lock
    bool is_over = false;                            // with the lock
    std::list<std::unique_ptr<transfer>> running;    // of the worker
    std::thread worker;
};

fetcher::fetcher(outbound_rules rules) : core_(std::make_unique<core>(std::move(rules))) {}

fetcher::~fetcher() {
    stop();
}

void fetcher::stop() {
    core_->stop();
}

boost::asio::awaitable<result<std::string>> fetcher::get(
    std::string url, std::size_t max_bytes, clock::time_point deadline) {
    auto parsed = check_url(url, core_->rules);
    if (!parsed) co_return parsed.error();
    using std::chrono::milliseconds;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now());
    if (left <= milliseconds{0}) co_return refusal("the host took too long");
    const auto executor = co_await boost::asio::this_coro::executor;
    auto [answer, outcome] = make_oneshot<std::string>(executor);
    auto made =
        std::make_unique<transfer>(core_->rules, std::move(*parsed), max_bytes, std::move(answer));
    made->handle = make_handle(*made, left);
    if (!core_->post(std::move(made))) co_return error{errc::stopped, "fetcher"};
    co_return co_await outcome.get();
}

}  // namespace truffula::http
