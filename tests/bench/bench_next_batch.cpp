// The scheduler's questions, without threads: the next batch, and the adapter calls that are due.
#include "bench/figures.hpp"
#include "truffula/scheduler/scheduler_state.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace truffula;
using clock_type = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t waiting = 100'000;
constexpr std::size_t batch_size = 32;
constexpr std::size_t calls = 3'000;
constexpr std::uint32_t input_tokens = 100;
constexpr std::uint32_t new_tokens = 100;

class silent_sink final : public scheduler::sink {
public:
    void fail(error why) override { throw std::runtime_error(why.detail); }
    bool abandoned() const noexcept override { return false; }
};

/// What is asked of: adapters, the slots for them, and tenants, who own them in turn.
struct size {
    std::size_t adapters;
    std::size_t slots;
    std::size_t tenants;  ///< 0: none is named, adapters have the shares
};

/// Waiting requests, spread over adapters; as many of these as have slots are ready.
class queue {
public:
    queue(size of, bool is_fair) : state_(settings(of, is_fair), limits()) {
        for (std::size_t i = 0; i < of.adapters; ++i) {
            auto ref = std::make_shared<adapter::adapter_ref>();
            ref->what.ids = {"adapter-" + std::to_string(i)};
            ref->from = adapter::source::local;
            if (of.tenants > 0) ref->tenant = "tenant-" + std::to_string(i % of.tenants);
            refs_.push_back(std::move(ref));
        }
        for (std::size_t i = 0; i < waiting; ++i) submit(i % of.adapters);
        load_adapters();
    }

