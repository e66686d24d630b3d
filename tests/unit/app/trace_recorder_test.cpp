#include "app/trace_recorder.hpp"

#include "truffula/inference/request.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace truffula;
using namespace std::chrono_literals;

namespace {

class folder {
public:
    folder() {
        std::string name = "/tmp/truffula-trace-XXXXXX";
        if (mkdtemp(name.data()) != nullptr) path = name;
    }
    ~folder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

scheduler::entry entry_of(
    const std::string& adapter, std::chrono::steady_clock::time_point created) {
    auto what = std::make_shared<inference::request>();
    what->inputs = "a secret prompt";
    what->input_length = 12;
    what->stopping.max_new_tokens = 30;
    auto ref = std::make_shared<adapter::adapter_ref>();
    if (!adapter.empty()) ref->what.ids = {adapter};
    ref->tenant = "acme";
    ref->api_token = "a secret token";
    scheduler::entry e;
    e.what = what;
    e.adapter = ref;
    e.created = created;
    return e;
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
    std::ifstream in{file};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

}  // namespace

TEST_CASE("trace recorder: a line has what a simulation needs, and no text", "[app]") {
    const folder dir;
    const auto file = dir.path / "t.jsonl";
    const auto start = std::chrono::steady_clock::now();
    {
        auto recorder = app::trace_recorder::open(file.string(), start);
        REQUIRE(recorder.has_value());
        (*recorder)->record(entry_of("bad \"name\" \xff", start + 1500ms), 7);
        (*recorder)->record(entry_of("", start - 1s), 31);
    }
    const auto lines = lines_of(file);
    REQUIRE(lines.size() == 2);
    const auto first = nlohmann::json::parse(lines[0]);
    CHECK(first.at("time_s") == 1.5);
    CHECK(first.at("adapter") == "bad \"name\" \xef\xbf\xbd");
    CHECK(first.at("tenant") == "acme");
    CHECK(first.at("input_tokens") == 12);
    CHECK(first.at("output_tokens") == 7);
    CHECK(first.at("priority") == "interactive");
    const auto second = nlohmann::json::parse(lines[1]);
    CHECK(second.at("time_s") == 0.0);
    CHECK(second.at("adapter") == "");
    CHECK(second.at("output_tokens") == 30);
    for (const auto& line : lines) CHECK(line.find("secret") == std::string::npos);
}

TEST_CASE("trace recorder: a full file is kept once, and so is that of an earlier start", "[app]") {
    const folder dir;
    const auto file = dir.path / "t.jsonl";
    const auto kept = dir.path / "t.1.jsonl";
    const auto now = std::chrono::steady_clock::now();
    {
        auto recorder = app::trace_recorder::open(file.string(), now, {300, 8192});
        REQUIRE(recorder.has_value());
        for (int i = 0; i < 20; ++i) (*recorder)->record(entry_of("sql", now), 1);
    }
    CHECK(std::filesystem::file_size(file) <= 300);
    CHECK(std::filesystem::file_size(kept) <= 300);
    CHECK(std::distance(std::filesystem::directory_iterator{dir.path}, {}) == 2);
    const auto before = lines_of(file);
    { REQUIRE(app::trace_recorder::open(file.string(), now).has_value()); }
    CHECK(lines_of(file).empty());
    CHECK(lines_of(kept) == before);
}

TEST_CASE("trace recorder: a file that cannot be written is an error that names it", "[app]") {
    const auto opened =
        app::trace_recorder::open("/proc/no/such/t.jsonl", std::chrono::steady_clock::now());
    REQUIRE(opened.has_error());
    CHECK(opened.error().code == errc::invalid_config);
    CHECK(opened.error().detail.find("/proc/no/such/t.jsonl") != std::string::npos);
}

TEST_CASE("trace recorder: what a full disk does not take is counted", "[app]") {
    const auto opened = app::trace_recorder::open("/dev/full", {});
    REQUIRE(opened.has_value());
    auto& recorder = **opened;
    CHECK(recorder.lost() == 0);
    for (int i = 0; i < 3; ++i) recorder.record(entry_of("sql", {}), 1);
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (recorder.lost() < 3 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    CHECK(recorder.lost() == 3);
}
