#include "shard_sim/command_line.hpp"
#include "shard_sim/fault.hpp"
#include "shard_sim/gap_meter.hpp"

#include <catch2/catch.hpp>

#include <sstream>
#include <vector>

using namespace truffula::shard_sim;

namespace {

std::optional<int> parse(std::vector<const char*> arguments, options& out) {
    arguments.insert(arguments.begin(), "truffula-shard-sim");
    std::ostringstream printed;
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), out, printed);
}

}  // namespace

TEST_CASE("fault: reads what to do when", "[shard_sim]") {
    std::string why;
    const auto one = parse_fault("Decode:3:fail:out of memory: 7", why);
    REQUIRE(one);
    CHECK(one->call == method::decode);
    CHECK(one->first == 3);
    CHECK(one->last == 3);
    CHECK(one->text == "out of memory: 7");
    CHECK(parse_fault("Warmup:1:hang", why));
    CHECK(parse_fault("Prefill:2+:no-batch", why)->last > 1'000'000);
    CHECK(parse_fault("Health:*:fail", why)->first == 1);
    for (std::size_t i = 0; i < fault_names.size(); ++i) {
        const auto f = parse_fault("Decode:1:" + std::string{fault_names[i]}, why);
        REQUIRE(f);
        CHECK(f->kind == static_cast<fault_kind>(i));
    }
}

TEST_CASE("fault: refuses what it does not understand", "[shard_sim]") {
    const auto* text = GENERATE(
        "",
        "Decode",
        "Decode:1",
        "Decode:0:fail",
        "Decode:x:fail",
        "Decode:1x:fail",
        "Decode:-1:fail",
        "Decode::fail",
        "Decode:1:explode",
        "Encode:1:fail",
        "Health:1:bad-utf8",
        "Decode:99999999999999999999:fail");
    std::string why;
    CHECK_FALSE(parse_fault(text, why));
    CHECK_FALSE(why.empty());
}

TEST_CASE("fault plan: counts each method by itself", "[shard_sim]") {
    std::string why;
    fault_plan plan{{*parse_fault("Decode:2:fail", why), *parse_fault("Prefill:2+:hang", why)}};
    CHECK_FALSE(plan.next(method::decode));
    CHECK_FALSE(plan.next(method::prefill));
    CHECK(plan.next(method::decode)->kind == fault_kind::fail);
    CHECK_FALSE(plan.next(method::decode));
    CHECK(plan.next(method::prefill));
    CHECK(plan.next(method::prefill)->kind == fault_kind::hang);
}

TEST_CASE("gap meter: measures answers to the next Decode", "[shard_sim]") {
    using std::chrono::microseconds;
    gap_meter m;
    gap_meter::time_point now{};
    CHECK(m.summary().count == 0);
    m.arrived(now);
    for (int i = 1; i <= 100; ++i) {
        m.answered(now);
        now += microseconds{i};
        m.arrived(now);
    }
    m.answered(now);
    m.interrupt();
    m.arrived(now + microseconds{1'000'000});
    const auto s = m.summary();
    CHECK(s.count == 100);
    CHECK(s.min == Approx(1.0));
    CHECK(s.median == Approx(50.0));
    CHECK(s.p99 == Approx(99.0));
    CHECK(s.max == Approx(100.0));
}

TEST_CASE("command line: reads every kind of option", "[shard_sim]") {
    options o;
    REQUIRE_FALSE(parse(
        {"--uds-path",
         "/tmp/x",
         "--rank",
         "1",
         "--world",
         "2",
         "--mode",
         "padded",
         "--overlap",
         "--adapter-memory",
         "0.02",
         "--adapter-memory",
         "sql=0.5",
         "--preload",
         "fixed=3",
         "--private-adapter",
         "mine=c2VjcmV0==",
         "--fault",
         "Decode:1:fail",
         "--decode-base-us",
         "250",
         "--max-supported-total-tokens",
         "5000"},
        o));
    CHECK(o.model.kind == layout::padded);
    CHECK(o.model.rank == 1);
    CHECK_FALSE(o.serial);
    CHECK(o.adapters.memory == Approx(0.02));
    CHECK(o.adapters.memory_of.at("sql") == Approx(0.5));
    CHECK(o.adapters.preloaded.at("fixed") == 3);
    CHECK(o.adapters.tokens.at("mine") == "c2VjcmV0==");
    CHECK(o.faults.size() == 1);
    CHECK(o.costs.decode_base == std::chrono::microseconds{250});
    CHECK(o.model.max_supported_total_tokens == 5'000);
}

TEST_CASE("command line: the defaults are a serial, paged shard", "[shard_sim]") {
    options o;
    REQUIRE_FALSE(parse({"--uds-path", "/tmp/x"}, o));
    CHECK(o.serial);
    CHECK(o.model.kind == layout::paged);
    CHECK(o.model.block_size == 16);
    CHECK_FALSE(o.model.max_supported_total_tokens);
}

TEST_CASE("command line: refuses what makes no sense", "[shard_sim]") {
    const auto wrong = GENERATE(
        std::vector<const char*>{"--rank", "2"},
        std::vector<const char*>{"--world", "0"},
        std::vector<const char*>{"--mode", "other"},
        std::vector<const char*>{"--serial", "--overlap"},
        std::vector<const char*>{"--preload", "fixed"},
        std::vector<const char*>{"--preload", "fixed=0"},
        std::vector<const char*>{"--preload", "=1"},
        std::vector<const char*>{"--adapter-memory", "much"},
        std::vector<const char*>{"--adapter-memory", "sql=-1"},
        std::vector<const char*>{"--fault", "Decode:1:explode"},
        std::vector<const char*>{"--tcp", "nohost"},
        std::vector<const char*>{"--tcp", "localhost:65536"},
        std::vector<const char*>{"--decode-base-us", "-5"},
        std::vector<const char*>{"--unheard-of"});
    auto arguments = wrong;
    arguments.insert(arguments.end(), {"--uds-path", "/tmp/x"});
    options o;
    CHECK(parse(arguments, o) == 2);
    options none;
    CHECK(parse({}, none) == 2);
    options help;
    CHECK(parse({"--help"}, help) == 0);
}

TEST_CASE("addresses: each rank has its port", "[shard_sim]") {
    CHECK(tcp_address("127.0.0.1:5000", 2) == "127.0.0.1:5002");
}
