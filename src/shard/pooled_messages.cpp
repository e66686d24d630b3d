#include "shard/pooled_messages.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace truffula::shard {
namespace {

template <class Message>
std::string batch_message(const prefill_batch& batch) {
    Message m;
    auto& to = *m.mutable_batch();
    to.set_id(batch.id);
    for (const auto& r : batch.requests) write_common(r, *to.add_requests());
    to.set_size(static_cast<std::uint32_t>(batch.requests.size()));
    to.set_max_tokens(batch.max_tokens);
    to.set_max_blocks(batch.max_blocks);
    return m.SerializeAsString();
}

template <class Numbers>
bool are_finite(const Numbers& numbers) {
    return std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); });
}

using answer = std::shared_ptr<const inference::pooled_answer>;

result<answer> read(const wire::Embedding& from) {
    if (from.values().empty()) {
        return error{errc::protocol, "the shard answered an embedding without numbers"};
    }
    if (!are_finite(from.values())) {
        return error{errc::protocol, "the shard answered an embedding that is not finite"};
    }
    auto to = std::make_shared<inference::pooled_answer>();
    to->embedding.assign(from.values().begin(), from.values().end());
    return answer{std::move(to)};
}

result<answer> read(const wire::ClassifyPredictionList& from) {
    if (from.predictions_size() != from.scores_size()) {
        return error{
            errc::protocol,
            "the shard answered " + std::to_string(from.predictions_size()) + " labels and " +
                std::to_string(from.scores_size()) + " scores"};
    }
    if (!are_finite(from.scores())) {
        return error{errc::protocol, "the shard answered a score that is not finite"};
    }
    auto to = std::make_shared<inference::pooled_answer>();
    to->labels.assign(from.predictions().begin(), from.predictions().end());
    to->label_scores.assign(from.scores().begin(), from.scores().end());
    return answer{std::move(to)};
}

template <class List>
std::vector<pooled_result> read_all(const List& from) {
    std::vector<pooled_result> to;
    to.reserve(static_cast<std::size_t>(from.size()));
    for (const auto& one : from) to.push_back({one.request_id(), read(one)});
    return to;
}

}  // namespace

std::string embed_message(const prefill_batch& batch) {
    return batch_message<wire::EmbedRequest>(batch);
}

std::string classify_message(const prefill_batch& batch) {
    return batch_message<wire::ClassifyRequest>(batch);
}

result<std::vector<pooled_result>> read_embed_answer(std::string_view bytes) {
    const auto m = parse<wire::EmbedResponse>(bytes);
    if (!m) return m.error();
    if (!m->errormsg().empty()) return error{errc::rpc_failed, m->errormsg()};
    return read_all(m->embeddings());
}

result<std::vector<pooled_result>> read_classify_answer(std::string_view bytes) {
    const auto m = parse<wire::ClassifyResponse>(bytes);
    if (!m) return m.error();
    if (!m->errormsg().empty()) return error{errc::rpc_failed, m->errormsg()};
    return read_all(m->classify_prediction_lists());
}

}  // namespace truffula::shard
