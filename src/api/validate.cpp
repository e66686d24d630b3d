#include "truffula/api/validate.hpp"

#include "api/adapter_rules.hpp"
#include "truffula/text/json_schema.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <utility>

namespace truffula::api {
namespace {

using std::to_string;

error refusal(std::string why) {
    return {errc::validation, std::move(why)};
}

error too_long(std::string why) {
    return {errc::too_long, std::move(why)};
}

bool samples(const generate_parameters& p) {
    return p.do_sample || p.temperature || p.top_k || p.top_p || p.typical_p;
}

bool is_penalty(const std::optional<float>& value) {
    return !value || (*value >= -2.0F && *value <= 2.0F);
}

// Rules 5–13, each about sampling.
const char* sampling_fault(const generate_parameters& p) {
    if (p.sequences() > 1 && !samples(p)) {
        return "you must use sampling when `best_of` is > 1";
    }
    if (p.temperature && *p.temperature < 0.0F) return "`temperature` must be non-negative";
    if (p.repetition_penalty && *p.repetition_penalty <= 0.0F) {
        return "`repetition_penalty` must be strictly positive";
    }
    if (!is_penalty(p.frequency_penalty)) {
        return "`frequency_penalty` must be >= -2.0 and <= 2.0";
    }
    if (!is_penalty(p.presence_penalty)) return "`presence_penalty` must be >= -2.0 and <= 2.0";
    if (p.top_p && (*p.top_p <= 0.0F || *p.top_p > 1.0F)) {
        return "`top_p` must be > 0.0 and < 1.0";
    }
    if (p.typical_p && (*p.typical_p <= 0.0F || *p.typical_p >= 1.0F)) {
        return "`typical_p` must be > 0.0 and < 1.0";
    }
    if (p.top_k && *p.top_k <= 0) return "`top_k` must be strictly positive";
    if (p.return_k_alternatives && *p.return_k_alternatives <= 0) {
        return "`return_k_alternatives` must be strictly positive";
    }
    return nullptr;
}

// Shards build an automaton of the schema: what is no schema, or a huge one, must not reach them.
result<> check_format(const generate_parameters& p) {
    if (!p.response_format || p.response_format->answer_schema.is_null()) return {};
    const auto& schema = p.response_format->answer_schema.text;
    if (schema == default_answer_schema || p.response_format->is_checked) return {};
    const auto good = text::check_schema(schema, "response_format.schema");
    if (!good) return good.error();
    return {};
}

std::uint32_t to_u32(std::uint64_t value) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::min(value, most));
}

// What is left of `total` after `used`.
std::uint64_t rest(std::uint64_t total, std::uint64_t used) {
    return total > used ? total - used : 0;
}

result<token_counts> check_unknown_length(const generate_parameters& asked, const limits& allowed) {
    const auto input = asked.truncate.value_or(allowed.max_input_length);
    const auto fresh = asked.max_new_tokens.value_or(to_u32(rest(allowed.max_total_tokens, input)));
    if (input + fresh > allowed.max_total_tokens) {  // 22
        return too_long(
            "`max_new_tokens` must be <= " +
            to_string(rest(allowed.max_total_tokens, allowed.max_input_length)) +
            ". Given: " + to_string(fresh));
    }
    return token_counts{to_u32(input), fresh};
}

}  // namespace

result<> check_endpoint(const generate_parameters& asked, const limits& allowed, bool is_streamed) {
    if (is_streamed) {
        if (asked.best_of && *asked.best_of != 1) {  // 0c
            return refusal("`best_of` != 1 is not supported when streaming tokens");
        }
        if (asked.decoder_input_details) {  // 0d
            return refusal(
                "`decoder_input_details` == true is not supported when streaming tokens");
        }
        return {};
    }
    const auto sequences = asked.sequences();
    if (sequences == 1) return {};
    if (allowed.max_best_of == 1) {  // 0a
        return refusal("`best_of` != 1 is not allowed for this endpoint");
    }
    if (sequences > allowed.max_best_of) {  // 0b
        return refusal(
            "`best_of` must be > 0 and <= " + to_string(allowed.max_best_of) +
            ". Given: " + to_string(sequences));
    }
    return {};
}

