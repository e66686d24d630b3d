#include "truffula/api/answers.hpp"

#include "api/append_list.hpp"
#include "truffula/api/json_text.hpp"

#include <cmath>
#include <limits>
#include <utility>

namespace truffula::api {
namespace {

using inference::token;

// `id`, `text`, `logprob`: how all kinds of tokens begin.
void append_scored(std::string& out, std::uint32_t id, std::string_view text, float logprob) {
    out += "{\"id\":";
    append_number(out, id);
    out += ",\"text\":";
    append_string(out, text);
    out += ",\"logprob\":";
    append_float(out, logprob);
}

// Alternatives and prompt tokens have nothing beside these three.
template <class List>
void append_scored_list(std::string& out, const List& list) {
    append_list(out, list, [&](const auto& t) {
        append_scored(out, t.id, t.text, t.logprob);
        out += '}';
    });
}

void append_token(std::string& out, const token& t) {
    append_scored(out, t.id, t.text, t.logprob);
    out += t.special ? ",\"special\":true" : ",\"special\":false";
    if (!t.alternatives.empty()) {
        out += ",\"alternative_tokens\":";
        append_scored_list(out, t.alternatives);
    }
    out += t.skipped ? ",\"skipped\":true}" : ",\"skipped\":false}";
}

void append_seed(std::string& out, const std::optional<std::uint64_t>& seed) {
    out += ",\"seed\":";
    if (seed) {
        append_number(out, *seed);
    } else {
        out += "null";
    }
}

void append_field(std::string& out, std::string_view name, std::uint64_t value) {
    ((out += ",\"") += name) += "\":";
    append_number(out, value);
}

void append_reason(std::string& out, inference::finish_reason reason) {
    ((out += "\"finish_reason\":\"") += native_name(reason)) += '"';
}

// What details and the sequences that lost end with.
void append_tokens(std::string& out, const collected_answer& a) {
    append_seed(out, a.end.seed);
    out += ",\"prefill\":";
    append_scored_list(out, a.prefill);
    out += ",\"tokens\":";
    append_list(out, a.tokens, [&](const token& t) { append_token(out, t); });
}

// The text as a string literal, the prompt before it without a copy of both.
void append_text(std::string& out, std::string_view prefix, std::string_view text) {
    append_string(out, prefix);
    if (text.empty()) return;
    out.pop_back();
    const auto joint = out.size();
    append_string(out, text);
    out.erase(joint, 1);
}

void append_loser(std::string& out, const collected_answer& a, std::string_view prefix) {
    out += "{\"generated_text\":";
    append_text(out, prefix, a.end.text);
    out += ',';
    append_reason(out, a.end.reason);
    append_field(out, "generated_tokens", a.end.generated_tokens);
    append_tokens(out, a);
    out += '}';
}

void append_losers(
    std::string& out,
    std::span<const collected_answer> all,
    std::size_t best,
    std::string_view prefix) {
    out += ",\"best_of_sequences\":[";
    bool comma = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i == best) continue;
        if (std::exchange(comma, true)) out += ',';
        append_loser(out, all[i], prefix);
    }
    out += ']';
}

double mean_logprob(const collected_answer& a) {
    double sum = 0;
    for (const auto& t : a.tokens) sum += static_cast<double>(t.logprob);
    const auto mean = sum / static_cast<double>(a.tokens.size());
    return std::isnan(mean) ? -std::numeric_limits<double>::infinity() : mean;
}

}  // namespace

void append_error(std::string& out, const error& e) {
    out += "{\"error\":";
    append_string(out, client_message(e));
    out += ",\"error_type\":";
    append_string(out, describe(e.code).wire_name);
    out += '}';
}

http::response error_response(const error& e) {
    http::response answer;
    answer.status = describe(e.code).http_status;
    answer.content_type = "application/json";
    append_error(answer.body, e);
    answer.close = e.code == errc::shutting_down || e.code == errc::stopped;
    return answer;
}

std::string_view native_name(inference::finish_reason reason) noexcept {
    switch (reason) {
        case inference::finish_reason::length: return "length";
        case inference::finish_reason::eos_token: return "eos_token";
        case inference::finish_reason::stop_sequence: return "stop_sequence";
    }
    return "length";
}

void append_token_event(std::string& out, const token& t) {
    out += "data: {\"token\":";
    append_token(out, t);
    out += ",\"generated_text\":null,\"details\":null}\n\n";
}

void append_last_event(
    std::string& out,
    const token& t,
    const inference::generated_text& end,
    std::string_view text,
    std::optional<std::uint32_t> prompt_tokens) {
    out += "data: {\"token\":";
    append_token(out, t);
    out += ",\"generated_text\":";
    append_string(out, text);
    if (prompt_tokens) {
        out += ",\"details\":{";
        append_reason(out, end.reason);
        append_field(out, "prompt_tokens", *prompt_tokens);
        append_field(out, "generated_tokens", end.generated_tokens);
        append_seed(out, end.seed);
        out += "}}\n\n";
    } else {
        out += ",\"details\":null}\n\n";
    }
}

void append_error_event(std::string& out, const error& e) {
    out += "data: ";
    append_error(out, e);
    out += "\n\n";
}

void collected_answer::add(inference::step&& step) {
    if (step.restarted) {
        *this = {};
        return;
    }
    if (prefill_length == 0) prefill_length = step.prefill_length;
    const auto append = [](auto& all, auto&& more) {
        all.insert(
            all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    append(prefill, std::move(step.prefill_tokens));
    append(tokens, std::move(step.tokens));
    if (step.finished) end = std::move(*step.finished);
}

std::size_t best_sequence(std::span<const collected_answer> all) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < all.size(); ++i) {
        if (mean_logprob(all[i]) > mean_logprob(all[best])) best = i;
    }
    return best;
}

void append_generate_body(
    std::string& out,
    std::span<const collected_answer> all,
    std::size_t best,
    const answer_form& form) {
    const auto& won = all[best];
    out += "{\"generated_text\":";
    append_text(out, form.text_prefix, won.end.text);
    if (form.details) {
        out += ",\"details\":{";
        append_reason(out, won.end.reason);
        append_field(out, "prompt_tokens", form.prompt_tokens);
        append_field(out, "generated_tokens", won.end.generated_tokens);
        append_field(out, "skipped_tokens", won.end.skipped_tokens);
        append_tokens(out, won);
        if (all.size() > 1) append_losers(out, all, best, form.text_prefix);
        out += '}';
    }
    out += '}';
}

}  // namespace truffula::api
