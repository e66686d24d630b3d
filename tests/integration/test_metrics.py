"""Contract section 14 on the wire: every family with its type, labels and buckets, every failure."""

import re

import pytest

from looks import TOKENIZER, metric, with_tokenizer
from processes import wait_until
from test_generate import ask

DURATION = [0.0001 * 1.5**k for k in range(1, 36)]
LIMITS = {"--max-input-length": 50, "--max-total-tokens": 200}
FAMILIES = {
    "lorax_request_count": "counter",
    "lorax_request_success": "counter",
    "lorax_request_failure": "counter",
    "lorax_batch_concat": "counter",
    "lorax_batch_inference_count": "counter",
    "lorax_batch_inference_success": "counter",
    "lorax_batch_inference_failure": "counter",
    "lorax_queue_length": "gauge",
    "lorax_batch_current_size": "gauge",
    "lorax_batch_current_max_tokens": "gauge",
    "lorax_request_duration": "histogram",
    "lorax_request_validation_duration": "histogram",
    "lorax_request_queue_duration": "histogram",
    "lorax_request_inference_duration": "histogram",
    "lorax_request_mean_time_per_token_duration": "histogram",
    "lorax_batch_inference_duration": "histogram",
    "lorax_request_input_length": "histogram",
    "lorax_request_generated_tokens": "histogram",
    "lorax_request_max_new_tokens": "histogram",
    "lorax_batch_next_size": "histogram",
    "lorax_request_skipped_tokens": "summary",
    "lorax_request_classify_output_count": "summary",
    "lorax_request_input_count": "summary",
    "truffula_time_to_first_token_seconds": "histogram",
    "truffula_inter_token_latency_seconds": "histogram",
    "truffula_step_gap_seconds": "histogram",
    "truffula_next_batch_duration_seconds": "histogram",
    "truffula_adapters": "gauge",
    "truffula_adapter_memory_free_ratio": "gauge",
    "truffula_adapter_call_duration_seconds": "histogram",
    "truffula_adapter_longest_unserved_seconds": "gauge",
    "truffula_shards_connected": "gauge",
    "truffula_drain_rate": "gauge",
}
LABELS = {
    "lorax_request_failure": {"err"},
    "lorax_batch_concat": {"reason"},
    "lorax_batch_inference_count": {"method"},
    "lorax_batch_inference_success": {"method"},
    "lorax_batch_inference_failure": {"method"},
    "lorax_batch_inference_duration": {"method"},
    "truffula_adapters": {"state"},
    "truffula_adapter_call_duration_seconds": {"call", "outcome"},
}
BOUNDS = {
    **{name: DURATION for name in FAMILIES if name.startswith("lorax_") and name.endswith("duration")},
    "lorax_request_input_length": [50 * k / 100 for k in range(1, 101)],
    "lorax_request_generated_tokens": [200 * k / 100 for k in range(1, 101)],
    "lorax_request_max_new_tokens": [200 * k / 100 for k in range(1, 101)],
    "lorax_batch_next_size": [float(k) for k in range(1, 1025)],
}
QUANTILES = ["0", "0.5", "0.9", "0.95", "0.99", "0.999", "1"]
SAMPLE = re.compile(r"^(\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def scraped(router):
    """Types by family, and all samples as (name, labels)."""
    types, samples = {}, []
    for line in router.http.get("/metrics").body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in types, f"{name} comes twice"
            types[name] = kind
        else:
            assert not line.startswith("#"), line
            name, labels = line.rsplit(" ", 1)[0], {}
            if "{" in name:
                name, _, rest = name.partition("{")
                labels = dict(LABEL.findall(rest))
            samples.append((name, labels))
    return types, samples


def failures(router, kind: str) -> float:
    return metric(router, f'lorax_request_failure{{err="{kind}"}}')


def test_every_family_has_its_type_labels_and_buckets(sims, routers):
    faults = ["--fault", "Decode:2:fail:once", "--embeddings", "--classification"]
    group = sims(options=[*faults, "--decode-base-us", 5_000])
    more = {"--waiting-served-ratio": 0, "--tokenizer-name": TOKENIZER}
    router = with_tokenizer(routers(group, {**LIMITS, **more}))
    router.http.post("/generate", ask({"max_new_tokens": 40}))  # starts over once
    router.http.post("/generate", ask({"temperature": -1.0}))
    router.http.post("/generate", ask({"adapter_id": "sql"}))
    assert router.http.post("/embed", {"inputs": "a"}).status == 200
    assert router.http.post("/classify", {"inputs": "San Francisco"}).status == 200
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 100})) as stream:
        next(iter(stream))
        assert router.http.post("/generate", ask()).status == 200  # joins
    wait_until(lambda: metric(router, "lorax_batch_current_size", -1.0) == 0.0, "an empty batch")

    types, samples = scraped(router)
    assert {name: types.get(name) for name in FAMILIES} == FAMILIES
    for name, kind in FAMILIES.items():
        parts = {"histogram": "_bucket", "summary": ""}.get(kind, "")
        own = {"histogram": {"le"}, "summary": {"quantile"}}.get(kind, set())
        seen = [labels for n, labels in samples if n == name + parts]
        assert seen, name
        assert all(set(labels) == LABELS.get(name, set()) | own for labels in seen), name
        if name in BOUNDS:
            rest = {k: v for k, v in seen[0].items() if k != "le"}
            series = [s["le"] for s in seen if {k: v for k, v in s.items() if k != "le"} == rest]
            assert series[-1] == "+Inf"
            assert [float(b) for b in series[:-1]] == pytest.approx(BOUNDS[name]), name
        if kind == "summary":
            assert [labels["quantile"] for labels in seen] == QUANTILES, name
    methods = {labels["method"] for n, labels in samples if n == "lorax_batch_inference_count"}
    assert methods == {"prefill", "decode", "embed", "classify"}


