#include "shard_llama/backend.hpp"

#include <string>
#include <utility>

namespace truffula::shard_llama {

backend::backend(const context_options& options)
    : options_(options), free_cells_(options.max_total_tokens) {
    for (std::uint32_t id = 0; id < options.max_sequences; ++id) {
        free_sequences_.insert(static_cast<std::int32_t>(id));
    }
}

result<seat> backend::take_seat(std::uint32_t cells) {
    const auto most = options_.cells_of_one();
    if (cells > most) {
        return error{
            errc::validation,
            std::to_string(cells) + " tokens, but a sequence has " + std::to_string(most)};
    }
    if (free_sequences_.empty()) return error{errc::overloaded, "no sequence id is free"};
    if (cells > free_cells_) {
        return error{
            errc::overloaded,
            "out of KV cells: " + std::to_string(cells) + " wanted, " +
                std::to_string(free_cells_) + " free"};
    }
    const auto id = free_sequences_.extract(free_sequences_.begin()).value();
    free_cells_ -= cells;
    return seat{shared_from_this(), id, cells};
}

void backend::leave(std::int32_t sequence, std::uint32_t cells) {
    forget(sequence);
    free_sequences_.insert(sequence);
    free_cells_ += cells;
}

result<> backend::run(const adapter& with, std::span<const input> inputs, const logits_sink& sink) {
    if (with != current_) {
        use(with);
        current_ = with;
    }
    std::size_t first = 0;
    while (first < inputs.size()) {
        std::size_t end = first;
        std::size_t outputs = 0;
        while (end < inputs.size() && end - first < options_.step_tokens) {
            outputs += inputs[end].wants_logits ? 1 : 0;
            if (outputs > most_outputs()) break;
            ++end;
        }
        if (auto done = run_pass(inputs.subspan(first, end - first), first, sink); !done) {
            return done.error();
        }
        first = end;
    }
    return {};
}

seat::seat(std::shared_ptr<backend> owner, std::int32_t sequence, std::uint32_t cells)
    : owner_(std::move(owner)), sequence_(sequence), cells_(cells) {}

seat::~seat() {
    if (owner_) owner_->leave(sequence_, cells_);
}

}  // namespace truffula::shard_llama
