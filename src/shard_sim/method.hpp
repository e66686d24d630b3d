#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace truffula::shard_sim {

/// The calls of the shard protocol.
enum class method {
    info,
    service_discovery,
    clear_cache,
    filter_batch,
    warmup,
    prefill,
    embed,
    classify,
    decode,
    health,
    download_adapter,
    load_adapter,
    offload_adapter,
};

/// Names on the wire, in the order of `method`.
inline constexpr std::array<std::string_view, 13> method_names{
    "Info",
    "ServiceDiscovery",
    "ClearCache",
    "FilterBatch",
    "Warmup",
    "Prefill",
    "Embed",
    "Classify",
    "Decode",
    "Health",
    "DownloadAdapter",
    "LoadAdapter",
    "OffloadAdapter"};

constexpr std::size_t index_of(method m) {
    return static_cast<std::size_t>(m);
}
constexpr std::string_view name_of(method m) {
    return method_names[index_of(m)];
}

/// The method of that name, if there is one.
constexpr std::optional<method> method_named(std::string_view name) {
    for (std::size_t i = 0; i < method_names.size(); ++i) {
        if (method_names[i] == name) return static_cast<method>(i);
    }
    return std::nullopt;
}

/// Whether the call computes: of these a group may be given only one at a time.
constexpr bool computes(method m) {
    switch (m) {
        case method::filter_batch:
        case method::warmup:
        case method::prefill:
        case method::embed:
        case method::classify:
        case method::decode: return true;
        case method::info:
        case method::service_discovery:
        case method::clear_cache:
        case method::health:
        case method::download_adapter:
        case method::load_adapter:
        case method::offload_adapter: return false;
    }
    return false;
}

}  // namespace truffula::shard_sim
