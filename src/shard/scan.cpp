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

constexpr std::size_t most_tag_and_length = 11;  // bytes
constexpr std::size_t least_generation = 24;     // bytes: an id, a token's text and log-probability

error malformed(const char* what) {
    return {errc::protocol, std::string{"cannot read the shard's "} + what};
}

bool has_ids(std::string_view next_tokens) {
    wire_reader fields{next_tokens};
    while (const auto f = fields.next()) {
        if (f->number == next_tokens_ids && (f->kind == type::varint || !f->bytes.empty())) {
            return true;
        }
    }
    return false;
}

result<generation_span> scan_generation(std::string_view bytes) {
    generation_span span;
    wire_reader fields{bytes};
    while (const auto f = fields.next()) {
        const bool is_message = f->kind == type::bytes;
        if (f->number == generation_request_id && f->kind == type::varint) {
            span.request_id = f->value;
        } else if (f->number == generation_next_tokens && is_message) {
            span.has_tokens = span.has_tokens || has_ids(f->bytes);
        } else if (f->number == generation_text && is_message) {
            span.finished = true;
        }
    }
    if (fields.is_malformed()) return malformed("generation");
    return span;
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

}  // namespace

result<std::optional<cached_batch>> scan_answer(
    std::string_view answer, std::uint32_t buffer, std::vector<generation_span>& spans) {
    std::optional<cached_batch> batch;
    if (spans.empty()) spans.reserve(answer.size() / least_generation);
    wire_reader fields{answer};
    while (const auto f = fields.next()) {
        if (f->kind != type::bytes) continue;
        if (f->number == response_generations) {
            auto span = scan_generation(f->bytes);
            if (!span) return span.error();
            span->buffer = buffer;
            span->offset = static_cast<std::uint32_t>(f->bytes.data() - answer.data());
            span->length = static_cast<std::uint32_t>(f->bytes.size());
            spans.push_back(*span);
        } else if (f->number == response_batch) {
            // A second occurrence merges into the first: as protobuf has it, their bytes joined.
            auto read = batch ? scan_cached_batch(batch->wire.append(f->bytes))
                              : scan_cached_batch(f->bytes);
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
    while (const auto f = fields.next()) {
        if (f->number == batch_request_ids && f->kind == type::bytes) {
            auto packed = f->bytes;
            if (batch.request_ids.empty()) batch.request_ids.reserve(count_varints(packed));
            while (!packed.empty()) {
                const auto id = wire_reader::take_varint(packed);
                if (!id) return malformed("cached batch");
                batch.request_ids.push_back(*id);
            }
        }
        if (f->kind != type::varint) continue;
        switch (f->number) {
            case batch_id: batch.id = f->value; break;
            case batch_request_ids: batch.request_ids.push_back(f->value); break;
            case batch_size: batch.size = static_cast<std::uint32_t>(f->value); break;
            case batch_max_tokens: batch.max_tokens = static_cast<std::uint32_t>(f->value); break;
            case batch_current_tokens:
                batch.current_tokens = static_cast<std::uint32_t>(f->value);
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
    for (const auto* batch : batches) {
        request += static_cast<char>((decode_batches << 3U) | 2U);
        append_varint(request, batch->wire.size());
        request += batch->wire;
    }
    return request;
}

}  // namespace truffula::shard
