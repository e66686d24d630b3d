// YAML files of settings: an error is one line, and what is accepted prints as a file that says the
// same.
#include "foreign_file.hpp"
#include "fuzz_target.hpp"
#include "truffula/config/load.hpp"

using namespace truffula;

namespace {

std::string print_without_origins(config::loaded of) {
    of.origins.clear();
    return config::print(of);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static foreign_file file;
    const std::vector<std::string> arguments{
        "--config", file.path().string(), "--tokenizer-name", "m"};
    file.write(as_text(data, size));
    const auto loaded = config::load(arguments, {});
    if (!loaded) {
        if (loaded.error().detail.find('\n') != std::string::npos) __builtin_trap();
        return 0;
    }
    const auto printed = print_without_origins(*loaded);
    file.write(printed);
    const auto again = config::load(arguments, {});
    if (!again || print_without_origins(*again) != printed) __builtin_trap();
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {
        "server:\n  port: 3000\n  hostname: \"::1\"\n  cors_allow_origin: [a, \"b \\n c\"]\n"
        "  api_key: null\n",
        "batching:\n  max_input_length: 10\n  max_total_tokens: 20\n  join: ratio\n"
        "scheduling:\n  policy: fair\n  weights: {a: 2, \"b\": 0.5}\n",
        "shard:\n  master_shard: tcp://localhost:1\n--- # two\n- &a [*a, !!int x]\n",
    };
}
