#pragma once

#include "bench/unary_client.hpp"
#include "generate.pb.h"

#include <cstddef>
#include <string>

namespace truffula::bench {

namespace wire = generate::v1;

/// What a router would send to a shard, and nothing else: messages are parsed with protobuf, and
/// tokens are not delivered to anybody. What a router can be compared with.
class bare_client {
public:
    explicit bare_client(const std::string& socket_path) : shard_(socket_path) {}

    /// Calls `method` with a message, and reads one.
    template <class Response, class Request>
    Response call(std::string_view method, const Request& request) {
        Response out;
        out.ParseFromString(shard_.call(method, request.SerializeAsString()));
        return out;
    }

    wire::CachedBatch prefill(const wire::PrefillRequest& request) {
        return call<wire::PrefillResponse>("Prefill", request).batch();
    }

    /// Decodes the batch of the request, at most `steps` times, until no sequence is left.
    /// Returns the batch that is left.
    wire::CachedBatch decode(wire::DecodeRequest request, std::size_t steps = SIZE_MAX);

private:
    unary_client shard_;
};

/// A request as the router writes it.
wire::Request make_request(std::uint64_t id, std::string text, std::uint32_t new_tokens);

}  // namespace truffula::bench
