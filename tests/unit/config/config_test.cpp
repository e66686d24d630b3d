#include "config/option.hpp"
#include "unit/config/config_world.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace truffula;
using config::load;
using test::arguments;
using test::failure;
using test::from_yaml;
using test::has;
using test::temporary_file;
using test::with;

TEST_CASE("config: file, environment and command line, the later wins", "[config]") {
    const temporary_file file{
        "batching:\n  max_input_length: 100\n  max_total_tokens: 300\n"
        "  max_waiting_tokens: 7\nserver:\n  port: 4000\n"};
    const config::environment env{
        {"MAX_INPUT_LENGTH", "110"}, {"PORT", "5000"}, {"EAGER_PREFILL", "off"}};
    const auto got = load(with({"--config", file.path(), "-p", "6000", "--eager-prefill"}), env);
    REQUIRE(got);
    CHECK(got->values.batching.max_waiting_tokens == 7);
    CHECK(got->values.batching.max_input_length == 110);
    CHECK(got->values.server.port == 6000);
    CHECK(got->values.batching.eager_prefill);
    CHECK(got->origins.at("batching.max_waiting_tokens") == file.path() + ":4");
    CHECK(got->origins.at("batching.max_input_length") == "environment MAX_INPUT_LENGTH");
    CHECK(got->origins.at("server.port") == "--port");
}

TEST_CASE("config: the command line names the file before the environment does", "[config]") {
    const temporary_file one{"server: {port: 1}\n"};
    const temporary_file other{"server: {port: 2}\n"};
    const config::environment env{{"TRUFFULA_CONFIG", other.path()}};
    CHECK(load(with({}), env)->values.server.port == 2);
    CHECK(load(with({"--config", one.path()}), env)->values.server.port == 1);
}

TEST_CASE("config: a list of a higher source takes the place of the lower one's", "[config]") {
    const temporary_file file{"adapters: {pinned: [a, b]}\n"};
    const auto got = load(with({"--config", file.path(), "--pinned", "c"}), {});
    REQUIRE(got);
    CHECK(got->values.adapters.pinned == std::vector<std::string>{"c"});
}

TEST_CASE("config: an empty variable is none, but turns a flag off", "[config]") {
    const temporary_file file{"server: {port: 1}\nbatching: {eager_prefill: true}\n"};
    const auto got = load(with({"--config", file.path()}), {{"PORT", ""}, {"EAGER_PREFILL", ""}});
    REQUIRE(got);
    CHECK(got->values.server.port == 1);
    CHECK_FALSE(got->values.batching.eager_prefill);
}

TEST_CASE("config: what the launcher of LoRAX passes is accepted", "[config]") {
    const auto got = load(
        {"--max-concurrent-requests",
         "128",
         "--max-best-of",
         "2",
         "--max-stop-sequences",
         "4",
         "--max-input-length",
         "1024",
         "--max-total-tokens",
         "2048",
         "--max-batch-prefill-tokens",
         "4096",
         "--max-active-adapters",
         "1024",
         "--adapter-cycle-time-s",
         "2",
         "--waiting-served-ratio",
         "1.2",
         "--max-waiting-tokens",
         "20",
         "--validation-workers",
         "2",
         "--hostname",
         "some-container",
         "--port",
         "3000",
         "--master-shard-uds-path",
         "/tmp/x-0",
         "--tokenizer-name",
         "org/model",
         "--adapter-source",
         "hub",
         "--revision",
         "main",
         "--json-output",
         "--cors-allow-origin",
         "a",
         "--cors-allow-origin",
         "b",
         "--cors-allow-credentials",
         "true",
         "--eager-prefill",
         "--prefix-caching",
         "--otlp-endpoint",
         "http://x"},
        {});
    REQUIRE(got);
    CHECK(got->values.server.cors_allow_origin == std::vector<std::string>{"a", "b"});
    CHECK(got->values.server.cors_allow_credentials == true);
    CHECK(got->values.server.hostname == "0.0.0.0");
    CHECK(got->values.master_address() == "unix:///tmp/x-0");
    REQUIRE(got->warnings.size() == 2);
    CHECK(has(got->warnings[0], "--hostname: `some-container` is not an IP address"));
    CHECK(has(got->warnings[1], "otlp_endpoint is accepted; no traces are exported yet"));
}

