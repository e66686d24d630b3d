#pragma once

#include "bench/lean_shard.hpp"

#include <string>
#include <thread>

namespace truffula::bench {

/// A lean shard on a Unix socket, with nghttp2, on a thread of its own.
class lean_server {
public:
    explicit lean_server(const std::string& socket_path);
    ~lean_server();
    lean_server(const lean_server&) = delete;
    lean_server& operator=(const lean_server&) = delete;

    lean_shard& shard() { return shard_; }

private:
    lean_shard shard_;
    int stop_;
    std::thread thread_;
};

}  // namespace truffula::bench
