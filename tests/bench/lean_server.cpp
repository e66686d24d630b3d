// gRPC's unary calls over HTTP/2, as little of it as the benchmarks need, on one thread.
#include "bench/lean_server.hpp"

#include <nghttp2/nghttp2.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <memory>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

namespace truffula::bench {
namespace {

struct stream {
    std::string method;
    std::string request;   // with gRPC's five bytes in front
    std::string response;  // likewise
    std::size_t sent = 0;
};

struct connection {
    lean_shard& shard;
    int fd;
    std::map<std::int32_t, stream> streams;
    std::string out;
};

nghttp2_nv header(const char* name, const char* value) {
    return {
        reinterpret_cast<std::uint8_t*>(const_cast<char*>(name)),
        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value)),
        std::strlen(name),
        std::strlen(value),
        NGHTTP2_NV_FLAG_NONE};
}

ssize_t read_body(
    nghttp2_session* session,
    std::int32_t id,
    std::uint8_t* to,
    std::size_t room,
    std::uint32_t* flags,
    nghttp2_data_source* source,
    void*) {
    auto& s = *static_cast<stream*>(source->ptr);
    const auto n = std::min(room, s.response.size() - s.sent);
    std::memcpy(to, s.response.data() + s.sent, n);
    s.sent += n;
    if (s.sent == s.response.size()) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto status = header("grpc-status", "0");
        nghttp2_submit_trailer(session, id, &status, 1);
    }
    return static_cast<ssize_t>(n);
}

void respond(nghttp2_session* session, connection& c, std::int32_t id) {
    auto& s = c.streams[id];
    c.shard.arrived(s.method);
    const auto body = c.shard.answer(s.method, std::string_view{s.request}.substr(5));
    const auto size = static_cast<std::uint32_t>(body.size());
    s.response = {
        '\0',
        static_cast<char>(size >> 24U),
        static_cast<char>(size >> 16U),
        static_cast<char>(size >> 8U),
        static_cast<char>(size)};
    s.response += body;
    const std::array headers{header(":status", "200"), header("content-type", "application/grpc")};
    nghttp2_data_provider provider{};
    provider.source.ptr = &s;
    provider.read_callback = read_body;
    c.shard.about_to_answer(s.method);
    nghttp2_submit_response(session, id, headers.data(), headers.size(), &provider);
}

int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    const bool is_message = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (is_message && ends) respond(session, *static_cast<connection*>(user), frame->hd.stream_id);
    return 0;
}

int on_header(
    nghttp2_session*,
    const nghttp2_frame* frame,
    const std::uint8_t* name,
    std::size_t name_size,
    const std::uint8_t* value,
    std::size_t value_size,
    std::uint8_t,
    void* user) {
    const std::string_view key{reinterpret_cast<const char*>(name), name_size};
    if (key != ":path") return 0;
    const std::string_view path{reinterpret_cast<const char*>(value), value_size};
    auto& c = *static_cast<connection*>(user);
    c.streams[frame->hd.stream_id].method = path.substr(path.rfind('/') + 1);
    return 0;
}

int on_data(
    nghttp2_session*,
    std::uint8_t,
    std::int32_t id,
    const std::uint8_t* data,
    std::size_t size,
    void* user) {
    auto& c = *static_cast<connection*>(user);
    c.streams[id].request.append(reinterpret_cast<const char*>(data), size);
    return 0;
}

int on_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    static_cast<connection*>(user)->streams.erase(id);
    return 0;
}

nghttp2_session* make_session(connection& c) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session* session = nullptr;
    nghttp2_session_server_new(&session, callbacks, &c);
    nghttp2_session_callbacks_del(callbacks);
    const std::array settings{
        nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1U << 30U},
        nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    return session;
}

bool flush(nghttp2_session* session, connection& c) {
    c.out.clear();
    for (;;) {
        const std::uint8_t* data = nullptr;
        const auto n = nghttp2_session_mem_send(session, &data);
        if (n <= 0) break;
        c.out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
    }
    std::size_t sent = 0;
    while (sent < c.out.size()) {
        const auto n = ::send(c.fd, c.out.data() + sent, c.out.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return false;
        sent += static_cast<std::size_t>(n);
    }
    return true;
}

struct peer {
    peer(lean_shard& shard, int fd) : state{shard, fd, {}, {}}, session(make_session(state)) {
        flush(session, state);
    }
    ~peer() {
        nghttp2_session_del(session);
        ::close(state.fd);
    }
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;

    connection state;
    nghttp2_session* session;
};

/// False when the peer has gone.
bool receive(nghttp2_session* session, connection& c, std::vector<std::uint8_t>& buffer) {
    const auto n = ::recv(c.fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) return false;
    const auto size = static_cast<std::size_t>(n);
    return nghttp2_session_mem_recv(session, buffer.data(), size) >= 0 && flush(session, c);
}

/// Serves all who connect, one call at a time, until `stop` is readable.
void serve(lean_shard& shard, int listener, int stop) {
    std::vector<std::uint8_t> buffer(1U << 20U);
    std::map<int, std::unique_ptr<peer>> peers;  // by descriptor
    std::vector<pollfd> watched{{stop, POLLIN, 0}, {listener, POLLIN, 0}};
    while (::poll(watched.data(), watched.size(), -1) > 0 && watched[0].revents == 0) {
        if (watched[1].revents != 0) {
            const auto fd = ::accept(listener, nullptr, nullptr);
            if (fd >= 0) peers[fd] = std::make_unique<peer>(shard, fd);
        }
        for (std::size_t i = 2; i < watched.size(); ++i) {
            const auto at = peers.find(watched[i].fd);
            if (watched[i].revents == 0 || at == peers.end()) continue;
            if (!receive(at->second->session, at->second->state, buffer)) peers.erase(at);
        }
        watched.resize(2);
        for (const auto& [fd, peer] : peers) watched.push_back({fd, POLLIN, 0});
    }
}

}  // namespace

lean_server::lean_server(const std::string& socket_path)
    : shard_("unix://" + socket_path), stop_(::eventfd(0, EFD_CLOEXEC)) {
    const auto listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(listener, generic, sizeof address) != 0 || ::listen(listener, 4) != 0) {
        throw std::runtime_error("cannot listen on " + socket_path);
    }
    thread_ = std::thread{[this, listener] {
        serve(shard_, listener, stop_);
        ::close(listener);
    }};
}

lean_server::~lean_server() {
    ::eventfd_write(stop_, 1);
    thread_.join();
    ::close(stop_);
}

}  // namespace truffula::bench
