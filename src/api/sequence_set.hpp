#pragma once

#include "truffula/inference/token_stream.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace truffula::api {

/// Several answers that come at the same time, read as one. Destroying it before the end cancels
/// what still runs. \threads only its HTTP thread.
class sequence_set {
public:
    using streams = std::vector<std::unique_ptr<inference::token_stream>>;

    /// \param executor of the HTTP thread.
    sequence_set(boost::asio::any_io_executor executor, streams all);
    ~sequence_set();
    sequence_set(sequence_set&&) noexcept;
    sequence_set& operator=(sequence_set&&) noexcept;

    /// A step of one of them, or why it ended.
    struct arrival {
        std::size_t sequence = 0;
        result<std::optional<inference::step>> got;
    };

    /// Waits for the next step of any that has not ended. Call `poll` for that sequence until it
    /// has nothing, then this again.
    ///
    /// \cancellation terminal; then `errc::cancelled`, and the set stays usable.
    boost::asio::awaitable<arrival> next();

    /// The next step of a sequence if it is here already.
    std::optional<inference::step> poll(std::size_t sequence);

    const inference::timeline& times(std::size_t sequence) const;
    std::size_t size() const noexcept;

private:
    struct core;
    static boost::asio::awaitable<void> pump(std::shared_ptr<core> self, std::size_t sequence);
    std::shared_ptr<core> core_;
};

}  // namespace truffula::api
