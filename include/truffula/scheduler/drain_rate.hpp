#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace truffula::scheduler {

/// How fast a line gets shorter, measured while somebody stands in it: an idle time says nothing
/// of what could be done. The last ten seconds of it count most, or the last eight requests where
/// those took longer. Pure.
class drain_rate {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// \param left requests that left the line since the last call.
    /// \param waiting requests that stand in it now.
    void observe(std::size_t left, std::size_t waiting, time_point now);

    /// Requests per second; nothing until half a second and eight requests were seen.
    std::optional<double> per_second() const;

    /// How long `requests` take to leave, at that rate.
    std::optional<duration> time_for(std::size_t requests) const;

private:
    double busy_seconds_ = 0;
    double left_ = 0;
    std::optional<time_point> busy_since_;  // somebody stood in the line at the last call
};

/// When clients that were refused should come back. They stand in a line of their own that
/// shortens as fast as places come free, so that each comes when its turn would be. Pure.
class retry_line {
public:
    static constexpr std::chrono::seconds unknown{5};  ///< While no rate is known.
    static constexpr std::chrono::seconds longest{60};

    /// One more was refused.
    ///
    /// \param per_second places that come free; 0 or less: not known.
    /// \return at least a second, at most `longest`.
    std::chrono::seconds refused(double per_second, drain_rate::time_point now);

private:
    double length_ = 0;
    drain_rate::time_point last_;
};

}  // namespace truffula::scheduler
