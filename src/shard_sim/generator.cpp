#include "shard_sim/generator.hpp"

#include "shard_sim/hash.hpp"

#include <array>
#include <limits>
#include <utility>

namespace truffula::shard_sim {
namespace {

constexpr std::size_t reply_piece = 3;  // bytes
constexpr std::uint32_t first_word = 100;
constexpr std::uint32_t label_ids = 20'000;  // ids of `@label` tokens start here

constexpr std::array<std::string_view, 32> words{
    " truffula", " tree",  " forest", " the",   " a",      " bright",  " tuft",  " silk",
    " butter",   " milk",  " grüße",  " naïve", " 森",     " 🌲",       " été",   " small",
    " seed",     " grows", " under",  " wind",  " and",    " slowly",  " speak", " for",
    " water",    " clean", " air",    " ώρα",   " unless", " someone", " cares", "."};

enum salt : std::uint64_t { pick = 1, end, guess, score, prompt_score };

float score_of(std::uint64_t hash) {
    return -static_cast<float>(hash % 1'000) / 1'000.0F;
}

}  // namespace

generator::generator(
    std::span<const std::uint32_t> prompt,
    std::string label,
    std::uint64_t seed,
    std::uint32_t eos_after,
    double eos_probability)
    : key_(mix(seed, label)),
      label_(label.empty() ? "base" : std::move(label)),
      eos_after_(eos_after),
      eos_probability_(eos_probability) {
    for (const auto id : prompt) key_ = mix(key_, id);
}

bool generator::ends_at(std::uint32_t n) const {
    if (!reply_.empty()) return n * reply_piece >= reply_.size();
    if (n == 0) return false;
    if (eos_after_ != 0 && n >= eos_after_) return true;
    const auto roll = static_cast<double>(mix(mix(key_, end), n) >> 11) * 0x1.0p-53;
    return roll < eos_probability_;
}

token generator::at(std::uint32_t n) const {
    token out;
    out.logprob = score_of(mix(mix(key_, score), n));
    if (!reply_.empty() && !ends_at(n)) {
        out.id = first_word + static_cast<std::uint32_t>(n % words.size());
        out.text = reply_.substr(n * reply_piece, reply_piece);
    } else if (n == 0) {
        out.id = label_ids + static_cast<std::uint32_t>(mix(0, label_) % 10'000);
        out.text = "@" + label_;
    } else if (ends_at(n)) {
        out.id = end_token;
        out.text = "</s>";
        out.special = true;
    } else {
        const auto word = mix(mix(key_, pick), n) % words.size();
        out.id = first_word + static_cast<std::uint32_t>(word);
        out.text = words[word];
    }
    return out;
}

std::vector<token> generator::alternatives(std::uint32_t n, std::uint32_t k) const {
    std::vector<token> out;
    const auto best = at(n);
    const auto start = mix(mix(key_, pick), n) % words.size();
    for (std::uint32_t i = 1; i <= k; ++i) {
        const auto word = (start + i) % words.size();
        token t;
        t.id = first_word + static_cast<std::uint32_t>(word);
        t.text = words[word];
        t.logprob = best.logprob - static_cast<float>(i);
        out.push_back(std::move(t));
    }
    return out;
}

std::uint32_t generator::accepted(std::uint32_t n, std::uint32_t speculate) const {
    return static_cast<std::uint32_t>(mix(mix(key_, guess), n) % (speculate + 1ULL));
}

std::string generator::prompt_text(std::uint32_t id) {
    return " p" + std::to_string(id);
}

float generator::prompt_logprob(std::uint32_t position) const {
    if (position == 0) return std::numeric_limits<float>::quiet_NaN();
    return score_of(mix(mix(key_, prompt_score), position));
}

}  // namespace truffula::shard_sim
