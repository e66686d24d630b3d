#include "shard_sim/call_loop.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <thread>

namespace truffula::shard_sim {
namespace {

using namespace std::chrono_literals;

/// gRPC sleeps in whole milliseconds, and wakes up late.
constexpr auto grpc_sleeps = 2ms;
constexpr auto nap = 100us;
/// So long after an answer the next call is awaited awake.
constexpr auto next_call_near = 500us;

}  // namespace

/// What a tag of the completion queue stands for.
struct call_loop::event {
    enum class kind : std::uint8_t { accepted, read, answered, done };
    open_call* call;
    kind what;
};

struct call_loop::open_call {
    open_call() {
        using kind = event::kind;
        for (const auto k : {kind::accepted, kind::read, kind::answered, kind::done}) {
            tags[static_cast<std::size_t>(k)] = {this, k};
        }
    }
    void* tag(event::kind k) { return &tags[static_cast<std::size_t>(k)]; }

    std::array<event, 4> tags{};
    grpc::GenericServerContext context;
    grpc::GenericServerAsyncReaderWriter stream{&context};
    grpc::ByteBuffer bytes;
    time_point came{};
    std::optional<incoming> call;
    reply answer;
    bool has_ended = false;  // answered, or never to be
    bool is_done = false;    // gRPC has told how it ended
};

void call_loop::add_to(grpc::ServerBuilder& builder) {
    builder.RegisterAsyncGenericService(&generic_);
    queue_ = builder.AddCompletionQueue();
}

void call_loop::accept() {
    auto* fresh = new open_call;
    fresh->context.AsyncNotifyWhenDone(fresh->tag(event::kind::done));
    generic_.RequestCall(
        &fresh->context,
        &fresh->stream,
        queue_.get(),
        queue_.get(),
        fresh->tag(event::kind::accepted));
}

void call_loop::run() {
    accept();
    for (;;) {
        void* tag = nullptr;
        bool ok = false;
        if (next_event(tag, ok)) handle(*static_cast<event*>(tag), ok);
        end_due();
    }
}

/// Whether something is to happen so soon that gRPC would sleep beyond it.
bool call_loop::is_near(time_point now) const {
    if (!running_.empty() && running_.begin()->first < now + grpc_sleeps) return true;
    return now < last_answer_ + next_call_near;
}

bool call_loop::next_event(void*& tag, bool& ok) {
    const auto now = std::chrono::steady_clock::now();
    auto until = gpr_inf_future(GPR_CLOCK_REALTIME);
    if (is_near(now)) {
        until = gpr_inf_past(GPR_CLOCK_REALTIME);
    } else if (!running_.empty()) {
        const auto left = running_.begin()->first - now - grpc_sleeps;
        const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(left);
        until = gpr_time_add(
            gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_micros(micros.count(), GPR_TIMESPAN));
    }
    if (queue_->AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT) return true;
    // Nothing yet. Near the end nobody sleeps: it would be beyond it.
    const bool may_nap = !running_.empty() && running_.begin()->first > now + 2 * nap &&
                         now > last_answer_ + next_call_near;
    if (may_nap) {
        std::this_thread::sleep_for(nap);
    } else {
        std::this_thread::yield();
    }
    return false;
}

void call_loop::handle(const event& what, bool ok) {
    auto& call = *what.call;
    switch (what.what) {
        case event::kind::accepted:
            call.came = std::chrono::steady_clock::now();
            call.stream.Read(&call.bytes, call.tag(event::kind::read));
            accept();
            return;
        case event::kind::read:
            if (ok) return arrived(call);
            call.stream.Finish(
                {grpc::StatusCode::INTERNAL, "no message"}, call.tag(event::kind::answered));
            return;
        case event::kind::answered: call.has_ended = true; return release(call);
        case event::kind::done:
            call.is_done = true;
            if (call.call && call.context.IsCancelled()) calls_.give_up(call.call->id);
            return release(call);
    }
}

void call_loop::arrived(open_call& call) {
    grpc::Status why;
    call.call = calls_.arrive(call.context.method(), call.bytes, why);
    if (!call.call) {
        call.stream.Finish(why, call.tag(event::kind::answered));
        return;
    }
    waiting_.push_back(&call);
    begin_next();
}

void call_loop::begin_next() {
    while (!waiting_.empty() && !is_busy_) {
        auto& call = *waiting_.front();
        waiting_.pop_front();
        begin(call);
    }
}

void call_loop::begin(open_call& call) {
    // What gRPC and we do to read it is a part of what the call is to cost.
    const auto begun = is_serial_ ? std::max(call.came, last_answer_) : call.came;
    is_busy_ = is_serial_;
    call.answer = calls_.run(*call.call);
    if (call.answer.hangs) return;  // with its turn, if there are turns
    running_.emplace(begun + call.answer.done.cost, &call);
}

void call_loop::end_due() {
    while (!running_.empty()) {
        const auto [when, call] = *running_.begin();
        if (when > std::chrono::steady_clock::now()) return;
        running_.erase(running_.begin());
        end(*call);
    }
}

void call_loop::end(open_call& call) {
    calls_.leave(*call.call, call.answer);
    auto* tag = call.tag(event::kind::answered);
    if (call.answer.done.error) {
        call.stream.Finish({grpc::StatusCode::INTERNAL, *call.answer.done.error}, tag);
    } else {
        call.stream.WriteAndFinish(call.answer.bytes, {}, grpc::Status::OK, tag);
    }
    last_answer_ = std::chrono::steady_clock::now();
    is_busy_ = false;
    begin_next();
}

/// gRPC still points into a call until it has told both ends of it.
void call_loop::release(open_call& call) {
    if (call.has_ended && call.is_done) delete &call;
}

}  // namespace truffula::shard_sim
