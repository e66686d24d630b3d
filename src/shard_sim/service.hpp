#pragma once

#include "shard_sim/fault.hpp"
#include "shard_sim/options.hpp"
#include "shard_sim/shard.hpp"
#include "shard_sim/turnstile.hpp"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <cstdint>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace truffula::shard_sim {

/// `generate.v1.LoraxService` over a `shard`: turns, time and faults. Answers go out as bytes, so
/// that some can be no message at all.
/// \threads those of the gRPC server; `report` from any.
class service final : public grpc::Service {
public:
    /// \param crash ends the process, given the last report; called for the fault of that name
    service(const options& settings, std::function<void(const std::string& report)> crash);

    /// The report as JSON text.
    std::string report();
    std::uint64_t violations();

private:
    using time_point = std::chrono::steady_clock::time_point;
    /// Does a call at its turn.
    template <class Request, class Response>
    using body = std::function<outcome(const Request&, Response&, const std::optional<fault>&)>;

    template <class Request, class Response>
    void add(method m, body<Request, Response> work);
    template <class Request, class Response>
    grpc::Status serve(
        method m,
        const body<Request, Response>& work,
        const grpc::ServerContext& context,
        const Request& request,
        grpc::ByteBuffer& answer);
    template <class Request, class Response>
    outcome run(
        method m,
        const body<Request, Response>& work,
        const Request& request,
        Response& response,
        std::optional<fault>& wrong);

    void add_batch_calls();
    void add_adapter_calls();
    void add_other_calls();
    call_rules::call_id arrive(
        method m, const google::protobuf::Message& request, const grpc::ServerContext& context);
    void leave(call_rules::call_id id, method m, const outcome& done, bool goes_on);
    void record(method m, const google::protobuf::Message& request);

    options options_;
    std::deque<std::string> paths_;  ///< Of the methods; they stay where they are.
    std::function<void(const std::string&)> crash_;
    std::mutex mutex_;  ///< Guards all below.
    shard shard_;
    fault_plan faults_;
    std::map<call_rules::call_id, const grpc::ServerContext*> open_;
    std::ofstream record_;
    turnstile turns_;
};

}  // namespace truffula::shard_sim
