#pragma once

#include "truffula/adapter/identity.hpp"
#include "truffula/error/error.hpp"
#include "truffula/inference/request.hpp"
#include "truffula/inference/token_stream.hpp"
#include "truffula/scheduler/admission.hpp"
#include "truffula/shard/answers.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>

namespace truffula::batching {

/// The engine as HTTP threads see it. \threads any.
class engine {
public:
    virtual ~engine() = default;

    /// Queues a request; its answer comes on HTTP thread `thread`, which must be the caller's.
    /// The permit is kept until the engine has let go of the request.
    ///
    /// \errors `errc::shutting_down` once the engine stops. Later errors come from the stream.
    virtual result<std::unique_ptr<inference::token_stream>> submit(
        adapter::adapter_ref adapter,
        std::shared_ptr<const inference::request> what,
        scheduler::permit permit,
        std::size_t thread) = 0;

    /// Asks the shards (contract section 13).
    ///
    /// \errors `errc::unhealthy`.
    virtual boost::asio::awaitable<result<>> health() = 0;

    /// What the shards said of the model when they last (re)connected.
    virtual shard::model_info model() const = 0;

    /// The total budget in force, in tokens (contract section 3, step 9).
    virtual std::uint32_t max_batch_total_tokens() const = 0;
};

}  // namespace truffula::batching
