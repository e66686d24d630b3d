#pragma once

#include "shard/group_calls.hpp"
#include "truffula/shard/shard_group.hpp"
#include "truffula/shard/transport.hpp"

#include <memory>
#include <vector>

namespace truffula::shard {

/// A group over open connections, in rank order. It has not asked the shards anything yet.
class connected_group final : public shard_group {
public:
    connected_group(std::vector<std::unique_ptr<transport>> shards, duration call_timeout);

    std::size_t size() const override { return shards_.size(); }
    started_step start_prefill(const prefill_batch& batch) override;
    started_step start_decode(std::span<const cached_batch* const> batches) override;
    started<cached_batch> start_filter(
        std::uint64_t batch_id, std::span<const std::uint64_t> request_ids) override;
    started<std::vector<pooled_result>> start_embed(const prefill_batch& batch) override;
    started<std::vector<pooled_result>> start_classify(const prefill_batch& batch) override;
    awaitable_result<> clear_cache(std::optional<std::uint64_t> batch_id) override;
    awaitable_result<std::uint32_t> download_adapter(adapter_call call, duration timeout) override;
    awaitable_result<> load_adapter(adapter_call call, duration timeout) override;
    awaitable_result<> offload_adapter(adapter_call call, duration timeout) override;
    awaitable_result<> health() override;
    awaitable_result<> health_request(inference::task kind) override;
    std::optional<duration> last_step_gap() const override { return last_gap_; }
    void poll() override;

    /// What all shards agree on.
    awaitable_result<model_info> info();

    /// The smallest total that a shard supports, if one said so.
    awaitable_result<std::optional<std::uint32_t>> warm_up(warmup_limits limits, duration timeout);

private:
    calls send(std::string_view method, std::string_view request, duration timeout);
    awaitable_result<std::vector<std::string>> ask(
        std::string_view method, std::string request, duration timeout);
    started<std::vector<pooled_result>> start_pooled(
        std::string_view method, std::string_view request, pooled_reader read);
    started_step start_step(std::string_view method, std::string_view request);

    std::vector<std::unique_ptr<transport>> shards_;
    duration call_timeout_;
    std::uint32_t block_size_ = 1;
    arrival answered_ = std::make_shared<arrival::element_type>();
    std::optional<duration> last_gap_;
};

}  // namespace truffula::shard
