#include "truffula/error/error.hpp"

#include <boost/system/system_error.hpp>

namespace truffula {
namespace {

constexpr std::string_view failed = "Request failed during generation: ";
constexpr std::string_view shard_failed = "Request failed during generation: Server error: ";
constexpr std::string_view no_shard =
    "Request failed during generation: Could not connect to LoRAX server: ";
constexpr std::string_view template_failed = "Failed applying chat template to inputs: ";

class category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "truffula"; }

    std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
            case errc::overloaded: return "overloaded";
            case errc::validation: return "invalid request";
            case errc::too_long: return "too many tokens";
            case errc::unknown_model: return "unknown model";
            case errc::generation: return "generation failed";
            case errc::rpc_failed: return "shard answered an error";
            case errc::no_adapter: return "no such adapter";
            case errc::connection: return "no connection";
            case errc::deadline_exceeded: return "deadline exceeded";
            case errc::protocol: return "protocol broken";
            case errc::incomplete_generation: return "incomplete generation";
            case errc::embedding_failure: return "embedding failed";
            case errc::classification_failure: return "classification failed";
            case errc::timeout: return "timeout";
            case errc::no_tokenizer: return "no tokenizer";
            case errc::template_error: return "chat template failed";
            case errc::missing_template_variable: return "chat template variable missing";
            case errc::tool_error: return "tool error";
            case errc::unhealthy: return "unhealthy";
            case errc::empty_generation: return "empty generation";
            case errc::shutting_down: return "shutting down";
            case errc::cancelled: return "cancelled";
            case errc::stopped: return "stopped";
            case errc::invalid_config: return "invalid configuration";
            case errc::io: return "input/output error";
        }
        return "unknown error";
    }
};

}  // namespace

const boost::system::error_category& truffula_category() noexcept {
    static const category instance;
    return instance;
}

error_description describe(boost::system::error_code code) noexcept {
    if (code.category() != truffula_category()) return {424, "generation", failed};
    switch (static_cast<errc>(code.value())) {
        case errc::overloaded: return {429, "overloaded", ""};
        case errc::validation:
        case errc::too_long:
        case errc::unknown_model: return {422, "validation", "Input validation error: "};
        case errc::rpc_failed:
        case errc::no_adapter:
        case errc::deadline_exceeded:
        case errc::protocol: return {424, "generation", shard_failed};
        case errc::connection: return {424, "generation", no_shard};
        case errc::incomplete_generation: return {500, "incomplete_generation", ""};
        case errc::embedding_failure: return {500, "embedding_failure", ""};
        case errc::classification_failure: return {500, "classification_failure", ""};
        case errc::timeout: return {408, "timeout", ""};
        case errc::no_tokenizer: return {404, "no fast tokenizer", ""};
        case errc::template_error: return {422, "template_error", template_failed};
        case errc::missing_template_variable:
            // Misspelt by the LoRAX router, whose words clients may look for.
            return {422, "missing_template_variable", "Missing template vatiable: "};
        case errc::tool_error: return {422, "tool_error", "Tool error: "};
        case errc::unhealthy: return {503, "healthcheck", ""};
        case errc::empty_generation: return {500, "failed healthcheck", ""};
        case errc::shutting_down:
        case errc::stopped: return {503, "shutting_down", ""};
        case errc::generation:
        case errc::cancelled:
        case errc::invalid_config:
        case errc::io: return {424, "generation", failed};
    }
    return {424, "generation", failed};
}

std::string client_message(const error& e) {
    std::string text{describe(e.code).prefix};
    text += e.detail;
    return text;
}

void throw_exception_from_error(const error& e, const boost::source_location& loc) {
    boost::throw_exception(boost::system::system_error{e.code, e.detail}, loc);
}

}  // namespace truffula
