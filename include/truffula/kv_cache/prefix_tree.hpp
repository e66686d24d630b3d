#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace truffula::kv_cache {

/// Whose prefixes a request may share. LoRA changes keys and values, so each adapter has its own.
struct prefix_scope {
    std::uint32_t adapter_index = 0;
    std::uint64_t salt = 0;  ///< Keeps apart those who must not learn each other's prompts.
    auto operator<=>(const prefix_scope&) const = default;
};

/// Blocks of the tree that hold the beginning of a prompt.
struct prefix_match {
    std::uint32_t last = 0;          ///< The deepest block; 0: none.
    std::uint32_t blocks = 0;        ///< How many, from the root on.
    std::uint32_t unreferenced = 0;  ///< Of these, held by no request.
};

/// A request's hold on the tree: all blocks from a root down to `last` are referenced.
struct prefix_hold {
    std::uint32_t root = 0;
    std::uint32_t last = 0;
    std::uint32_t blocks = 0;
};

/// The prompts whose keys and values the shards have computed, as a tree of whole blocks of token
/// ids. Each node is one block, and goes by the block's number.
///
/// A block here is referenced or not; those that are not wait in the order of their last use, a
/// block always before the one it continues: so the first of them is the least recently used leaf,
/// and taking it costs O(1). Matching costs O(1) for each block.
///
/// Memory: at most 44 bytes for each block, and 4 for each of its tokens.
///
/// \threads one at a time.
class prefix_tree {
public:
    /// \param blocks highest block number there is.
    /// \param block_size tokens of a block, at least 1.
    /// \param seed makes it hard to choose token ids that collide.
    prefix_tree(std::uint32_t blocks, std::uint32_t block_size, std::uint64_t seed);

    /// The longest beginning of `tokens` that is here, at most `most` whole blocks of it.
    prefix_match find(
        const prefix_scope& scope, std::span<const std::uint32_t> tokens, std::uint32_t most) const;

    /// Appends the blocks of `found`, the first of the prompt first.
    void append_path(const prefix_match& found, std::vector<std::uint32_t>& to) const;

    /// References what `find` has just given; undone by `release`.
    prefix_hold hold(const prefix_scope& scope, const prefix_match& found);

    /// The shards have computed `tokens` into `blocks`: takes in the whole blocks that `held` does
    /// not cover yet, and references them. Where the tree has the same tokens already, the
    /// request's own block stays out of it. Does nothing once the adapter was forgotten.
    void insert(
        prefix_hold& held,
        std::span<const std::uint32_t> tokens,
        std::span<const std::uint32_t> blocks);

    /// Ends a hold; appends to `free` those of the request's `blocks` that the tree does not keep.
    void release(
        const prefix_hold& held,
        std::span<const std::uint32_t> blocks,
        std::vector<std::uint32_t>& free);

    /// Takes out `count` blocks, forgotten ones first, then the least recently used; there must be
    /// as many unreferenced ones.
    void evict(std::size_t count, std::vector<std::uint32_t>& free);

    /// The adapter's weights are gone: nothing of it is found again. Its blocks stay where they are
    /// until they are taken out, before any others: a large tree costs nobody a pause.
    void forget(std::uint32_t adapter_index);

    /// Blocks in the tree that no request holds.
    std::size_t unreferenced() const noexcept { return unreferenced_; }

    /// Changes whenever a match can have become longer.
    std::uint64_t version() const noexcept { return version_; }

private:
    // Links of 0 lead nowhere: block 0 is never in the tree.
    struct node {
        std::uint32_t parent = 0;  // with `root_bit`: a root
        std::uint32_t first_child = 0;
        std::uint32_t next_sibling = 0;
        std::uint32_t previous_sibling = 0;
        std::uint32_t next_in_bucket = 0;
        std::uint32_t references = 0;  // with `forgotten_bit`
        std::uint32_t older = 0;       // of the unreferenced; a ring through node 0
        std::uint32_t newer = 0;
    };
    struct root {
        prefix_scope scope;
        std::uint32_t first_child = 0;
        std::uint32_t holds = 0;
        bool is_forgotten = false;
        bool is_swept = false;  // of a forgotten one: only requests know its blocks now
    };

    std::uint32_t& first_child_of(std::uint32_t parent);
    std::uint32_t first_child_of(std::uint32_t parent) const;
    std::size_t bucket_of(std::uint32_t parent, const std::uint32_t* tokens) const;
    bool has_tokens(std::uint32_t block, const std::uint32_t* tokens) const;
    std::uint32_t child(std::uint32_t parent, const std::uint32_t* tokens) const;
    std::uint32_t root_of(const prefix_scope& scope);
    void drop_if_unused(std::uint32_t root_id);
    bool sweep(std::vector<std::uint32_t>& free);
    void add(std::uint32_t block, std::uint32_t parent, const std::uint32_t* tokens);
    void remove_from_bucket(std::uint32_t block);
    void detach(std::uint32_t block);
    void reference(std::uint32_t block);
    void make_newest(std::uint32_t block);
    void leave_ring(std::uint32_t block);

    std::uint32_t block_size_;
    std::uint64_t seed_;
    std::vector<node> nodes_;            // by block number
    std::vector<std::uint32_t> tokens_;  // block size of them for each block
    std::vector<std::uint32_t> buckets_;
    std::vector<root> roots_;
    std::vector<std::uint32_t> unused_roots_;
    std::map<prefix_scope, std::uint32_t> root_ids_;
    std::vector<std::uint32_t> to_sweep_;  // forgotten roots
    std::uint32_t swept_ = 0;              // where in one of them the sweep is; 0: nowhere
    std::size_t unreferenced_ = 0;
    std::uint64_t version_ = 1;
};

}  // namespace truffula::kv_cache
