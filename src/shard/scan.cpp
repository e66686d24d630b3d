#include "shard/scan.hpp"

#include "shard/wire_reader.hpp"

#include <algorithm>

namespace truffula::shard {
namespace {

using type = wire_reader::type;

// Field numbers of the shard protocol.
constexpr std::uint32_t response_generations = 1;
constexpr std::uint32_t response_batch = 2;
constexpr std::uint32_t generation_request_id = 1;
constexpr std::uint32_t generation_next_tokens = 3;
constexpr std::uint32_t generation_text = 4;
constexpr std::uint32_t next_tokens_ids = 1;
constexpr std::uint32_t batch_id = 1;
constexpr std::uint32_t batch_request_ids = 2;
constexpr std::uint32_t batch_size = 3;
constexpr std::uint32_t batch_max_tokens = 4;
constexpr std::uint32_t batch_current_tokens = 5;
constexpr std::uint32_t decode_batches = 1;
constexpr std::uint32_t prefill_cached_batch = 2;

constexpr std::size_t most_tag_and_length = 11;  // bytes
constexpr std::size_t least_generation = 24;     // bytes: an id, a token's text and log-probability

error malformed(const char* what) {
    return {errc::protocol, std::string{"cannot read the shard's "} + what};
}

bool has_ids(std::string_view next_tokens) {
    wire_reader fields{next_tokens};
    while (fields.next()) {
        if (fields.number() != next_tokens_ids) continue;
        if (fields.kind() == type::varint) return true;
        if (fields.kind() == type::bytes && !fields.bytes().empty()) return true;
    }
    return false;
}

/// False if the bytes are malformed.
bool scan_generation(std::string_view bytes, generation_span& span) {
    wire_reader fields{bytes};
    while (fields.next()) {
        const bool is_message = fields.kind() == type::bytes;
        if (fields.number() == generation_request_id && fields.kind() == type::varint) {
            span.request_id = fields.value();
        } else if (fields.number() == generation_next_tokens && is_message) {
            span.has_tokens = span.has_tokens || has_ids(fields.bytes());
        } else if (fields.number() == generation_text && is_message) {
            span.finished = true;
        }
    }
    return !fields.is_malformed();
}

/// Each ends with a byte below 0x80.
std::size_t count_varints(std::string_view packed) {
    return static_cast<std::size_t>(std::count_if(packed.begin(), packed.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x80U;
    }));
}

void append_varint(std::string& to, std::uint64_t value) {
    for (; value >= 0x80U; value >>= 7U) to += static_cast<char>(value | 0x80U);
    to += static_cast<char>(value);
}

void append_message(std::string& to, std::uint32_t field, std::string_view bytes) {
    to += static_cast<char>((field << 3U) | 2U);
    append_varint(to, bytes.size());
    to += bytes;
}

}  // namespace

result<std::optional<cached_batch>> scan_answer(
    std::string_view answer, std::uint32_t buffer, std::vector<generation_span>& spans) {
    std::optional<cached_batch> batch;
    if (spans.empty()) spans.reserve(answer.size() / least_generation);
    wire_reader fields{answer};
    while (fields.next()) {
        if (fields.kind() != type::bytes) continue;
        const auto bytes = fields.bytes();
        if (fields.number() == response_generations) {
            auto& span = spans.emplace_back();
            if (!scan_generation(bytes, span)) return malformed("generation");
            span.buffer = buffer;
            span.offset = static_cast<std::uint32_t>(bytes.data() - answer.data());
            span.length = static_cast<std::uint32_t>(bytes.size());
        } else if (fields.number() == response_batch) {
            // A second occurrence merges into the first: as protobuf has it, their bytes joined.
            auto read =
                batch ? scan_cached_batch(batch->wire.append(bytes)) : scan_cached_batch(bytes);
            if (!read) return read.error();
            batch = std::move(*read);
        }
    }
    if (fields.is_malformed()) return malformed("answer");
    return batch;
}

result<cached_batch> scan_cached_batch(std::string_view bytes) {
    cached_batch batch;
    wire_reader fields{bytes};
    while (fields.next()) {
        if (fields.number() == batch_request_ids && fields.kind() == type::bytes) {
            const auto packed = fields.bytes();
            if (batch.request_ids.empty()) batch.request_ids.reserve(count_varints(packed));
            wire_reader ids{packed};
            while (ids.next_varint()) batch.request_ids.push_back(ids.value());
            if (ids.is_malformed()) return malformed("cached batch");
        }
        if (fields.kind() != type::varint) continue;
        const auto value = fields.value();
        switch (fields.number()) {
            case batch_id: batch.id = value; break;
            case batch_request_ids: batch.request_ids.push_back(value); break;
            case batch_size: batch.size = static_cast<std::uint32_t>(value); break;
            case batch_max_tokens: batch.max_tokens = static_cast<std::uint32_t>(value); break;
            case batch_current_tokens:
                batch.current_tokens = static_cast<std::uint32_t>(value);
                break;
            default: break;
        }
    }
    if (fields.is_malformed()) return malformed("cached batch");
    batch.wire = bytes;
    return batch;
}

std::string decode_request(std::span<const cached_batch* const> batches) {
    std::string request;
    std::size_t size = 0;
    for (const auto* batch : batches) size += batch->wire.size() + most_tag_and_length;
    request.reserve(size);
    for (const auto* batch : batches) append_message(request, decode_batches, batch->wire);
    return request;
}

void append_prefill_cached_batch(const cached_batch& batch, std::string& request) {
    append_message(request, prefill_cached_batch, batch.wire);
}

}  // namespace truffula::shard
