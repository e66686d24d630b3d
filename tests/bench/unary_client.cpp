#include "bench/unary_client.hpp"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <unistd.h>
#include <utility>
#include <vector>

namespace truffula::bench {
namespace {

constexpr std::size_t prefix_size = 5;

nghttp2_nv header(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

struct unary_client::state {
    int fd = -1;
    nghttp2_session* session = nullptr;
    std::string request;  // with gRPC's five bytes in front
    std::size_t sent = 0;
    std::string answer;  // likewise
    std::string status;
    std::string message;
    bool is_over = false;
    std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(1U << 20U);

    ~state() {
        nghttp2_session_del(session);
        ::close(fd);
    }

    static state& self(void* user) { return *static_cast<state*>(user); }

    static int on_header(
        nghttp2_session*,
        const nghttp2_frame*,
        const std::uint8_t* name,
        std::size_t name_size,
        const std::uint8_t* value,
        std::size_t value_size,
        std::uint8_t,
        void* user) {
        const std::string_view key{reinterpret_cast<const char*>(name), name_size};
        const std::string_view text{reinterpret_cast<const char*>(value), value_size};
        if (key == "grpc-status") self(user).status = text;
        if (key == "grpc-message") self(user).message = text;
        return 0;
    }
    static int on_data(
        nghttp2_session*,
        std::uint8_t,
        std::int32_t,
        const std::uint8_t* data,
        std::size_t size,
        void* user) {
        self(user).answer.append(reinterpret_cast<const char*>(data), size);
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        const bool counts = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
        if (counts && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) self(user).is_over = true;
        return 0;
    }
    static ssize_t read_body(
        nghttp2_session*,
        std::int32_t,
        std::uint8_t* to,
        std::size_t room,
        std::uint32_t* flags,
        nghttp2_data_source*,
        void* user) {
        auto& s = self(user);
        const auto n = std::min(room, s.request.size() - s.sent);
        std::memcpy(to, s.request.data() + s.sent, n);
        s.sent += n;
        if (s.sent == s.request.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
        return static_cast<ssize_t>(n);
    }

    void flush() const {
        std::string out;
        const std::uint8_t* data = nullptr;
        for (ssize_t n = 0; (n = nghttp2_session_mem_send(session, &data)) > 0;) {
            out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
        }
        for (std::size_t done = 0; done < out.size();) {
            const auto n = ::send(fd, out.data() + done, out.size() - done, MSG_NOSIGNAL);
            if (n <= 0) throw std::runtime_error("the shard closed the connection");
            done += static_cast<std::size_t>(n);
        }
    }
};

unary_client::unary_client(const std::string& socket_path) : state_(std::make_unique<state>()) {
    auto& s = *state_;
    s.fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(s.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error("nobody listens on " + socket_path);
    }
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, state::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, state::on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, state::on_frame);
    nghttp2_session_client_new(&s.session, callbacks, &s);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (1U << 31U) - 1};
    nghttp2_submit_settings(s.session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(s.session, NGHTTP2_FLAG_NONE, 0, (1U << 31U) - 1);
}

unary_client::~unary_client() = default;

void unary_client::send(std::string_view method, std::string_view request) {
    auto& s = *state_;
    const auto size = static_cast<std::uint32_t>(request.size());
    s.request = {
        '\0',
        static_cast<char>(size >> 24U),
        static_cast<char>(size >> 16U),
        static_cast<char>(size >> 8U),
        static_cast<char>(size)};
    s.request += request;
    s.sent = 0;
    s.answer.clear();
    s.status.clear();
    s.is_over = false;
    const auto path = "/generate.v1.LoraxService/" + std::string{method};
    const std::array headers{
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", "localhost"),
        header("te", "trailers"),
        header("content-type", "application/grpc")};
    nghttp2_data_provider body{};
    body.read_callback = state::read_body;
    nghttp2_submit_request(s.session, nullptr, headers.data(), headers.size(), &body, nullptr);
    s.flush();
}

std::string unary_client::receive() {
    auto& s = *state_;
    while (!s.is_over) {
        const auto n = ::recv(s.fd, s.buffer.data(), s.buffer.size(), 0);
        if (n <= 0) throw std::runtime_error("the shard closed the connection");
        const auto size = static_cast<std::size_t>(n);
        if (nghttp2_session_mem_recv(s.session, s.buffer.data(), size) < 0) {
            throw std::runtime_error("the shard does not speak HTTP/2");
        }
        if (!s.is_over) s.flush();
    }
    if (s.status != "0" || s.answer.size() < prefix_size) {
        throw std::runtime_error("the shard refused a call: " + s.message);
    }
    return s.answer.substr(prefix_size);
}

}  // namespace truffula::bench
