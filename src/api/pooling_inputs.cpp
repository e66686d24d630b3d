#include "api/pooling_inputs.hpp"

#include "truffula/api/validate.hpp"

#include <utility>

namespace truffula::api {
namespace {

error tokenizer_error(const error& e) {
    return {errc::validation, "tokenizer error " + e.detail};
}

/// Ids and, if it is to be classified, the places of its tokens.
result<> encode(const encoder& how, inference::task kind, pooling_input& input) {
    if (input.has_ids) {
        auto text = how.decode(input.ids);
        if (!text) return tokenizer_error(text.error());
        input.text = std::move(*text);
        return {};
    }
    if (kind == inference::task::classify) {
        auto tokens = how.spans(input.text, true);
        if (!tokens) return tokenizer_error(tokens.error());
        for (const auto& t : *tokens) input.ids.push_back(t.id);
        input.tokens = std::move(*tokens);
        return {};
    }
    auto ids = how.encode(input.text, true);
    if (!ids) return tokenizer_error(ids.error());
    input.ids = std::move(*ids);
    return {};
}

/// Rules 19–22 with one new token, as a generation of one token would be checked.
result<> check(const services& with, pooling_input& input) {
    generate_parameters asked;
    asked.max_new_tokens = 1;
    const auto length = with.encoder ? std::optional{input.ids.size()} : std::nullopt;
    const auto counts = check_lengths(asked, with.limits, length);
    if (!counts) return counts.error();
    input.length = counts->input;
    return {};
}

/// Encodes and checks inputs from `first` on, until a job is large enough; the next one's index.
result<std::size_t> prepare_some(pooling_call& call, std::size_t first, std::size_t most_bytes) {
    std::size_t bytes = 0;
    auto at = first;
    for (; at < call.inputs.size() && (at == first || bytes < most_bytes); ++at) {
        auto& input = call.inputs[at];
        bytes += input.text.size() + input.ids.size() * sizeof(std::uint32_t);
        auto fine = result<>{};
        if (call.with->encoder) fine = encode(*call.with->encoder, call.kind, input);
        if (fine) fine = check(*call.with, input);
        if (!fine) return at_input(fine.error(), at, call.inputs.size());
    }
    return at;
}

std::size_t size_of(const std::vector<pooling_input>& inputs) {
    std::size_t bytes = 0;
    for (const auto& i : inputs) bytes += i.text.size() + i.ids.size();
    return bytes;
}

}  // namespace

error at_input(const error& e, std::size_t at, std::size_t count) {
    if (count == 1) return e;
    return {e.code, e.detail + " (input " + std::to_string(at) + ", the first is 0)"};
}

boost::asio::awaitable<result<>> prepare_inputs(std::shared_ptr<pooling_call> call) {
    constexpr std::size_t job_bytes = 64U << 10U;
    const bool is_short = size_of(call->inputs) <= inline_encode_bytes;
    for (std::size_t at = 0; at < call->inputs.size();) {
        if (is_short || !call->with->encoder) {
            const auto next = prepare_some(*call, at, inline_encode_bytes + 1);
            if (!next) co_return next.error();
            at = *next;
            continue;
        }
        auto work = [call, at] { return prepare_some(*call, at, job_bytes); };
        const auto next = co_await call->with->workers->run(std::move(work));
        if (!next) co_return next.error();
        at = *next;
    }
    co_return result<>{};
}

}  // namespace truffula::api