def test_counts_go_together(sims, routers):
    router = routers(sims(options=["--speculate", 3]), LIMITS)
    for _ in range(3):
        assert router.http.post("/generate", ask({"max_new_tokens": 10})).status == 200
    events = router.http.events("/generate_stream", ask({"max_new_tokens": 10}))
    assert router.http.post("/generate", ask({"top_k": 0})).status == 422
    assert metric(router, "lorax_request_count") == 5
    assert metric(router, "lorax_request_success") == 4
    assert metric(router, "lorax_request_duration_count") == 4
    assert metric(router, "lorax_request_generated_tokens_sum") == 40
    assert metric(router, "lorax_request_max_new_tokens_sum") == 40
    assert metric(router, "lorax_request_skipped_tokens_count") == 4
    skipped = sum(e["token"]["skipped"] for e in events)
    assert metric(router, "lorax_request_skipped_tokens_sum") >= skipped > 0
    for method in ("prefill", "decode"):
        calls = metric(router, f'lorax_batch_inference_count{{method="{method}"}}')
        assert calls > 0
        assert metric(router, f'lorax_batch_inference_success{{method="{method}"}}') == calls
        assert metric(router, f'lorax_batch_inference_duration_count{{method="{method}"}}') == calls


def test_requests_of_openai_routes_are_counted_as_others(sims, routers):
    router = with_tokenizer(routers(sims(), {**LIMITS, "--tokenizer-name": TOKENIZER}))
    body = {"model": "", "prompt": "a", "max_tokens": 3}

    def post(**more) -> int:
        return router.http.post("/v1/completions", {**body, **more}).status

    assert [post(), post(n=2)] == [200, 200]
    assert router.http.events("/v1/completions", {**body, "stream": True})[-1] == "[DONE]"
    assert [post(n=0), post(top_p=2), post(stream=True, top_p=2)] == [400] * 3
    chat = {"model": "", "messages": [{"role": "user", "content": "a"}]}
    assert router.http.post("/v1/chat/completions", chat).status == 400  # no template
    assert router.http.post("/v1/completions", {"model": ""}).status == 400  # no request at all
    assert metric(router, "lorax_request_count") == 7
    assert metric(router, "lorax_request_success") == 3
    assert failures(router, "validation") == 3
    assert failures(router, "template") == 1


def test_what_fails_is_counted_by_its_kind(sims, routers):
    options = ["--no-such-adapter", "ghost", "--fail-load", "heavy", "--decode-base-us", 20_000]
    router = routers(sims(options=options), {"--max-concurrent-requests": 1})
    assert router.http.post("/generate", ask({"top_k": 0})).status == 422
    assert failures(router, "validation") == 1
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 100})) as stream:
        next(iter(stream))
        assert router.http.post("/generate", ask()).status == 429
        (event,) = router.http.events("/generate_stream", ask())
        assert event == {"error": "Model is overloaded", "error_type": "overloaded"}
    assert failures(router, "overloaded") == 2
    wait_until(lambda: failures(router, "dropped") == 1, "the client that left")
    free = lambda: metric(router, "lorax_batch_current_size", -1.0) == 0.0  # noqa: E731
    wait_until(free, "its place")
    wait_until(lambda: router.http.post("/generate", ask()).status == 200, "its permit")
    assert router.http.post("/generate", ask({"apply_chat_template": True})).status == 422
    assert failures(router, "template") == 1
    for name, call in (("ghost", "download_adapter"), ("heavy", "load_adapter")):
        before = failures(router, "generation")
        assert router.http.post("/generate", ask({"adapter_id": name})).status == 424
        assert failures(router, "generation") == before + 1
        assert failures(router, call) == 1


@pytest.mark.parametrize("method", ["Prefill", "Decode"])
def test_inference_that_fails_is_counted(sims, routers, method):
    # The first Prefill is that of /health.
    group = sims(options=["--fault", f"{method}:{3 if method == 'Prefill' else 2}:fail:once"])
    router = routers(group)
    router.http.post("/generate", ask())
    router.http.post("/generate", ask())
    assert metric(router, f'lorax_batch_inference_failure{{method="{method.lower()}"}}') == 1


@pytest.mark.parametrize(
    "reason, options",
    [
        ("backpressure", {"--waiting-served-ratio": 0, "--max-waiting-tokens": 100_000}),
        ("wait_exceeded", {"--waiting-served-ratio": 5, "--max-waiting-tokens": 4}),
    ],
)
def test_why_requests_join(sims, routers, reason, options):
    router = routers(sims(options=["--decode-base-us", 10_000]), options)
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
        next(iter(stream))
        assert router.http.post("/generate", ask()).status == 200
    assert metric(router, f'lorax_batch_concat{{reason="{reason}"}}') == 1
    others = {"backpressure", "wait_exceeded", "chunking"} - {reason}
    assert all(metric(router, f'lorax_batch_concat{{reason="{o}"}}') == 0 for o in others)
