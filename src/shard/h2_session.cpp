#include "shard/h2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace truffula::shard {
namespace {

// As large as HTTP/2 allows: shards and router trust each other, and a big Prefill answer must
// not wait for window updates.
constexpr std::int32_t window = (1U << 31U) - 1;

std::uint8_t* bytes_of(std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

nghttp2_nv header(std::string_view name, std::string_view value) {
    return {bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

int number(std::string_view text) {
    int value = -1;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

/// nghttp2's C callbacks; `user` is the session.
struct h2_session::callbacks {
    static h2_session& self(void* user) { return *static_cast<h2_session*>(user); }

    static int on_header(
        nghttp2_session*,
        const nghttp2_frame* frame,
        const std::uint8_t* name,
        std::size_t name_size,
        const std::uint8_t* value,
        std::size_t value_size,
        std::uint8_t,
        void* user) {
        const auto found = self(user).calls_.find(frame->hd.stream_id);
        if (found == self(user).calls_.end()) return 0;
        auto& status = found->second.status;
        const auto key = text_of(name, name_size);
        const auto text = text_of(value, value_size);
        if (key == ":status") status.http_status = number(text);
        if (key == "grpc-status") status.grpc_status = number(text);
        if (key == "grpc-message") status.message = text;
        return 0;
    }

    static int on_data(
        nghttp2_session* session,
        std::uint8_t,
        std::int32_t stream,
        const std::uint8_t* data,
        std::size_t size,
        void* user) {
        const auto found = self(user).calls_.find(stream);
        if (found == self(user).calls_.end()) return 0;
        auto& c = found->second;
        if (c.answer.size() + size > self(user).max_message_bytes_ + frame_prefix_size) {
            const auto most = std::to_string(self(user).max_message_bytes_);
            const error why{errc::protocol, "an answer of more than " + most + " bytes"};
            self(user).calls_.erase(found);
            self(user).finished_.push_back({stream, why});
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
            return 0;
        }
        if (c.answer.empty()) {
            const auto announced = announced_size(text_of(data, size));
            c.answer.reserve(std::min(announced, self(user).max_message_bytes_));
        }
        c.answer += text_of(data, size);
        return 0;
    }

    /// An answer counts when its stream has ended, even if the peer then resets the stream to say
    /// that it did not read all of the request.
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        const bool counts = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
        if (ends && counts) self(user).close(frame->hd.stream_id, NGHTTP2_NO_ERROR);
        return 0;
    }

    static int on_close(
        nghttp2_session*, std::int32_t stream, std::uint32_t http2_error, void* user) {
        // Not after END_STREAM: then the call is gone from our book already.
        const std::uint32_t why =
            http2_error == NGHTTP2_NO_ERROR ? std::uint32_t{NGHTTP2_CANCEL} : http2_error;
        self(user).close(stream, why);
        return 0;
    }

    /// The first bytes are not those of HTTP/2: nghttp2 itself only stops listening.
    static int on_error(nghttp2_session*, int code, const char*, std::size_t, void* user) {
        if (code == NGHTTP2_ERR_SETTINGS_EXPECTED) {
            self(user).broken_ = error{errc::protocol, "the peer does not speak HTTP/2"};
        }
        return 0;
    }

    static ssize_t read_request(
        nghttp2_session*,
        std::int32_t stream,
        std::uint8_t* to,
        std::size_t room,
        std::uint32_t* flags,
        nghttp2_data_source*,
        void* user) {
        const auto found = self(user).calls_.find(stream);
        if (found == self(user).calls_.end()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        auto& c = found->second;
        const auto n = c.request.copy(reinterpret_cast<char*>(to), room, c.sent);
        c.sent += n;
        if (c.sent == c.request.size()) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
            c.request = {};
        }
        return static_cast<ssize_t>(n);
    }
};

h2_session::h2_session(std::size_t max_message_bytes)
    : max_message_bytes_(max_message_bytes), session_(nullptr, nghttp2_session_del) {
    nghttp2_session_callbacks* c = nullptr;
    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_header_callback(c, callbacks::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, callbacks::on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, callbacks::on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, callbacks::on_close);
    nghttp2_session_callbacks_set_error_callback2(c, callbacks::on_error);
    nghttp2_session* raw = nullptr;
    nghttp2_session_client_new(&raw, c, this);
    nghttp2_session_callbacks_del(c);
    session_.reset(raw);
    const std::array settings{
        nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        nghttp2_settings_entry{
            NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(window)}};
    nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(raw, NGHTTP2_FLAG_NONE, 0, window);
}

h2_session::~h2_session() = default;

result<std::int32_t> h2_session::submit(
    std::string_view method, std::string_view authority, std::string request) {
    // Taken, it would wait for ever: nghttp2 drops it without a word when it is to be written.
    if (nghttp2_session_check_request_allowed(session_.get()) == 0) {
        return error{errc::connection, "the shard takes no more calls"};
    }
    const auto path = "/generate.v1.LoraxService/" + std::string{method};
    const std::array headers{
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", path),
        header(":authority", authority),
        header("te", "trailers"),
        header("content-type", "application/grpc"),
        header("user-agent", "truffula")};
    nghttp2_data_provider body{};
    body.read_callback = callbacks::read_request;
    const auto stream = nghttp2_submit_request(
        session_.get(), nullptr, headers.data(), headers.size(), &body, nullptr);
    if (stream < 0) return error{errc::connection, nghttp2_strerror(stream)};
    calls_[stream].request = std::move(request);
    return stream;
}

void h2_session::abandon(std::int32_t stream) {
    calls_.erase(stream);
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
}

void h2_session::ping() {
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
}

result<> h2_session::receive(std::string_view bytes) {
    const auto n = nghttp2_session_mem_recv(session_.get(), bytes_of(bytes), bytes.size());
    if (n < 0) return error{errc::protocol, nghttp2_strerror(static_cast<int>(n))};
    if (broken_) return *broken_;
    return {};
}

bool h2_session::is_over() const {
    return nghttp2_session_want_read(session_.get()) == 0 &&
           nghttp2_session_want_write(session_.get()) == 0;
}

void h2_session::take_output(std::string& to) {
    for (;;) {
        const std::uint8_t* data = nullptr;
        const auto n = nghttp2_session_mem_send(session_.get(), &data);
        if (n <= 0) return;
        to += text_of(data, static_cast<std::size_t>(n));
    }
}

void h2_session::close(std::int32_t stream, std::uint32_t http2_error) {
    auto ended = calls_.extract(stream);
    if (!ended) return;
    auto& c = ended.mapped();
    finished_call f{stream, std::string{}};
    if (http2_error != NGHTTP2_NO_ERROR) {
        f.answer = error{
            errc::connection,
            std::string{"the shard closed the call: "} + nghttp2_http2_strerror(http2_error)};
    } else if (auto ok = to_result(c.status); !ok) {
        f.answer = ok.error();
    } else if (auto message = unframe(c.answer); !message) {
        f.answer = message.error();
    } else {
        c.answer.erase(0, frame_prefix_size);
        f.answer = std::move(c.answer);
    }
    finished_.push_back(std::move(f));
}

void h2_session::fail_all(const error& why) {
    for (auto& [stream, c] : std::exchange(calls_, {})) finished_.push_back({stream, why});
}

}  // namespace truffula::shard
