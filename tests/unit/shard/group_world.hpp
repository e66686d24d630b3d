#pragma once

#include "shard/group.hpp"
#include "truffula/shard/transport.hpp"

#include <boost/asio/awaitable.hpp>

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace truffula::test {

/// A call that is answered when the test says so.
class held_call final : public shard::direct_call<std::string> {
public:
    explicit held_call(std::function<void(result<std::string>&)>& to) : first_(to) {}
    boost::asio::awaitable<result<std::string>> get() override { co_return error{}; }
    void on_answer(std::function<void(result<std::string>&)> first) override {
        first_ = std::move(first);
    }

private:
    std::function<void(result<std::string>&)>& first_;
};

/// What one shard was asked, and what it answers next.
struct shard_script {
    std::vector<std::pair<std::string, std::string>> asked;
    std::deque<result<std::string>> answers;  ///< Then empty ones.
    bool holds = false;                       ///< Answers when `give` is called.
    std::function<void(result<std::string>&)> give;
    int polls = 0;
};

class ready_call final : public shard::direct_call<std::string> {
public:
    explicit ready_call(result<std::string> a) : answer_(std::move(a)) {}
    boost::asio::awaitable<result<std::string>> get() override { co_return std::move(answer_); }
    void on_answer(std::function<void(result<std::string>&)> first) override { first(answer_); }

private:
    result<std::string> answer_;
};

class scripted_transport final : public shard::transport {
public:
    explicit scripted_transport(std::shared_ptr<shard_script> s) : script_(std::move(s)) {}
    std::unique_ptr<shard::direct_call<std::string>> start(
        std::string_view method,
        std::string_view request,
        std::chrono::steady_clock::duration) override {
        script_->asked.emplace_back(method, request);
        if (script_->holds) return std::make_unique<held_call>(script_->give);
        result<std::string> answer = std::string{};
        if (!script_->answers.empty()) {
            answer = std::move(script_->answers.front());
            script_->answers.pop_front();
        }
        return std::make_unique<ready_call>(std::move(answer));
    }
    void poll() override { ++script_->polls; }

private:
    std::shared_ptr<shard_script> script_;
};

struct two_shards {
    two_shards() {
        std::vector<std::unique_ptr<shard::transport>> transports;
        for (const auto& s : scripts) {
            transports.push_back(std::make_unique<scripted_transport>(s));
        }
        group = std::make_unique<shard::connected_group>(
            std::move(transports), std::chrono::seconds{1});
    }
    std::array<std::shared_ptr<shard_script>, 2> scripts{
        std::make_shared<shard_script>(), std::make_shared<shard_script>()};
    std::unique_ptr<shard::connected_group> group;
};

}  // namespace truffula::test
