"""Two thousand streams on more adapters than there are slots: all whole, none doubled, no violation.

Over block allocator, prefix cache and prompts in parts, each alone and together.
"""

import asyncio
import math

import pytest

from load import run_all
from looks import COMMON, TOKENIZER, hit_tokens, metric, with_tokenizer
from processes import wait_until

STREAMS = 2000
ADAPTERS = 200
SLOTS = 16
TOKENS = 64
CYCLE_S = 1

OPTIONS = {
    "--max-concurrent-requests": 4000,
    "--max-active-adapters": SLOTS,
    "--adapter-cycle-time-s": CYCLE_S,
    "--adapter-source": "local",
    "--tokenizer-name": TOKENIZER,
    "--max-batch-prefill-tokens": 16384,
    "--max-batch-total-tokens": 65536,
}


# With chunks those who run take their part of this, and the prompts of an adapter are too many for
# what is left.
SMALL = {"--max-batch-prefill-tokens": 400}

# What the shards are, and what the router is told.
WAYS = {
    "blocks": ([], {}, []),
    "cache": (["--block-size", "1"], {}, ["--prefix-caching"]),
    "chunks": (["--chunked-prefill"], SMALL, []),
    "both": (["--block-size", "1", "--chunked-prefill"], SMALL, ["--prefix-caching"]),
}


def bodies():
    """Prompts that begin alike; on each adapter the half of them are the same."""
    return [
        {
            "inputs": COMMON + f"request {i % (STREAMS // 2)}",
            "parameters": {"max_new_tokens": TOKENS, "adapter_id": f"a{i % ADAPTERS}"},
        }
        for i in range(STREAMS)
    ]


def check_waits(outcomes):
    """No adapter waits longer than those ahead of it can keep the slots."""
    load_s = 0.05
    longest_decode = max(o.last_token - o.first_token for o in outcomes)
    longest_turn = CYCLE_S + longest_decode + load_s
    first = {}
    for o in outcomes:
        first[o.adapter] = min(first.get(o.adapter, math.inf), o.first_token)
    for place, (adapter, waited) in enumerate(sorted(first.items(), key=lambda item: item[1])):
        rounds = math.ceil((place + 1) / SLOTS)
        assert waited <= rounds * longest_turn, (adapter, waited, rounds)


@pytest.mark.parametrize("world", [1, 2])
def test_every_stream_is_whole_and_the_same_with_cache_and_chunks(sims, routers, world):
    expected = None
    for name, (shard, budgets, flags) in WAYS.items():
        group = sims(world=world, options=shard, record=False)
        router = routers(group, {**OPTIONS, **budgets}, flags)
        if name != "blocks":
            with_tokenizer(router)  # without it there is nothing to share or to cut
        outcomes = asyncio.run(run_all(router.port, bodies()))
        for o in outcomes:
            o.check(TOKENS)
        check_waits(outcomes)
        answers = [o.texts for o in outcomes]
        expected = expected or answers
        assert answers == expected, name
        wait_until(lambda: metric(router, 'truffula_blocks{state="used"}') == 0.0, "no block in use")
        hits = hit_tokens(router)
        router.stop()
        for report in group.stop():
            assert report["cached_prompt_tokens"] == hits, name
            assert (hits > 1_000) == ("--prefix-caching" in flags), name
            assert (report["cut_prompts"] > 0) == ("--chunked-prefill" in shard), name
            assert report["live_requests"] == 0


@pytest.mark.parametrize("world", [1, 2])
def test_clients_that_leave_give_their_places_back(sims, routers, world):
    group = sims(world=world, record=False)
    router = routers(group, OPTIONS)
    outcomes = asyncio.run(
        run_all(router.port, bodies(), lambda i: TOKENS // 2 if i % 10 == 0 else None)
    )
    for i, o in enumerate(outcomes):
        if i % 10 == 0:
            assert o.left, o
        else:
            o.check(TOKENS)
    wait_until(lambda: metric(router, "lorax_batch_current_size", -1.0) == 0.0, "an empty batch")
    assert metric(router, "lorax_queue_length", -1.0) == 0.0
