#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// One input; anything but a crash, a hang or a leak is fine. `fuzz_main.cpp` (any compiler) and
/// libFuzzer (Clang, scripts/check-all) both call it by this name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Inputs to start from.
std::vector<std::string> fuzz_seeds();

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}
