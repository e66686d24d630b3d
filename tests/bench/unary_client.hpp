#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace truffula::bench {

/// gRPC's unary calls on one Unix socket, one at a time, blocking: the least that can drive a
/// shard.
class unary_client {
public:
    explicit unary_client(const std::string& socket_path);
    ~unary_client();

    /// Writes the request of a call to `generate.v1.LoraxService/<method>`.
    void send(std::string_view method, std::string_view request);
    /// Waits for its answer. Throws when the call failed.
    std::string receive();

    std::string call(std::string_view method, std::string_view request) {
        send(method, request);
        return receive();
    }

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace truffula::bench
