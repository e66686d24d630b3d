#include "api/openai/pieces.hpp"

#include "api/append_list.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace truffula::api::openai {
namespace {

template <class Alternatives>
auto first_of(const Alternatives& all, std::uint32_t most) {
    return std::span{all}.first(std::min<std::size_t>(all.size(), most));
}

// The likeliest tokens at a place as an object; the one taken is always among them.
void append_top(std::string& out, const scored_token& t, std::uint32_t most) {
    if (t.is_of_prompt || most == 0) {
        out += "null";
        return;
    }
    out += '{';
    bool has_taken = false;
    bool comma = false;
    const auto add = [&](std::string_view text, float logprob) {
        if (std::exchange(comma, true)) out += ',';
        append_string(out, text);
        out += ':';
        append_float(out, logprob);
    };
    for (const auto& other : first_of(t.others, most)) {
        has_taken = has_taken || other.text == t.text;
        add(other.text, other.logprob);
    }
    if (!has_taken) add(t.text, t.logprob);
    out += '}';
}

void append_scored(std::string& out, std::string_view text, float logprob) {
    out += "{\"token\":";
    append_string(out, text);
    out += ",\"logprob\":";
    append_float(out, logprob);
    out += ",\"bytes\":";
    append_list(out, text, [&](char c) { append_number(out, static_cast<unsigned char>(c)); });
}

}  // namespace

std::string unique_id(std::string_view prefix) {
    constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    constexpr std::size_t length = 24;
    thread_local std::mt19937_64 numbers = [] {
        std::random_device device;
        std::seed_seq seeds{device(), device(), device(), device()};
        return std::mt19937_64{seeds};
    }();
    std::uniform_int_distribution<std::size_t> one{0, letters.size() - 1};
    std::string id{prefix};
    for (std::size_t i = 0; i < length; ++i) id += letters[one(numbers)];
    return id;
}

std::string_view finish_name(inference::finish_reason reason) noexcept {
    return reason == inference::finish_reason::length ? "length" : "stop";
}

std::string_view lorax_finish_name(inference::finish_reason reason) noexcept {
    if (reason == inference::finish_reason::stop_sequence) return "content_filter";
    return finish_name(reason);
}

void append_usage(std::string& out, const token_usage& used) {
    out += "\"usage\":{\"prompt_tokens\":";
    append_number(out, used.prompt);
    out += ",\"total_tokens\":";
    append_number(out, used.prompt + used.completion);
    out += ",\"completion_tokens\":";
    append_number(out, used.completion);
    out += '}';
}

void append_facts(std::string& out, std::string_view object, const answer_facts& facts) {
    out += "\"id\":";
    append_string(out, facts.id);
    out += ",\"object\":";
    append_string(out, object);
    out += ",\"created\":";
    append_number(out, static_cast<std::uint64_t>(facts.created));
    out += ",\"model\":";
    append_string(out, facts.model);
}

std::string answer_head(std::string_view object, const answer_facts& facts) {
    std::string head{"{"};
    append_facts(head, object, facts);
    head += ",\"system_fingerprint\":";
    append_string(head, facts.fingerprint);
    return head += ",\"choices\":[";
}

void append_end(std::string& out, const token_usage& used) {
    out += "],";
    append_usage(out, used);
    out += '}';
}

void append_last_events(
    std::string& out, std::string_view event_head, const text_plan& plan, const token_usage& used) {
    if (plan.shows_usage) {
        out += event_head;
        append_end(out, used);
        out += "\n\n";
    }
    out += done_event;
}

void event_usage::begin(std::span<const std::uint32_t> lengths) {
    for (std::size_t i = 0; i < used_.size(); ++i) used_[i].prompt = lengths[i / plan_.n];
}

void event_usage::prefilled(std::size_t choice, std::uint32_t length) {
    if (length > 0) used_[choice].prompt = length;
}

void event_usage::append(std::string& out, std::size_t choice) const {
    if (!plan_.shows_usage) {
        out += "]}\n\n";
    } else if (!plan_.shows_each_usage) {
        out += "],\"usage\":null}\n\n";
    } else {
        append_end(out, used_[choice]);
        out += "\n\n";
    }
}

void append_finish(std::string& out, std::string_view finish) {
    out += ",\"finish_reason\":";
    if (finish.empty()) {
        out += "null}";
    } else {
        append_string(out, finish);
        out += '}';
    }
}

void append_completion_logprobs(
    std::string& out, std::span<const scored_token> tokens, std::uint32_t others) {
    out += "{\"text_offset\":";
    append_list(out, tokens, [&](const auto& t) { append_number(out, t.offset); });
    out += ",\"token_logprobs\":";
    append_list(out, tokens, [&](const auto& t) { append_float(out, t.logprob); });
    out += ",\"tokens\":";
    append_list(out, tokens, [&](const auto& t) { append_string(out, t.text); });
    out += ",\"top_logprobs\":";
    append_list(out, tokens, [&](const auto& t) { append_top(out, t, others); });
    out += '}';
}

void append_chat_logprobs(
    std::string& out, std::span<const scored_token> tokens, std::uint32_t others) {
    out += "{\"content\":";
    append_list(out, tokens, [&](const auto& t) {
        append_scored(out, t.text, t.logprob);
        out += ",\"top_logprobs\":";
        append_list(out, first_of(t.others, others), [&](const auto& other) {
            append_scored(out, other.text, other.logprob);
            out += '}';
        });
        out += '}';
    });
    out += ",\"refusal\":null}";
}

std::string_view whole_text(const text_plan& plan, const inference::generated_text& end) {
    const bool is_stopped = end.reason == inference::finish_reason::stop_sequence;
    if (!is_stopped || plan.keeps_stop) return end.text;
    return stop_trimmer::trim(end.text, plan.parameters.stop);
}

shown_text::shown_text(const text_plan& plan, std::size_t first_offset)
    : is_scored_(plan.logprobs.has_value()),
      trims_(!plan.keeps_stop),
      trimmer_(plan.keeps_stop ? std::vector<std::string>{} : plan.parameters.stop),
      first_offset_(first_offset),
      fed_(first_offset),
      shown_(first_offset) {}

void shown_text::add(const inference::token& t) {
    if (t.special) return;
    if (is_scored_) {
        waiting_.push_back({t.text, t.logprob, t.alternatives, fed_, false});
        fed_ += characters(t.text);
        const auto before = text.size();
        trimmer_.feed(t.text, text);
        shown_ += characters(std::string_view{text}.substr(before));
    } else {
        trimmer_.feed(t.text, text);
    }
}

void shown_text::finish(const inference::generated_text& end) {
    const auto before = text.size();
    is_cut_ = trims_ && end.reason == inference::finish_reason::stop_sequence;
    is_over_ = true;
    trimmer_.finish(is_cut_, text);
    if (is_scored_) shown_ += characters(std::string_view{text}.substr(before));
}

void shown_text::reset() {
    text.clear();
    waiting_.clear();
    trimmer_.reset();
    fed_ = shown_ = first_offset_;
    is_over_ = is_cut_ = false;
}

std::vector<scored_token> shown_text::scored() {
    // The last ones may have no text: they belong to what is shown unless that was cut off.
    const bool are_all_shown = is_over_ && !is_cut_;
    const auto is_held = [&](const scored_token& t) {
        return t.offset >= shown_ && !are_all_shown;
    };
    const auto end = std::find_if(waiting_.begin(), waiting_.end(), is_held);
    std::vector<scored_token> ready{
        std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end)};
    waiting_.erase(waiting_.begin(), end);
    return ready;
}

}  // namespace truffula::api::openai
