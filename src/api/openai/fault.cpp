#include "truffula/api/openai/fault.hpp"

#include "truffula/api/json_text.hpp"

#include <algorithm>
#include <utility>

namespace truffula::api::openai {
namespace {

constexpr std::string_view invalid = "invalid_request_error";
constexpr std::string_view server = "server_error";

struct row {
    int status;
    std::string_view type;
    std::string_view code;
};

// OpenAI's statuses for our errors. Its libraries try 408, 409, 429 and 5xx again.
row describe_row(errc code) {
    switch (code) {
        case errc::validation: return {400, invalid, ""};
        case errc::too_long: return {400, invalid, "context_length_exceeded"};
        case errc::unknown_model:
        case errc::no_adapter: return {404, invalid, "model_not_found"};
        case errc::no_tokenizer: return {400, invalid, "no_tokenizer"};
        case errc::template_error: return {400, invalid, "template_error"};
        case errc::missing_template_variable: return {400, invalid, "missing_template_variable"};
        case errc::tool_error: return {400, invalid, "tool_error"};
        case errc::overloaded: return {429, "rate_limit_error", "rate_limit_exceeded"};
        case errc::timeout: return {408, server, "timeout"};
        case errc::unhealthy:
        case errc::connection: return {503, server, "unavailable"};
        case errc::shutting_down:
        case errc::stopped: return {503, server, "shutting_down"};
        case errc::generation:
        case errc::rpc_failed:
        case errc::deadline_exceeded:
        case errc::protocol:
        case errc::incomplete_generation:
        case errc::empty_generation:
        case errc::embedding_failure:
        case errc::classification_failure:
        case errc::cancelled:
        case errc::invalid_config:
        case errc::io: break;
    }
    return {500, server, ""};
}

// Gives the names in backticks as the client knows them; `first` is the first of them.
std::string rename(std::string_view text, std::span<const renamed> names, std::string& first) {
    std::string out;
    while (true) {
        const auto open = text.find('`');
        const auto close = open == text.npos ? text.npos : text.find('`', open + 1);
        if (close == text.npos) return out += text;
        auto name = text.substr(open + 1, close - open - 1);
        const auto same = [&](const renamed& n) { return n.native == name; };
        if (const auto at = std::find_if(names.begin(), names.end(), same); at != names.end()) {
            name = at->here;
        }
        if (first.empty()) first = name;
        ((out += text.substr(0, open)) += '`') += name;
        out += '`';
        text.remove_prefix(close + 1);
    }
}

void append_or_null(std::string& out, std::string_view text) {
    if (text.empty()) {
        out += "null";
    } else {
        append_string(out, text);
    }
}

}  // namespace

fault describe_fault(const error& e, std::span<const renamed> names) {
    const bool is_ours = e.code.category() == truffula_category();
    const auto code = is_ours ? static_cast<errc>(e.code.value()) : errc::generation;
    const auto found = describe_row(code);
    fault f{found.status, {}, found.type, {}, found.code};
    f.close = code == errc::shutting_down || code == errc::stopped;
    if (code == errc::validation || code == errc::too_long || code == errc::tool_error) {
        f.message = rename(e.detail, names, f.param);
    } else if (code == errc::unknown_model) {
        f.message = e.detail;
        f.param = "model";
    } else if (code == errc::no_adapter) {
        f.message = "The adapter cannot be used: " + e.detail;
        f.param = "model";
    } else {
        f.message = client_message(e);
    }
    return f;
}

fault describe_fault(const rejection& why) {
    fault f;
    f.status = why.status == 422 ? 400 : why.status;
    f.param = why.path;
    if (why.status == 400) {
        f.message = "The body of the request is not valid JSON: " + why.reason;
        f.code = "invalid_json";
    } else if (!why.missing.empty()) {
        if (!f.param.empty()) f.param += '.';
        f.param += why.missing;
        f.message = "`" + f.param + "` is missing";
        f.code = "missing_required_parameter";  // OpenAI's word
    } else if (why.path.empty()) {
        f.message = why.reason;
    } else {
        f.message = "`" + why.path + "`: " + why.reason;
        f.code = "invalid_type";
    }
    return f;
}

fault invalid_field(std::string param, std::string message) {
    fault f;
    f.param = std::move(param);
    f.message = std::move(message);
    return f;
}

void append_fault(std::string& out, const fault& f) {
    out += "{\"error\":{\"message\":";
    append_string(out, f.message);
    out += ",\"type\":";
    append_string(out, f.type);
    out += ",\"param\":";
    append_or_null(out, f.param);
    out += ",\"code\":";
    append_or_null(out, f.code);
    out += "}}";
}

void append_fault_event(std::string& out, const fault& f) {
    out += "data: ";
    append_fault(out, f);
    out += "\n\n";
}

http::response fault_response(const fault& f) {
    http::response answer;
    answer.status = f.status;
    answer.content_type = "application/json";
    answer.close = f.close;
    append_fault(answer.body, f);
    return answer;
}

std::optional<http::response> describe_refusal(
    std::string_view path, int status, std::string_view text) {
    if (!path.starts_with("/v1/")) return std::nullopt;
    fault f{status, std::string{text}};
    if (status == 404) {
        f.message = "There is no route `" + std::string{path} + "`";
        f.code = "unknown_url";
    } else if (status == 405) {
        f.message = "The route `" + std::string{path} + "` does not take this method";
        f.code = "method_not_supported";
    } else if (status >= 500) {
        f.type = server;
    }
    return fault_response(f);
}

}  // namespace truffula::api::openai
