#pragma once

#include "truffula/api/native.hpp"
#include "truffula/api/read_json.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace truffula::api {

/// A body, or why it was not taken.
template <class Body>
struct body_outcome {
    std::optional<rejection> refused;
    Body body;
};

/// The refusal as a whole answer: plain text.
inline http::response rejection_response(rejection why) {
    http::response answer;
    answer.status = why.status;
    answer.content_type = "text/plain; charset=utf-8";
    answer.body = std::move(why.text);
    return answer;
}

template <class Body>
body_outcome<Body> read_body_now(const http::request& from, const object_schema& schema) {
    body_outcome<Body> outcome;
    outcome.refused = read_json(from.body, schema, &outcome.body);
    return outcome;
}

/// Reads a body where it is, or on a worker when it is long. `schema` must be static.
///
/// \errors only of the workers: `errc::cancelled`, `errc::stopped`.
template <class Body>
boost::asio::awaitable<result<body_outcome<Body>>> read_body(
    std::shared_ptr<const services> with,
    std::shared_ptr<const http::request> from,
    const object_schema& schema) {
    const auto type = from->header("content-type");
    if (!type || !is_json_content_type(*type)) {
        body_outcome<Body> outcome;
        outcome.refused = wrong_content_type();
        co_return outcome;
    }
    if (from->body.size() <= inline_parse_bytes) co_return read_body_now<Body>(*from, schema);
    const auto* fields = &schema;
    auto work = [from, fields]() -> result<body_outcome<Body>> {
        return read_body_now<Body>(*from, *fields);
    };
    co_return co_await with->workers->run(std::move(work));
}

}  // namespace truffula::api
