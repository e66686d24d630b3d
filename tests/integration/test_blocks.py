"""Blocks, prefix cache and prompts in parts, against shards that check every block."""

import asyncio
import concurrent.futures
import functools

import pytest

from load import run_all
from looks import COMMON, TOKENIZER, hit_tokens, metric, with_tokenizer
from processes import wait_until

STREAMS = 400
ADAPTERS = 40
TOKENS = 24

OPTIONS = {
    "--tokenizer-name": TOKENIZER,
    "--max-concurrent-requests": 2000,
    "--max-active-adapters": 8,
    "--adapter-cycle-time-s": 1,
    "--adapter-source": "local",
    "--max-input-length": 400,
    "--max-total-tokens": 500,
    "--max-batch-prefill-tokens": 1024,
    "--max-batch-total-tokens": 8192,
}

# Nothing that was cached has to make room, or is forgotten with an adapter that has to.
ROOMY = {"--max-batch-total-tokens": 80_000, "--max-active-adapters": ADAPTERS}
# A budget that the longest prompts do not fit into: only chunks can take it.
SMALL = {"--max-batch-prefill-tokens": 256}

# What the shards are, and what the router is told.
WAYS = {
    "blocks": ([], [], {}),
    "guesses": (["--speculate", "3"], [], {}),
    "cache": (["--block-size", "1"], ["--prefix-caching"], ROOMY),
    "full cache": (["--block-size", "1"], ["--prefix-caching"], {}),
    "chunks": (["--chunked-prefill"], [], SMALL),
    "both": (["--block-size", "1", "--chunked-prefill"], ["--prefix-caching"], SMALL),
}


def bodies():
    """Prompts of very different lengths; many begin alike, some are the same."""
    return [
        {
            "inputs": COMMON * (1 + i % 3) + f"request {i % 150} " * (1 + i % 7),
            "parameters": {"max_new_tokens": TOKENS, "adapter_id": f"a{i % ADAPTERS}"},
        }
        for i in range(STREAMS)
    ]


@functools.cache
def tokens(router, text: str) -> int:
    return len(router.http.post("/tokenize", {"inputs": text, "add_special_tokens": False}).json())


@pytest.mark.parametrize("world", [1, 2])
def test_answers_are_the_same_with_and_without_cache_and_chunks(sims, routers, world):
    expected = None
    for name, (shard, flags, budgets) in WAYS.items():
        group = sims(world=world, options=shard + ["--decode-base-us", "500"], record=False)
        router = with_tokenizer(routers(group, {**OPTIONS, **budgets}, flags))
        # What prompts have in common is there before they all come at once, where it is cached.
        for i in range(ADAPTERS):
            assert generate(router, COMMON * 3, 1, adapter_id=f"a{i}") == 200
        outcomes = asyncio.run(run_all(router.port, bodies()))
        for o in outcomes:
            o.check(TOKENS)
        answers = [o.texts for o in outcomes]
        expected = expected or answers
        assert answers == expected, name
        wait_until(lambda: metric(router, 'truffula_blocks{state="used"}') == 0.0, "no block in use")
        hits = hit_tokens(router)
        common = sum(tokens(router, COMMON * (1 + i % 3)) - 1 for i in range(STREAMS))
        router.stop()
        for report in group.stop():
            assert (report["cached_prompt_tokens"] > 0) == ("--prefix-caching" in flags), name
            if budgets is ROOMY:
                assert report["cached_prompt_tokens"] >= common
            assert (report["cut_prompts"] > 0) == ("--chunked-prefill" in shard), name
            assert report["cached_prompt_tokens"] == hits, name
            assert report["live_requests"] == 0


def test_clients_that_leave_mid_prompt_give_their_blocks_back(sims, routers):
    shard, flags, _ = WAYS["both"]
    group = sims(options=shard + ["--prefill-token-us", "20"], record=False)
    router = with_tokenizer(routers(group, {**OPTIONS, "--max-batch-prefill-tokens": 128}, flags))
    outcomes = asyncio.run(
        run_all(router.port, bodies(), lambda i: 1 + i % 5 if i % 3 == 0 else None)
    )
    for i, o in enumerate(outcomes):
        if i % 3 != 0:
            o.check(TOKENS)
    assert generate(router, "the last one") == 200
    wait_until(lambda: metric(router, 'truffula_blocks{state="used"}', -1.0) == 0.0, "no block in use")
    router.stop()
    group.stop()


def generate(router, text: str, new_tokens: int = 4, **parameters) -> int:
    parameters = {"max_new_tokens": new_tokens, **parameters}
    return router.http.post("/generate", {"inputs": text, "parameters": parameters}).status