result<> check_parameters(const generate_body& body, const limits& allowed) {
    const auto& p = body.parameters;
    if (const auto adapter = check_adapter(p); !adapter) return adapter.error();  // 2–4
    if (const auto* fault = sampling_fault(p)) return refusal(fault);             // 5–13
    if (p.max_new_tokens && *p.max_new_tokens == 0) {                             // 14
        return refusal("`max_new_tokens` must be strictly positive");
    }
    if (p.stop.size() > allowed.max_stop_sequences) {  // 15
        return refusal(
            "`stop` supports up to " + to_string(allowed.max_stop_sequences) +
            " stop sequences. Given: " + to_string(p.stop.size()));
    }
    if (p.seed && p.sequences() > 1) {  // 16
        return refusal("`seed` must not be set when `best_of` > 1");
    }
    if (const auto fine = check_format(p); !fine) return fine.error();
    if (body.inputs.empty()) return refusal("`inputs` cannot be empty");               // 17
    if (p.truncate && (*p.truncate == 0 || *p.truncate > allowed.max_input_length)) {  // 18
        return refusal(
            "`truncate` must be strictly positive and less than " +
            to_string(allowed.max_input_length) + ". Given: " + to_string(*p.truncate));
    }
    return {};
}

result<token_counts> check_lengths(
    const generate_parameters& asked,
    const limits& allowed,
    std::optional<std::size_t> input_tokens) {
    if (!input_tokens) return check_unknown_length(asked, allowed);
    const std::uint64_t input = *input_tokens;
    if (asked.max_new_tokens && input + *asked.max_new_tokens > allowed.max_total_tokens) {  // 20
        return too_long(
            "`inputs` tokens + `max_new_tokens` must be <= " + to_string(allowed.max_total_tokens) +
            ". Given: " + to_string(input) + " `inputs` tokens and " +
            to_string(*asked.max_new_tokens) + " `max_new_tokens`");
    }
    if (input > allowed.max_input_length) {  // 21
        return too_long(
            "`inputs` must have less than " + to_string(allowed.max_input_length) +
            " tokens. Given: " + to_string(input));
    }
    const auto fresh = asked.max_new_tokens.value_or(to_u32(rest(allowed.max_total_tokens, input)));
    return token_counts{to_u32(input), fresh};
}

inference::request make_request(
    const generate_parameters& asked,
    const limits& allowed,
    token_counts counts,
    std::vector<std::uint32_t> ids,
    std::string_view inputs,
    bool is_streamed) {
    inference::request made;
    made.inputs = inputs;
    made.input_ids = std::move(ids);
    made.input_length = counts.input;
    made.truncate = to_u32(asked.truncate.value_or(allowed.max_input_length));
    auto& s = made.sampling;
    s.temperature = asked.temperature.value_or(1.0F);
    s.top_k = static_cast<std::uint32_t>(asked.top_k.value_or(0));
    s.top_p = asked.top_p.value_or(1.0F);
    s.typical_p = asked.typical_p.value_or(1.0F);
    s.do_sample = asked.do_sample;
    s.seed = asked.seed ? *asked.seed : random_seed();
    s.repetition_penalty = asked.repetition_penalty.value_or(1.0F);
    s.frequency_penalty = asked.frequency_penalty.value_or(0.0F);
    s.presence_penalty = asked.presence_penalty.value_or(0.0F);
    s.watermark = asked.watermark;
    if (asked.response_format && !asked.response_format->answer_schema.is_null()) {
        s.schema = asked.response_format->answer_schema.text;
    }
    s.return_k_alternatives = static_cast<std::uint32_t>(asked.return_k_alternatives.value_or(0));
    made.stopping = {counts.new_tokens, asked.stop, asked.ignore_eos_token};
    made.prefill_logprobs = asked.decoder_input_details;
    made.is_streamed = is_streamed;
    made.every_step = is_streamed || asked.wants_details() || asked.sequences() > 1;
    return made;
}

std::uint64_t random_seed() {
    thread_local std::mt19937_64 numbers = [] {
        std::random_device device;
        std::seed_seq seeds{device(), device(), device(), device()};
        return std::mt19937_64{seeds};
    }();
    return numbers();
}

}  // namespace truffula::api
