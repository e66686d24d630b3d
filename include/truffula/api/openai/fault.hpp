#pragma once

#include "truffula/api/read_json.hpp"
#include "truffula/error/error.hpp"
#include "truffula/http/message.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace truffula::api::openai {

/// An error as OpenAI's routes show it: `{"error":{"message","type","param","code"}}`.
struct fault {
    int status = 400;
    std::string message;
    std::string_view type = "invalid_request_error";
    std::string param{};      ///< The field at fault, as the client calls it; empty: null.
    std::string_view code{};  ///< Empty: null.
    bool close = false;       ///< Close the connection afterwards.
};

/// What the native rules call a parameter, and what clients of a route do.
struct renamed {
    std::string_view native;
    std::string_view here;
};

/// \param names of the parameters that messages speak of in backticks; the first of them becomes
/// `param`.
fault describe_fault(const error& e, std::span<const renamed> names = {});

/// A body that could not be read.
fault describe_fault(const rejection& why);

/// A field whose value is refused: status 400.
fault invalid_field(std::string param, std::string message);

void append_fault(std::string& out, const fault& f);

/// Appends the fault as an event, frame included.
void append_fault_event(std::string& out, const fault& f);

/// The fault as a whole answer.
http::response fault_response(const fault& f);

/// What the server itself refuses, for paths below `/v1/`; nothing for others.
std::optional<http::response> describe_refusal(
    std::string_view path, int status, std::string_view text);

}  // namespace truffula::api::openai
