#pragma once

#include "truffula/error/error.hpp"
#include "truffula/inference/step.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <optional>

namespace truffula::inference {

/// The answer to one request, step by step. Destroying it before its end cancels the request.
///
/// \threads only the HTTP thread that asked for it.
class token_stream {
public:
    virtual ~token_stream() = default;

    /// Waits for the next step; nothing after the step that has `finished` or `pooled`.
    ///
    /// \errors what ended the request; later calls give the same.
    /// \cancellation terminal; the stream stays usable.
    virtual boost::asio::awaitable<result<std::optional<step>>> next() = 0;

    /// The next step if it is here already. Tokens that are ready together go out together.
    virtual std::optional<step> poll() = 0;

    /// Valid up to the station the steps received so far prove.
    virtual const timeline& times() const = 0;
};

}  // namespace truffula::inference
