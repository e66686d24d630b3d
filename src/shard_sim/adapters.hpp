#pragma once

#include "shard_sim/options.hpp"
#include "shard_sim/prompt.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace truffula::shard_sim {

/// Adapters on this shard, with a LoRAX shard's habits: a load onto an occupied index succeeds
/// and keeps the old weights, an offload of an empty or preloaded index answers false.
class adapters {
public:
    explicit adapters(const adapter_options& options);

    /// Memory fraction of the adapter, the sum of its parts if merged; nothing and `why` if it
    /// cannot be had with this token.
    std::optional<double> download(const wire::DownloadAdapterRequest& request, std::string& why);

    /// Whether loading may begin; if not, `why` is set.
    bool can_load(const wire::LoadAdapterRequest& request, std::string& why) const;
    void load(const wire::LoadAdapterRequest& request);
    bool offload(std::uint32_t index);

    /// Label of what is at `index` (empty for the base model); nothing if nothing is.
    std::optional<std::string> label_at(std::uint32_t index) const;

    /// Index to label of what is loaded, base model and preloaded ones left out.
    std::map<std::uint32_t, std::string> loaded() const;

    /// Memory fraction of an adapter.
    double memory_of(const wire::AdapterParameters& parameters) const;

private:
    bool refused(
        const wire::AdapterParameters& parameters,
        const std::string& token,
        std::string& why) const;

    adapter_options options_;
    std::map<std::uint32_t, std::string> at_;
};

}  // namespace truffula::shard_sim
