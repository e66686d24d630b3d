"""Places of clients that leave come back at once; no layout of shards sees a violation."""

import asyncio
import json
import time

import pytest

from load import run_all
from processes import wait_until

STREAMS = 40
LEAVING = 8


def body(number: int, tokens: int) -> dict:
    parameters = {"max_new_tokens": tokens, "adapter_id": f"a{number % 5}", "adapter_source": "local"}
    return {"inputs": f"request {number}", "parameters": parameters}


def methods(shard) -> list[dict]:
    """All calls that arrived at a shard, in order."""
    text = shard.record_path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def decodes(calls: list[dict]) -> int:
    return sum(c["method"] == "Decode" for c in calls)


@pytest.mark.parametrize("world", [1, 2])
def test_slots_and_permits_come_back_within_two_steps(sims, routers, world):
    group = sims(world=world, options=["--decode-base-us", 150_000, "--overlap"])
    options = {"--max-concurrent-requests": STREAMS, "--waiting-served-ratio": 0}
    router = routers(group, options)
    shard = group.shards[0]
    streams = [router.http.stream("/generate_stream", body(i, 150)) for i in range(STREAMS)]
    for stream in streams:
        next(iter(stream))  # all run
    refused = router.http.post("/generate", body(99, 1))
    assert refused.status == 429

    before = len(methods(shard))
    for stream in streams[:LEAVING]:
        stream.close()

    def filtered():
        calls = methods(shard)[before:]
        for at, call in enumerate(calls):
            if call["method"] == "FilterBatch":
                if len(call["request"]["request_ids"]) == STREAMS - LEAVING:
                    return calls[: at + 1]
        return None

    # The one under way when they left, and at most one more.
    assert decodes(wait_until(filtered, "a filtered batch")) <= 2

    def admitted():
        return router.http.post("/generate", body(100, 1)).status == 200

    asked = time.monotonic()
    wait_until(admitted, "a permit")
    assert time.monotonic() - asked < 5.0
    calls = methods(shard)[before:]
    prefill = next(i for i, c in enumerate(calls) if c["method"] == "Prefill")
    assert decodes(calls[:prefill]) <= 6, "its place was free long before it was given away"
    for stream in streams[LEAVING:]:
        stream.close()
    wait_until(lambda: group.reports()[0]["live_requests"] == 0, "an empty shard")


@pytest.mark.parametrize("mode", ["paged", "padded", "plain"])
@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("calls", ["--serial", "--overlap"])
def test_no_layout_sees_a_violation(sims, routers, mode, world, calls):
    group = sims(world=world, options=["--mode", mode, calls], record=False)
    options = {
        "--max-concurrent-requests": 400,
        "--max-active-adapters": 3,
        "--adapter-cycle-time-s": 1,
        "--max-batch-total-tokens": 20_000,
        "--max-total-tokens": 128,
    }
    router = routers(group, options)
    bodies = [body(i, 16) for i in range(200)]
    outcomes = asyncio.run(
        run_all(router.port, bodies, lambda i: 5 if i % 10 == 0 else None)
    )
    for i, outcome in enumerate(outcomes):
        if i % 10 == 0:
            assert outcome.left, outcome
        else:
            outcome.check(16)
    for report in group.stop():
        assert report["violations_total"] == 0
