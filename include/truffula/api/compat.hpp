#pragma once

#include <cstdint>

namespace truffula::api {

/// Whose behaviour the `/v1` routes have (`server.compat`). Native routes are the same in both.
enum class compat : std::uint8_t {
    openai,  ///< As OpenAI's reference says.
    lorax,   ///< A LoRAX router's, quirks included (contract sections 11 and 15).
};

}  // namespace truffula::api
