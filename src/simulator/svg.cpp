#include "simulator/svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <utility>

namespace truffula::simulator {
namespace {

constexpr double width = 960;
constexpr double right = 14;
constexpr double top = 12;
constexpr double bottom = 40;
constexpr double label_left = 120;  // names are longer than numbers

[[gnu::format(printf, 1, 2)]] std::string format(const char* how, ...) {
    std::array<char, 512> text{};
    va_list values;
    va_start(values, how);
    std::vsnprintf(text.data(), text.size(), how, values);
    va_end(values);
    return text.data();
}

/// Steps of 1, 2 or 5 times a power of ten, about five of them.
std::vector<double> ticks(double least, double most) {
    const double rough = (most - least) / 5;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = power * 10;
    for (const double times : {5.0, 2.0, 1.0}) {
        if (times * power >= rough) step = times * power;
    }
    std::vector<double> values;
    const double first = std::ceil(least / step) * step;
    for (double v = first; v <= most * 1.000001; v += step) values.push_back(v);
    return values;
}

std::string hinted(const std::string& hint) {
    return "<title>" + escape(hint) + "</title>";
}

}  // namespace

std::string escape(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            default: safe += c;
        }
    }
    return safe;
}

std::string show_number(double value) {
    if (std::abs(value) >= 1000) return format("%.0f", value);
    return format("%.3g", value);
}

plot::plot(
    double height,
    double x_most,
    double y_most,
    std::string x_name,
    std::string y_name,
    double x_least)
    : height_(height),
      x_least_(x_least),
      x_most_(x_most > x_least ? x_most : x_least + 1),
      y_most_(y_most > 0 ? y_most : 1),
      x_name_(std::move(x_name)),
      y_name_(std::move(y_name)) {
    if (y_name_.empty()) left_ = label_left;
}

double plot::px(double x) const {
    return left_ + (width - left_ - right) * (x - x_least_) / (x_most_ - x_least_);
}

double plot::py(double y) const {
    return height_ - bottom - (height_ - top - bottom) * y / y_most_;
}

void plot::line(const std::vector<double>& x, const std::vector<double>& y, const char* colour) {
    std::string points;
    for (std::size_t i = 0; i < x.size(); ++i) points += format("%.1f,%.1f ", px(x[i]), py(y[i]));
    marks_ += format("<polyline class=\"line\" style=\"stroke:var(--%s)\" points=\"", colour);
    marks_ += points + "\"/>\n";
}

void plot::area(const std::vector<double>& x, const std::vector<double>& y, const char* colour) {
    if (x.empty()) return;
    std::string points = format("%.1f,%.1f ", px(x.front()), py(0));
    for (std::size_t i = 0; i < x.size(); ++i) points += format("%.1f,%.1f ", px(x[i]), py(y[i]));
    points += format("%.1f,%.1f", px(x.back()), py(0));
    marks_ += format("<polygon class=\"area\" style=\"fill:var(--%s)\" points=\"", colour);
    marks_ += points + "\"/>\n";
}

void plot::bar(
    double x0, double x1, double y0, double y1, const char* colour, const std::string& hint) {
    marks_ += format(
        "<rect style=\"fill:var(--%s)\" x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\">",
        colour,
        px(x0),
        py(y1),
        std::max(px(x1) - px(x0), 0.75),
        py(y0) - py(y1));
    marks_ += hinted(hint) + "</rect>\n";
}

void plot::dot(double x, double y, double radius, const char* colour, const std::string& hint) {
    marks_ += format(
        "<circle style=\"fill:var(--%s)\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">",
        colour,
        px(x),
        py(y),
        radius);
    marks_ += hinted(hint) + "</circle>\n";
}

void plot::label(double y, const std::string& text) {
    labels_ += format(
        "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", left_ - 6, py(y) + 4);
    // Long names keep their end, which is what tells adapters apart.
    constexpr std::size_t longest = 17;
    const auto shown = text.size() <= longest ? text : "…" + text.substr(text.size() - longest + 1);
    labels_ += escape(shown) + "</text>\n";
}

std::string plot::take(bool has_x_ticks, bool has_y_ticks) {
    std::string svg = format(
        "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n",
        width,
        height_,
        escape(y_name_.empty() ? x_name_ : y_name_).c_str());
    if (has_y_ticks) {
        for (const auto v : ticks(0, y_most_)) {
            const auto y = py(v);
            svg += format(
                "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                left_,
                width - right,
                y,
                y);
            svg += format(
                "<text class=\"tick\" x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                left_ - 6,
                y + 4,
                show_number(v).c_str());
        }
    }
    if (has_x_ticks) {
        for (const auto v : ticks(x_least_, x_most_)) {
            svg += format(
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                px(v),
                height_ - bottom + 16,
                show_number(v).c_str());
        }
    }
    svg += marks_ + labels_;
    svg += format(
        "<line class=\"axis\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
        left_,
        width - right,
        py(0),
        py(0));
    svg += format(
        "<text class=\"name\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">",
        width - right,
        height_ - 6);
    svg += escape(x_name_) + "</text>\n";
    if (has_y_ticks) {
        svg += format("<text class=\"name\" x=\"%.0f\" y=\"%.0f\">", left_ + 4, top - 2);
        svg += escape(y_name_) + "</text>\n";
    }
    svg += "</svg>\n";
    return svg;
}

}  // namespace truffula::simulator
