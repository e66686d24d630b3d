#include "shard/group.hpp"

#include "shard/messages.hpp"
#include "shard/pooled_messages.hpp"
#include "shard/scan.hpp"

#include <algorithm>
#include <utility>

namespace truffula::shard {

connected_group::connected_group(
    std::vector<std::unique_ptr<transport>> shards, duration call_timeout)
    : shards_(std::move(shards)), call_timeout_(call_timeout) {}

calls connected_group::send(std::string_view method, std::string_view request, duration timeout) {
    calls pending;
    pending.reserve(shards_.size());
    for (auto& shard : shards_) pending.push_back(shard->start(method, request, timeout));
    return pending;
}

shard_group::awaitable_result<std::vector<std::string>> connected_group::ask(
    std::string_view method, std::string request, duration timeout) {
    auto pending = send(method, request, timeout);
    co_return co_await gather(pending);
}

shard_group::started_step connected_group::start_step(
    std::string_view method, std::string_view request) {
    return unite_step(send(method, request, call_timeout_), answered_);
}

void connected_group::poll() {
    for (auto& shard : shards_) shard->poll();
}

shard_group::started_step connected_group::start_prefill(const prefill_batch& batch) {
    answered_->reset();
    return start_step("Prefill", prefill_message(batch));
}

shard_group::started_step connected_group::start_decode(
    std::span<const cached_batch* const> batches) {
    auto sent = start_step("Decode", decode_request(batches));
    last_gap_.reset();
    if (*answered_) last_gap_ = std::chrono::steady_clock::now() - **answered_;
    answered_->reset();
    return sent;
}

shard_group::started<cached_batch> connected_group::start_filter(
    std::uint64_t batch_id, std::span<const std::uint64_t> request_ids) {
    return unite_filter(
        send("FilterBatch", filter_message(batch_id, request_ids), call_timeout_), answered_);
}

shard_group::started<std::vector<pooled_result>> connected_group::start_pooled(
    std::string_view method, std::string_view request, pooled_reader read) {
    answered_->reset();  // the next Decode follows this call, not the last answer
    return unite_pooled(send(method, request, call_timeout_), read);
}

shard_group::started<std::vector<pooled_result>> connected_group::start_embed(
    const prefill_batch& batch) {
    return start_pooled("Embed", embed_message(batch), read_embed_answer);
}

shard_group::started<std::vector<pooled_result>> connected_group::start_classify(
    const prefill_batch& batch) {
    return start_pooled("Classify", classify_message(batch), read_classify_answer);
}

shard_group::awaitable_result<> connected_group::clear_cache(
    std::optional<std::uint64_t> batch_id) {
    const auto answers = co_await ask("ClearCache", clear_cache_message(batch_id), call_timeout_);
    if (!answers) co_return answers.error();
    co_return result<>{};
}

shard_group::awaitable_result<std::uint32_t> connected_group::download_adapter(
    adapter_call what, duration timeout) {
    auto pending = shards_.front()->start("DownloadAdapter", download_message(what), timeout);
    const auto answer = co_await pending->get();
    if (!answer) co_return answer.error();
    const auto parsed = parse<wire::DownloadAdapterResponse>(*answer);
    if (!parsed) co_return parsed.error();
    co_return read_memory_share(parsed->memory_fraction());
}

shard_group::awaitable_result<> connected_group::load_adapter(adapter_call what, duration timeout) {
    const auto answers = co_await ask("LoadAdapter", load_message(what), timeout);
    if (!answers) co_return answers.error();
    co_return result<>{};
}

shard_group::awaitable_result<> connected_group::offload_adapter(
    adapter_call what, duration timeout) {
    const auto answers = co_await ask("OffloadAdapter", offload_message(what), timeout);
    if (!answers) co_return answers.error();
    co_return result<>{};
}

shard_group::awaitable_result<> connected_group::health() {
    const auto answers = co_await ask("Health", std::string{}, call_timeout_);
    if (!answers) co_return answers.error();
    co_return result<>{};
}

shard_group::awaitable_result<> connected_group::health_request(inference::task kind) {
    if (kind == inference::task::generate) {
        const auto answers =
            co_await ask("Prefill", health_message(block_size_, prefill_message), call_timeout_);
        if (!answers) co_return answers.error();
        co_return result<>{};
    }
    const bool embeds = kind == inference::task::embed;
    auto message = health_message(block_size_, embeds ? embed_message : classify_message);
    auto asked = start_pooled(
        embeds ? "Embed" : "Classify", message, embeds ? read_embed_answer : read_classify_answer);
    const auto answers = co_await asked->get();
    if (!answers) co_return answers.error();
    for (const auto& one : *answers) {
        if (!one.answer) co_return one.answer.error();
    }
    co_return result<>{};
}

shard_group::awaitable_result<model_info> connected_group::info() {
    const auto answers = co_await ask("Info", std::string{}, call_timeout_);
    if (!answers) co_return answers.error();
    const auto parsed = parse<wire::InfoResponse>(answers->back());
    if (!parsed) co_return parsed.error();
    auto info = read_info(*parsed);
    block_size_ = info.block_size;
    co_return info;
}

shard_group::awaitable_result<std::optional<std::uint32_t>> connected_group::warm_up(
    warmup_limits limits, duration timeout) {
    const auto answers = co_await ask("Warmup", warmup_message(limits), timeout);
    if (!answers) co_return answers.error();
    std::optional<std::uint32_t> smallest;
    for (const auto& bytes : *answers) {
        const auto parsed = parse<wire::WarmupResponse>(bytes);
        if (!parsed) co_return parsed.error();
        if (!parsed->has_max_supported_total_tokens()) continue;
        const auto tokens = parsed->max_supported_total_tokens();
        smallest = std::min(smallest.value_or(tokens), tokens);
    }
    co_return smallest;
}

}  // namespace truffula::shard
