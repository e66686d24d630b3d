"""Contract section 9: which route tells what in which header, and that the values go together."""

import pytest

from looks import TOKENIZER, with_tokenizer
from test_generate import ask

STEP_MS = 20
PROMPT = "Ich spreche für die Bäume"  # fewer characters than bytes
COMMON = {"x-compute-type", "x-compute-characters", "x-model-id"}
TIMES = {"x-compute-time", "x-validation-time", "x-queue-time", "x-inference-time"}
WHOLE = COMMON | TIMES | {
    "x-total-time", "x-prompt-tokens", "x-generated-tokens", "x-skipped-tokens", "x-total-tokens",
    "x-time-per-token", "x-time-to-first-token", "x-time-per-output-token",
}  # fmt: skip
ADAPTER = {"x-adapter-id", "x-adapter-source"}


@pytest.fixture
def router(sims, routers):
    options = ["--embeddings", "--classification", "--speculate", 2]
    group = sims(options=[*options, "--decode-base-us", STEP_MS * 1000])
    started = routers(group, {"--tokenizer-name": TOKENIZER, "--adapter-source": "local"})
    return with_tokenizer(started)


def own(headers: dict[str, str]) -> set[str]:
    return {name for name in headers if name.startswith("x-")}


@pytest.mark.parametrize("path", ["/generate", "/", "/invocations"])
def test_of_a_whole_answer(router, path):
    answer = router.http.post(path, ask({"max_new_tokens": 12, "details": True}, prompt=PROMPT))
    body = answer.json() if path == "/generate" else answer.json()[0]
    headers, details = answer.headers, body["details"]
    assert own(headers) == WHOLE
    assert headers["x-compute-type"] == "gpu+optimized"
    assert headers["x-compute-characters"] == str(len(PROMPT))
    assert headers["x-model-id"] == str(TOKENIZER)
    value = {name: int(headers[name]) for name in WHOLE - COMMON}
    assert value["x-prompt-tokens"] == details["prompt_tokens"]
    assert value["x-generated-tokens"] == details["generated_tokens"] == 12
    assert value["x-skipped-tokens"] == details["skipped_tokens"] > 0
    assert value["x-total-tokens"] == value["x-prompt-tokens"] + 12
    assert value["x-total-time"] == value["x-compute-time"]
    parts = value["x-validation-time"] + value["x-queue-time"] + value["x-inference-time"]
    assert parts <= value["x-total-time"] <= parts + 3  # each part was cut to whole milliseconds
    steps = len([t for t in details["tokens"] if not t["skipped"]])
    assert value["x-inference-time"] >= (steps - 1) * STEP_MS
    assert value["x-time-per-token"] == value["x-inference-time"] // 12
    assert value["x-time-to-first-token"] <= value["x-inference-time"] - (steps - 1) * STEP_MS
    later = value["x-inference-time"] - value["x-time-to-first-token"]
    assert abs(value["x-time-per-output-token"] - later / 11) <= 1


def test_of_a_stream(router):
    for path in ("/generate_stream", "/", "/invocations"):
        with router.http.stream(path, ask({"adapter_id": "sql"}, stream=True)) as stream:
            assert own(stream.headers) == COMMON | ADAPTER | {"x-accel-buffering"}
            assert stream.headers["x-adapter-source"] == "local"
            list(stream)


def test_of_adapters(router):
    answer = router.http.post("/generate", ask({"adapter_id": "sql", "adapter_source": "S3"}))
    assert own(answer.headers) == WHOLE | ADAPTER
    assert (answer.headers["x-adapter-id"], answer.headers["x-adapter-source"]) == ("sql", "S3")
    merged = {"ids": ["sql", "pirate"], "weights": [0.5, 0.5]}
    answer = router.http.post("/generate", ask({"merged_adapters": merged}))
    assert answer.headers["x-adapter-id"] == "sql,pirate"
    for base in ("", "__base_model__"):
        answer = router.http.post("/generate", ask({"adapter_id": base}))
        assert own(answer.headers) == WHOLE


def test_of_classification(router):
    wanted = TIMES | {"x-compute-type"}
    assert own(router.http.post("/classify", {"inputs": "San Francisco"}).headers) == wanted
    batch = router.http.post("/classify_batch", {"inputs": ["San Francisco", "a"]})
    assert own(batch.headers) == wanted
    assert batch.headers["x-validation-time"] == "0"


def test_the_other_routes_tell_nothing(router):
    for answer in (
        router.http.post("/embed", {"inputs": "a"}),
        router.http.post("/tokenize", {"inputs": "a"}),
        router.http.get("/info"),
        router.http.get("/health"),
    ):
        assert answer.status == 200
        assert own(answer.headers) == set()
