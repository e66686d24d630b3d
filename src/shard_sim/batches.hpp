#pragma once

#include "shard_sim/options.hpp"
#include "shard_sim/sequence.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace truffula::shard_sim {

/// What one request got in a step.
struct step_note {
    std::uint64_t id = 0;
    std::uint32_t tokens = 0;
    std::uint32_t prompt_tokens = 0;    ///< Of its prompt, computed in this step.
    std::uint32_t computed_tokens = 0;  ///< Of its prompt, in memory after it.
    bool ended = false;                 ///< And the answer of this shard says so.
};

/// A step of all sequences of a batch.
struct step {
    std::uint64_t batch_id = 0;
    std::vector<wire::Generation> generations;  ///< Of this shard's part only.
    std::optional<wire::CachedBatch> batch;     ///< Nothing once all have ended.
    std::vector<step_note> notes;               ///< Of all requests.
};

/// The batches that a shard keeps between calls. Like a LoRAX shard, each shard of a group keeps
/// all of every batch and answers for its part; ended requests stay until they are filtered out.
class batches {
public:
    /// Gives the label of the adapter at an index.
    using label_lookup = std::function<std::string(const wire::Request&)>;

    explicit batches(const model_options& options) : options_(options) {}

    /// Prompt tokens of one step, as Warmup was told.
    void set_prefill_budget(std::uint32_t tokens) { prefill_budget_ = tokens; }

    /// Takes a batch in. `why` is set, and nothing returned or kept, if it has to fail.
    ///
    /// \param running joins this batch, under its id; it is gone if the call fails
    std::optional<step> prefill(
        const wire::Batch& batch,
        const std::optional<std::uint64_t>& running,
        const label_lookup& labels,
        bool withhold_end,
        std::string& why);

    /// Joins `ids` under the first and does a step. Fails on an unknown id.
    std::optional<step> decode(
        std::span<const std::uint64_t> ids, bool withhold_end, std::string& why);

    /// Keeps some requests of a batch. Fails on an unknown batch and if none is left.
    std::optional<wire::CachedBatch> filter(
        std::uint64_t id, std::span<const std::uint64_t> keep, std::string& why);

    void forget(std::uint64_t id) { batches_.erase(id); }
    void forget_all() { batches_.clear(); }

    std::size_t live_batches() const { return batches_.size(); }
    std::size_t live_requests() const;

private:
    using batch = std::vector<sequence>;
    bool is_mine(std::uint64_t id, std::size_t position) const;
    step run(std::uint64_t id, bool withhold_end);
    bool can_compute(const wire::Batch& batch, std::string& why) const;
    void plan_parts(batch& b) const;
    static wire::CachedBatch describe(std::uint64_t id, const batch& b);

    model_options options_;
    std::uint32_t prefill_budget_ = 0;
    std::map<std::uint64_t, batch> batches_;
};

}  // namespace truffula::shard_sim
