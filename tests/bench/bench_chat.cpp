// What a conversation costs beside its prompt: `/v1/chat/completions`, and `/generate` with the
// text that the template makes of it, on 64 connections of one router. Arguments: a folder with a
// tokenizer, and a chat template; else, from the project's folder, those of the tests.
#include "bench/child.hpp"
#include "bench/figures.hpp"
#include "bench/http_load.hpp"
#include "bench/lean_server.hpp"
#include "truffula/api/json_text.hpp"
#include "truffula/text/chat_template.hpp"

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace truffula;
using namespace truffula::bench;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::size_t connections = 64;
constexpr std::size_t rounds = 7;
constexpr auto window = 1s;
constexpr double goal = 1.3;

// Microseconds of the router's processor time for each answer.
double cost(const router& r, const std::string& request) {
    http_load clients{r.port(), connections, {request}, http_load::kind::whole};
    clients.start();
    std::this_thread::sleep_for(200ms);
    const auto cpu = r.process.cpu_time();
    const auto responses = clients.responses();
    std::this_thread::sleep_for(window);
    const auto answered = static_cast<double>(clients.responses() - responses);
    const std::chrono::duration<double, std::micro> used = r.process.cpu_time() - cpu;
    if (clients.failures() > 0) throw std::runtime_error("requests failed");
    return used.count() / answered;
}

std::string conversation(std::size_t turns) {
    std::string messages = R"([{"role":"system","content":"You are a helpful assistant."})";
    for (std::size_t i = 0; i < turns; ++i) {
        if (i > 0) messages += R"(,{"role":"assistant","content":"Of course: it sleeps."})";
        messages +=
            R"(,{"role":"user","content":"the quick brown fox jumps over the lazy dog and then )"
            R"(it sleeps for a while"})";
    }
    return messages + "]";
}

std::string rendered(const fs::path& model, const std::string& messages) {
    text::chat_template_files files;
    files.tokenizer_config = model / "tokenizer_config.json";
    files.jinja = {model / "chat_template.jinja"};
    const auto loaded = text::chat_template::load(files);
    if (!loaded) throw std::runtime_error(loaded.error().detail);
    text::chat_prompt prompt;
    prompt.messages = messages;
    const auto text = loaded->render(prompt);
    if (!text) throw std::runtime_error(text.error().detail);
    return *text;
}

void compare(const router& r, const fs::path& model, std::size_t turns) {
    const auto messages = conversation(turns);
    std::string native = R"({"inputs":)";
    api::append_string(native, rendered(model, messages));
    native += R"(,"parameters":{"max_new_tokens":1}})";
    const auto chat = R"({"model":"","max_tokens":1,"messages":)" + messages + "}";
    std::vector<double> ours;
    std::vector<double> prompts;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < rounds; ++i) {
        prompts.push_back(cost(r, post("/generate", native)));
        ours.push_back(cost(r, post("/v1/chat/completions", chat)));
        ratios.push_back(ours.back() / prompts.back());
    }
    const auto size = std::to_string(messages.size()) + " bytes of messages";
    report("router CPU per /generate, " + size, "us", prompts);
    report("router CPU per chat, " + size, "us", ours);
    report("chat / generate, by round", "x", ratios);
    judge("chat / generate, " + size, median(ratios), goal, "x");
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const fs::path tokenizer = argc > 1 ? argv[1] : "tests/data/tokenizer";
        const fs::path source = argc > 2 ? argv[2] : "tests/data/chat_templates/chatml.jinja";
        temporary_folder folder;
        const auto model = folder / "model";
        fs::copy(tokenizer, model, fs::copy_options::recursive);
        fs::copy_file(source, model / "chat_template.jinja", fs::copy_options::overwrite_existing);
        const auto socket = folder / "shard-0";
        lean_server shard{socket.string()};
        const router r{folder, socket, {"--tokenizer-name", model.string()}};
        for (const std::size_t turns : {1UL, 3UL}) compare(r, model, turns);
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
