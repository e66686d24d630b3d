#include "bench/stream_reader.hpp"

#include <catch2/catch.hpp>

#include <string_view>

using truffula::bench::stream_reader;

TEST_CASE("stream reader: counts events and sees the end wherever the bytes are cut", "[http]") {
    constexpr std::string_view body =
        "3\r\n:\n\n\r\n"                                   // while nothing else is there to be sent
        "1c\r\ndata:{\"text\":\"\\n\\n0\\r\\n\"}\n\n\r\n"  // a token's own line ends are escaped
        "1e\r\ndata:{\"a\":1}\n\ndata:{\"b\":2}\n\n\r\n"
        "0\r\n\r\n";
    for (std::size_t size = 1; size <= body.size(); ++size) {
        stream_reader reader;
        std::size_t events = 0;
        for (std::size_t at = 0; at < body.size(); at += size) {
            REQUIRE_FALSE(reader.is_ended());
            events += reader.take(body.substr(at, size));
        }
        INFO("parts of " << size);
        CHECK(events == 3);
        CHECK(reader.is_ended());
    }
}

TEST_CASE("stream reader: the next answer is not the end of this one", "[http]") {
    stream_reader reader;
    CHECK(reader.take("5\r\ndata:") == 0);
    CHECK(reader.take("0\r\n\r\n") == 0);  // the text of an event, not a chunk of no bytes
    CHECK_FALSE(reader.is_ended());
}
