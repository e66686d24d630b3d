#pragma once

#include "generate.pb.h"
#include "truffula/shard/answers.hpp"
#include "truffula/shard/shard_group.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace truffula::shard {

namespace wire = generate::v1;

// Requests of the router, as bytes; contract sections 3, 12 and 13 say what is in them.

std::string prefill_message(const prefill_batch& batch);
std::string filter_message(std::uint64_t batch_id, std::span<const std::uint64_t> request_ids);
std::string clear_cache_message(std::optional<std::uint64_t> batch_id);
std::string download_message(const adapter_call& call);
std::string load_message(const adapter_call& call);
std::string offload_message(const adapter_call& call);
std::string warmup_message(const warmup_limits& limits);

/// The dummy request of contract section 13, written by `write`.
std::string health_message(
    std::uint32_t block_size, std::string (*write)(const prefill_batch& batch));

/// What every request of a batch has, whatever its task.
void write_common(const prefill_request& from, wire::Request& to);

/// \errors `errc::protocol` if `bytes` is no such message.
template <class Message>
result<Message> parse(std::string_view bytes) {
    Message m;
    if (m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return m;
    return error{errc::protocol, "cannot read the shard's " + std::string{m.GetTypeName()}};
}

model_info read_info(const wire::InfoResponse& from);

/// Millionths of the adapter memory; above 1 stays above 1 (such an adapter never fits).
///
/// \errors `errc::protocol` for a share that is no number or negative.
result<std::uint32_t> read_memory_share(float fraction);

}  // namespace truffula::shard
