#include "truffula/telemetry/request_logger.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace truffula::telemetry;
using namespace std::chrono_literals;

TEST_CASE("request log: a body has its keys in order", "[telemetry]") {
    logged_request what;
    what.tokens = 7;
    what.adapter_id = "a,b";
    what.input = "in \"1\"";
    what.output = "out \xFF";
    what.model_id = "m";
    CHECK(
        request_log_body(what) ==
        R"({"tokens":7,"adapter_id":"a,b","input":"in \"1\"","output":"out )"
        "\xEF\xBF\xBD"
        R"(","api_token":"","model_id":"m"})");
}

TEST_CASE("request log: nobody there costs no time, and is counted", "[telemetry][mt]") {
    std::atomic<int> sent{0};
    std::atomic<int> failed{0};
    std::atomic<int> dropped{0};
    request_logger_settings settings;
    settings.url = "http://127.0.0.1:1/";  // nobody listens on tcpmux
    settings.queue = 2;
    SECTION("given up after the last attempt") {
        settings.retries = 2;
        settings.first_pause = 1ms;
        request_logger log{settings, {[&] { ++sent; }, [&] { ++failed; }, [&] { ++dropped; }}};
        CHECK(log.post("1"));
        const auto limit = std::chrono::steady_clock::now() + 10s;
        while (failed == 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
        CHECK(failed == 1);
        CHECK(sent == 0);
    }
    SECTION("dropped when the queue is full, and at the end") {
        settings.first_pause = 1h;
        request_logger log{settings, {[&] { ++sent; }, [&] { ++failed; }, [&] { ++dropped; }}};
        int taken = 0;
        for (int i = 0; i < 10; ++i) taken += log.post("x") ? 1 : 0;
        CHECK(taken >= 2);  // the worker may have taken the first
        CHECK(taken <= 3);
        CHECK(dropped == 10 - taken);
        CHECK_FALSE(log.is_idle());
        log.stop();  // breaks off the hour's pause
        CHECK(failed + dropped == 10);
        CHECK_FALSE(log.post("late"));
    }
}
