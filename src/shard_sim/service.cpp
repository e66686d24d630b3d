#include "shard_sim/service.hpp"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/impl/codegen/method_handler.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/rpc_service_method.h>
#include <grpcpp/support/byte_buffer.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>
#include <semaphore>
#include <thread>
#include <type_traits>
#include <utility>

namespace truffula::shard_sim {
namespace {

/// Sleepers wake up late, by more than a step may be off where thousands of steps add up: the last
/// bit is waited for awake.
void wait_until(std::chrono::steady_clock::time_point end) {
    constexpr std::chrono::microseconds most_late{100};
    std::this_thread::sleep_until(end - most_late);
    while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

template <class Request>
std::optional<std::uint32_t> index_in(const Request& request) {
    if (const auto* load = dynamic_cast<const wire::LoadAdapterRequest*>(&request)) {
        return load->adapter_index();
    }
    if (const auto* offload = dynamic_cast<const wire::OffloadAdapterRequest*>(&request)) {
        return offload->adapter_index();
    }
    return std::nullopt;
}

grpc::ByteBuffer bytes_of(std::string text) {
    const grpc::Slice slice{text};
    return {&slice, 1};
}

template <class Response>
grpc::ByteBuffer write(const Response& response, const std::optional<fault>& wrong) {
    if (wrong && wrong->kind == fault_kind::garbage) {
        return bytes_of("\x0a\xff\xff\xff\xff\x0fno message at all\x07");
    }
    if (wrong && wrong->kind == fault_kind::truncated) {
        const auto whole = response.SerializeAsString();
        return bytes_of(whole.substr(0, whole.size() / 2));
    }
    grpc::ByteBuffer out;
    bool own = false;
    grpc::SerializationTraits<Response>::Serialize(response, &out, &own);
    return out;
}

[[noreturn]] void hang() {
    for (std::binary_semaphore never{0};;) never.acquire();
}

// Does any batch go on after this answer? Other answers say nothing about that.
template <class Response>
bool leaves_batch(const Response& response) {
    if constexpr (std::is_same_v<Response, wire::DecodeResponse>) return response.has_batch();
    return false;
}

}  // namespace

service::service(const options& settings, std::function<void(const std::string& report)> crash)
    : options_(settings), crash_(std::move(crash)), shard_(settings), faults_(settings.faults) {
    if (!options_.record.empty()) record_.open(options_.record);
    add_batch_calls();
    add_adapter_calls();
    add_other_calls();
}

std::string service::report() {
    const std::lock_guard lock{mutex_};
    return shard_.report();
}

std::uint64_t service::violations() {
    const std::lock_guard lock{mutex_};
    return shard_.checker().log().total();
}

template <class Request, class Response>
void service::add(method m, body<Request, Response> work) {
    using handler = grpc::internal::RpcMethodHandler<service, Request, grpc::ByteBuffer>;
    // The server takes the method, which takes the handler, but only points to the path.
    const auto& path = paths_.emplace_back("/generate.v1.LoraxService/" + std::string{name_of(m)});
    auto call = [m, work = std::move(work)](
                    service* self,
                    grpc::ServerContext* context,
                    const Request* request,
                    grpc::ByteBuffer* answer) {
        return self->serve<Request, Response>(m, work, *context, *request, *answer);
    };
    AddMethod(new grpc::internal::RpcServiceMethod(
        path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, new handler(std::move(call), this)));
}

template <class Request, class Response>
grpc::Status service::serve(
    method m,
    const body<Request, Response>& work,
    const grpc::ServerContext& context,
    const Request& request,
    grpc::ByteBuffer& answer) {
    const auto id = arrive(m, request, context);
    if (options_.serial) turns_.pass(id);
    const auto begun = std::chrono::steady_clock::now();
    std::optional<fault> wrong;
    Response response;
    outcome done = run<Request, Response>(m, work, request, response, wrong);
    if (wrong && wrong->kind == fault_kind::hang) hang();
    if (!done.error) answer = write(response, wrong);
    // Our own work is a part of what the call is to cost.
    if (done.cost.count() > 0) wait_until(begun + done.cost);
    leave(id, m, done, leaves_batch(response));
    if (options_.serial) turns_.leave();
    if (!done.error) return grpc::Status::OK;
    spdlog::warn("{}: {}", name_of(m), *done.error);
    return {grpc::StatusCode::INTERNAL, *done.error};
}

call_rules::call_id service::arrive(
    method m, const google::protobuf::Message& request, const grpc::ServerContext& context) {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock{mutex_};
    auto& checker = shard_.checker();
    for (const auto& [id, other] : open_) {
        if (other->IsCancelled()) checker.give_up(id);
    }
    const auto id = checker.begin(m, index_in(request));
    open_.emplace(id, &context);
    if (m == method::decode) shard_.gaps().arrived(now);
    if (m == method::prefill) shard_.gaps().interrupt();
    if (record_.is_open()) record(m, request);
    return id;
}

template <class Request, class Response>
outcome service::run(
    method m,
    const body<Request, Response>& work,
    const Request& request,
    Response& response,
    std::optional<fault>& wrong) {
    const std::lock_guard lock{mutex_};
    wrong = faults_.next(m);
    if (wrong) {
        const auto kind = fault_names[static_cast<std::size_t>(wrong->kind)];
        spdlog::info("fault: {} {}", name_of(m), kind);
    }
    if (wrong && wrong->kind == fault_kind::crash) crash_(shard_.report());
    const bool fails =
        wrong && (wrong->kind == fault_kind::fail || wrong->kind == fault_kind::hang);
    if (!fails || m == method::prefill || m == method::decode) {
        return work(request, response, wrong);
    }
    outcome out;
    out.error = wrong->text;
    return out;
}

void service::leave(call_rules::call_id id, method m, const outcome& done, bool goes_on) {
    const std::lock_guard lock{mutex_};
    if (done.after) done.after();
    if (done.error) shard_.count_failure(m);
    shard_.checker().end(id);
    open_.erase(id);
    if (m != method::decode) return;
    // The stamp is taken before the answer is written: a thread that loses the processor while
    // it writes would otherwise see no gap at all.
    if (goes_on) {
        shard_.gaps().answered(std::chrono::steady_clock::now());
    } else {
        shard_.gaps().interrupt();
    }
}

void service::record(method m, const google::protobuf::Message& request) {
    std::string text;
    google::protobuf::util::JsonPrintOptions print;
    print.preserve_proto_field_names = true;
    if (!google::protobuf::util::MessageToJsonString(request, &text, print).ok()) text = "null";
    record_ << R"({"method":")" << name_of(m) << R"(","request":)" << text << "}" << std::endl;
}

void service::add_batch_calls() {
    add<wire::PrefillRequest, wire::PrefillResponse>(
        method::prefill, [this](const auto& in, auto& out, const auto& wrong) {
            return shard_.prefill(in, out, wrong);
        });
    add<wire::DecodeRequest, wire::DecodeResponse>(
        method::decode, [this](const auto& in, auto& out, const auto& wrong) {
            return shard_.decode(in, out, wrong);
        });
    add<wire::FilterBatchRequest, wire::FilterBatchResponse>(
        method::filter_batch,
        [this](const auto& in, auto& out, const auto&) { return shard_.filter_batch(in, out); });
    add<wire::ClearCacheRequest, wire::ClearCacheResponse>(
        method::clear_cache,
        [this](const auto& in, auto&, const auto&) { return shard_.clear_cache(in); });
    add<wire::EmbedRequest, wire::EmbedResponse>(
        method::embed,
        [this](const auto& in, auto& out, const auto&) { return shard_.embed(in, out); });
    add<wire::ClassifyRequest, wire::ClassifyResponse>(
        method::classify,
        [this](const auto& in, auto& out, const auto&) { return shard_.classify(in, out); });
}

void service::add_adapter_calls() {
    add<wire::DownloadAdapterRequest, wire::DownloadAdapterResponse>(
        method::download_adapter,
        [this](const auto& in, auto& out, const auto&) { return shard_.download(in, out); });
    add<wire::LoadAdapterRequest, wire::LoadAdapterResponse>(
        method::load_adapter,
        [this](const auto& in, auto& out, const auto&) { return shard_.load(in, out); });
    add<wire::OffloadAdapterRequest, wire::OffloadAdapterResponse>(
        method::offload_adapter,
        [this](const auto& in, auto& out, const auto&) { return shard_.offload(in, out); });
}

void service::add_other_calls() {
    add<wire::InfoRequest, wire::InfoResponse>(
        method::info, [this](const auto&, auto& out, const auto&) { return shard_.info(out); });
    add<wire::ServiceDiscoveryRequest, wire::ServiceDiscoveryResponse>(
        method::service_discovery,
        [this](const auto&, auto& out, const auto&) { return shard_.service_discovery(out); });
    add<wire::WarmupRequest, wire::WarmupResponse>(
        method::warmup,
        [this](const auto& in, auto& out, const auto&) { return shard_.warmup(in, out); });
    add<wire::HealthRequest, wire::HealthResponse>(
        method::health, [](const auto&, auto&, const auto&) { return outcome{}; });
}

}  // namespace truffula::shard_sim
