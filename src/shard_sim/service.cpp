#include "shard_sim/service.hpp"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <type_traits>
#include <utility>

namespace truffula::shard_sim {
namespace {

std::optional<std::uint32_t> index_in(const google::protobuf::Message& request) {
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
    const auto path = "/generate.v1.LoraxService/" + std::string{name_of(m)};
    auto& made = by_path_[path];
    made.what = m;
    made.make = [] { return std::make_unique<Request>(); };
    made.run = [this, m, work = std::move(work)](const google::protobuf::Message& request) {
        return run<Request, Response>(m, work, static_cast<const Request&>(request));
    };
    by_method_[m] = &made;
}

std::optional<incoming> service::arrive(
    std::string_view path, grpc::ByteBuffer& bytes, grpc::Status& why) {
    const auto now = std::chrono::steady_clock::now();
    const auto found = by_path_.find(path);
    if (found == by_path_.end()) {
        why = {grpc::StatusCode::UNIMPLEMENTED, "no method " + std::string{path}};
        return std::nullopt;
    }
    incoming call;
    call.what = found->second.what;
    call.request = found->second.make();
    const auto parsed =
        grpc::GenericDeserialize<grpc::ProtoBufferReader, google::protobuf::Message>(
            &bytes, call.request.get());
    if (!parsed.ok()) {
        why = parsed;
        return std::nullopt;
    }
    const std::lock_guard lock{mutex_};
    call.id = shard_.checker().begin(call.what, index_in(*call.request));
    if (call.what == method::decode) shard_.gaps().arrived(now);
    if (call.what == method::prefill) shard_.gaps().interrupt();
    if (record_.is_open()) record(call.what, *call.request);
    return call;
}

reply service::run(const incoming& call) {
    return by_method_.at(call.what)->run(*call.request);
}

template <class Request, class Response>
reply service::run(method m, const body<Request, Response>& work, const Request& request) {
    const std::lock_guard lock{mutex_};
    const auto wrong = faults_.next(m);
    if (wrong) {
        const auto kind = fault_names[static_cast<std::size_t>(wrong->kind)];
        spdlog::info("fault: {} {}", name_of(m), kind);
    }
    if (wrong && wrong->kind == fault_kind::crash) crash_(shard_.report());
    reply answer;
    answer.hangs = wrong && wrong->kind == fault_kind::hang;
    const bool fails = answer.hangs || (wrong && wrong->kind == fault_kind::fail);
    Response response;
    if (!fails || m == method::prefill || m == method::decode) {
        answer.done = work(request, response, wrong);
    } else {
        answer.done.error = wrong->text;
    }
    answer.goes_on = leaves_batch(response);
    if (!answer.done.error) answer.bytes = write(response, wrong);
    return answer;
}

void service::leave(const incoming& call, const reply& answer) {
    const std::lock_guard lock{mutex_};
    if (answer.done.after) answer.done.after();
    if (answer.done.error) {
        shard_.count_failure(call.what);
        spdlog::warn("{}: {}", name_of(call.what), *answer.done.error);
    }
    shard_.checker().end(call.id);
    if (call.what != method::decode) return;
    // The stamp is taken before the answer is written: a thread that loses the processor while
    // it writes would otherwise see no gap at all.
    if (answer.goes_on) {
        shard_.gaps().answered(std::chrono::steady_clock::now());
    } else {
        shard_.gaps().interrupt();
    }
}

void service::give_up(call_rules::call_id id) {
    const std::lock_guard lock{mutex_};
    shard_.checker().give_up(id);
}

void service::record(method m, const google::protobuf::Message& request) {
    std::string text;
    google::protobuf::util::JsonPrintOptions print;
    print.preserve_proto_field_names = true;
    if (!google::protobuf::util::MessageToJsonString(request, &text, print).ok()) text = "null";
    record_ << R"({"method":")" << name_of(m) << R"(","request":)" << text << "}\n" << std::flush;
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
