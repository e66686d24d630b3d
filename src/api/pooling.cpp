#include "api/pooling.hpp"

#include "api/adapter_rules.hpp"
#include "api/pooling_inputs.hpp"
#include "truffula/api/adapter_choice.hpp"
#include "truffula/api/answers.hpp"

#include <algorithm>
#include <deque>
#include <span>
#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;
using permits = std::vector<scheduler::permit>;
using shared_call = std::shared_ptr<pooling_call>;

/// Inputs of one request that are in the engine at a time: one request must not take all permits.
constexpr std::size_t most_at_once = 256;

/// At least one, at most one for each input.
result<permits> take_permits(const pooling_call& call) {
    permits taken;
    const auto most = std::min(call.inputs.size(), most_at_once);
    while (taken.size() < most) {
        auto one = call.with->admission->try_acquire();
        if (!one) break;
        taken.push_back(std::move(*one));
    }
    if (taken.empty()) return error{errc::overloaded, "Model is overloaded"};
    return taken;
}

result<adapter_choice> choose(const pooling_call& call) {
    const auto& with = *call.with;
    if (const auto fine = check_adapter(call.adapter); !fine) return fine.error();
    auto choice = choose_adapter(call.adapter, with.default_adapter_source, call.tenant);
    if (!with.allowed_adapters.empty()) {
        const auto fine = check_allowed(choice, with.allowed_adapters, with.engine->model());
        if (!fine) return fine.error();
    }
    if (!choice.is_source_known) {
        if (auto fine = check_source(choice, with.engine->model()); !fine) return fine.error();
    }
    return choice;
}

result<std::unique_ptr<inference::token_stream>> submit(
    const pooling_call& call,
    const adapter_choice& choice,
    pooling_input& input,
    scheduler::permit permit) {
    auto what = std::make_shared<inference::request>();
    what->kind = call.kind;
    what->inputs = input.text;
    what->input_ids = std::move(input.ids);
    what->input_length = input.length;
    what->stopping.max_new_tokens = 1;
    what->is_streamed = false;
    what->deadline = call.terms->deadline;
    return call.with->engine->submit(choice.ref, std::move(what), std::move(permit), call.thread);
}

asio::awaitable<result<pooling_output>> finish(inference::token_stream& stream) {
    for (;;) {
        auto step = co_await stream.next();
        if (!step) co_return step.error();
        if (!*step) co_return error{errc::incomplete_generation, "Incomplete generation"};
        if (!(*step)->pooled) continue;
        co_return pooling_output{(*step)->pooled, stream.times()};
    }
}

}  // namespace

std::shared_ptr<pooling_call> make_pooling_call(
    std::shared_ptr<const services> with, const http::request& from, inference::task kind) {
    auto call = std::make_shared<pooling_call>();
    call->kind = kind;
    call->thread = from.thread;
    call->terms = read_terms(from);
    if (const auto tenant = from.header("x-predibase-tenant")) call->tenant = *tenant;
    call->with = std::move(with);
    return call;
}

void name_adapter(embed_parameters&& from, generate_parameters& to) {
    to.adapter_id = std::move(from.adapter_id);
    to.adapter_source = std::move(from.adapter_source);
    to.merged_adapters = std::move(from.merged_adapters);
    to.api_token = std::move(from.api_token);
}

result<> check_task(const shard::model_info& model, inference::task kind) {
    switch (kind) {
        case inference::task::generate:
            if (model.supports_generation) return {};
            return error{errc::validation, "this model does not generate text"};
        case inference::task::embed:
            if (model.supports_embeddings) return {};
            return error{errc::validation, "this model does not compute embeddings"};
        case inference::task::classify:
            if (model.supports_classification) return {};
            return error{errc::validation, "this model does not classify tokens"};
    }
    return {};
}

asio::awaitable<result<std::vector<pooling_output>>> run_pooling(shared_call call) {
    const auto& with = *call->with;
    if (!call->terms) co_return call->terms.error();
    if (const auto fine = check_task(with.engine->model(), call->kind); !fine) {
        co_return fine.error();
    }
    if (!with.encoder && call->kind == inference::task::classify) {
        co_return error{
            errc::no_tokenizer, "Classification needs the model's tokenizer.json: there is none"};
    }
    if (!with.encoder && call->inputs.front().has_ids) {
        co_return error{
            errc::no_tokenizer, "Token ids need the model's tokenizer.json: there is none"};
    }
    const auto held = take_permits(*call);
    if (!held) co_return held.error();
    const auto choice = choose(*call);
    if (!choice) co_return choice.error();
    const auto prepared = co_await prepare_inputs(call);
    if (!prepared) co_return prepared.error();

    auto& inputs = call->inputs;
    std::vector<pooling_output> outputs;
    std::deque<std::unique_ptr<inference::token_stream>> running;
    for (std::size_t next = 0; outputs.size() < inputs.size();) {
        for (; next < inputs.size() && running.size() < held->size(); ++next) {
            auto right = (*held)[next % held->size()].share();
            auto stream = submit(*call, *choice, inputs[next], std::move(right));
            if (!stream) co_return stream.error();
            running.push_back(std::move(*stream));
        }
        auto output = co_await finish(*running.front());
        if (!output) co_return at_input(output.error(), outputs.size(), inputs.size());
        outputs.push_back(std::move(*output));
        running.pop_front();
    }
    co_return std::move(outputs);
}

pooling_summary summarize(
    const pooling_call& call,
    const std::vector<pooling_output>& outputs,
    std::chrono::steady_clock::time_point now) {
    pooling_summary how;
    how.classifies = call.kind == inference::task::classify;
    for (const auto& i : call.inputs) how.input_lengths.push_back(i.length);
    how.total = now - call.started;
    how.validation = outputs.front().times.created - call.started;
    for (const auto& o : outputs) {
        how.queue += o.times.batched - o.times.created;
        how.inference += o.times.first_token - o.times.batched;
    }
    const auto count = static_cast<pooling_summary::duration::rep>(outputs.size());
    how.queue /= count;
    how.inference /= count;
    return how;
}

pooling_watch::~pooling_watch() {
    if (!is_over_) to_->failed("dropped");
}

void pooling_watch::failed(const error& e) {
    if (!std::exchange(is_over_, true)) to_->failed(failure_kind(e));
}

void pooling_watch::succeeded(const pooling_summary& how) {
    if (!std::exchange(is_over_, true)) to_->succeeded(how);
}

http::response pooling_error(const services& with, pooling_watch& watch, const error& e) {
    watch.failed(e);
    auto answer = error_response(e);
    if (e.code == errc::overloaded && with.retry_after) {
        answer.headers.emplace_back("retry-after", std::to_string(with.retry_after().count()));
    }
    return answer;
}

}  // namespace truffula::api
