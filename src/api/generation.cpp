#include "api/generation.hpp"

#include "api/after_prompt.hpp"
#include "api/fetch_images.hpp"
#include "api/pooling.hpp"
#include "truffula/api/adapter_choice.hpp"
#include "truffula/api/validate.hpp"
#include "truffula/api/vision.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;
using permits = std::vector<scheduler::permit>;
using maybe_encoded = std::optional<encoded_prompt>;

result<permits> admit(const generation_call& call) {
    const auto& asked = call.body.parameters;
    const auto& with = *call.with;
    const bool bound_by_stream = call.is_streamed && !call.streams_all;
    if (const auto fine = check_endpoint(asked, with.limits, bound_by_stream); !fine) {
        return fine.error();
    }
    permits taken;
    for (std::uint64_t i = 0; i < asked.sequences(); ++i) {
        auto one = with.admission->try_acquire();
        if (!one) return error{errc::overloaded, "Model is overloaded"};
        taken.push_back(std::move(*one));
    }
    return taken;
}

// A prompt with images: what stands for them is counted, too, and must not be cut.
result<maybe_encoded> encode_images(const generation_call& call, image_prompt images) {
    const auto& body = call.body;
    constexpr bool cuts_text = false;
    auto prompt = encode_prompt(
        *call.with->encoder, images.query, body.adds_special, std::nullopt, cuts_text);
    if (!prompt) return prompt.error();
    const auto most = body.parameters.truncate;
    if (most && prompt->ids.size() > *most) {
        return error{
            errc::validation,
            "`truncate` cannot cut a prompt with images: it has " +
                std::to_string(prompt->ids.size()) + " tokens"};
    }
    prompt->chunks = std::move(images.chunks);
    return maybe_encoded{std::move(*prompt)};
}

// Contract section 6 has their words, which do not say where the image is.
error image_error(const error& e) {
    return {e.code, e.code == errc::validation ? e.detail + " (in `inputs`)" : e.detail};
}

result<maybe_encoded> encode_now(
    const generation_call& call, const fetched_images& fetched, bool cuts_text) {
    const auto& body = call.body;
    if (call.with->vision) {
        auto images = call.with->vision->split(body.inputs, fetched);
        if (!images) return image_error(images.error());
        if (*images) return encode_images(call, std::move(**images));
    }
    auto prompt = encode_prompt(
        *call.with->encoder, body.inputs, body.adds_special, body.parameters.truncate, cuts_text);
    if (!prompt) return prompt.error();
    return maybe_encoded{std::move(*prompt)};
}

// Ids that the client gave; a shard that pads encodes their text instead.
maybe_encoded given_ids(const generate_body& body) {
    encoded_prompt prompt{*body.ids, 0};
    const auto most = body.parameters.truncate.value_or(prompt.ids.size());
    if (prompt.ids.size() > most) {
        prompt.ids.erase(prompt.ids.begin(), prompt.ids.end() - static_cast<std::ptrdiff_t>(most));
    }
    return prompt;
}

// Nothing without a tokenizer.
asio::awaitable<result<maybe_encoded>> encode(std::shared_ptr<const generation_call> call) {
    const auto& with = *call->with;
    if (!with.encoder) co_return maybe_encoded{};
    if (call->body.ids) co_return given_ids(call->body);
    fetched_images images;
    if (with.vision && with.remote_images) {
        auto got = co_await fetch_images(call->with, call->body.inputs);
        if (!got) co_return image_error(got.error());
        images = std::move(*got);
    }
    const bool cuts_text = call->body.parameters.truncate && with.engine->model().requires_padding;
    if (call->body.inputs.size() <= inline_encode_bytes && images.empty()) {
        co_return encode_now(*call, images, cuts_text);
    }
    auto work = [call, fetched = std::move(images), cuts_text] {
        return encode_now(*call, fetched, cuts_text);
    };
    co_return co_await with.workers->run(std::move(work));
}

std::shared_ptr<const inference::request> with_seed(
    const inference::request& what, std::uint64_t seed) {
    auto other = std::make_shared<inference::request>(what);
    other->sampling.seed = seed;
    return other;
}

/// A request that may go to the engine, and the permits of its sequences.
struct checked_request {
    std::shared_ptr<const inference::request> what;
    adapter_choice choice;
    permits taken;
};

result<checked_request> check(const generation_call& call, maybe_encoded prompt, permits taken) {
    const auto& asked = call.body.parameters;
    const auto& with = *call.with;
    const auto length = prompt ? std::optional{prompt->ids.size()} : std::nullopt;
    const auto counts = check_lengths(asked, with.limits, length);
    if (!counts) return counts.error();
    call.observer->validated(counts->input, counts->new_tokens);
    auto choice = choose_adapter(asked, with.default_adapter_source, call.tenant);
    if (!with.allowed_adapters.empty()) {
        auto fine = check_allowed(choice, with.allowed_adapters, with.engine->model());
        if (!fine) return fine.error();
    }
    if (!choice.is_source_known) {
        if (auto fine = check_source(choice, with.engine->model()); !fine) return fine.error();
    }
    auto inputs = std::string_view{call.body.inputs};
    if (prompt) inputs.remove_prefix(std::min(prompt->skipped_bytes, inputs.size()));
    auto ids = prompt ? std::move(prompt->ids) : std::vector<std::uint32_t>{};
    auto first =
        make_request(asked, with.limits, *counts, std::move(ids), inputs, call.is_streamed);
    first.deadline = call.terms->deadline;
    first.priority = call.terms->priority;
    if (prompt) first.chunks = std::move(prompt->chunks);
    auto made = std::make_shared<const inference::request>(std::move(first));
    if (call.first_seed) made = with_seed(*made, *call.first_seed);
    return checked_request{std::move(made), std::move(choice), std::move(taken)};
}