def test_the_second_of_two_equal_prompts_is_computed_to_its_last_token_only(sims, routers):
    group = sims(options=["--block-size", "1"])
    router = with_tokenizer(routers(group, OPTIONS, ["--prefix-caching"]))
    for _ in range(2):
        assert generate(router, COMMON) == 200
    first, second = [b["batch"] for b in group.shards[0].requests("Prefill")][-2:]
    length = len(first["requests"][0]["tokenized_inputs"]["ids"])
    assert "cache_len" not in first["requests"][0]
    assert second["requests"][0]["cache_len"] == length - 1
    assert second["max_tokens"] == 1
    assert second["requests"][0]["blocks"][: length - 1] == first["requests"][0]["blocks"][: length - 1]
    # Whoever wants to know about the prompt's tokens has them computed.
    assert generate(router, COMMON, decoder_input_details=True) == 200
    assert "cache_len" not in group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]


def test_tenants_may_be_kept_apart(sims, routers):
    group = sims(options=["--block-size", "1"])
    config = "scheduling:\n  prefix_cache_salt: tenant\n"
    router = with_tokenizer(routers(group, OPTIONS, ["--prefix-caching"], config))
    for tenant in ("one", "two", "one"):
        body = {"inputs": COMMON, "parameters": {"max_new_tokens": 2}}
        answer = router.http.post("/generate", body, headers={"x-predibase-tenant": tenant})
        assert answer.status == 200
    sent = [b["batch"]["requests"][0] for b in group.shards[0].requests("Prefill")][-3:]
    assert ["cache_len" in r for r in sent] == [False, False, True]


def test_the_prompt_of_several_sequences_is_computed_once(sims, routers):
    group = sims(options=["--block-size", "1"])
    router = with_tokenizer(routers(group, OPTIONS, ["--prefix-caching"]))
    assert generate(router, COMMON, best_of=2, do_sample=True) == 200
    sent = [r for b in group.shards[0].requests("Prefill") for r in b["batch"]["requests"]][-2:]
    length = len(sent[0]["tokenized_inputs"]["ids"])
    # No generation beside those that were asked for.
    assert [r["stopping_parameters"]["max_new_tokens"] for r in sent] == [4, 4]
    assert [r.get("cache_len", 0) for r in sent] == [0, length - 1]


def test_a_prompt_above_the_prefill_budget_is_cut(sims, routers):
    group = sims(options=["--chunked-prefill"])
    router = with_tokenizer(routers(group, {**OPTIONS, "--max-batch-prefill-tokens": 32}))
    assert generate(router, COMMON * 2) == 200
    request = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert request["chunk_len"] == 32
    assert metric(router, 'lorax_batch_concat{reason="chunking"}') == 0


def test_a_prompt_that_fails_in_a_shared_step_costs_only_itself_and_what_was_seen(sims, routers):
    options = ["--chunked-prefill", "--fail-prompt", "poison", "--decode-base-us", "2000"]
    group = sims(options=options, record=False)
    router = with_tokenizer(routers(group, OPTIONS))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        whole = [pool.submit(generate, router, f"good {i}", 60) for i in range(4)]
        bad = pool.submit(generate, router, "poison", 5)
        # Nobody has seen a token of the others: they are started over, once.
        assert [w.result() for w in whole] == [200] * 4
        assert bad.result() == 424
    assert generate(router, "after it") == 200
    # The batch that the shard had dropped was asked for once more: that is how it is found out.
    group.stop(violations=group.reports()[0]["violations"]["unknown_batch"])


@pytest.mark.parametrize("size", [2, 16])
def test_prefix_caching_needs_blocks_of_one_token(sims, routers, size):
    router = routers(sims(options=["--block-size", size]), flags=["--prefix-caching"], wait=False)
    assert router.process.wait() == 1
    errors = [line for line in router.process.log_text().splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert f"blocks of {size} tokens" in errors[0]


def test_a_window_smaller_than_a_block_changes_nothing(sims, routers):
    group = sims(options=["--window", "8"])
    router = routers(group)
    assert generate(router, "hello", 40) == 200


@pytest.mark.parametrize("flags", [[], ["--prefix-caching"]])
def test_requests_of_exactly_each_limit_and_one_beyond(sims, routers, flags):
    options = ["--block-size", "1", "--max-supported-total-tokens", "4097"]
    group = sims(options=options)
    # As many tokens as there are blocks, less the one that nobody gets, and the last is not written.
    limits = {"--max-input-length": 64, "--max-total-tokens": 4097, "--max-batch-prefill-tokens": 64}
    router = routers(group, limits, flags)
    assert generate(router, "x", 4097 - 64) == 200
    answer = router.http.post("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 4098 - 64}})
    assert answer.status == 422


def test_shards_that_come_back_with_less_refuse_what_waits_and_no_longer_fits(sims, routers):
    small = ["--max-supported-total-tokens", "2000"]
    group = sims(options=["--block-size", "1"], options_of={0: ["--max-supported-total-tokens", "4000"]})
    limits = {"--max-input-length": 64, "--max-total-tokens": 1000, "--max-batch-prefill-tokens": 64}
    router = routers(group, limits, ["--prefix-caching"])
    assert generate(router, "x", 100) == 200
    group.shards[0].kill()
    group.options += small
    group.restart(0)
    router.wait_healthy()
    assert generate(router, "x", 100) == 200
    assert router.http.get("/info").json()["max_batch_total_tokens"] == 2000