TEST_CASE("config: errors name place, what was found and what is allowed", "[config]") {
    CHECK(
        has(failure(from_yaml("server:\n  prot: 1\n")),
            ":2: `server.prot`: unknown key (did you mean `port`?)"));
    CHECK(
        has(failure(from_yaml("sever: {}\n")),
            ":1: `sever`: unknown section (did you mean `server`?)"));
    CHECK(
        has(failure(from_yaml("server:\n\n  port: abc\n")),
            ":3: port: found `abc`; allowed: a whole number, 0 … 65535"));
    CHECK(has(failure(from_yaml("server:\n  port: [1]\n")), "found a list"));
    CHECK(has(failure(from_yaml("server:\n  port: \"80\"\n")), "found the text"));
    CHECK(has(
        failure(from_yaml("server:\n  port: 1\n  port: 2\n")), ":3: `server.port`: found twice"));
    CHECK(has(
        failure(from_yaml("server: {port: 1}\nserver: {port: 2}\n")), ":2: `server`: found twice"));
    CHECK(
        has(failure(from_yaml("server: {port: 1}\n---\nserver: {port: 2}\n")),
            "give one YAML document"));
    CHECK_FALSE(has(failure(from_yaml("server:\n  elsewhere: 1\n")), "did you mean"));
    CHECK(has(failure(load(with({"--port", "a\x7f"}), {})), "found `a\\x7f`"));
    CHECK(has(failure(from_yaml("server:\n  port: \"a\\nb\"\n")), "found the text \"a\\x0ab\""));
    CHECK(has(failure(from_yaml("server:\n  hostname: nohost\n")), ":2: hostname: found `nohost`"));
    CHECK(has(failure(from_yaml("a: [\n")), "not YAML"));
    CHECK(has(failure(from_yaml("- 1\n")), "no mapping"));
    CHECK(
        has(failure(from_yaml("shard: {master_shard: \"unix:///a\", master_shard_uds_path: /b}\n")),
            "give one of them"));
    CHECK(from_yaml("shard: {master_shard: null, master_shard_uds_path: /b}\n"));
    CHECK(has(failure(load(with({"--port", "70000"}), {})), "--port: port: found `70000`"));
    CHECK(has(failure(load(with({}), {{"PORT", "x"}})), "environment PORT: port: found `x`"));
    CHECK(has(failure(load(with({"--no-such-option"}), {})), "no-such-option"));
    CHECK(has(failure(load({}, {})), "--tokenizer-name"));
    CHECK(
        has(failure(load(with({"--master-shard-uds-path", ""}), {})),
            "master_shard_uds_path: found ``; allowed: a path"));
    CHECK(has(failure(load(with({"--ngrok"}), {})), "not supported"));
    CHECK(has(failure(load(with({"--config", "/does/not/exist"}), {})), "cannot be read"));
    CHECK(has(failure(load(with({"--config", "/tmp"}), {})), "/tmp: found a folder; give a file"));
}

TEST_CASE("config: an option that has one value is given once", "[config]") {
    CHECK(
        has(failure(load(with({"--port", "1", "--port", "2"}), {})),
            "command line: --port: found 2 times; give it once"));
    CHECK(load(with({"--pinned", "a", "--pinned", "b"}), {}));
}

TEST_CASE("config: a flag may be told to be off, against lower sources", "[config]") {
    const config::environment env{{"EAGER_PREFILL", "1"}};
    CHECK(load(with({}), env)->values.batching.eager_prefill);
    const auto off = load(with({"--eager-prefill=false"}), env);
    REQUIRE(off);
    CHECK_FALSE(off->values.batching.eager_prefill);
    CHECK(off->origins.at("batching.eager_prefill") == "--eager-prefill");
    CHECK(load(with({"--eager-prefill=true"}), {})->values.batching.eager_prefill);
    CHECK(has(failure(load(with({"--eager-prefill=maybe"}), {})), "--eager-prefill"));
}

TEST_CASE("config: the program's name chooses the behaviour of /v1", "[config]") {
    const auto compat = [](const std::vector<std::string>& more, std::string_view program) {
        const auto got = load(with(more), {}, program);
        REQUIRE(got);
        return got->values.server.compat;
    };
    CHECK(compat({}, "/usr/bin/truffula-router") == "openai");
    CHECK(compat({}, "lorax-router") == "lorax");
    CHECK(compat({}, "/opt/bin/lorax-router") == "lorax");
    CHECK(compat({"--compat", "openai"}, "lorax-router") == "openai");
    CHECK(compat({"--compat", "lorax"}, "x") == "lorax");
    CHECK(load(with({}), {{"COMPAT", "openai"}}, "lorax-router")->values.server.compat == "openai");
    CHECK(has(failure(load(with({"--compat", "x"}), {})), "one of openai, lorax"));
}

TEST_CASE("config: the prompt must be shorter than the total", "[config]") {
    CHECK(load(with({"--max-input-length", "9", "--max-total-tokens", "10"}), {}));
    CHECK(
        has(failure(load(with({"--max-input-length", "10", "--max-total-tokens", "10"}), {})),
            "below max_total_tokens"));
}

TEST_CASE("config: HOSTNAME from the environment counts only as an address", "[config]") {
    const auto named_host = load(with({}), {{"HOSTNAME", "3f2a"}});
    CHECK(named_host->values.server.hostname == "0.0.0.0");
    CHECK(named_host->warnings.empty());  // every container has it
    REQUIRE(named_host->notes.size() == 1);
    CHECK(has(named_host->notes.front(), "HOSTNAME: `3f2a` is not an IP address"));
    CHECK(load(with({}), {{"HOSTNAME", "::1"}})->values.server.hostname == "::1");
}

