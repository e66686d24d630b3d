#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace truffula {

/// What can go wrong. `describe()` is the one table from these to HTTP (contract section 7).
enum class errc {
    overloaded = 1,          ///< No permit was free; the client may retry.
    validation,              ///< The request violates a documented limit.
    too_long,                ///< So does its length in tokens.
    unknown_model,           ///< The adapter asked for is none that may be used.
    generation,              ///< Generating failed; the detail says why in full.
    rpc_failed,              ///< A shard answered a call with an error status.
    no_adapter,              ///< So it did when asked to download or load the adapter.
    connection,              ///< A shard cannot be reached, or the connection broke.
    deadline_exceeded,       ///< A call was not answered in time.
    protocol,                ///< A peer broke the protocol.
    incomplete_generation,   ///< The source of tokens ended before the last token.
    embedding_failure,       ///< Nothing was given to embed.
    classification_failure,  ///< Nothing was given to classify.
    timeout,                 ///< The request waited longer than it may.
    no_tokenizer,            ///< The route needs a tokenizer; none is loaded.
    template_error,          ///< A chat template is missing or refused its input, in its own words.
    missing_template_variable,  ///< The chat template wants a variable; the detail names it.
    tool_error,                 ///< Tools of a request, or the call that a model wrote, are wrong.
    unhealthy,                  ///< Health was asked for, and the shards are not.
    empty_generation,           ///< The start-up probe generated no text.
    shutting_down,              ///< The router takes no new requests.
    cancelled,                  ///< The client went away, or the waiter was cancelled.
    stopped,                    ///< The actor no longer accepts commands.
    invalid_config,             ///< A setting is wrong; the detail names place and allowed values.
    io,                         ///< A file or socket of this machine failed.
};

/// How an error looks to a client. Unknown codes look like `errc::generation`.
struct error_description {
    int http_status;
    std::string_view wire_name;  ///< `error_type` of the body.
    std::string_view prefix;     ///< Put before the detail.
};

const boost::system::error_category& truffula_category() noexcept;
inline boost::system::error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), truffula_category()};
}

/// What went wrong (`code`, for programs) and where (`detail`, for people; may reach clients).
struct error {
    error() = default;  // boost::system::result wants it
    error(boost::system::error_code c, std::string d) : code(c), detail(std::move(d)) {}
    boost::system::error_code code;
    std::string detail;
};

/// The row of the table for `code`.
error_description describe(boost::system::error_code code) noexcept;

/// The sentence a client reads: prefix and detail.
std::string client_message(const error& e);

/// `T`, or why there is none. Never `T` together with an error.
template <class T = void>
using result = boost::system::result<T, error>;

// Called by `result::value()`: the one bridge from values to exceptions.
[[noreturn]] void throw_exception_from_error(const error& e, const boost::source_location& loc);

}  // namespace truffula

template <>
struct boost::system::is_error_code_enum<truffula::errc> : std::true_type {};
