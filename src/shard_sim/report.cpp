#include "shard_sim/shard.hpp"

#include <nlohmann/json.hpp>

namespace truffula::shard_sim {
namespace {

using json = nlohmann::ordered_json;

json violations_of(const violation_log& log) {
    json out = json::object();
    for (std::size_t i = 0; i < violation_names.size(); ++i) {
        out[std::string{violation_names[i]}] = log.count(static_cast<violation>(i));
    }
    return out;
}

json gaps_of(const gap_summary& g) {
    return {
        {"count", g.count}, {"min", g.min}, {"median", g.median}, {"p99", g.p99}, {"max", g.max}};
}

}  // namespace

std::string shard::report() const {
    json out;
    out["rank"] = options_.model.rank;
    out["world"] = options_.model.world;
    out["violations_total"] = checker_.log().total();
    out["violations"] = violations_of(checker_.log());
    out["violation_examples"] = checker_.log().examples();
    for (std::size_t i = 0; i < method_names.size(); ++i) {
        const std::string name{method_names[i]};
        out["calls"][name] = checker_.calls().calls(static_cast<method>(i));
        out["failures"][name] = failures_[i];
    }
    out["peak_open_calls"] = checker_.calls().peak_open();
    out["downloads"] = downloads_;
    out["loads"] = loads_;
    out["offloads"] = offloads_;
    out["offload_without_load"] = checker_.adapters().offloads_without_load();
    out["loads_of_loaded"] = checker_.adapters().loads_of_loaded();
    out["peak_loaded_adapters"] = checker_.adapters().peak_loaded();
    out["loaded_adapters"] = json::object();
    for (const auto& [index, label] : adapters_.loaded()) {
        out["loaded_adapters"][std::to_string(index)] = label;
    }
    out["peak_batch_size"] = peak_batch_;
    out["peak_live_requests"] = checker_.peak_live_requests();
    out["peak_blocks"] = checker_.peak_blocks();
    out["live_batches"] = batches_.live_batches();
    out["live_requests"] = batches_.live_requests();
    out["generated_tokens"] = generated_tokens_;
    out["joins"] = joins_;
    out["cached_prompt_tokens"] = checker_.cached_tokens();
    out["cut_prompts"] = checker_.chunks();
    out["decode_gap_us"] = gaps_of(gaps_.summary());
    // An id may be any bytes.
    return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace truffula::shard_sim
