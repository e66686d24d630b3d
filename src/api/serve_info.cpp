#include "api/handlers.hpp"
#include "truffula/api/json_text.hpp"

#include <utility>

namespace truffula::api {
namespace {

namespace asio = boost::asio;

// Writes the members of one object in the order they are named.
class object_writer {
public:
    void text(std::string_view name, std::string_view value) {
        key(name);
        append_string(out_, value);
    }
    void text(std::string_view name, const std::optional<std::string>& value) {
        if (value) return text(name, std::string_view{*value});
        key(name);
        out_ += "null";
    }
    void number(std::string_view name, std::uint64_t value) {
        key(name);
        append_number(out_, value);
    }
    void real(std::string_view name, float value) {
        key(name);
        append_float(out_, value);
    }
    void flag(std::string_view name, bool value) {
        key(name);
        append_bool(out_, value);
    }
    std::string finish() && { return std::move(out_ += '}'); }

private:
    void key(std::string_view name) {
        if (out_.size() > 1) out_ += ',';
        append_string(out_, name);
        out_ += ':';
    }

    std::string out_{'{'};
};

std::string info_body(const services& with) {
    const auto& facts = with.facts;
    const auto& allowed = with.limits;
    const auto model = with.engine->model();
    object_writer info;
    info.text("model_id", std::string_view{facts.model_id});
    info.text("model_sha", facts.model_sha);
    info.text("model_dtype", std::string_view{model.dtype});
    info.text("model_device_type", std::string_view{model.device_type});
    info.text("model_pipeline_tag", facts.model_pipeline_tag);
    info.number("max_concurrent_requests", facts.max_concurrent_requests);
    info.number("max_best_of", allowed.max_best_of);
    info.number("max_stop_sequences", allowed.max_stop_sequences);
    info.number("max_input_length", allowed.max_input_length);
    info.number("max_total_tokens", allowed.max_total_tokens);
    info.real("waiting_served_ratio", facts.waiting_served_ratio);
    info.number("max_batch_total_tokens", with.engine->max_batch_total_tokens());
    info.number("max_waiting_tokens", facts.max_waiting_tokens);
    info.number("validation_workers", facts.validation_workers);
    info.flag("eager_prefill", facts.eager_prefill);
    info.text("version", std::string_view{facts.version});
    info.text("sha", facts.sha);
    info.text("docker_label", facts.docker_label);
    info.text("request_logger_url", facts.request_logger_url);
    return std::move(info).finish();
}

}  // namespace

asio::awaitable<http::response> serve_info(shared_services with, shared_request) {
    http::response answer;
    answer.content_type = "application/json";
    answer.body = info_body(*with);
    co_return answer;
}

}  // namespace truffula::api
