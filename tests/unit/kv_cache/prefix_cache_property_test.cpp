#include "support/random_walk.hpp"
#include "truffula/kv_cache/block_allocator.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace truffula::kv_cache;
using truffula::test::action_of;
using truffula::test::expect;
using truffula::test::walk_step;

namespace {

using ids = std::vector<std::uint32_t>;

/// A request with all that the reference model knows of it.
struct live_request {
    ids prompt;
    prefix_scope scope;
    bool is_confirmed = false;
    block_allocation got;
    ids path = {};  // what it holds of the cache, own blocks or not
};

/// The cache as its rules say it, without any thought for speed: every prompt's beginning by its
/// whole tokens, with the block that holds it.
class reference_cache {
public:
    struct known {
        std::uint32_t block = 0;
        std::uint64_t last_use = 0;  // grows from a leaf towards its root
    };

    using key = std::pair<prefix_scope, ids>;

    explicit reference_cache(std::uint32_t block_size) : size_(block_size) {}

    ids find(const prefix_scope& scope, const ids& prompt) const {
        ids blocks;
        const auto most = (prompt.size() - 1) / size_;
        for (std::size_t n = 1; n <= most; ++n) {
            const auto found = all_.find({scope, first(prompt, n)});
            if (found == all_.end()) break;
            blocks.push_back(found->second.block);
        }
        return blocks;
    }

    void insert(const prefix_scope& scope, const ids& prompt, std::span<const std::uint32_t> own) {
        for (std::size_t n = 1; n <= prompt.size() / size_; ++n) {
            all_.try_emplace({scope, first(prompt, n)}, known{own[n - 1], 0});
        }
    }

    void use(const prefix_scope& scope, const ids& prompt) {
        for (auto n = prompt.size() / size_; n > 0; --n) {
            const auto found = all_.find({scope, first(prompt, n)});
            if (found != all_.end()) found->second.last_use = ++clock_;
        }
    }

    /// What is to go next: least recently used, in no hand, continued by nothing.
    std::optional<key> oldest(const std::set<std::uint32_t>& in_hand) const {
        std::optional<key> least;
        std::uint64_t when = UINT64_MAX;
        for (auto at = all_.begin(); at != all_.end(); ++at) {
            if (in_hand.contains(at->second.block) || at->second.last_use > when) continue;
            const auto next = std::next(at);  // in this order a continuation follows at once
            const bool is_continued =
                next != all_.end() && next->first.first == at->first.first &&
                next->first.second.size() > at->first.second.size() &&
                std::equal(
                    at->first.second.begin(), at->first.second.end(), next->first.second.begin());
            if (is_continued) continue;
            when = at->second.last_use;
            least = at->first;
        }
        return least;
    }

    void erase(const key& which) { all_.erase(which); }
    void forget(std::uint32_t adapter) {
        std::erase_if(all_, [&](const auto& e) { return e.first.first.adapter_index == adapter; });
    }
    std::set<std::uint32_t> blocks() const {
        std::set<std::uint32_t> out;
        for (const auto& [k, v] : all_) out.insert(v.block);
        return out;
    }

private:
    ids first(const ids& prompt, std::size_t blocks) const {
        return {prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(blocks * size_)};
    }

    std::uint32_t size_;
    std::uint64_t clock_ = 0;
    std::map<key, known> all_;
};

/// Random requests against allocator and reference side by side.
class cache_walk {
public:
    explicit cache_walk(std::uint64_t seed)
        : size_(size_of(seed)),
          reference_(size_),
          allocator_(
              {.token_budget = 61 * size_,
               .block_size = size_,
               .speculate = 1,
               .prefix_caching = true,
               .hash_seed = seed}) {}

    static std::string name(const walk_step& s) { return action_of(actions(), s).name; }

    void take(const walk_step& s) {
        random_.seed(s.a);  // all that the step chooses
        action_of(actions(), s).take(*this, s);
        check();
    }

    void finish() {
        while (!live_.empty()) end(live_.begin());
        check();
    }

private:
    using place = std::list<live_request>::iterator;

    static std::uint32_t size_of(std::uint64_t seed) {
        static constexpr std::uint32_t sizes[] = {1, 2, 5, 16};
        return sizes[seed % 4];
    }

    static std::span<const truffula::test::walk_action<cache_walk>> actions() {
        using walk = cache_walk;
        static constexpr truffula::test::walk_action<walk> all[] = {
            {"ask", 45, [](walk& w, const walk_step&) { w.ask(); }},
            {"confirm", 20, [](walk& w, const walk_step&) { w.for_one(&walk::confirm); }},
            {"end", 33, [](walk& w, const walk_step&) { w.for_one(&walk::end); }},
            {"forget", 2, [](walk& w, const walk_step&) { w.forget(); }},
        };
        return all;
    }

    void for_one(void (cache_walk::*what)(place)) {
        if (!live_.empty()) (this->*what)(pick());
    }

    void forget() {
        const auto adapter = below(3);
        allocator_.forget(adapter);
        reference_.forget(adapter);
        for (auto& r : live_) {  // what it computes is of no use to others
            if (r.scope.adapter_index == adapter) forgotten_.insert(&r);
        }
    }

    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

