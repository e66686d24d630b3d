#pragma once

#include "generate.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unistd.h>
#include <utility>

namespace truffula::test {

namespace wire = generate::v1;

/// A folder of its own, gone with the object.
class temporary_folder {
public:
    temporary_folder() {
        std::string pattern = std::filesystem::temp_directory_path() / "truffula-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~temporary_folder() { std::filesystem::remove_all(path_); }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

/// Lets calls wait till the test opens it.
class latch_gate {
public:
    void open() {
        {
            const std::lock_guard lock{mutex_};
            is_open_ = true;
        }
        changed_.notify_all();
    }
    /// False after a generous time.
    bool wait() {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::seconds{20}, [this] { return is_open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_open_ = false;
};

/// The service through the standard gRPC server of C++. What is not set succeeds with an empty
/// answer. Functions run on the server's threads.
class grpc_service final : public wire::LoraxService::Service {
public:
    std::function<grpc::Status(
        grpc::ServerContext&, const wire::DecodeRequest&, wire::DecodeResponse&)>
        decode;
    std::function<grpc::Status(grpc::ServerContext&)> health;
    std::function<grpc::Status(const wire::WarmupRequest&, wire::WarmupResponse&)> warmup;
    wire::InfoResponse info;
    std::vector<std::string> urls;
    std::mutex mutex;
    std::vector<std::string> calls;  ///< In the order they came.

private:
    using context = grpc::ServerContext;
    void note(const char* call) {
        const std::lock_guard lock{mutex};
        calls.emplace_back(call);
    }

    grpc::Status Decode(
        context* c, const wire::DecodeRequest* request, wire::DecodeResponse* response) override {
        note("Decode");
        return decode ? decode(*c, *request, *response) : grpc::Status::OK;
    }
    grpc::Status Health(context* c, const wire::HealthRequest*, wire::HealthResponse*) override {
        note("Health");
        return health ? health(*c) : grpc::Status::OK;
    }
    grpc::Status Info(context*, const wire::InfoRequest*, wire::InfoResponse* response) override {
        note("Info");
        *response = info;
        return grpc::Status::OK;
    }
    grpc::Status ServiceDiscovery(
        context*,
        const wire::ServiceDiscoveryRequest*,
        wire::ServiceDiscoveryResponse* response) override {
        note("ServiceDiscovery");
        for (const auto& url : urls) response->add_urls(url);
        return grpc::Status::OK;
    }
    grpc::Status ClearCache(
        context*, const wire::ClearCacheRequest*, wire::ClearCacheResponse*) override {
        note("ClearCache");
        return grpc::Status::OK;
    }
    grpc::Status Warmup(
        context*, const wire::WarmupRequest* request, wire::WarmupResponse* response) override {
        note("Warmup");
        return warmup ? warmup(*request, *response) : grpc::Status::OK;
    }
};

/// A running server on a Unix socket.
class grpc_shard {
public:
    explicit grpc_shard(const std::string& name = "shard")
        : address_("unix://" + folder_.file(name)) {
        service.urls = {address_};
        start();
    }
    ~grpc_shard() { stop(); }
    grpc_shard(const grpc_shard&) = delete;
    grpc_shard& operator=(const grpc_shard&) = delete;

    void start() {
        grpc::ServerBuilder builder;
        builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
        builder.SetMaxReceiveMessageSize(-1);
        builder.SetMaxSendMessageSize(-1);
        builder.RegisterService(&service);
        server_ = builder.BuildAndStart();
    }
    /// Calls under way are broken off.
    void stop() {
        if (!server_) return;
        server_->Shutdown(std::chrono::system_clock::now());
        server_->Wait();
        server_.reset();
    }
    const std::string& address() const { return address_; }

    grpc_service service;

private:
    temporary_folder folder_;
    std::string address_;
    std::unique_ptr<grpc::Server> server_;
};

}  // namespace truffula::test
