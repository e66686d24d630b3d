#include "shard_sim/adapters.hpp"

namespace truffula::shard_sim {

adapters::adapters(const adapter_options& options) : options_(options) {
    for (const auto& [id, index] : options_.preloaded) at_[index] = id;
}

double adapters::memory_of(const wire::AdapterParameters& parameters) const {
    double sum = 0.0;
    for (const auto& id : parameters.adapter_ids()) {
        const auto own = options_.memory_of.find(id);
        sum += own == options_.memory_of.end() ? options_.memory : own->second;
    }
    return sum;
}

bool adapters::refused(
    const wire::AdapterParameters& parameters, const std::string& token, std::string& why) const {
    for (const auto& id : parameters.adapter_ids()) {
        if (options_.missing.contains(id)) why = "No adapter weights found for '" + id + "'";
        const auto lock = options_.tokens.find(id);
        if (lock == options_.tokens.end() || lock->second == token) continue;
        why = "401 Client Error: access to adapter '" + id + "' needs another token";
    }
    return !why.empty();
}

std::optional<double> adapters::download(
    const wire::DownloadAdapterRequest& request, std::string& why) {
    if (refused(request.adapter_parameters(), request.api_token(), why)) return std::nullopt;
    return memory_of(request.adapter_parameters());
}

bool adapters::can_load(const wire::LoadAdapterRequest& request, std::string& why) const {
    if (request.adapter_index() == 0 || at_.contains(request.adapter_index())) return true;
    if (refused(request.adapter_parameters(), request.api_token(), why)) return false;
    for (const auto& id : request.adapter_parameters().adapter_ids()) {
        if (options_.unloadable.contains(id)) why = "Failed to load adapter '" + id + "'";
        if (options_.too_large.contains(id)) why = "CUDA out of memory at adapter '" + id + "'";
    }
    return why.empty();
}

void adapters::load(const wire::LoadAdapterRequest& request) {
    if (request.adapter_index() == 0) return;
    at_.try_emplace(request.adapter_index(), label_of(request.adapter_parameters()));
}

bool adapters::offload(std::uint32_t index) {
    for (const auto& [id, preloaded] : options_.preloaded) {
        if (preloaded == index) return false;
    }
    return at_.erase(index) != 0;
}

std::optional<std::string> adapters::label_at(std::uint32_t index) const {
    if (index == 0) return std::string{};
    const auto found = at_.find(index);
    if (found == at_.end()) return std::nullopt;
    return found->second;
}

std::map<std::uint32_t, std::string> adapters::loaded() const {
    auto out = at_;
    for (const auto& [id, index] : options_.preloaded) out.erase(index);
    return out;
}

}  // namespace truffula::shard_sim
