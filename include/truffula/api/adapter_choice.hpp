#pragma once

#include "truffula/adapter/identity.hpp"
#include "truffula/api/generate_body.hpp"
#include "truffula/error/error.hpp"
#include "truffula/shard/answers.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace truffula::api {

/// The adapter a checked request names.
struct adapter_choice {
    adapter::adapter_ref ref;
    std::string source_name;  ///< As given, or the default.
    bool is_source_known = true;
};

/// \param default_source name of the source when the request names none.
/// \param tenant_header `x-predibase-tenant`, if any; else the tenant is told by the token.
adapter_choice choose_adapter(
    const generate_parameters& asked,
    std::string_view default_source,
    std::optional<std::string_view> tenant_header);

/// Nothing when the adapter can be fetched or need not be: the base model and preloaded adapters
/// come from nowhere.
///
/// \errors `errc::rpc_failed` in the words a LoRAX router has for an unknown source.
result<> check_source(const adapter_choice& choice, const shard::model_info& model);

/// Nothing when the adapters named may be: any if `allowed` is empty; base and preloaded always.
///
/// \errors `errc::unknown_model`.
result<> check_allowed(
    const adapter_choice& choice,
    const std::set<std::string, std::less<>>& allowed,
    const shard::model_info& model);

/// Ids joined by comma, without the base model's name, for `x-adapter-id`; empty for the base
/// model, and for names that must not go into a header.
std::string adapter_header(const generate_parameters& asked);

/// True if a name has a control character (C0, DEL or C1).
bool has_control_character(std::string_view name) noexcept;

}  // namespace truffula::api
