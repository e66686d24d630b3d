#include "http/routing.hpp"

#include <catch2/catch.hpp>

using namespace truffula;

namespace {

http::handler answering(int status) {
    return
        [status](std::shared_ptr<const http::request>) -> boost::asio::awaitable<http::response> {
            http::response r;
            r.status = status;
            co_return r;
        };
}

}  // namespace

TEST_CASE("routing: a path, else what is below the longest prefix", "[http]") {
    const http::routing_table table{{
        {"GET", "/a", answering(1)},
        {"GET", "/a/*", answering(2)},
        {"GET", "/a/b/*", answering(3)},
        {"POST", "/a/b/c", answering(4)},
    }};
    CHECK(table.find("GET", "/a").handle != nullptr);
    const auto* const below_a = table.find("GET", "/a/x").handle;
    const auto* const below_b = table.find("GET", "/a/b/x").handle;
    REQUIRE(below_a != nullptr);
    REQUIRE(below_b != nullptr);
    CHECK(below_a != below_b);
    CHECK(table.find("GET", "/a/x/y/z").handle == below_a);
    CHECK(table.find("HEAD", "/a/b/x/y").handle == below_b);
    CHECK(table.find("GET", "/a/b/").handle == below_a);
    CHECK(table.find("GET", "/a/").status == 404);
    CHECK(table.find("GET", "/").status == 404);
    CHECK(table.find("GET", "x").status == 404);
    CHECK(table.find("GET", "/ab").status == 404);
    const auto wrong = table.find("DELETE", "/a/b/c");
    CHECK(wrong.status == 405);
    CHECK(wrong.allow == "POST");
    CHECK(table.find("POST", "/a/x").status == 405);
}
