#pragma once

#include "truffula/api/native.hpp"
#include "truffula/api/pooling_bodies.hpp"
#include "truffula/api/request_terms.hpp"
#include "truffula/inference/request.hpp"
#include "truffula/inference/step.hpp"
#include "truffula/text/tokenizer.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace truffula::api {

/// One text of a request that does not generate.
struct pooling_input {
    std::string text;
    std::vector<std::uint32_t> ids;        ///< Given by the client, or encoded.
    std::vector<text::token_span> tokens;  ///< When it is classified.
    std::uint32_t length = 0;              ///< Tokens that budgets count.
    bool has_ids = false;                  ///< The client gave ids: `text` comes from them.
};

/// A request to embed or classify on its way to the engine. \threads its HTTP thread.
struct pooling_call {
    std::shared_ptr<const services> with;
    inference::task kind = inference::task::embed;
    std::size_t thread = 0;             // of HTTP
    std::optional<std::string> tenant;  // as its header says
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
    result<request_terms> terms = request_terms{};  // or why its headers were not taken
    generate_parameters adapter;                    ///< Those that name an adapter.
    std::vector<pooling_input> inputs;
};

/// The answer to one input.
struct pooling_output {
    std::shared_ptr<const inference::pooled_answer> answer;
    inference::timeline times;  ///< `first_token`: answered.
};

std::shared_ptr<pooling_call> make_pooling_call(
    std::shared_ptr<const services> with, const http::request& from, inference::task kind);

/// Takes the adapter's name over.
void name_adapter(embed_parameters&& from, generate_parameters& to);

/// Encodes, checks and computes all inputs; answers in their order. They may be more than one
/// batch holds, and more than there are permits: those that do not fit follow those that do.
///
/// \errors those of `terms`; `errc::validation` also when the model does not serve the task;
/// `errc::overloaded`; `errc::timeout` when an input was in no batch by the deadline;
/// `errc::no_tokenizer` for ids or classification without one; those of the shards.
/// \cancellation terminal: what was not answered is cancelled.
boost::asio::awaitable<result<std::vector<pooling_output>>> run_pooling(
    std::shared_ptr<pooling_call> call);

/// Nothing if the model serves `kind`.
///
/// \errors `errc::validation`.
result<> check_task(const shard::model_info& model, inference::task kind);

/// Times of a request, over all its inputs.
pooling_summary summarize(
    const pooling_call& call,
    const std::vector<pooling_output>& outputs,
    std::chrono::steady_clock::time_point now);

/// Tells the observer of a request exactly once how it ended: one that is forgotten was dropped.
class pooling_watch {
public:
    explicit pooling_watch(std::shared_ptr<request_observer> to) : to_(std::move(to)) {}
    pooling_watch(const pooling_watch&) = delete;
    pooling_watch& operator=(const pooling_watch&) = delete;
    ~pooling_watch();

    void failed(const error& e);
    void succeeded(const pooling_summary& how);

private:
    std::shared_ptr<request_observer> to_;
    bool is_over_ = false;
};

/// The error as a whole answer in the native shape, told to `watch`.
http::response pooling_error(const services& with, pooling_watch& watch, const error& e);

}  // namespace truffula::api
