"""Contract section 7 on the wire: errors that neither a field nor an adapter has made."""

import pytest

from looks import TOKENIZER
from processes import wait_until
from test_generate import ask

JSON = "application/json"


def refused(answer, status: int, kind: str) -> str:
    """The sentence of an error of the router's own, in its form."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == JSON
    body = answer.json()
    assert list(body) == ["error", "error_type"]
    assert body["error_type"] == kind
    return body["error"]


def test_an_overloaded_router_says_so(sims, routers):
    router = routers(sims(options=["--decode-base-us", 20_000]), {"--max-concurrent-requests": 2})
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
        next(iter(stream))
        # One permit is left: two sequences get both or none.
        both = router.http.post("/generate", ask({"best_of": 2, "do_sample": True}))
        assert refused(both, 429, "overloaded") == "Model is overloaded"
        assert int(both.headers["retry-after"]) >= 1
        assert router.http.post("/generate", ask({"max_new_tokens": 1})).status == 200
        with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as second:
            next(iter(second))
            for path in ("/generate", "/", "/invocations"):
                answer = router.http.post(path, ask())
                assert refused(answer, 429, "overloaded") == "Model is overloaded"
            # Validation of the endpoint comes before the permit, all else after it.
            assert router.http.post("/generate", ask({"best_of": 9})).status == 422
            assert router.http.post("/generate", ask({"top_k": 0})).status == 429


def test_without_a_tokenizer_there_is_no_tokenizing(sims, routers):
    answer = routers(sims()).http.post("/tokenize", {"inputs": "a"})
    words = "No fast tokenizer or tokenizer.json for this model"
    assert refused(answer, 404, "no fast tokenizer") == words


def test_a_shard_that_is_lost_is_named(sims, routers):
    group = sims(options_of={0: ["--fault", "Decode:3:crash"]})
    router = routers(group)
    *_, last = router.http.events("/generate_stream", ask())
    assert list(last) == ["error", "error_type"]
    lost = "Request failed during generation: Could not connect to LoRAX server: "
    assert last["error"].startswith(lost)
    assert last["error_type"] == "generation"
    assert refused(router.http.get("/health"), 503, "healthcheck") == "unhealthy"
    assert refused(router.http.get("/"), 503, "healthcheck") == "unhealthy"
    assert refused(router.http.get("/ping"), 503, "healthcheck") == "unhealthy"
    head = router.http.call("HEAD", "/health")
    assert (head.status, head.body) == (503, b"")


def test_a_start_up_probe_tells_the_shards_error(sims, routers):
    faults = [f"--fault=Prefill:{n}:fail:out of memory" for n in (2, 3)]
    router = routers(sims(options=faults))
    words = refused(router.http.get("/startup"), 500, "generation")
    assert words == "Request failed during generation: Server error: out of memory"
    wait_until(lambda: router.http.get("/startup").status == 200, "a good start")
    assert router.http.get("/startup").body == b""


def test_a_start_up_probe_takes_a_permit_like_others(sims, routers):
    router = routers(sims(options=["--decode-base-us", 20_000]), {"--max-concurrent-requests": 1})
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
        next(iter(stream))
        assert refused(router.http.get("/startup"), 500, "overloaded") == "Model is overloaded"


@pytest.mark.parametrize("path", ["/generate", "/generate_stream", "/", "/invocations", "/tokenize"])
def test_who_is_refused_at_the_end_hears_why(sims, routers, path):
    router = routers(sims(options=["--decode-base-us", 20_000]), {"--tokenizer-name": TOKENIZER})
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 40})) as stream:
        events = iter(stream)
        next(events)
        router.process.child.terminate()
        wait_until(lambda: router.http.get("/health").status == 503, "health 503")
        answer = router.http.post(path, ask())
        words = refused(answer, 503, "shutting_down")
        assert words == "The router is shutting down"
        assert answer.headers["connection"] == "close"
        list(events)
    assert router.process.wait() == 0
