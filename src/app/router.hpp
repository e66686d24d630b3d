#pragma once

#include "truffula/config/settings.hpp"
#include "truffula/error/error.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace truffula::app {

/// The whole program: server, engine, metrics, and the threads they run on.
///
/// \threads the owner's only.
class router {
public:
    /// Binds the port and loads the tokenizer; connects to nothing.
    ///
    /// \errors `errc::io`, `errc::invalid_config`.
    static result<std::unique_ptr<router>> create(config::settings settings);

    ~router();
    router(const router&) = delete;
    router& operator=(const router&) = delete;

    /// Waits for the shards, warms them up, and serves.
    ///
    /// \param should_stop asked every now and then; true gives the start up.
    /// \errors of the start sequence (contract section 3); `errc::cancelled` when it was given up.
    result<> start(const std::function<bool()>& should_stop);

    /// Takes no new requests, lets what was accepted end within `shutdown_grace_s`, and ends the
    /// rest with an error event.
    ///
    /// \param should_hurry asked every now and then; true ends the grace.
    void stop(const std::function<bool()>& should_hurry);

private:
    struct impl;
    explicit router(std::unique_ptr<impl> i);
    std::unique_ptr<impl> impl_;
};

}  // namespace truffula::app
