// The HTTP/2 side without a socket, against a server of nghttp2 that can misbehave.
#include "shard/h2_session.hpp"

#include <catch2/catch.hpp>
#include <nghttp2/nghttp2.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace truffula;
using namespace std::string_literals;

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;

/// What the server says to every request.
struct script {
    headers head{{":status", "200"}, {"content-type", "application/grpc"}};
    std::string body = "\0\0\0\0\2ok"s;
    headers trailers{{"grpc-status", "0"}};
    bool is_headers_only = false;
    bool stalls = false;                  ///< After the body, which it does not end.
    std::optional<std::uint32_t> resets;  ///< With this code, instead of an answer.
    bool goes_away = false;
};

class raw_server {
public:
    explicit raw_server(script s) : script_(std::move(s)), session_(nullptr, nghttp2_session_del) {
        nghttp2_session_callbacks* c = nullptr;
        nghttp2_session_callbacks_new(&c);
        nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
        nghttp2_session* raw = nullptr;
        nghttp2_session_server_new(&raw, c, this);
        nghttp2_session_callbacks_del(c);
        session_.reset(raw);
        nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, nullptr, 0);
    }

    /// What it says to all that the client has to say now.
    std::string answer(shard::h2_session& client) {
        std::string to_server;
        client.take_output(to_server);
        const auto* const bytes = reinterpret_cast<const std::uint8_t*>(to_server.data());
        nghttp2_session_mem_recv(session_.get(), bytes, to_server.size());
        std::string to_client;
        for (;;) {
            const std::uint8_t* data = nullptr;
            const auto n = nghttp2_session_mem_send(session_.get(), &data);
            if (n <= 0) return to_client;
            to_client.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
        }
    }

    /// Lets both talk till the server has nothing more to say.
    result<> talk(shard::h2_session& client) {
        for (auto said = answer(client); !said.empty(); said = answer(client)) {
            if (auto ok = client.receive(said); !ok) return ok;
        }
        return {};
    }

private:
    static std::vector<nghttp2_nv> as_nv(const headers& from) {
        std::vector<nghttp2_nv> out;
        for (const auto& [name, value] : from) {
            out.push_back(
                {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                 reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
                 name.size(),
                 value.size(),
                 NGHTTP2_NV_FLAG_NONE});
        }
        return out;
    }

    static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        auto& self = *static_cast<raw_server*>(user);
        const bool is_whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (!is_whole || frame->hd.type != NGHTTP2_DATA) return 0;
        const auto stream = frame->hd.stream_id;
        const auto& s = self.script_;
        if (s.goes_away) {
            nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
            return 0;
        }
        if (s.resets) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, *s.resets);
            return 0;
        }
        const auto head = as_nv(s.head);
        nghttp2_data_provider body{};
        body.source.ptr = &self;
        body.read_callback = read_body;
        nghttp2_submit_response(
            session, stream, head.data(), head.size(), s.is_headers_only ? nullptr : &body);
        return 0;
    }

    static ssize_t read_body(
        nghttp2_session* session,
        std::int32_t stream,
        std::uint8_t* to,
        std::size_t room,
        std::uint32_t* flags,
        nghttp2_data_source* source,
        void*) {
        auto& self = *static_cast<raw_server*>(source->ptr);
        const auto& s = self.script_;
        if (s.body.size() > room) return NGHTTP2_ERR_CALLBACK_FAILURE;
        if (s.stalls && std::exchange(self.has_stalled_, true)) return NGHTTP2_ERR_DEFERRED;
        std::memcpy(to, s.body.data(), s.body.size());
        if (s.stalls) return static_cast<ssize_t>(s.body.size());
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!s.trailers.empty()) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            const auto end = as_nv(s.trailers);
            nghttp2_submit_trailer(session, stream, end.data(), end.size());
        }
        return static_cast<ssize_t>(s.body.size());
    }

    script script_;
    bool has_stalled_ = false;
    std::unique_ptr<nghttp2_session, void (*)(nghttp2_session*)> session_;
};

/// The outcome of one call to a server with that script.
result<std::string> call(const script& s) {
    shard::h2_session client{1000};
    raw_server server{s};
    const auto stream = client.submit("Health", "localhost", "\0\0\0\0\0"s);
    REQUIRE(stream.has_value());
    REQUIRE(server.talk(client).has_value());
    REQUIRE(client.finished().size() == 1);
    CHECK(client.finished()[0].stream == *stream);
    CHECK(client.open_calls() == 0);
    return std::move(client.finished()[0].answer);
}

}  // namespace

