"""How long requests may wait, what is told to those that may not, and why the others do."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from processes import wait_until

STEP_US = 20_000
ONE_AT_A_TIME = {"--max-batch-size": 1}


def body(tokens: int = 1, adapter: str | None = None) -> dict:
    parameters = {"max_new_tokens": tokens}
    if adapter:
        parameters |= {"adapter_id": adapter, "adapter_source": "local"}
    return {"inputs": "wait for it", "parameters": parameters}


def slow(sims, *more):
    return sims(options=["--decode-base-us", STEP_US, *more])


def waiting(router) -> dict[str, float]:
    """How many requests wait for what."""
    text = router.http.get("/metrics").body.decode()
    found = re.findall(r'^truffula_waiting_requests\{reason="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {reason: float(value) for reason, value in found if float(value) > 0}


def occupied(router, tokens: int, adapter: str | None = None):
    """A stream that has its first token."""
    stream = router.http.stream("/generate_stream", body(tokens, adapter))
    next(iter(stream))
    return stream


@pytest.mark.parametrize("how", ["header", "setting"])
def test_a_request_that_waits_too_long_gets_408(sims, routers, how):
    options = {**ONE_AT_A_TIME, **({"--queue-timeout-s": 0.3} if how == "setting" else {})}
    headers = {"x-truffula-deadline-ms": "300"} if how == "header" else {}
    router = routers(slow(sims), options)
    with occupied(router, 100):
        began = time.monotonic()
        answer = router.http.post("/generate", body(), headers)
        assert 0.25 < time.monotonic() - began < 1.5
        assert answer.status == 408
        assert answer.json()["error_type"] == "timeout"
        answer = router.http.post("/v1/completions", {"model": "", "prompt": "x"}, headers)
        assert answer.status == 408
        assert answer.json()["error"]["code"] == "timeout"
    # Its place is free again, and who is in time is served.
    wait_until(lambda: router.http.post("/generate", body(), headers).status == 200, "an answer")


def test_a_deadline_does_not_end_what_runs(sims, routers):
    router = routers(slow(sims))
    answer = router.http.post("/generate", body(40), {"x-truffula-deadline-ms": "300"})
    assert answer.status == 200


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", "", "99999999999999999999"])
def test_deadlines_that_are_none(sims, routers, value):
    router = routers(sims())
    answer = router.http.post("/generate", body(), {"x-truffula-deadline-ms": value})
    assert answer.status == 422
    assert "x-truffula-deadline-ms" in answer.json()["error"]


def test_who_comes_back_when_told_is_served(sims, routers):
    # Few long steps: what a busy machine adds to each is little beside them, so that the rate that
    # was measured holds for the request that is waited for.
    router = routers(sims(options=["--decode-base-us", 10 * STEP_US]), {"--max-concurrent-requests": 1})
    for _ in range(12):  # the rate has to be measured first
        assert router.http.post("/generate", body(2)).status == 200
    with occupied(router, 3):
        refused = router.http.post("/generate", body())
        assert refused.status == 429
        told = int(refused.headers["retry-after"])
        assert 1 <= told < 5  # 5 would be: not known
        time.sleep(told)
        assert router.http.post("/generate", body()).status == 200


def test_the_reason_why_requests_wait_is_told(sims, routers):
    group = slow(sims, "--download-us", 1_500_000, "--overlap")
    router = routers(group, {**ONE_AT_A_TIME, "--waiting-served-ratio": 0})
    with ThreadPoolExecutor() as pool, occupied(router, 60):
        others = [pool.submit(router.http.post, "/generate", body()) for _ in range(2)]
        wait_until(lambda: "batch_size" in waiting(router), "a full batch")
        others.append(pool.submit(router.http.post, "/generate", body(1, "far/away")))
        wait_until(lambda: waiting(router).get("downloading") == 1, "a download")
        assert [o.result().status for o in others] == [200] * 3
    wait_until(lambda: waiting(router) == {}, "nobody waiting")


def test_fair_shares_follow_the_weights(sims, routers):
    """Of two tenants that always ask for more, one with weight 3 gets three times as much."""
    options = {**ONE_AT_A_TIME, "--policy": "fair", "--tenant-weights": "gold=3"}
    router = routers(slow(sims), options)
    order: list[str] = []

    def ask(tenant: str):
        assert router.http.post("/generate", body(3), {"x-predibase-tenant": tenant}).status == 200
        order.append(tenant)

    with ThreadPoolExecutor(max_workers=48) as pool:
        with occupied(router, 30):
            asked = [pool.submit(ask, t) for _ in range(24) for t in ("gold", "tin")]
            wait_until(lambda: sum(waiting(router).values()) == 48, "all of them")
        for one in asked:
            one.result()
    assert 10 <= order[10:26].count("gold") <= 14  # each has the first five in advance
    assert sorted(order) == ["gold"] * 24 + ["tin"] * 24
