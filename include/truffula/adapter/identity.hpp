#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::adapter {

// Order and names of both enums are those of the shard protocol.
enum class source : std::uint8_t { hub, s3, local, pbase };
enum class merge_strategy : std::uint8_t { linear, ties, dare_linear, dare_ties };
enum class sign_method : std::uint8_t { total, frequency };

/// Which weights: one adapter, or several merged. No ids: the base model.
struct parameters {
    std::vector<std::string> ids;
    std::vector<float> weights;  ///< Empty for a single adapter, else one for each id.
    merge_strategy strategy = merge_strategy::linear;
    float density = 0.0F;
    sign_method signs = sign_method::total;

    bool is_base() const noexcept { return ids.empty(); }
    auto operator<=>(const parameters&) const = default;
};

/// What a request asks for, and on whose behalf.
struct adapter_ref {
    parameters what;
    source from = source::hub;
    std::string api_token;  ///< Empty: none. Never logged.
    std::string tenant = "default";
    bool is_single = true;  ///< Asked for by `adapter_id`: travels as such to the shards.

    bool is_base() const noexcept { return what.is_base(); }
};

}  // namespace truffula::adapter
