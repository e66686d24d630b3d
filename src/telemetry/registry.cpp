#include "truffula/telemetry/registry.hpp"

#include <nlohmann/json.hpp>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace truffula::telemetry {
namespace {

template <class Family>
auto& add(Family& family, const labels& of) {
    return family.Add(of);
}

bool has_samples(const prometheus::ClientMetric& m, prometheus::MetricType type) {
    using prometheus::MetricType;
    if (type == MetricType::Counter) return m.counter.value > 0;
    if (type == MetricType::Histogram) return m.histogram.sample_count > 0;
    if (type == MetricType::Summary) return m.summary.sample_count > 0;
    return true;
}

const char* type_name(prometheus::MetricType type) {
    using prometheus::MetricType;
    if (type == MetricType::Counter) return "counter";
    if (type == MetricType::Histogram) return "histogram";
    if (type == MetricType::Summary) return "summary";
    return "gauge";
}

std::string number_text(double value) {
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    return nlohmann::json(value).dump();
}

/// Gathers one family's samples for JSON.
class sample_list {
public:
    sample_list(std::string name, nlohmann::json& to) : name_(std::move(name)), to_(to) {}

    void add(const prometheus::ClientMetric& m, prometheus::MetricType type) {
        using prometheus::MetricType;
        if (type == MetricType::Counter) return put(labelled(m), m.counter.value);
        if (type == MetricType::Gauge) return put(labelled(m), m.gauge.value);
        if (type == MetricType::Histogram) {
            for (const auto& b : m.histogram.bucket) {
                put(labelled(m, "le", number_text(b.upper_bound)),
                    static_cast<double>(b.cumulative_count));
            }
            put("sum", m.histogram.sample_sum);
            put("count", static_cast<double>(m.histogram.sample_count));
            return;
        }
        for (const auto& q : m.summary.quantile) {
            put(labelled(m, "quantile", number_text(q.quantile)), q.value);
        }
        put("sum", m.summary.sample_sum);
        put("count", static_cast<double>(m.summary.sample_count));
    }

private:
    std::string labelled(
        const prometheus::ClientMetric& m,
        const std::string& extra = {},
        const std::string& extra_value = {}) const {
        std::string text;
        const auto put_label = [&text](const std::string& key, const std::string& value) {
            text += (text.empty() ? "" : ",") + key + "=\"" + value + "\"";
        };
        for (const auto& l : m.label) put_label(l.name, l.value);
        if (!extra.empty()) put_label(extra, extra_value);
        return text.empty() ? std::string{} : name_ + "{" + text + "}";
    }
    void put(const std::string& key, double value) {
        to_.push_back({{"key", key}, {"value", value}});
    }

    std::string name_;
    nlohmann::json& to_;
};

}  // namespace

buckets duration_buckets() {
    buckets bounds;
    double bound = 0.0001;
    for (int k = 1; k <= 35; ++k) bounds.push_back(bound *= 1.5);
    return bounds;
}

buckets short_duration_buckets() {
    buckets bounds;
    double bound = 0.000001;
    for (int k = 0; k <= 20; ++k, bound *= 2) bounds.push_back(bound);
    return bounds;
}

buckets equal_buckets(std::uint64_t highest, std::size_t count) {
    buckets bounds;
    const auto width = static_cast<double>(highest) / static_cast<double>(count);
    for (std::size_t k = 1; k <= count; ++k) bounds.push_back(width * static_cast<double>(k));
    return bounds;
}

prometheus::Counter& registry::counter(const std::string& name, const labels& of) {
    return add(prometheus::BuildCounter().Name(name).Register(all_), of);
}

prometheus::Gauge& registry::gauge(const std::string& name, const labels& of) {
    return add(prometheus::BuildGauge().Name(name).Register(all_), of);
}

prometheus::Histogram& registry::histogram(
    const std::string& name, const buckets& bounds, const labels& of) {
    return prometheus::BuildHistogram().Name(name).Register(all_).Add(of, bounds);
}

count_summary& registry::summary(const std::string& name) {
    const std::lock_guard lock{summaries_mutex_};
    return summaries_[name];
}

std::vector<prometheus::MetricFamily> registry::sampled() const {
    auto families = all_.Collect();
    {
        const std::lock_guard lock{summaries_mutex_};
        for (const auto& [name, summary] : summaries_) {
            prometheus::ClientMetric m;
            m.summary = summary.collect();
            families.push_back({name, "", prometheus::MetricType::Summary, {std::move(m)}});
        }
    }
    for (auto& family : families) {
        std::erase_if(family.metric, [&](const auto& m) { return !has_samples(m, family.type); });
    }
    std::erase_if(families, [](const auto& f) { return f.metric.empty(); });
    return families;
}

std::string registry::text() const {
    return prometheus::TextSerializer{}.Serialize(sampled());
}

std::string registry::json() const {
    auto all = nlohmann::json::object();
    for (const auto& family : sampled()) {
        auto data = nlohmann::json::array();
        sample_list samples{family.name, data};
        for (const auto& m : family.metric) samples.add(m, family.type);
        all[family.name] = {{"type", type_name(family.type)}, {"data", std::move(data)}};
    }
    return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace truffula::telemetry