/// Hands over the next of the sequences: the first as it is, each other one the same again with a
/// seed of its own.
result<stream_ptr> submit_next(
    const generation_call& call, checked_request& checked, std::size_t sequence) {
    auto& what = checked.what;
    if (sequence > 0) {
        const auto seed = call.first_seed ? what->sampling.seed + 1 : random_seed();
        what = with_seed(*what, seed);
    }
    auto& permit = checked.taken[sequence];
    return call.with->engine->submit(checked.choice.ref, what, std::move(permit), call.thread);
}

/// With a prefix cache the prompt of several sequences is computed once: the others come when the
/// first has brought it there, else they would all compute it side by side.
bool computes_once(const generation_call& call, const checked_request& checked) {
    const auto& what = *checked.what;
    return call.with->has_prefix_cache && checked.taken.size() > 1 && !what.prefill_logprobs &&
           !what.input_ids.empty() && what.chunks.empty();
}

asio::awaitable<result<running_generation>> hand_over(
    std::shared_ptr<const generation_call> call, std::shared_ptr<checked_request> checked) {
    running_generation running;
    running.input_length = checked->what->input_length;
    const auto waits = computes_once(*call, *checked);
    for (std::size_t i = 0; i < checked->taken.size(); ++i) {
        auto stream = submit_next(*call, *checked, i);
        if (!stream) co_return stream.error();
        if (i == 0 && waits) {
            auto computed = co_await after_prompt(std::move(*stream));
            if (!computed) co_return computed.error();
            *stream = std::move(*computed);
        }
        running.sequences.push_back(std::move(*stream));
    }
    co_return std::move(running);
}

}  // namespace

asio::awaitable<result<running_generation>> begin_generation(
    std::shared_ptr<const generation_call> call) {
    if (!call->terms) co_return call->terms.error();
    const auto served = check_task(call->with->engine->model(), inference::task::generate);
    if (!served) co_return served.error();
    auto taken = admit(*call);
    if (!taken) co_return taken.error();
    if (const auto fine = check_parameters(call->body, call->with->limits); !fine) {
        co_return fine.error();
    }
    auto prompt = co_await encode(call);
    if (!prompt) co_return prompt.error();
    auto checked = check(*call, std::move(*prompt), std::move(*taken));
    if (!checked) co_return checked.error();
    auto ready = std::make_shared<checked_request>(std::move(*checked));
    co_return co_await hand_over(call, ready);
}

void log_answer(
    const generation_call& call,
    std::uint32_t prompt_tokens,
    const inference::generated_text& end) {
    const auto& with = *call.with;
    if (!with.log_request) return;
    telemetry::logged_request what;
    what.tokens = std::uint64_t{prompt_tokens} + end.generated_tokens;
    what.adapter_id = adapter_header(call.body.parameters);
    what.input = call.body.inputs;
    if (call.is_streamed) what.output = call.text_prefix();
    what.output += end.text;
    if (with.logs_api_tokens) what.api_token = call.body.parameters.api_token.value_or("");
    what.model_id = with.facts.model_id;
    with.log_request(what);
}

std::string_view failure_kind(const error& e) noexcept {
    if (e.code == errc::overloaded) return "overloaded";
    if (e.code == errc::validation || e.code == errc::too_long || e.code == errc::unknown_model ||
        e.code == errc::tool_error) {
        return "validation";
    }
    if (e.code == errc::template_error || e.code == errc::missing_template_variable) {
        return "template";
    }
    if (e.code == errc::incomplete_generation) return "incomplete";
    if (e.code == errc::embedding_failure) return "embedding_failure";
    if (e.code == errc::classification_failure) return "classification_failure";
    if (e.code == errc::cancelled) return "dropped";
    if (e.code == errc::timeout) return "timeout";
    return "generation";
}

request_watch::~request_watch() {
    if (!is_over_) call_->observer->failed("dropped");
}

void request_watch::failed(const error& e) {
    if (!std::exchange(is_over_, true)) call_->observer->failed(failure_kind(e));
}

void request_watch::succeeded(
    const inference::timeline& times,
    const inference::generated_text& end,
    std::chrono::steady_clock::time_point now) {
    if (std::exchange(is_over_, true)) return;
    request_summary how;
    how.total = now - call_->started;
    how.validation = times.created - call_->started;
    how.queue = times.batched - times.created;
    how.inference = now - times.batched;
    how.per_token = how.inference / std::max(end.generated_tokens, 1U);
    how.to_first_token = times.first_token - call_->started;
    how.generated_tokens = end.generated_tokens;
    how.skipped_tokens = end.skipped_tokens;
    call_->observer->succeeded(how);
}

}  // namespace truffula::api