    ids make_prompt() {  // few different tokens: beginnings are often shared
        ids prompt(1 + below(9 * size_));
        std::uint32_t state = below(3);
        for (auto& id : prompt) {
            id = state;
            if (below(4 * size_) == 0) state = below(3);
        }
        return prompt;
    }

    place pick() {
        return std::next(live_.begin(), below(static_cast<std::uint32_t>(live_.size())));
    }

    std::set<std::uint32_t> held() const {
        std::set<std::uint32_t> out;
        for (const auto& r : live_) {
            out.insert(r.got.blocks().begin(), r.got.blocks().end());
            out.insert(r.path.begin(), r.path.end());
        }
        return out;
    }

    ids path_of(const live_request& r) const {
        auto longer = r.prompt;
        longer.push_back(0);
        return reference_.find(r.scope, longer);
    }

    void ask() {
        const auto prompt = make_prompt();
        const prefix_scope scope{below(3), below(2)};
        const auto output = 1 + below(3 * size_);
        const bool reads = below(8) != 0;
        block_request request;
        request.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
        request.new_tokens = output;
        request.ids = prompt;
        request.scope = scope;
        request.reads_cache = reads;
        const auto expected = reads ? reference_.find(scope, prompt) : ids{};
        auto in_hand = held();
        const auto before = allocator_.counts();
        // What was forgotten goes before anything else.
        auto of_use = reference_.blocks();
        of_use.insert(in_hand.begin(), in_hand.end());
        const auto at_hand = allocator_.usable() - of_use.size();
        auto got = allocator_.allocate(request);
        in_hand.insert(expected.begin(), expected.end());
        const auto fresh =
            allocator_.blocks_needed(request.prompt_tokens, output) - expected.size();
        expect(
            got.has_value() == (fresh + in_hand.size() <= allocator_.usable()),
            "refused though it fits, or given though it does not");
        if (!got) {
            expect(allocator_.counts().free == before.free, "a refusal took free blocks");
            expect(allocator_.counts().cached == before.cached, "a refusal flushed the cache");
            return;
        }
        expect(got->cached_tokens() == expected.size() * size_, "another match than the longest");
        expect(
            std::equal(expected.begin(), expected.end(), got->blocks().begin()),
            "other blocks than those that match");
        for (auto n = at_hand; n < fresh; ++n) {
            const auto gone = reference_.oldest(in_hand);
            expect(gone.has_value(), "a block that is held went");
            reference_.erase(*gone);
        }
        live_.push_back({prompt, scope, false, std::move(*got)});
    }

    void confirm(place r) {
        if (r->is_confirmed) return;
        r->got.confirm(r->prompt);
        r->is_confirmed = true;
        if (forgotten_.contains(&*r)) return;
        reference_.insert(r->scope, r->prompt, r->got.blocks());
        r->path = path_of(*r);
    }

    void end(place r) {
        const bool counts = !forgotten_.contains(&*r);
        // Unconfirmed: it used only what it had found.
        const auto used = r->is_confirmed
                              ? r->prompt
                              : ids{r->prompt.begin(), r->prompt.begin() + r->got.cached_tokens()};
        if (counts) reference_.use(r->scope, used);
        forgotten_.erase(&*r);
        live_.erase(r);
    }

    /// Each block is free, cached or held; none is written by two.
    void check() {
        const auto in_hand = held();
        auto idle = reference_.blocks();
        std::erase_if(idle, [&](std::uint32_t b) { return in_hand.contains(b); });
        const auto counts = allocator_.counts();
        expect(counts.used == in_hand.size(), "another number of blocks is held");
        // And what was forgotten, as long as it may stay.
        expect(counts.cached >= idle.size(), "cached blocks are missing");
        expect(
            counts.free + counts.cached + counts.used == allocator_.usable(),
            "blocks do not add up");
        expect(!in_hand.contains(0), "the block of health checks was given out");
        std::set<std::uint32_t> written;
        for (const auto& r : live_) {
            const auto cached = r.got.cached_tokens() / size_;
            expect(cached <= (r.prompt.size() - 1) / size_, "nothing is left to compute");
            for (const auto b : r.got.blocks().subspan(cached)) {
                expect(written.insert(b).second, "two requests write a block");
            }
        }
        for (const auto& r : live_) {
            const auto cached = r.got.cached_tokens() / size_;
            for (const auto b : r.got.blocks().first(cached)) {
                // Another may have computed it, but writes it no more.
                for (const auto& other : live_) {
                    const auto own = other.got.blocks();
                    const auto at = std::find(own.begin(), own.end(), b) - own.begin();
                    if (&other == &r || at == static_cast<std::ptrdiff_t>(own.size())) continue;
                    const auto whole = other.prompt.size() / size_;
                    expect(static_cast<std::size_t>(at) < whole, "a block of answers is shared");
                    const bool is_read =
                        other.is_confirmed ||
                        static_cast<std::size_t>(at) < other.got.cached_tokens() / size_;
                    expect(is_read, "a block is shared while it is written");
                }
            }
        }
    }

    std::uint32_t size_;
    std::minstd_rand random_;
    reference_cache reference_;
    block_allocator allocator_;
    std::list<live_request> live_;
    std::set<const live_request*> forgotten_;
};

}  // namespace

TEST_CASE("prefix cache: does what a plain list of all prompts would", "[kv_cache][property]") {
    truffula::test::random_walks<cache_walk>("prefix_cache", {.walks = 100, .steps = 600});
}