TEST_CASE("HTTP/2: an answer counts with its trailers", "[shard]") {
    CHECK(call({}).value() == "ok");
}

TEST_CASE("HTTP/2: an answer without trailers is an error", "[shard]") {
    script s;
    s.trailers.clear();
    const auto got = call(s);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::protocol);
    CHECK(got.error().detail.find("grpc-status") != std::string::npos);
}

TEST_CASE("HTTP/2: errors may come as headers only", "[shard]") {
    script s;
    s.is_headers_only = true;
    s.head.emplace_back("grpc-status", "13");
    s.head.emplace_back("grpc-message", "no%20room");
    const auto got = call(s);
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::rpc_failed);
    CHECK(got.error().detail == "no room");
}

TEST_CASE("HTTP/2: a success without message is an error", "[shard]") {
    script s;
    s.is_headers_only = true;
    s.head.emplace_back("grpc-status", "0");
    CHECK(call(s).error().code == errc::protocol);
}

TEST_CASE("HTTP/2: a compressed message is an error", "[shard]") {
    script s;
    s.body[0] = '\1';
    CHECK(call(s).error().detail.find("compressed") != std::string::npos);
}

TEST_CASE("HTTP/2: a cut message, or two, is an error", "[shard]") {
    script s;
    s.body = "\0\0\0\0\3ok"s;
    CHECK(call(s).error().code == errc::protocol);
    s.body = "\0\0\0\0\2ok\0\0\0\0\2ok"s;
    CHECK(call(s).error().code == errc::protocol);
}

TEST_CASE("HTTP/2: a status that is no number is an error", "[shard]") {
    script s;
    s.trailers = {{"grpc-status", "fine"}};
    CHECK(call(s).error().code == errc::protocol);
}

TEST_CASE("HTTP/2: a proxy's error page is named by its status", "[shard]") {
    script s;
    s.head = {{":status", "502"}};
    s.trailers.clear();
    CHECK(call(s).error().detail.find("502") != std::string::npos);
}

TEST_CASE("HTTP/2: a reset stream counts as a lost connection", "[shard]") {
    script s;
    for (const auto why : {NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR}) {
        s.resets = why;
        CHECK(call(s).error().code == errc::connection);
    }
}

TEST_CASE("HTTP/2: GOAWAY fails what the shard did not take, and ends the session", "[shard]") {
    script s;
    s.goes_away = true;
    CHECK(call(s).error().code == errc::connection);

    shard::h2_session client{1000};
    raw_server server{s};
    CHECK_FALSE(client.is_over());
    REQUIRE(client.submit("Health", "localhost", "\0\0\0\0\0"s).has_value());
    REQUIRE(server.talk(client).has_value());
    CHECK(client.is_over());
    CHECK(client.submit("Health", "localhost", "\0\0\0\0\0"s).error().code == errc::connection);
}

TEST_CASE("HTTP/2: an answer above the limit fails its call only", "[shard]") {
    script s;
    s.body = "\0\0\0\x03\xe8"s + std::string(1000, 'x');
    CHECK(call(s).value().size() == 1000);
    s.body = "\0\0\0\x03\xe9"s + std::string(1001, 'x');
    CHECK(call(s).error().detail.find("more than 1000 bytes") != std::string::npos);

    s.stalls = true;  // nothing more comes that could tell
    shard::h2_session client{1000};
    raw_server server{s};
    REQUIRE(client.submit("Health", "localhost", "\0\0\0\0\0"s).has_value());
    REQUIRE(client.receive(server.answer(client)).has_value());
    CHECK(client.finished().size() == 1);
    std::string said;
    client.take_output(said);
    CHECK(said.find("\0\0\4\3\0\0\0\0\1\0\0\0\x08"s) != std::string::npos);  // RST_STREAM, CANCEL
}

TEST_CASE("HTTP/2: what is abandoned is not answered any more", "[shard]") {
    shard::h2_session client{1000};
    raw_server server{{}};
    const auto first = client.submit("Health", "localhost", "\0\0\0\0\0"s).value();
    const auto second = client.submit("Health", "localhost", "\0\0\0\0\0"s).value();
    client.abandon(first);
    REQUIRE(server.talk(client).has_value());
    REQUIRE(client.finished().size() == 1);
    CHECK(client.finished()[0].stream == second);
}

TEST_CASE("HTTP/2: bytes that are no HTTP/2 end the session", "[shard]") {
    shard::h2_session client{1000};
    const auto got = client.receive("HTTP/1.1 400 Bad Request\r\n\r\n" + std::string(100, 'x'));
    REQUIRE(got.has_error());
    CHECK(got.error().code == errc::protocol);
}
