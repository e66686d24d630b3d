#include "api/collect.hpp"

#include <cstddef>
#include <utility>

namespace truffula::api {

namespace asio = boost::asio;

namespace {

error incomplete() {
    return {errc::incomplete_generation, "Incomplete generation"};
}

}  // namespace

asio::awaitable<result<collected_answer>> collect(inference::token_stream& stream) {
    collected_answer all;
    for (bool is_over = false; !is_over;) {
        auto next = co_await stream.next();
        if (!next) co_return next.error();
        auto step = std::move(*next);
        if (!step) co_return incomplete();
        while (step) {  // those that are here already cost no turn of the loop
            is_over = step->finished.has_value();
            all.add(std::move(*step));
            if (is_over) break;
            step = stream.poll();
        }
    }
    all.times = stream.times();
    co_return all;
}

asio::awaitable<result<std::vector<collected_answer>>> collect_all(sequence_set& sequences) {
    std::vector<collected_answer> all(sequences.size());
    std::vector<bool> is_over(sequences.size());
    for (auto left = sequences.size(); left > 0;) {
        auto arrival = co_await sequences.next();
        const auto at = arrival.sequence;
        if (!arrival.got) co_return arrival.got.error();
        auto step = std::move(*arrival.got);
        if (is_over[at]) continue;
        if (!step) co_return incomplete();
        while (step && !is_over[at]) {
            is_over[at] = step->finished.has_value();
            all[at].add(std::move(*step));
            if (!is_over[at]) step = sequences.poll(at);
        }
        if (!is_over[at]) continue;
        all[at].times = sequences.times(at);
        --left;
    }
    co_return all;
}

}  // namespace truffula::api
