#include "simulator/summary.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace truffula::simulator {
namespace {

double milliseconds(duration d) {
    return static_cast<double>(d.count()) / 1e6;
}

double seconds(duration d) {
    return static_cast<double>(d.count()) / 1e9;
}

latency latency_of_intervals(std::vector<token_interval> intervals) {
    latency l;
    std::ranges::sort(intervals, {}, &token_interval::length);
    double count = 0;
    double sum = 0;
    for (const auto& i : intervals) {
        count += i.requests;
        sum += milliseconds(i.length) * i.requests;
    }
    if (count == 0) return l;
    l.mean = sum / count;
    double passed = 0;
    for (const auto& i : intervals) {
        const auto before = passed;
        passed += i.requests;
        if (before < 0.5 * count && passed >= 0.5 * count) l.p50 = milliseconds(i.length);
        if (before < 0.99 * count && passed >= 0.99 * count) l.p99 = milliseconds(i.length);
    }
    return l;
}

/// What a request takes when it is alone and its adapter is there.
duration ideal(const arrival& a, const shard_costs& costs) {
    const auto steps = std::max(a.output_tokens, 1U) - 1;
    return costs.prefill_base + costs.prefill_token * a.input_tokens +
           (costs.decode_base + costs.decode_sequence) * steps;
}

class grouped {
public:
    explicit grouped(const std::vector<std::string>& names) : groups_(names.size()) {
        for (std::size_t i = 0; i < names.size(); ++i) groups_[i].what.name = names[i];
    }

    void add(std::size_t index, const arrival& a, const request_outcome& r) {
        auto& g = groups_[index];
        ++g.what.requests;
        if (r.has_failed) {
            ++g.what.failed;
            return;
        }
        g.ttft.push_back(r.first_token - a.at);
        g.end_to_end.push_back(r.done - a.at);
    }

    std::vector<group> take() {
        std::vector<group> done;
        for (auto& g : groups_) {
            if (g.what.requests == 0) continue;
            g.what.ttft = latency_of(g.ttft);
            g.what.end_to_end = latency_of(g.end_to_end);
            done.push_back(std::move(g.what));
        }
        return done;
    }

private:
    struct collected {
        group what;
        std::vector<duration> ttft;
        std::vector<duration> end_to_end;
    };
    std::vector<collected> groups_;
};

double jain_over_adapters(const workload& from, const outcome& of, const shard_costs& costs) {
    std::vector<double> sums(from.adapters.size());
    std::vector<double> counts(from.adapters.size());
    for (std::size_t i = 0; i < of.requests.size(); ++i) {
        const auto& a = from.arrivals[i];
        const auto& r = of.requests[i];
        const auto best = ideal(a, costs);
        if (r.has_failed || best.count() == 0) continue;
        sums[a.adapter] += seconds(r.done - a.at) / seconds(best);
        ++counts[a.adapter];
    }
    std::vector<double> slowdowns;
    for (std::size_t k = 0; k < sums.size(); ++k) {
        if (counts[k] > 0) slowdowns.push_back(sums[k] / counts[k]);
    }
    return jain_index(slowdowns);
}

}  // namespace

latency latency_of(std::vector<duration>& values) {
    latency l;
    if (values.empty()) return l;
    const auto count = values.size();
    double sum = 0;
    for (const auto v : values) sum += milliseconds(v);
    l.mean = sum / static_cast<double>(count);
    const auto at = [&](double quantile) {
        const auto rank = std::ceil(quantile * static_cast<double>(count));
        const auto n = values.begin() + std::max<std::ptrdiff_t>(std::lround(rank), 1) - 1;
        std::nth_element(values.begin(), n, values.end());
        return milliseconds(*n);
    };
    l.p50 = at(0.5);
    l.p99 = at(0.99);
    return l;
}

double jain_index(const std::vector<double>& values) {
    const double sum = std::accumulate(values.begin(), values.end(), 0.0);
    const double squares = std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
    if (squares == 0) return 1;
    return sum * sum / (static_cast<double>(values.size()) * squares);
}

summary summarise(const workload& from, const outcome& of, const shard_costs& costs) {
    summary s;
    grouped tenants{from.tenants};
    grouped adapters{from.adapters};
    std::vector<duration> ttft;
    std::vector<duration> end_to_end;
    double tokens = 0;
    for (std::size_t i = 0; i < of.requests.size(); ++i) {
        const auto& a = from.arrivals[i];
        const auto& r = of.requests[i];
        tenants.add(a.tenant, a, r);
        adapters.add(a.adapter, a, r);
        if (r.has_failed) continue;
        ttft.push_back(r.first_token - a.at);
        end_to_end.push_back(r.done - a.at);
        tokens += a.output_tokens;
    }
    s.requests = of.requests.size();
    s.failed = of.failures.size();
    s.ttft = latency_of(ttft);
    s.inter_token = latency_of_intervals(of.intervals);
    s.end_to_end = latency_of(end_to_end);
    s.jain = jain_over_adapters(from, of, costs);
    s.downloads = of.adapter_calls[static_cast<std::size_t>(adapter::call_kind::download)];
    s.loads = of.adapter_calls[static_cast<std::size_t>(adapter::call_kind::load)];
    s.offloads = of.adapter_calls[static_cast<std::size_t>(adapter::call_kind::offload)];
    s.prefills = of.prefills;
    s.decodes = of.decodes;
    s.done_after = seconds(of.end);
    const auto completed = static_cast<double>(ttft.size());
    if (s.done_after > 0) s.requests_per_second = completed / s.done_after;
    if (s.done_after > 0) s.tokens_per_second = tokens / s.done_after;
    if (of.decodes > 0) {
        s.batch_size = static_cast<double>(of.decoded_sequences) / static_cast<double>(of.decodes);
    }
    if (of.prefills > 0) s.batch_joins = completed / static_cast<double>(of.prefills);
    s.tenants = tenants.take();
    s.adapters = adapters.take();
    std::ranges::stable_sort(s.adapters, std::ranges::greater{}, &group::requests);
    return s;
}

summary median(const std::vector<summary>& of) {
    const auto middle = [&of](auto figure) {
        std::vector<std::remove_cvref_t<decltype(figure(of.front()))>> values;
        values.reserve(of.size());
        for (const auto& s : of) values.push_back(figure(s));
        std::ranges::sort(values);
        return values[(values.size() - 1) / 2];
    };
    const auto latencies = [&middle](latency summary::*which) {
        return latency{
            middle([which](const summary& s) { return (s.*which).mean; }),
            middle([which](const summary& s) { return (s.*which).p50; }),
            middle([which](const summary& s) { return (s.*which).p99; })};
    };
    summary m;
    m.ttft = latencies(&summary::ttft);
    m.inter_token = latencies(&summary::inter_token);
    m.end_to_end = latencies(&summary::end_to_end);
    for (const auto figure :
         {&summary::requests,
          &summary::failed,
          &summary::downloads,
          &summary::loads,
          &summary::offloads,
          &summary::prefills,
          &summary::decodes}) {
        m.*figure = middle([figure](const summary& s) { return s.*figure; });
    }
    for (const auto figure :
         {&summary::jain,
          &summary::done_after,
          &summary::requests_per_second,
          &summary::tokens_per_second,
          &summary::batch_size,
          &summary::batch_joins}) {
        m.*figure = middle([figure](const summary& s) { return s.*figure; });
    }
    return m;
}

}  // namespace truffula::simulator
