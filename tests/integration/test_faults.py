"""Shards that fail, hang, crash or talk nonsense: the router outlives them and says so."""

import concurrent.futures
import time

import pytest

from looks import metric
from processes import wait_until
from test_generate import ask, generated

# The first Prefill of all is the probe of /health.
FIRST = {"Prefill": 2, "Decode": 1}
# What a shard can talk, what a stream hears of it, and the kind that counts it.
NONSENSE = {
    "unknown-id": ("the shards did not answer the request", "unknown_request"),
    "missing-id": ("the shards did not answer the request", "not_answered"),
    "duplicate-id": ("the shards answered the request twice in one step", "answered_twice"),
    "no-batch": ("the shards forgot the running batch", "no_batch"),
    "other-batch-id": ("the shards answered with another batch", "other_batch"),
    "bad-finish": ("the shard's answer ends for an unknown reason", "bad_answer"),
    "no-end": None,  # the router ends it itself
    "no-tokens": ("the shard's answer has no token", "bad_answer"),
    "empty-tokens": ("the shard's answer has no token", "bad_answer"),
    "text-without-tokens": ("the shard's answer has no token", "bad_answer"),
    "zero-count": ("the shard's answer ends with a token count of 0", "bad_answer"),
    "unequal-lists": ("the shard's answer has lists of tokens of unequal length", "bad_answer"),
    "bad-utf8": ("the shard's answer cannot be parsed", "bad_answer"),
    "garbage": ("cannot read the shard's answer", "bad_answer"),
    "truncated": ("cannot read the shard's answer", "bad_answer"),
}
SHARD_SAYS = "Request failed during generation: Server error: "


def fails(router, parameters=None, status=424):
    answer = router.http.post("/generate", ask(parameters))
    assert answer.status == status, (answer.status, answer.body)
    body = answer.json()
    assert list(body) == ["error", "error_type"]
    return body


@pytest.mark.parametrize("method", ["ServiceDiscovery", "ClearCache", "Info", "Warmup"])
def test_a_start_that_fails_is_one_line_and_status_1(sims, routers, method):
    group = sims(options=["--fault", f"{method}:*:fail:no memory left"])
    router = routers(group, wait=False)
    assert router.process.wait() == 1
    errors = [line for line in router.process.log_text().splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "no memory left" in errors[0]


@pytest.mark.parametrize("method", ["Prefill", "Decode"])
def test_a_failed_step_costs_its_own_requests_only(sims, routers, method):
    # A request that has given nothing yet is started over once: the second time it fails.
    faults = [f"--fault={method}:{n}:fail:out of memory" for n in (FIRST[method], 2)]
    router = routers(sims(options=faults))
    body = fails(router)
    assert body["error"] == "Request failed during generation: Server error: out of memory"
    assert body["error_type"] == "generation"
    assert generated(router).startswith("@base")


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("method", ["Prefill", "Decode"])
def test_nonsense_has_an_end_and_does_no_harm(sims, routers, method, kind):
    group = sims(options=["--fault", f"{method}:{FIRST[method]}:{kind}"])
    router = routers(group)
    started = time.monotonic()
    *_, last = router.http.events("/generate_stream", ask())
    assert time.monotonic() - started < 20
    if NONSENSE[kind]:
        words, counted = NONSENSE[kind]
        assert last == {"error": SHARD_SAYS + words, "error_type": "generation"}
        name = f'truffula_shard_protocol_errors{{kind="{counted}"}}'
        wait_until(lambda: metric(router, name) == 1, "its count")
    else:
        assert last["generated_text"].startswith("@base")
    assert generated(router).startswith("@base")
    assert router.process.running
    group.stop()


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("method", ["Prefill", "Decode"])
def test_nonsense_has_an_end_for_a_whole_answer(sims, routers, method, kind):
    group = sims(options=["--fault", f"{method}:{FIRST[method]}:{kind}"])
    router = routers(group)
    answer = router.http.post("/generate", ask())
    assert answer.status in (200, 424), answer.body  # who has heard nothing may start over
    if answer.status == 424:
        assert answer.json()["error"] == SHARD_SAYS + NONSENSE[kind][0]
    assert generated(router).startswith("@base")
    group.stop()


@pytest.mark.parametrize("method", ["Prefill", "Decode"])
def test_a_shard_that_hangs_is_given_up_in_time(sims, routers, method):
    group = sims(options_of={0: ["--fault", f"{method}:{FIRST[method]}:hang"]})
    router = routers(group, {"--call-timeout-s": 1})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(router.http.post, "/generate", ask())
        wait_until(lambda: not router.healthy(), "an unhealthy router")
        group.shards[0].kill()
        group.restart(0)
        answer = waiting.result(timeout=60)
    assert answer.status in (200, 424), answer.body
    wait_until(router.healthy, "a healthy router")
    assert generated(router).startswith("@base")


def test_a_shard_that_crashes_comes_back(sims, routers):
    group = sims(options_of={0: ["--fault", "Decode:3:crash"]})
    router = routers(group)
    events = router.http.events("/generate_stream", ask())
    assert [list(e) for e in events[:-1]] == [["token", "generated_text", "details"]] * (len(events) - 1)
    assert events[-1]["error_type"] == "generation"
    assert router.http.get("/health").status == 503
    group.restart(0)
    wait_until(router.healthy, "a healthy router")
    assert generated(router, {"adapter_id": "sql"}).startswith("@sql")


def test_what_waits_while_the_shard_is_away_is_answered_later(sims, routers):
    group = sims(options_of={0: ["--fault", "Decode:2:crash"]})
    router = routers(group)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(router.http.post, "/generate", ask())
        wait_until(lambda: not group.shards[0].process.running, "the crash")
        later = [pool.submit(generated, router) for _ in range(3)]
        group.restart(0)
        assert all(f.result(timeout=60).startswith("@base") for f in later)
        # Nothing of it had been delivered: it was started over.
        assert first.result(timeout=60).status == 200


def test_one_shard_of_two_crashes(sims, routers):
    group = sims(world=2, options_of={1: ["--fault", "Decode:3:crash"]})
    router = routers(group)
    events = router.http.events("/generate_stream", ask())
    assert events[-1]["error_type"] == "generation"
    group.shards[0].kill()
    group.restart(0)
    group.restart(1)
    wait_until(router.healthy, "a healthy router")
    assert generated(router).startswith("@base")


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_shard_of_two(sims, routers, rank):
    faults = [f"--fault=Decode:{n}:fail:one of two" for n in (2, 3)]
    group = sims(world=2, options_of={rank: faults})
    router = routers(group)
    assert "one of two" in fails(router)["error"]
    assert generated(router).startswith("@base")


def test_a_filter_that_fails_ends_the_batch_not_the_router(sims, routers):
    group = sims(options=["--fault", "FilterBatch:1:fail:cannot filter"])
    router = routers(group)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        short = pool.submit(router.http.post, "/generate", ask({"max_new_tokens": 3}))
        long = pool.submit(router.http.post, "/generate", ask({"max_new_tokens": 100}))
        assert {short.result().status, long.result().status} <= {200, 424}
    assert generated(router).startswith("@base")


def test_a_clear_cache_that_fails_costs_nobody_anything(sims, routers):
    # The first is that of the start.
    group = sims(options=["--decode-base-us", 10_000, "--fault", "ClearCache:2:fail:cannot clear"])
    router = routers(group)
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 100})) as stream:
        next(iter(stream))
    wait_until(lambda: group.reports()[0]["calls"]["ClearCache"] == 2, "the call")
    assert generated(router).startswith("@base")
    group.kill()  # it still holds what it did not clear


