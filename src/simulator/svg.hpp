#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace truffula::simulator {

/// A text for HTML: no character of it is read as markup.
std::string escape(std::string_view text);

/// A number as people write it: three digits that count, no needless zeros.
std::string show_number(double value);

/// An SVG plot with axes, in pixels of a fixed drawing; the page scales it. Colours are CSS
/// variables of the page, so that it looks right in the light and in the dark.
class plot {
public:
    /// \param x_most, y_most values at the ends of the axes, which start at 0, or at `x_least`.
    plot(
        double height,
        double x_most,
        double y_most,
        std::string x_name,
        std::string y_name,
        double x_least = 0);

    /// Connects the points, or fills what is below them.
    void line(const std::vector<double>& x, const std::vector<double>& y, const char* colour);
    void area(const std::vector<double>& x, const std::vector<double>& y, const char* colour);

    /// A rectangle between two corners, with a text for the pointer.
    void bar(
        double x0, double x1, double y0, double y1, const char* colour, const std::string& hint);
    void dot(double x, double y, double radius, const char* colour, const std::string& hint);

    /// A name beside the y axis at `y`, in place of its numbers.
    void label(double y, const std::string& text);

    /// \param has_y_ticks numbers on the y axis.
    std::string take(bool has_x_ticks = true, bool has_y_ticks = true);

private:
    double px(double x) const;
    double py(double y) const;

    double height_;
    double left_ = 56;
    double x_least_;
    double x_most_;
    double y_most_;
    std::string x_name_;
    std::string y_name_;
    std::string marks_;
    std::string labels_;
};

}  // namespace truffula::simulator
