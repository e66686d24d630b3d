#pragma once

#include "generate.pb.h"
#include "truffula/shard/shard_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace truffula::test {

namespace wire = generate::v1;

/// A shard in the test's own thread: every request gets tokens until its `max_new_tokens`, unless
/// a script says otherwise. Answers are real wire bytes.
class fake_shards final : public shard::shard_group {
public:
    /// What the test sees and steers; outlives the group, also over a reconnect.
    struct script {
        std::vector<std::string> calls;  ///< In order: `prefill 0:1,2`, `decode 0`, `filter 0:2`.
        std::deque<error> fail_prefill;  ///< Taken by the next Prefills; no code: none.
        std::deque<error> fail_decode;
        std::deque<error> fail_pooled;
        std::function<void(std::vector<shard::pooled_result>&)> alter_pooled;
        std::function<void()> during_pooled;  ///< Runs while the shard computes.
        std::function<void(wire::DecodeResponse&)>
            alter_step;                    ///< Every Prefill and Decode answer.
        std::set<std::uint64_t> poisoned;  ///< Prefills with these fail.
        std::map<std::string, std::string> failing_downloads;
        std::function<void()> during_decode;  ///< Runs while the shard computes.
        std::chrono::milliseconds step{0};
        std::optional<std::chrono::milliseconds> filter;  ///< That long; none: as a step.
        std::uint32_t parts = 0;           ///< Steps without a token for a prompt that is cut.
        bool tells_parts = false;          ///< Such steps are answered, with nothing in them.
        bool keeps_failed_batch = false;   ///< A shared Prefill that fails spares what runs.
        std::uint32_t current_tokens = 0;  ///< What the running batch says it will take.
        bool healthy = true;
        /// Answers in place of the fake, where set.
        std::function<boost::asio::awaitable<result<>>()> answer_health;
        std::function<boost::asio::awaitable<result<std::uint32_t>>()> answer_download;
        std::function<boost::asio::awaitable<void>()> before_cleared;
        bool tells_given = false;  ///< `given` in `calls`: a coroutine goes on with an answer.
        int polls = 0;
        int under_way = 0;  ///< Calls that compute. `OVERLAP` in `calls`: one began beside another.
    };

    fake_shards(boost::asio::any_io_executor ex, std::shared_ptr<script> s)
        : executor_(std::move(ex)), script_(std::move(s)) {}

    std::size_t size() const override { return 1; }
    void poll() override { ++script_->polls; }

    started_step start_prefill(const shard::prefill_batch& batch) override {
        std::string line = "prefill ";
        if (batch.running) line += std::to_string(batch.running->id) + "+";
        line += std::to_string(batch.id) + ":";
        bool fails = false;
        std::vector<running> joined;
        for (const auto& r : batch.requests) {
            if (line.back() != ':') line += ',';
            line += std::to_string(r.id);
            if (r.chunk_len) line += "/" + std::to_string(*r.chunk_len);
            fails = fails || script_->poisoned.contains(r.id);
            const auto parts = r.chunk_len ? script_->parts : 0;
            joined.push_back({r.id, r.what->stopping.max_new_tokens, 0, r.adapter_index, parts});
        }
        script_->calls.push_back(line);
        auto failure = take(script_->fail_prefill);
        if (fails) failure = error{errc::rpc_failed, "poisoned prompt"};
        if (failure) {
            const bool is_lost = batch.running && !script_->keeps_failed_batch;
            if (is_lost) batches_.erase(batch.running->id);
            return failed<shard::step_answer>(*failure);
        }
        const auto id = batch.running ? batch.running->id : batch.id;
        auto& into = batches_[id];
        into.insert(into.end(), joined.begin(), joined.end());
        return later(step(id, true));
    }

    started_step start_decode(std::span<const shard::cached_batch* const> batches) override {
        std::string line = "decode ";
        for (const auto* b : batches) {
            line += (line.back() == ' ' ? "" : "+") + std::to_string(b->id);
        }
        script_->calls.push_back(line);
        if (auto why = take(script_->fail_decode)) {
            for (const auto* b : batches) batches_.erase(b->id);
            return failed<shard::step_answer>(*why);
        }
        if (!batches_.contains(batches.front()->id)) {
            return failed<shard::step_answer>({errc::rpc_failed, "Batch ID not found in cache."});
        }
        auto& into = batches_[batches.front()->id];
        for (const auto* b : batches.subspan(1)) {
            auto& from = batches_[b->id];
            into.insert(into.end(), from.begin(), from.end());
            batches_.erase(b->id);
        }
        auto answer = later(step(batches.front()->id, false));
        if (script_->during_decode) script_->during_decode();
        return answer;
    }

