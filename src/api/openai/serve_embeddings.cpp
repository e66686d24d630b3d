#include "api/openai/text_call.hpp"
#include "api/pooling.hpp"
#include "api/read_body.hpp"
#include "truffula/api/answers.hpp"
#include "truffula/api/openai/embeddings.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace truffula::api::openai {
namespace {

namespace asio = boost::asio;

constexpr std::array names{renamed{"inputs", "input"}, renamed{"adapters", "merged_adapters"}};

bool is_lorax(const services& with) {
    return with.compat == compat::lorax;
}

void name_adapter(embeddings_body& body, const services& with, generate_parameters& to) {
    api::name_adapter(std::move(body.parameters), to);
    if (is_lorax(with)) return;  // `model` and what is beside it have no effect there
    if (body.adapter_source) to.adapter_source = std::move(body.adapter_source);
    if (body.api_token) to.api_token = std::move(body.api_token);
    if (body.adapter_id) to.adapter_id = std::move(body.adapter_id);
    if (to.adapter_id || to.merged_adapters) return;
    to.adapter_id = adapter_of(body.model, with.facts.model_id);
}

http::response failed(const services& with, pooling_watch& watch, const error& e) {
    if (is_lorax(with)) return pooling_error(with, watch, e);
    watch.failed(e);
    auto answer = fault_response(describe_fault(e, names));
    if (e.code == errc::overloaded) {
        const auto seconds = with.retry_after ? with.retry_after().count() : 1;
        answer.headers.emplace_back("retry-after", std::to_string(seconds));
    }
    return answer;
}

http::response refused(const services& with, pooling_watch& watch, const fault& f) {
    const error invalid{errc::validation, f.message};
    if (is_lorax(with)) return pooling_error(with, watch, invalid);
    watch.failed(invalid);
    return fault_response(f);
}

/// All vectors of a model have one size; `dimensions` may only say which.
std::optional<fault> check_size(const vectors& all, std::optional<std::int32_t> dimensions) {
    if (!dimensions || all.front().size() == static_cast<std::size_t>(*dimensions)) {
        return std::nullopt;
    }
    return invalid_field(
        "dimensions",
        "`dimensions` must be " + std::to_string(all.front().size()) +
            ", the size of this model's embeddings, or left out");
}

asio::awaitable<http::response> compute(
    std::shared_ptr<pooling_call> call, embeddings_body body, std::vector<embedding_input> inputs) {
    const auto& with = *call->with;
    pooling_watch watch{with.observer};
    const auto served = check_task(with.engine->model(), call->kind);
    if (!served) co_return failed(with, watch, served.error());
    if (inputs.empty()) {
        co_return failed(with, watch, {errc::embedding_failure, "Embedding Failure"});
    }
    for (auto& i : inputs) {
        call->inputs.emplace_back();
        auto& to = call->inputs.back();
        to.has_ids = i.ids.has_value();
        to.text = std::move(i.text);
        if (i.ids) to.ids = std::move(*i.ids);
    }
    name_adapter(body, with, call->adapter);
    const auto outputs = co_await run_pooling(call);
    if (!outputs) co_return failed(with, watch, outputs.error());
    vectors all;
    for (const auto& o : *outputs) all.push_back(o.answer->embedding);
    const auto has_other_size = [&](const auto& v) { return v.size() != all.front().size(); };
    if (std::any_of(all.begin(), all.end(), has_other_size)) {
        const error unequal{errc::protocol, "the shards answered embeddings of unequal size"};
        co_return failed(with, watch, unequal);
    }
    if (!is_lorax(with)) {
        if (const auto f = check_size(all, body.dimensions)) co_return refused(with, watch, *f);
    }
    const auto how = summarize(*call, *outputs, std::chrono::steady_clock::now());
    http::response answer;
    answer.content_type = "application/json";
    if (is_lorax(with)) {
        append_lorax_embeddings(answer.body, all);
    } else {
        std::uint64_t tokens = 0;
        for (const auto length : how.input_lengths) tokens += length;
        append_embeddings(answer.body, all, body.encoding_format == "base64", body.model, tokens);
    }
    watch.succeeded(how);
    co_return answer;
}

}  // namespace

asio::awaitable<http::response> serve_embeddings(shared_services with, shared_request from) {
    if (with->is_shutting_down()) co_return shutting_down(*with);
    auto read = co_await read_body<embeddings_body>(with, from, embeddings_body::schema());
    if (!read) {
        if (is_lorax(*with)) co_return error_response(read.error());
        co_return fault_response(describe_fault(read.error()));
    }
    if (read->refused) co_return refusal(*with, std::move(*read->refused));
    auto body = std::move(read->body);
    std::vector<embedding_input> inputs;
    auto wrong = read_inputs(std::move(body.input), !is_lorax(*with), inputs);
    if (wrong && is_lorax(*with)) {
        co_return rejection_response(
            wrong_field("input", "expected a string or an array of strings"));
    }
    with->observer->counted();
    if (!wrong && !is_lorax(*with)) wrong = check_fields(body);
    if (wrong) {
        pooling_watch watch{with->observer};
        co_return refused(*with, watch, *wrong);
    }
    auto call = make_pooling_call(with, *from, inference::task::embed);
    co_return co_await compute(std::move(call), std::move(body), std::move(inputs));
}

}  // namespace truffula::api::openai
