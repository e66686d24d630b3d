#pragma once

#include "shard_llama/context_options.hpp"
#include "shard_llama/vocabulary.hpp"
#include "truffula/error/error.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>

namespace truffula::shard_llama {

class seat;

/// One token to compute: the `position`-th of sequence `sequence`.
struct input {
    token id;
    std::int32_t position;
    std::int32_t sequence;
    bool wants_logits;
};

/// Who sits on which sequence id, and how inputs become passes. `context` computes them with
/// llama; tests compute them without a model. Lives in a `shared_ptr`: seats share it.
///
/// \threads one at a time.
class backend : public std::enable_shared_from_this<backend> {
public:
    /// Called with the index of the input and its logits, which are gone after the call. The
    /// callee may change them.
    using logits_sink = std::function<void(std::size_t, std::span<float>)>;

    virtual ~backend() = default;
    backend(const backend&) = delete;
    backend& operator=(const backend&) = delete;

    /// Takes a free sequence id, the lowest, and sets `cells` aside.
    ///
    /// \errors `errc::overloaded` when no sequence id or not that many cells are free,
    /// `errc::validation` when no sequence could ever have that many.
    result<seat> take_seat(std::uint32_t cells);

    /// Runs `inputs` through base model plus `with` (may be null), in as many passes as needed.
    /// Without shared cells llama computes neighbours together: sort by sequence, a gap costs a
    /// pass.
    ///
    /// \errors `errc::overloaded` without free cells, `errc::generation` otherwise. Some inputs
    /// may have got their cells: give up the seats concerned.
    result<> run(const adapter& with, std::span<const input> inputs, const logits_sink& sink);

    /// The adapter of the last `run`. Another one costs a new graph: see docs/model-shard.md.
    const adapter& current() const { return current_; }

    const context_options& options() const { return options_; }

protected:
    explicit backend(const context_options& options);

    /// Applies `with` to all passes to come.
    virtual void use(const adapter& with) = 0;

    /// One pass of at most `step_tokens` inputs, of which `most_outputs` want logits. `first` is
    /// the index of the first one, for `sink`.
    virtual result<> run_pass(
        std::span<const input> inputs, std::size_t first, const logits_sink& sink) = 0;

    /// Empties the cells of `sequence`.
    virtual void forget(std::int32_t sequence) = 0;

    /// Rows of logits that one pass can give: one for each sequence.
    std::uint32_t most_outputs() const { return options_.max_sequences; }

private:
    friend class seat;
    void leave(std::int32_t sequence, std::uint32_t cells);

    context_options options_;
    adapter current_;  // alive while set: llama compares addresses to see what changed
    std::set<std::int32_t> free_sequences_;  // the lowest is given: see `run`
    std::uint32_t free_cells_;
};

/// A sequence id and cells set aside for it. Destruction frees both.
class seat {
public:
    seat(seat&& other) noexcept = default;
    seat& operator=(seat&&) = delete;
    ~seat();

    std::int32_t sequence() const { return sequence_; }
    std::uint32_t cells() const { return cells_; }

private:
    friend class backend;
    seat(std::shared_ptr<backend> owner, std::int32_t sequence, std::uint32_t cells);

    std::shared_ptr<backend> owner_;
    std::int32_t sequence_;
    std::uint32_t cells_;
};

}  // namespace truffula::shard_llama