    started<shard::cached_batch> start_filter(
        std::uint64_t batch_id, std::span<const std::uint64_t> ids) override {
        std::string line = "filter " + std::to_string(batch_id) + ":";
        for (const auto id : ids) line += (line.back() == ':' ? "" : ",") + std::to_string(id);
        script_->calls.push_back(line);
        auto& batch = batches_[batch_id];
        std::erase_if(batch, [&](const running& r) {
            return std::find(ids.begin(), ids.end(), r.id) == ids.end();
        });
        return later(
            result<shard::cached_batch>{view(batch_id)}, script_->filter.value_or(script_->step));
    }

    started<std::vector<shard::pooled_result>> start_embed(
        const shard::prefill_batch& batch) override {
        return start_pooled("embed ", batch);
    }
    started<std::vector<shard::pooled_result>> start_classify(
        const shard::prefill_batch& batch) override {
        return start_pooled("classify ", batch);
    }

    awaitable_result<> clear_cache(std::optional<std::uint64_t> id) override {
        script_->calls.push_back("clear " + (id ? std::to_string(*id) : std::string{"all"}));
        if (script_->before_cleared) co_await script_->before_cleared();
        if (id) batches_.erase(*id);
        co_return result<>{};
    }
    awaitable_result<std::uint32_t> download_adapter(shard::adapter_call c, duration) override {
        script_->calls.push_back("download " + c.what.ids.front());
        if (script_->answer_download) co_return co_await script_->answer_download();
        const auto bad = script_->failing_downloads.find(c.what.ids.front());
        if (bad != script_->failing_downloads.end()) {
            co_return error{errc::rpc_failed, bad->second};
        }
        co_return 1000U;
    }
    awaitable_result<> load_adapter(shard::adapter_call c, duration) override {
        script_->calls.push_back("load " + c.what.ids.front());
        co_return result<>{};
    }
    awaitable_result<> offload_adapter(shard::adapter_call c, duration) override {
        script_->calls.push_back("offload " + c.what.ids.front());
        co_return result<>{};
    }
    awaitable_result<> health() override {
        script_->calls.push_back("health");
        if (script_->answer_health) co_return co_await script_->answer_health();
        if (!script_->healthy) co_return error{errc::rpc_failed, "ill"};
        co_return result<>{};
    }
    awaitable_result<> health_request(inference::task kind) override {
        constexpr std::array names{"health_prefill", "health_embed", "health_classify"};
        script_->calls.push_back(names.at(static_cast<std::size_t>(kind)));
        if (script_->under_way > 0) script_->calls.push_back("OVERLAP");
        if (!script_->healthy) co_return error{errc::rpc_failed, "ill"};
        co_return result<>{};
    }
    std::optional<duration> last_step_gap() const override { return std::nullopt; }

private:
    struct running {
        std::uint64_t id;
        std::uint32_t max_new;
        std::uint32_t done;
        std::uint32_t adapter_index;
        std::uint32_t parts;  // of its prompt, still to come
    };

    /// Computing calls must not overlap: what is under way counts itself.
    template <class T>
    class delayed final : public shard::direct_call<T> {
    public:
        delayed(
            boost::asio::any_io_executor ex,
            std::chrono::milliseconds t,
            result<T> r,
            std::shared_ptr<script> s)
            : timer_(std::move(ex), t), value_(std::move(r)), script_(std::move(s)) {
            if (script_->under_way++ > 0) script_->calls.push_back("OVERLAP");
        }
        ~delayed() override { end(); }
        boost::asio::awaitable<result<T>> get() override {
            auto [ec] =
                co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
            if (ec) co_return error{errc::cancelled, "cancelled"};
            end();
            if (first_) first_(value_);
            if (script_->tells_given) script_->calls.push_back("given");
            co_return std::move(value_);
        }
        void on_answer(std::function<void(result<T>&)> first) override {
            first_ = std::move(first);
        }

    private:
        void end() {
            if (std::exchange(is_under_way_, false)) --script_->under_way;
        }

        boost::asio::steady_timer timer_;
        result<T> value_;
        std::shared_ptr<script> script_;
        bool is_under_way_ = true;
        std::function<void(result<T>&)> first_;
    };

