#pragma once

#include "shard_sim/options.hpp"
#include "shard_sim/prompt.hpp"
#include "shard_sim/violations.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace truffula::shard_sim {

/// The order of adapter calls: download before load before use, no offload in use.
class adapter_rules {
public:
    /// \param checks_downloads whether downloads come to this shard (to the first of a group)
    adapter_rules(const adapter_options& options, bool checks_downloads);

    /// A router starts, or starts anew: it does not know what an earlier one left here, so that
    /// no longer counts as memory it took. What is at an index is there all the same.
    void new_session();

    void download(const wire::DownloadAdapterRequest& request, violation_log& log);
    void downloaded(const wire::DownloadAdapterRequest& request);

    /// \param memory fraction that the adapter takes
    void load(const wire::LoadAdapterRequest& request, double memory, violation_log& log);
    void loaded(const wire::LoadAdapterRequest& request, double memory);

    /// \param in_use whether a live request names the index
    void offload(const wire::OffloadAdapterRequest& request, bool in_use, violation_log& log);

    /// A new request.
    void use(const wire::Request& request, violation_log& log) const;
    /// A further step of a request on `index`.
    void use(std::uint32_t index, std::uint64_t request_id, violation_log& log) const;

    /// Tells the weights at `index` from those that were there before.
    std::uint64_t epoch_of(std::uint32_t index) const;

    std::uint64_t offloads_without_load() const { return offloads_without_load_; }
    std::uint64_t loads_of_loaded() const { return loads_of_loaded_; }
    std::size_t peak_loaded() const { return peak_loaded_; }

private:
    struct resident {
        std::string key;
        std::string label;
        double memory = 0.0;
        std::uint64_t epoch = 0;
    };
    bool is_fixed(const wire::AdapterParameters& parameters) const;
    bool is_fixed(std::uint32_t index) const;

    std::map<std::string, std::uint32_t> preloaded_;
    bool checks_downloads_;
    std::set<std::string> downloaded_;
    std::map<std::uint32_t, resident> resident_;  ///< Preloaded ones left out.
    std::uint64_t epochs_ = 0;
    std::uint64_t offloads_without_load_ = 0;
    std::uint64_t loads_of_loaded_ = 0;
    std::size_t peak_loaded_ = 0;
};

}  // namespace truffula::shard_sim