    /// Microseconds of one `next_batch`; its requests end at once, and as many others come.
    /// \param spare prompt tokens that are left, too few for anybody
    double ask(std::uint32_t spare) {
        const auto started = clock_type::now();
        auto batch = state_.next_batch(
            {}, std::nullopt, batch_size * input_tokens + spare, 1'000'000'000, now_);
        const microseconds passed = clock_type::now() - started;
        if (batch.size() != batch_size) throw std::runtime_error("a batch of another size");
        end(batch);
        return passed.count();
    }

    /// Microseconds of one `due`, while the batches before it use their adapters.
    double ask_for_calls() {
        auto batch = state_.next_batch({}, {}, batch_size * input_tokens, 1'000'000'000, now_);
        end(batch);
        const auto started = clock_type::now();
        const auto due = state_.due(now_, 1);
        const microseconds passed = clock_type::now() - started;
        for (const auto& call : due) state_.finished(call.id, adapter::memory_share{0}, now_);
        return passed.count();
    }

private:
    static scheduler::scheduler_settings settings(size of, bool is_fair) {
        scheduler::scheduler_settings s;
        s.is_fair = is_fair;
        s.adapters.shares_slots = is_fair;
        s.adapters.max_active_adapters = of.slots;
        s.adapters.max_known_adapters = of.adapters;
        s.adapters.download_concurrency = of.adapters;
        s.adapters.load_concurrency = of.adapters;
        s.adapters.max_downloads_per_tenant = of.adapters;
        return s;
    }

    void end(const std::vector<scheduler::scheduled_entry>& batch) {
        now_ += std::chrono::milliseconds{10};
        for (const auto& e : batch)
            state_.ended(input_tokens, new_tokens, e.what.share, new_tokens);
        std::uniform_int_distribution<std::size_t> any{0, refs_.size() - 1};
        for (std::size_t i = 0; i < batch.size(); ++i) submit(any(random_));
    }
    static scheduler::shard_limits limits() {
        scheduler::shard_limits l;
        l.prefill_token_budget = 1'000'000;
        l.total_token_budget = 2'000'000'000;
        return l;
    }

    void submit(std::size_t adapter) {
        scheduler::entry e;
        e.id = next_id_++;
        e.what = what_;
        e.adapter = refs_[adapter];
        e.to = sink_;
        e.created = now_;
        state_.submit(std::move(e), now_);
    }

    void load_adapters() {
        for (;;) {
            const auto due = state_.due(now_, 1000);
            if (due.empty()) return;
            for (const auto& call : due) state_.finished(call.id, adapter::memory_share{0}, now_);
        }
    }

    static std::shared_ptr<const inference::request> make_request() {
        auto r = std::make_shared<inference::request>();
        r->input_length = input_tokens;
        r->stopping.max_new_tokens = new_tokens;
        return r;
    }

    scheduler::scheduler_state state_;
    std::vector<std::shared_ptr<const adapter::adapter_ref>> refs_;
    std::shared_ptr<const inference::request> what_ = make_request();
    std::shared_ptr<silent_sink> sink_ = std::make_shared<silent_sink>();
    scheduler::time_point now_{std::chrono::hours{1}};
    scheduler::request_id next_id_ = 0;
    std::mt19937 random_{1};
};

std::vector<double> ask_often(size of, bool is_fair, std::uint32_t spare) {
    queue q{of, is_fair};
    for (std::size_t i = 0; i < 200; ++i) q.ask(spare);
    std::vector<double> times;
    for (std::size_t i = 0; i < calls; ++i) times.push_back(q.ask(spare));
    return times;
}

/// Microseconds of a loop that touches no memory, each time about as long as `usual`: what exceeds
/// that is the host's.
std::vector<double> loop_often(double usual) {
    const auto loop = [](std::uint64_t turns) {
        const auto started = clock_type::now();
        volatile std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < turns; ++i) sum = sum + i;
        return microseconds{clock_type::now() - started}.count();
    };
    constexpr std::uint64_t trial = 1'000'000;
    const auto turns = static_cast<std::uint64_t>(usual * trial / loop(trial));
    std::vector<double> times;
    for (std::size_t i = 0; i < calls; ++i) times.push_back(loop(turns));
    return times;
}

void ask_scheduler(const std::string& policy) {
    constexpr std::array<std::size_t, 4> sizes{10, 100, 1'000, 10'000};
    double smallest = 0;
    double worst = 0;
    for (const auto adapters : sizes) {
        const size of{adapters, adapters, 0};
        const auto times = ask_often(of, policy == "fair", 0);
        const auto what = "next_batch of 32, " + policy + ", " + std::to_string(adapters);
        bench::report(what + " adapters", "us", times);
        if (adapters == sizes.front()) smallest = bench::median(times);
        worst = bench::median(times);
        if (adapters != sizes.back()) continue;
        const auto spared = ask_often(of, policy == "fair", input_tokens - 1);
        bench::report("  … with tokens left that fit nobody", "us", spared);
        const auto loops = loop_often(bench::median(times));
        bench::report("  … a loop of that length, for the host's part", "us", loops);
        const auto what_of = policy + ": p99, " + std::to_string(adapters) + " adapters";
        bench::judge(what_of, bench::quantile(times, 0.99), 50, "us");
        bench::judge(what_of + ", tokens left", bench::quantile(spared, 0.99), 50, "us");
    }
    const double growth = std::log(1e4) / std::log(1e1);
    bench::judge(policy + ": median, from 10 to 10000 adapters", worst / smallest, growth, "x");
}

void ask_for_calls(const std::string& policy, std::size_t tenants) {
    queue q{{10'000, 1'024, tenants}, policy == "fair"};
    for (std::size_t i = 0; i < 200; ++i) q.ask_for_calls();
    std::vector<double> times;
    for (std::size_t i = 0; i < calls; ++i) times.push_back(q.ask_for_calls());
    bench::report(
        "due, " + policy + ", 10000 adapters, 1024 slots, " + std::to_string(tenants) + " tenants",
        "us",
        times);
}

}  // namespace

int main() {
    try {
        ask_scheduler("fifo");
        ask_scheduler("fair");
        ask_for_calls("fifo", 0);
        for (const std::size_t tenants : {1UL, 10UL, 100UL, 1'000UL, 10'000UL})
            ask_for_calls("fair", tenants);
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
