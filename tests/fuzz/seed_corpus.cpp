// With libFuzzer: the target's seeds, written into the corpus it is started with.
#include "fuzz_target.hpp"

#include <filesystem>
#include <fstream>

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
    for (int i = 1; i < *count; ++i) {
        const std::filesystem::path corpus{(*arguments)[i]};
        if (!std::filesystem::is_directory(corpus)) continue;
        std::size_t number = 0;
        for (const auto& seed : fuzz_seeds()) {
            std::ofstream{corpus / ("seed-" + std::to_string(++number)), std::ios::binary} << seed;
        }
        break;
    }
    return 0;
}
