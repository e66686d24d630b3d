#include "shard_sim/shard.hpp"

#include <utility>

namespace truffula::shard_sim {
namespace {

outcome result_of(std::string why, std::chrono::microseconds cost) {
    outcome out;
    out.cost = cost;
    if (!why.empty()) out.error = std::move(why);
    return out;
}

}  // namespace

outcome shard::download(
    const wire::DownloadAdapterRequest& in, wire::DownloadAdapterResponse& out) {
    checker_.download(in);
    std::string why;
    const auto memory = adapters_.download(in, why);
    auto done = result_of(std::move(why), options_.costs.download);
    if (!memory) return done;
    out.set_downloaded(true);
    out.set_memory_fraction(static_cast<float>(*memory));
    done.after = [this, in] {
        ++downloads_;
        checker_.downloaded(in);
    };
    return done;
}

outcome shard::load(const wire::LoadAdapterRequest& in, wire::LoadAdapterResponse& out) {
    const auto memory = adapters_.memory_of(in.adapter_parameters());
    checker_.load(in, memory);
    std::string why;
    const bool can = adapters_.can_load(in, why);
    auto done = result_of(std::move(why), options_.costs.load);
    if (!can) return done;
    out.set_loaded(true);
    // Usable only once the call is over: a batch that names the index before is too early.
    done.after = [this, in, memory] {
        ++loads_;
        adapters_.load(in);
        checker_.loaded(in, memory);
    };
    return done;
}

outcome shard::offload(const wire::OffloadAdapterRequest& in, wire::OffloadAdapterResponse& out) {
    checker_.offload(in);
    const bool was_there = adapters_.offload(in.adapter_index());
    if (was_there) ++offloads_;
    out.set_offloaded(was_there);
    return result_of({}, options_.costs.offload);
}

}  // namespace truffula::shard_sim
