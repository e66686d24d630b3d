#include "shard_sim/adapter_rules.hpp"

#include <algorithm>
#include <string_view>

namespace truffula::shard_sim {
namespace {

constexpr std::string_view base_model = "__base_model__";
constexpr double rounding = 1e-4;  // fractions travel as 32-bit floats

std::string at(const std::string& label, std::uint32_t index) {
    return "'" + label + "' at index " + std::to_string(index);
}

}  // namespace

adapter_rules::adapter_rules(const adapter_options& options, bool checks_downloads)
    : preloaded_(options.preloaded), checks_downloads_(checks_downloads) {}

bool adapter_rules::is_fixed(const wire::AdapterParameters& parameters) const {
    const auto label = label_of(parameters);
    return label.empty() || label == base_model || preloaded_.contains(label);
}

bool adapter_rules::is_fixed(std::uint32_t index) const {
    const auto same = [index](const auto& entry) { return entry.second == index; };
    return index == 0 || std::any_of(preloaded_.begin(), preloaded_.end(), same);
}

void adapter_rules::new_session() {
    for (auto& [index, r] : resident_) r.memory = 0.0;
}

void adapter_rules::download(const wire::DownloadAdapterRequest& request, violation_log& log) {
    if (is_fixed(request.adapter_parameters())) {
        log.add(
            violation::fixed_adapter_moved,
            "download of '" + label_of(request.adapter_parameters()) + "'");
    }
}

void adapter_rules::downloaded(const wire::DownloadAdapterRequest& request) {
    downloaded_.insert(key_of(request.adapter_parameters(), request.adapter_source()));
}

void adapter_rules::load(
    const wire::LoadAdapterRequest& request, double memory, violation_log& log) {
    const auto index = request.adapter_index();
    const auto label = label_of(request.adapter_parameters());
    const auto key = key_of(request.adapter_parameters(), request.adapter_source());
    if (is_fixed(request.adapter_parameters()) || is_fixed(index)) {
        log.add(violation::fixed_adapter_moved, "load of " + at(label, index));
        return;
    }
    if (checks_downloads_ && !downloaded_.contains(key)) {
        log.add(violation::load_before_download, at(label, index));
    }
    const auto there = resident_.find(index);
    if (there != resident_.end()) {
        if (there->second.key == key) {
            ++loads_of_loaded_;
            there->second.memory = memory;
        } else {
            log.add(violation::load_over_other, at(label, index) + " over " + there->second.label);
        }
        return;
    }
    double sum = memory;
    for (const auto& [other, r] : resident_) sum += r.memory;
    if (sum > 1.0 + rounding) {
        log.add(violation::adapter_memory, at(label, index) + " makes " + std::to_string(sum));
    }
}

void adapter_rules::loaded(const wire::LoadAdapterRequest& request, double memory) {
    if (is_fixed(request.adapter_index())) return;
    resident r;
    r.key = key_of(request.adapter_parameters(), request.adapter_source());
    r.label = label_of(request.adapter_parameters());
    r.memory = memory;
    r.epoch = ++epochs_;
    resident_.try_emplace(request.adapter_index(), std::move(r));
    peak_loaded_ = std::max(peak_loaded_, resident_.size());
}

void adapter_rules::offload(
    const wire::OffloadAdapterRequest& request, bool in_use, violation_log& log) {
    const auto index = request.adapter_index();
    const auto label = label_of(request.adapter_parameters());
    if (is_fixed(index)) {
        log.add(violation::fixed_adapter_moved, "offload of " + at(label, index));
        return;
    }
    if (in_use) log.add(violation::offload_in_use, at(label, index));
    if (resident_.erase(index) == 0) ++offloads_without_load_;
}

void adapter_rules::use(const wire::Request& request, violation_log& log) const {
    const auto index = request.adapter_index();
    use(index, request.id(), log);
    const auto& named = request.parameters().adapter_id();
    if (named.empty()) return;  // base model, or a merged one
    std::string label;
    for (const auto& [id, preloaded] : preloaded_) {
        if (preloaded == index) label = id;
    }
    if (index == 0) label = base_model;
    const auto there = resident_.find(index);
    if (there != resident_.end()) label = there->second.label;
    if (!label.empty() && label != named) {
        log.add(
            violation::adapter_mismatch,
            request_name(request.id()) + " wants '" + named + "', has " + at(label, index));
    }
}

void adapter_rules::use(std::uint32_t index, std::uint64_t request_id, violation_log& log) const {
    if (is_fixed(index) || resident_.contains(index)) return;
    log.add(
        violation::adapter_not_loaded,
        request_name(request_id) + " on index " + std::to_string(index));
}

std::uint64_t adapter_rules::epoch_of(std::uint32_t index) const {
    const auto there = resident_.find(index);
    // Fixed weights never change: numbers that no epoch takes.
    return there == resident_.end() ? ~std::uint64_t{index} : there->second.epoch;
}

}  // namespace truffula::shard_sim
