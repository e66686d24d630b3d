#include "shard/group.hpp"

#include "shard/messages.hpp"
#include "shard/pooled_messages.hpp"
#include "shard/scan.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace truffula::shard {
namespace {

using clock = std::chrono::steady_clock;
using calls = std::vector<std::unique_ptr<pending_call<std::string>>>;

/// Waits for all; the first error wins, but only once every shard has answered: a call must not
/// overtake another on one shard of the group.
boost::asio::awaitable<result<std::vector<std::string>>> gather(calls& pending) {
    std::vector<std::string> answers;
    std::optional<error> failure;
    for (auto& p : pending) {
        auto answer = co_await p->get();
        if (answer) {
            answers.push_back(std::move(*answer));
        } else if (!failure) {
            failure = answer.error();
        }
    }
    if (failure) co_return std::move(*failure);
    co_return std::move(answers);
}

error disagree(const char* what) {
    return {errc::protocol, std::string{"the shards of the group disagree on "} + what};
}

bool is_same(const cached_batch& one, const cached_batch& other) {
    return one.id == other.id && one.size == other.size && one.request_ids == other.request_ids;
}

/// Generations side by side, the last shard's batch; all must tell of the same batch.
result<step_answer> unite(std::vector<std::string> answers) {
    step_answer out;
    for (std::uint32_t i = 0; i < answers.size(); ++i) {
        out.buffers.push_back(std::make_shared<const std::string>(std::move(answers[i])));
        auto batch = scan_answer(*out.buffers.back(), i, out.spans);
        if (!batch) return batch.error();
        if (i > 0) {
            if (batch->has_value() != out.batch.has_value()) return disagree("the running batch");
            if (out.batch && !is_same(**batch, *out.batch)) return disagree("the running batch");
        }
        out.batch = std::move(*batch);
    }
    return out;
}

class filter_call final : public pending_call<cached_batch> {
public:
    filter_call(calls pending, std::shared_ptr<std::optional<clock::time_point>> answered)
        : pending_(std::move(pending)), answered_(std::move(answered)) {}

    boost::asio::awaitable<result<cached_batch>> get() override {
        auto answers = co_await gather(pending_);
        *answered_ = clock::now();
        if (!answers) co_return answers.error();
        std::optional<cached_batch> last;
        for (const auto& bytes : *answers) {
            auto read = read_filter_answer(bytes);
            if (!read) co_return read.error();
            if (last && !is_same(*last, *read)) co_return disagree("the filtered batch");
            last = std::move(*read);
        }
        co_return std::move(*last);
    }

private:
    /// FilterBatchResponse has the batch in field 1.
    static result<cached_batch> read_filter_answer(std::string_view bytes) {
        const auto parsed = parse<wire::FilterBatchResponse>(bytes);
        if (!parsed) return parsed.error();
        return scan_cached_batch(parsed->batch().SerializeAsString());
    }

    calls pending_;
    std::shared_ptr<std::optional<clock::time_point>> answered_;
};

/// Embed or Classify: every shard computes the whole batch, the first answer for an id counts.
class pooled_call final : public pending_call<std::vector<pooled_result>> {
public:
    pooled_call(calls pending, pooled_reader read) : pending_(std::move(pending)), read_(read) {}

    boost::asio::awaitable<result<std::vector<pooled_result>>> get() override {
        auto answers = co_await gather(pending_);
        if (!answers) co_return answers.error();
        std::vector<pooled_result> united;
        std::unordered_set<std::uint64_t> seen;
        for (const auto& bytes : *answers) {
            auto read = read_(bytes);
            if (!read) co_return read.error();
            for (auto& one : *read) {
                if (seen.insert(one.request_id).second) united.push_back(std::move(one));
            }
        }
        co_return std::move(united);
    }

private:
    calls pending_;
    pooled_reader read_;
};

}  // namespace

class step_call final : public pending_call<step_answer> {
public:
    step_call(calls pending, std::shared_ptr<std::optional<clock::time_point>> answered)
        : pending_(std::move(pending)), answered_(std::move(answered)) {}

    boost::asio::awaitable<result<step_answer>> get() override {
        auto answers = co_await gather(pending_);
        *answered_ = clock::now();
        if (!answers) co_return answers.error();
        co_return unite(std::move(*answers));
    }

private:
    calls pending_;
    std::shared_ptr<std::optional<clock::time_point>> answered_;
};

connected_group::connected_group(
    std::vector<std::unique_ptr<transport>> shards, duration call_timeout)
    : shards_(std::move(shards)), call_timeout_(call_timeout) {}

std::vector<connected_group::call> connected_group::send(
    std::string_view method, std::string_view request, duration timeout) {
    std::vector<call> pending;
    pending.reserve(shards_.size());
    for (auto& shard : shards_) pending.push_back(shard->start(method, request, timeout));
    return pending;
}

shard_group::awaitable_result<std::vector<std::string>> connected_group::ask(
    std::string_view method, std::string request, duration timeout) {
    auto pending = send(method, request, timeout);
    co_return co_await gather(pending);
}

shard_group::started<step_answer> connected_group::start_step(
    std::string_view method, std::string_view request) {
    return std::make_unique<step_call>(send(method, request, call_timeout_), answered_);
}

shard_group::started<step_answer> connected_group::start_prefill(const prefill_batch& batch) {
    answered_->reset();
    return start_step("Prefill", prefill_message(batch));
}

shard_group::started<step_answer> connected_group::start_decode(
    std::span<const cached_batch* const> batches) {
    auto started_step = start_step("Decode", decode_request(batches));
    if (*answered_) last_gap_ = clock::now() - **answered_;
    answered_->reset();
    return started_step;
}

shard_group::started<cached_batch> connected_group::start_filter(
    std::uint64_t batch_id, std::span<const std::uint64_t> request_ids) {
    auto pending = send("FilterBatch", filter_message(batch_id, request_ids), call_timeout_);
    return std::make_unique<filter_call>(std::move(pending), answered_);
}

shard_group::started<std::vector<pooled_result>> connected_group::start_pooled(
    std::string_view method, std::string_view request, pooled_reader read) {
    answered_->reset();  // the next Decode follows this call, not the last answer
    return std::make_unique<pooled_call>(send(method, request, call_timeout_), read);
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