    template <class T>
    std::unique_ptr<shard::direct_call<T>> later(result<T> value) {
        return later(std::move(value), script_->step);
    }
    template <class T>
    std::unique_ptr<shard::direct_call<T>> later(result<T> value, std::chrono::milliseconds takes) {
        return std::make_unique<delayed<T>>(executor_, takes, std::move(value), script_);
    }
    template <class T>
    std::unique_ptr<shard::direct_call<T>> failed(error why) {
        return later(result<T>{std::move(why)});
    }
    /// Each request gets its id: as a vector of one, or as its label.
    started<std::vector<shard::pooled_result>> start_pooled(
        std::string line, const shard::prefill_batch& batch) {
        line += std::to_string(batch.id) + ":";
        bool fails = false;
        std::vector<shard::pooled_result> out;
        for (const auto& r : batch.requests) {
            if (line.back() != ':') line += ',';
            line += std::to_string(r.id);
            fails = fails || script_->poisoned.contains(r.id);
            auto answer = std::make_shared<inference::pooled_answer>();
            answer->embedding = {static_cast<float>(r.id)};
            answer->labels = {std::to_string(r.id)};
            answer->label_scores = {0.5F};
            out.push_back({r.id, std::shared_ptr<const inference::pooled_answer>{answer}});
        }
        script_->calls.push_back(line);
        using answers = std::vector<shard::pooled_result>;
        if (fails) return failed<answers>({errc::rpc_failed, "poisoned prompt"});
        if (auto why = take(script_->fail_pooled)) return failed<answers>(*why);
        if (script_->alter_pooled) script_->alter_pooled(out);
        auto answer = later(result<answers>{std::move(out)});
        if (script_->during_pooled) script_->during_pooled();
        return answer;
    }
    static std::optional<error> take(std::deque<error>& from) {
        if (from.empty()) return std::nullopt;
        auto first = std::move(from.front());
        from.pop_front();
        if (!first.code) return std::nullopt;
        return first;
    }

    result<shard::step_answer> step(std::uint64_t batch_id, bool is_prefill) {
        wire::DecodeResponse response;
        bool goes_on = false;
        for (auto& r : batches_[batch_id]) {
            if (r.done >= r.max_new) continue;  // ended, not yet filtered out
            if (r.parts > 0) {
                --r.parts;
                goes_on = true;
                if (!script_->tells_parts) continue;
                response.add_generations()->set_request_id(r.id);
                response.mutable_generations()->rbegin()->set_prefill_tokens_length(3);
                continue;
            }
            auto& g = *response.add_generations();
            g.set_request_id(r.id);
            const auto text = " t" + std::to_string(r.id) + "." + std::to_string(r.done);
            g.mutable_next_tokens()->add_ids(r.done);
            g.mutable_next_tokens()->add_logprobs(-0.5F);
            g.mutable_next_tokens()->add_texts(text);
            g.mutable_next_tokens()->add_is_special(false);
            if (is_prefill) g.set_prefill_tokens_length(3);
            ++r.done;
            if (r.done == r.max_new) {
                g.mutable_generated_text()->set_text("whole");
                g.mutable_generated_text()->set_generated_tokens(r.done);
            } else {
                goes_on = true;
            }
        }
        if (goes_on) response.mutable_batch()->set_id(batch_id);
        if (script_->alter_step) script_->alter_step(response);
        shard::step_answer out;
        auto bytes = std::make_shared<std::string>();
        for (const auto& g : response.generations()) {
            const auto offset = bytes->size();
            g.AppendToString(bytes.get());
            out.spans.push_back({
                g.request_id(),
                0,
                static_cast<std::uint32_t>(offset),
                static_cast<std::uint32_t>(bytes->size() - offset),
                g.has_generated_text(),
                g.next_tokens().ids_size() > 0,
            });
        }
        out.buffers.push_back(std::move(bytes));
        if (response.has_batch()) out.batch = view(batch_id);
        return out;
    }

    /// As LoRAX: what has ended stays in the batch until it is filtered out.
    shard::cached_batch view(std::uint64_t batch_id) {
        shard::cached_batch b;
        b.id = batch_id;
        for (const auto& r : batches_[batch_id]) b.request_ids.push_back(r.id);
        b.size = static_cast<std::uint32_t>(b.request_ids.size());
        b.current_tokens = script_->current_tokens;
        return b;
    }

    boost::asio::any_io_executor executor_;
    std::shared_ptr<script> script_;
    std::map<std::uint64_t, std::vector<running>> batches_;
};

}  // namespace truffula::test