TEST_CASE("config: the shard's address from the higher source", "[config]") {
    const config::environment env{{"MASTER_SHARD_UDS_PATH", "/env-0"}};
    CHECK(load(with({}), env)->values.master_address() == "unix:///env-0");
    CHECK(load(with({"--master-shard", "tcp://h:1"}), env)->values.master_address() == "tcp://h:1");
    const arguments both{"--master-shard", "tcp://h:1", "--master-shard-uds-path", "/a"};
    CHECK(has(failure(load(with(both), {})), "command line: found master_shard and"));
    config::environment named_twice = env;
    named_twice["MASTER_SHARD"] = "tcp://h:1";
    CHECK(has(failure(load(with({}), named_twice)), "environment: found master_shard and"));
    for (const auto* good : {"unix:///a", "tcp://h:1", "tcp://10.0.0.1:65535", "tcp://[::1]:80"}) {
        INFO(good);
        CHECK(load(with({"--master-shard", good}), {})->values.master_address() == good);
    }
    for (const auto* bad :
         {"h:1",
          "unix:///",
          "unix://a",
          "tcp://",
          "tcp://h",
          "tcp://:1",
          "tcp://h:",
          "tcp://h:0",
          "tcp://h:65536",
          "tcp://h:x",
          "tcp://[::1]"}) {
        INFO(bad);
        CHECK(
            has(failure(load(with({"--master-shard", bad}), {})),
                "allowed: unix:///path or tcp://host:port"));
    }
}

TEST_CASE("config: what is printed is a file that gives the same settings", "[config]") {
    const auto first = load(
        with(
            {"--max-batch-size",
             "7",
             "--cors-allow-origin",
             "a\n\"b\"\\c",
             "--ngrok-authtoken",
             "geheim"}),
        {});
    REQUIRE(first);
    const auto text = config::print(*first);
    CHECK(has(text, "max_batch_size: 7  # --max-batch-size"));
    CHECK(has(text, "port: 3000  # default"));
    CHECK_FALSE(has(text, "geheim"));
    const temporary_file file{text};
    const auto second = load({"--config", file.path()}, {});
    REQUIRE(second);
    CHECK(second->values.batching.max_batch_size == 7U);
    CHECK(second->values.server.cors_allow_origin == std::vector<std::string>{"a\n\"b\"\\c"});
}

TEST_CASE("config: a URL is shown without its credentials", "[config]") {
    using config::without_credentials;
    CHECK(without_credentials("https://me:geheim@logs.example/a@b") == "https://logs.example/a@b");
    CHECK(without_credentials("me:geh@eim@logs.example") == "logs.example");
    CHECK(without_credentials("http://logs.example?to=a@b") == "http://logs.example?to=a@b");
    CHECK(without_credentials("http://logs.example") == "http://logs.example");
    CHECK(without_credentials("").empty());
    const std::string secret = "http://me:geheim@logs.example";
    const auto l = load(with({}), {{"REQUEST_LOGGER_URL", secret}, {"OTLP_ENDPOINT", secret}});
    REQUIRE(l);
    CHECK(l->values.telemetry.request_logger_url == secret);
    const auto text = config::print(*l);
    CHECK(has(text, "request_logger_url: \"http://logs.example\""));
    CHECK_FALSE(has(text, "geheim"));
}

TEST_CASE("config: help, version and checks print and end", "[config]") {
    const auto help = load({"--help"}, {});
    REQUIRE(help);
    for (const auto& o : config::options()) CHECK(has(*help->print, o.flag()));
    CHECK(load({"--version"}, {})->print == "0.1.0\n");
    CHECK(load(with({"--check-config"}), {})->print.has_value());
    CHECK(load(with({"--print-config"}), {})->print.has_value());
}

TEST_CASE("config: the documented file has every key with its default", "[config]") {
    const auto root = std::filesystem::path{TEST_DATA_DIR}.parent_path().parent_path();
    const auto path = root / "config" / "truffula.yaml";
    const auto got = load(with({"--config", path.string()}), {});
    REQUIRE(got);
    const config::loaded defaults;
    for (const auto& o : config::options()) {
        INFO(o.key());
        const bool may_be_absent =
            o.is_optional || o.name == "tokenizer_name" || o.name.starts_with("master_shard");
        if (!may_be_absent) CHECK(got->origins.contains(o.key()));
        if (o.name != "tokenizer_name") CHECK(o.show(got->values) == o.show(defaults.values));
    }
}

TEST_CASE("config: no file makes the reader throw", "[config][property]") {
    std::mt19937 random{Catch::rngSeed()};
    const std::string alphabet = "server:port 123-[]{}\"'#\n\t &*!|>%@,abz";
    for (int i = 0; i < 500; ++i) {
        std::string text = i % 2 == 0 ? "server:\n  " : "";
        for (auto n = random() % 60; n > 0; --n) text += alphabet[random() % alphabet.size()];
        INFO(text);
        CHECK_NOTHROW(from_yaml(text));
    }
}
