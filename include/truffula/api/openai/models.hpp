#pragma once

#include "truffula/adapter/adapter_table.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace truffula::api::openai {

/// A model that `/v1/models` shows: the base model or an adapter.
struct listed_model {
    std::string id;
    std::string_view state;  ///< `ready` for the base model; else where the adapter is.
    bool is_base = false;
};

/// The base model, then single adapters, by name: those that are usable, and those that the
/// operator allows by name, in whatever state.
std::vector<listed_model> list_models(
    std::string_view base_model,
    std::span<const adapter::known_adapter> known,
    const std::set<std::string, std::less<>>& allowed);

/// Appends a model as OpenAI shows it, with its `state`.
///
/// \param created seconds of the epoch.
void append_model(
    std::string& out, const listed_model& model, std::string_view base_model, std::int64_t created);

/// A path's last part as the client meant it; nothing if its escapes are broken.
std::optional<std::string> decode_path(std::string_view path);

}  // namespace truffula::api::openai