@pytest.mark.parametrize("rank", [0, 1])
def test_a_health_call_that_fails_is_told_once(sims, routers, rank):
    group = sims(world=2, options_of={rank: ["--fault", "Health:1:fail:sick"]})
    router = routers(group)
    answer = router.http.get("/health")
    assert answer.status == 503
    assert answer.json() == {"error": "unhealthy", "error_type": "healthcheck"}
    assert router.healthy()
    assert generated(router).startswith("@base")


@pytest.mark.parametrize("method", ["DownloadAdapter", "LoadAdapter"])
def test_an_adapter_call_that_fails_costs_its_waiters_only(sims, routers, method):
    group = sims(options=["--fault", f"{method}:1:fail:disk full"])
    router = routers(group)
    assert "disk full" in fails(router, {"adapter_id": "first"})["error"]
    assert generated(router).startswith("@base")
    assert generated(router, {"adapter_id": "second"}).startswith("@second")
    # It is not tried again before its back-off is over.
    assert "disk full" in fails(router, {"adapter_id": "first"})["error"]
    assert group.reports()[0]["calls"][method] == 2


def test_a_failed_adapter_is_tried_again_after_its_back_off(sims, routers):
    group = sims(options=["--fault", "DownloadAdapter:1:fail:busy"])
    router = routers(group, {"--adapter-backoff-s": 1})
    fails(router, {"adapter_id": "first"})
    wait_until(
        lambda: router.http.post("/generate", ask({"adapter_id": "first"})).status == 200, "a second try"
    )


def test_a_download_that_hangs_holds_nobody_else_up(sims, routers):
    group = sims(options=["--overlap", "--fault", "DownloadAdapter:1:hang"])
    router = routers(group, {"--adapter-download-timeout-s": 2})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(router.http.post, "/generate", ask({"adapter_id": "first"}))
        assert generated(router).startswith("@base")
        assert generated(router, {"adapter_id": "second"}).startswith("@second")
        assert stuck.result(timeout=30).status == 424


def test_an_offload_that_fails_leaves_the_router_going(sims, routers):
    group = sims(options=["--fault", "OffloadAdapter:1:fail:stuck"])
    router = routers(group, {"--max-active-adapters": 1, "--adapter-cycle-time-s": 1})
    for name in ("first", "second", "third"):
        answer = router.http.post("/generate", ask({"adapter_id": name}))
        assert answer.status in (200, 424)
    assert generated(router).startswith("@base")
    assert metric(router, 'lorax_request_failure{err="offload_adapter"}') == 1
    group.kill()  # its count of adapters and ours may differ now


def test_a_slow_reader_loses_its_stream_and_nobody_else(sims, routers):
    group = sims(record=False)
    limits = {"--max-total-tokens": 100000, "--max-batch-total-tokens": 200000, "--stream-buffer-kib": 1}
    router = routers(group, limits)
    # More than the kernel keeps for a socket that nobody reads; alternatives fill it soon.
    body = ask({"max_new_tokens": 90000, "return_k_alternatives": 50})
    with router.http.stream("/generate_stream", body) as slow:
        wait_until(lambda: "reads too slowly" in router.process.log_text(), "the end of the stream")
        assert generated(router).startswith("@base")
        events = list(slow)
    assert "too slowly" in events[-1]["error"]
    assert events[-1]["error_type"] == "generation"
