#pragma once

#include "shard_sim/service.hpp"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <utility>

namespace truffula::shard_sim {

/// Serves calls and lets their time pass, on one thread: they have their turn in the order in which
/// they came, as on a LoRAX shard's event loop. While an answer or the next call is near it polls:
/// a sleeper that wakes up late would add to each step what nobody asked for.
class call_loop {
public:
    /// \param serial one call at a time; else each begins when it comes
    call_loop(service& calls, bool serial) : calls_(calls), is_serial_(serial) {}

    /// Before the server is built.
    void add_to(grpc::ServerBuilder& builder);

    /// Serves; does not return. After the server was built, on a thread of its own.
    [[noreturn]] void run();

private:
    using time_point = std::chrono::steady_clock::time_point;
    struct open_call;
    struct event;

    void accept();
    void handle(const event& what, bool ok);
    void arrived(open_call& call);
    void begin(open_call& call);
    void begin_next();
    void end_due();
    void end(open_call& call);
    void release(open_call& call);
    bool is_near(time_point now) const;
    bool next_event(void*& tag, bool& ok);

    service& calls_;
    bool is_serial_;
    grpc::AsyncGenericService generic_;
    std::unique_ptr<grpc::ServerCompletionQueue> queue_;
    std::set<std::pair<time_point, open_call*>> running_;  // by when they end
    std::deque<open_call*> waiting_;                       // for their turn
    bool is_busy_ = false;                                 // serial: somebody has its turn
    time_point last_answer_;
};

}  // namespace truffula::shard_sim
