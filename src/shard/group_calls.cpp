// Calls to all shards of a group, and how their answers become one.
#include "shard/group_calls.hpp"

#include "shard/messages.hpp"
#include "shard/open_call.hpp"
#include "shard/scan.hpp"

#include <unordered_set>
#include <utility>

namespace truffula::shard {
namespace {

using clock = std::chrono::steady_clock;

error disagree(const char* what) {
    return {errc::protocol, std::string{"the shards of the group disagree on "} + what};
}

bool is_same(const cached_batch& one, const cached_batch& other) {
    return one.id == other.id && one.size == other.size && one.request_ids == other.request_ids;
}

/// The first error wins, in the order of the shards.
result<std::vector<std::string>> all_of(std::vector<result<std::string>> answers) {
    std::vector<std::string> all;
    for (auto& a : answers) {
        if (!a) return a.error();
        all.push_back(std::move(*a));
    }
    return all;
}

/// Generations side by side, the last shard's batch; all must tell of the same batch.
result<step_answer> unite(std::vector<std::string> answers) {
    step_answer out;
    for (std::uint32_t i = 0; i < answers.size(); ++i) {
        out.buffers.push_back(std::make_shared<const std::string>(std::move(answers[i])));
        auto batch = scan_answer(*out.buffers.back(), i, out.spans);
        if (!batch) return batch.error();
        if (i > 0) {
            if (batch->has_value() != out.batch.has_value()) return disagree("the running batch");
            if (out.batch && !is_same(**batch, *out.batch)) return disagree("the running batch");
        }
        out.batch = std::move(*batch);
    }
    return out;
}

/// The shards stand still from the last of their answers to the next call. So the answers are
/// united where they arrive, and not in a coroutine that waits for each.
class step_call final : public direct_call<step_answer> {
public:
    step_call(calls pending, arrival answered)
        : pending_(std::move(pending)),
          answers_(pending_.size(), result<std::string>{std::string{}}),
          missing_(pending_.size()),
          answered_(std::move(answered)) {
        for (std::size_t i = 0; i < pending_.size(); ++i) {
            pending_[i]->on_answer([this, i](result<std::string>& a) { take(i, std::move(a)); });
        }
    }

    boost::asio::awaitable<result<step_answer>> get() override { return united_->get(); }
    void on_answer(std::function<void(result<step_answer>&)> first) override {
        united_->on_answer(std::move(first));
    }

private:
    /// An error waits, too, until every shard has answered: a call must not overtake another on one
    /// shard of the group.
    void take(std::size_t rank, result<std::string> answer) {
        answers_[rank] = std::move(answer);
        if (--missing_ > 0) return;
        *answered_ = clock::now();
        const auto united = united_;  // the waiter may drop the call
        auto all = all_of(std::move(answers_));
        united->complete(all ? unite(std::move(*all)) : all.error());
    }

    calls pending_;
    std::vector<result<std::string>> answers_;
    std::size_t missing_;
    std::shared_ptr<open_call<step_answer>> united_ = std::make_shared<open_call<step_answer>>();
    arrival answered_;
};

class filter_call final : public pending_call<cached_batch> {
public:
    filter_call(calls pending, arrival answered)
        : pending_(std::move(pending)), answered_(std::move(answered)) {}

    boost::asio::awaitable<result<cached_batch>> get() override {
        auto answers = co_await gather(pending_);
        *answered_ = clock::now();
        if (!answers) co_return answers.error();
        std::optional<cached_batch> last;
        for (const auto& bytes : *answers) {
            auto read = read_filter_answer(bytes);
            if (!read) co_return read.error();
            if (last && !is_same(*last, *read)) co_return disagree("the filtered batch");
            last = std::move(*read);
        }
        co_return std::move(*last);
    }

private:
    /// FilterBatchResponse has the batch in field 1.
    static result<cached_batch> read_filter_answer(std::string_view bytes) {
        const auto parsed = parse<wire::FilterBatchResponse>(bytes);
        if (!parsed) return parsed.error();
        return scan_cached_batch(parsed->batch().SerializeAsString());
    }

    calls pending_;
    arrival answered_;
};

/// Embed or Classify: every shard computes the whole batch, the first answer for an id counts.
class pooled_call final : public pending_call<std::vector<pooled_result>> {
public:
    pooled_call(calls pending, pooled_reader read) : pending_(std::move(pending)), read_(read) {}

    boost::asio::awaitable<result<std::vector<pooled_result>>> get() override {
        auto answers = co_await gather(pending_);
        if (!answers) co_return answers.error();
        std::vector<pooled_result> united;
        std::unordered_set<std::uint64_t> seen;
        for (const auto& bytes : *answers) {
            auto read = read_(bytes);
            if (!read) co_return read.error();
            for (auto& one : *read) {
                if (seen.insert(one.request_id).second) united.push_back(std::move(one));
            }
        }
        co_return std::move(united);
    }

private:
    calls pending_;
    pooled_reader read_;
};

}  // namespace

boost::asio::awaitable<result<std::vector<std::string>>> gather(calls& pending) {
    std::vector<result<std::string>> answers;
    for (auto& p : pending) {
        auto answer = co_await p->get();
        answers.push_back(std::move(answer));
    }
    co_return all_of(std::move(answers));
}

std::unique_ptr<direct_call<step_answer>> unite_step(calls pending, arrival answered) {
    return std::make_unique<step_call>(std::move(pending), std::move(answered));
}

std::unique_ptr<pending_call<cached_batch>> unite_filter(calls pending, arrival answered) {
    return std::make_unique<filter_call>(std::move(pending), std::move(answered));
}

std::unique_ptr<pending_call<std::vector<pooled_result>>> unite_pooled(
    calls pending, pooled_reader read) {
    return std::make_unique<pooled_call>(std::move(pending), read);
}

}  // namespace truffula::shard
