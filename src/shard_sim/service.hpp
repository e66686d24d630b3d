#pragma once

#include "shard_sim/fault.hpp"
#include "shard_sim/options.hpp"
#include "shard_sim/shard.hpp"

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace truffula::shard_sim {

/// A call that has arrived whole.
struct incoming {
    method what = method::health;
    call_rules::call_id id = 0;
    std::unique_ptr<google::protobuf::Message> request;
};

/// What becomes of it.
struct reply {
    outcome done;            ///< Its time and, if it fails, the text of the status.
    grpc::ByteBuffer bytes;  ///< The answer, unless it fails; some are no message at all.
    bool goes_on = false;    ///< A Decode that leaves a batch on the shard.
    bool hangs = false;      ///< It is never answered.
};

/// `generate.v1.LoraxService` over a `shard`: messages and faults, without sockets and time.
/// \threads one at a time for the calls; `report` and `violations` from any.
class service {
public:
    /// \param crash ends the process, given the last report; called for the fault of that name
    service(const options& settings, std::function<void(const std::string& report)> crash);

    /// A call of that path came (`/generate.v1.LoraxService/Decode`).
    ///
    /// \param bytes its message, which is taken
    /// \errors nothing, and in `why` what was wrong: no such method, or no such message.
    std::optional<incoming> arrive(
        std::string_view path, grpc::ByteBuffer& bytes, grpc::Status& why);

    /// It is its turn. The answer is to go out `done.cost` later, after `leave`.
    reply run(const incoming& call);
    void leave(const incoming& call, const reply& answer);

    /// Its client does not wait for it any more.
    void give_up(call_rules::call_id id);

    /// The report as JSON text.
    std::string report();
    std::uint64_t violations();

private:
    template <class Request, class Response>
    using body = std::function<outcome(const Request&, Response&, const std::optional<fault>&)>;
    struct entry {
        method what;
        std::function<std::unique_ptr<google::protobuf::Message>()> make;
        std::function<reply(const google::protobuf::Message&)> run;
    };

    template <class Request, class Response>
    void add(method m, body<Request, Response> work);
    template <class Request, class Response>
    reply run(method m, const body<Request, Response>& work, const Request& request);
    void add_batch_calls();
    void add_adapter_calls();
    void add_other_calls();
    void record(method m, const google::protobuf::Message& request);

    options options_;
    std::map<std::string, entry, std::less<>> by_path_;
    std::map<method, const entry*> by_method_;
    std::function<void(const std::string&)> crash_;
    std::mutex mutex_;  ///< Guards all below.
    shard shard_;
    fault_plan faults_;
    std::ofstream record_;
};

}  // namespace truffula::shard_sim
