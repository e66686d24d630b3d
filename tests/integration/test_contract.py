"""The contract as a client sees it on the wire: refusals in their order, errors, odd input."""

import json
import re

import pytest

from harness import Router, SimGroup
from processes import REPOSITORY

PREFIX = "Input validation error: "
TOKENIZER = "../data/tokenizer"
# Contract section 6 as far as one request can break the rules: each breaks its own and all later
# ones that go together with it, so that the order is tested, too.
RULES = [
    ("merged", {"adapter_id": "a", "merged_adapters": {"ids": []}},
     "at most one of `adapter_id` or `adapters` may be provided"),
    ("no ids", {"merged_adapters": {"ids": [], "weights": [1.0]}},
     "at least one adapter ID must be provided when setting `adapters`"),
    ("weights", {"merged_adapters": {"ids": ["a"], "weights": [1.0, 2.0]}},
     "number of adapter IDs must match number of adapter weights"),
    ("temperature", {"temperature": -0.1}, "`temperature` must be non-negative"),
    ("repetition", {"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
    ("frequency", {"frequency_penalty": 2.1}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ("presence", {"presence_penalty": -2.1}, "`presence_penalty` must be >= -2.0 and <= 2.0"),
    ("top_p", {"top_p": 1.1}, "`top_p` must be > 0.0 and < 1.0"),
    ("typical_p", {"typical_p": 1.0}, "`typical_p` must be > 0.0 and < 1.0"),
    ("top_k", {"top_k": 0}, "`top_k` must be strictly positive"),
    ("alternatives", {"return_k_alternatives": 0},
     "`return_k_alternatives` must be strictly positive"),
    ("new tokens", {"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
    ("stop", {"stop": ["x"] * 11}, "`stop` supports up to 10 stop sequences. Given: 11"),
    ("truncate", {"truncate": 0},
     "`truncate` must be strictly positive and less than 64. Given: 0"),
]


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    """One router for all requests of this file: none of them may do it harm."""
    folder = tmp_path_factory.mktemp("contract")
    group = SimGroup(folder)
    router = Router(folder, group.master).wait_healthy()
    try:
        yield router
        assert router.http.post("/generate", ask({})).status == 200
        router.stop()
        group.stop()
    finally:
        router.kill()
        group.kill()


def ask(parameters: dict, prompt: str = "one two") -> dict:
    return {"inputs": prompt, "parameters": {"max_new_tokens": 4, **parameters}}


def both_ways(router, body: dict) -> list[dict]:
    """The error of a request as an answer, and as an event."""
    answer = router.http.post("/generate", body)
    assert answer.status == 422, answer.body
    assert answer.headers["content-type"] == "application/json"
    (event,) = router.http.events("/generate_stream", body)
    return [answer.json(), event]


def broken_from(at: int) -> dict:
    parameters = {}
    for _, more, _ in RULES[at:]:
        parameters = {**more, **parameters}
    if "merged_adapters" in RULES[at][1]:
        return parameters
    parameters.pop("adapter_id", None)
    parameters.pop("merged_adapters", None)
    return parameters


@pytest.mark.parametrize("at", range(len(RULES)), ids=[r[0] for r in RULES])
def test_the_first_broken_rule_wins(router, at):
    parameters = broken_from(at)
    for name, own, _ in RULES[:at]:
        for key in own:
            if key not in RULES[at][1]:
                parameters.pop(key, None)
    for error in both_ways(router, ask(parameters)):
        assert error == {"error": PREFIX + RULES[at][2], "error_type": "validation"}


def test_rules_of_several_sequences(router):
    later = {"repetition_penalty": 0.0, "seed": 1}
    answer = router.http.post("/generate", ask({"best_of": 3, **later}))
    assert answer.json()["error"] == PREFIX + "`best_of` must be > 0 and <= 2. Given: 3"
    answer = router.http.post("/generate", ask({"best_of": 2, **later}))
    assert answer.json()["error"] == PREFIX + "you must use sampling when `best_of` is > 1"
    answer = router.http.post("/generate", ask({"best_of": 2, "seed": 1, "top_k": 5}))
    assert answer.json()["error"] == PREFIX + "`seed` must not be set when `best_of` > 1"


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"best_of": 0, "decoder_input_details": True},
         "`best_of` != 1 is not supported when streaming tokens"),
        ({"best_of": 2, "decoder_input_details": True},
         "`best_of` != 1 is not supported when streaming tokens"),
        ({"decoder_input_details": True, "temperature": -1.0},
         "`decoder_input_details` == true is not supported when streaming tokens"),
    ],
)
def test_rules_of_streams(router, parameters, message):
    (event,) = router.http.events("/generate_stream", ask(parameters))
    assert event == {"error": PREFIX + message, "error_type": "validation"}


def test_empty_inputs_come_before_truncate(router):
    for error in both_ways(router, ask({"truncate": 0}, prompt="")):
        assert error["error"] == PREFIX + "`inputs` cannot be empty"


def test_lengths_without_a_tokenizer(router):
    for error in both_ways(router, ask({"max_new_tokens": 193})):
        assert error["error"] == PREFIX + "`max_new_tokens` must be <= 192. Given: 193"
    assert router.http.post("/generate", ask({"max_new_tokens": 192})).status == 200


def test_lengths_with_a_tokenizer(sims, routers):
    options = {"--tokenizer-name": TOKENIZER, "--max-input-length": 8, "--max-total-tokens": 12}
    router = routers(sims(), options)
    count = len(router.http.post("/tokenize", {"inputs": "a b c"}).json())
    assert count <= 8
    new = 12 - count
    assert router.http.post("/generate", ask({"max_new_tokens": new}, "a b c")).status == 200
    for error in both_ways(router, ask({"max_new_tokens": new + 1}, "a b c")):
        assert error["error"] == PREFIX + (
            f"`inputs` tokens + `max_new_tokens` must be <= 12. "
            f"Given: {count} `inputs` tokens and {new + 1} `max_new_tokens`"
        )
    texts = [" ".join("abcdefghij"[:n]) for n in range(1, 11)]
    lengths = {len(router.http.post("/tokenize", {"inputs": t}).json()): t for t in texts}
    exact = lengths[8] if 8 in lengths else lengths[max(n for n in lengths if n < 8)]
    assert router.http.post("/generate", ask({"max_new_tokens": 1}, exact)).status == 200
    above = min(n for n in lengths if n > 8)
    assert above < 12
    for error in both_ways(router, ask({"max_new_tokens": 1}, lengths[above])):
        assert error["error"] == PREFIX + f"`inputs` must have less than 8 tokens. Given: {above}"
    # Cut to what fits before it is counted.
    cut = ask({"max_new_tokens": 4, "truncate": 8}, "a b c d e f g h i j")
    assert router.http.post("/generate", cut).status == 200


# What no field takes. 2^31 is too large for an i32, 2^32 for a u32, 2^64 for all.
NUMBERS = [
    ("top_k", 2**31), ("top_k", 2**64), ("return_k_alternatives", 2**31),
    ("max_new_tokens", 2**32), ("max_new_tokens", 2**64), ("max_new_tokens", -1),
    ("truncate", 2**64), ("best_of", 2**64), ("best_of", -1), ("seed", 2**64), ("seed", -1),
    ("max_new_tokens", 1.5), ("temperature", 1e39), ("temperature", "1"), ("top_p", True),
]


@pytest.mark.parametrize("field, value", NUMBERS, ids=[f"{f}={v}" for f, v in NUMBERS])
def test_numbers_that_a_field_does_not_take(router, field, value):
    answer = router.http.post("/generate", ask({field: value}))
    assert answer.status == 422
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    text = answer.body.decode()
    assert text.startswith("Failed to deserialize the JSON body into the target type: ")
    assert f"parameters.{field}" in text


@pytest.mark.parametrize("field, value", [("max_new_tokens", 2**31), ("max_new_tokens", 2**32 - 1)])
def test_large_numbers_that_a_field_takes_are_judged_by_the_rules(router, field, value):
    for error in both_ways(router, ask({field: value})):
        assert error["error_type"] == "validation"
        assert str(value) in error["error"]


def test_the_largest_seed_is_one(router):
    assert router.http.post("/generate", ask({"do_sample": True, "seed": 2**64 - 1})).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"not json", b"\xef\xbb\xbf{}", b'{"inputs": NaN}', b'{"inputs": 1e999}',
        b'{"inputs":"\\ud800"}', b'{"inputs":"\\udc00\\ud800"}', b'{"inputs":"\xff"}',
        b'{"inputs":"\xed\xa0\x80"}', b'{"inputs":"a\nb"}', b'{"inputs":"a","x":"\xc3"}',
    ],
)  # fmt: skip
def test_what_is_no_json_is_a_400(router, body):
    for path in ("/", "/generate", "/generate_stream", "/invocations", "/tokenize"):
        answer = router.http.post(path, body, {"content-type": "application/json"})
        assert answer.status == 400, path
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.body.startswith(b"Failed to parse the request body as JSON: ")


@pytest.mark.parametrize(
    "body, path_of_field",
    [
        ({}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": ["a"]}, "inputs"),
        ({"inputs": "a", "parameters": None}, "parameters"),
        ({"inputs": "a", "parameters": {"stop": "x"}}, "parameters.stop"),
        ({"inputs": "a", "parameters": {"stop": None}}, "parameters.stop"),
        ({"inputs": "a", "parameters": {"details": None}}, "parameters.details"),
        ({"inputs": "a", "parameters": {"merged_adapters": {}}}, "merged_adapters"),
        ({"inputs": "a", "parameters": {"merged_adapters": {"ids": "a"}}}, "merged_adapters.ids"),
        ({"inputs": "a", "parameters": {"response_format": {"type": "xml"}}}, "response_format"),
    ],
)
def test_wrong_fields_are_named(router, body, path_of_field):
    answer = router.http.post("/generate", body)
    assert answer.status == 422
    assert answer.body.startswith(b"Failed to deserialize the JSON body into the target type: ")
    assert path_of_field in answer.body.decode()


def test_a_key_given_twice_and_a_whole_array_are_refused(router):
    for body in (b'{"inputs":"a","inputs":"b"}', b'["a",{}]'):
        answer = router.http.post("/generate", body, {"content-type": "application/json"})
        assert answer.status == 422


def test_what_comes_after_the_first_value_is_ignored(router):
    body = json.dumps(ask({})).encode() + b" and more"
    answer = router.http.post("/generate", body, {"content-type": "application/json"})
    assert answer.status == 200


@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonp", "text/json"])
def test_other_content_types_are_refused(router, kind):
    headers = {"content-type": kind} if kind else {}
    answer = router.http.post("/generate", json.dumps(ask({})).encode(), headers)
    assert answer.status == 415
    assert answer.body == b"Expected request with `Content-Type: application/json`"


@pytest.mark.parametrize("kind", ["APPLICATION/JSON", "application/problem+json; charset=utf-8"])
def test_json_content_types_are_taken(router, kind):
    body = json.dumps(ask({})).encode()
    assert router.http.post("/generate", body, {"content-type": kind}).status == 200


@pytest.mark.parametrize("name", ["a\nb", "a\r\nx-evil: 1", "\u0000", "a\u007f", "a\u0085b", "\t"])
def test_control_characters_in_an_adapters_name(router, name):
    for parameters in (
        {"adapter_id": name},
        {"adapter_id": "a", "adapter_source": name},
        {"merged_adapters": {"ids": ["a", name], "weights": [0.5, 0.5]}},
    ):
        for error in both_ways(router, ask(parameters)):
            assert "control characters" in error["error"]


def test_unknown_words_of_a_merge(router):
    merged = {"ids": ["a"], "weights": [1.0]}
    answer = router.http.post(
        "/generate", ask({"merged_adapters": {**merged, "merge_strategy": "blend"}}))
    assert answer.status == 422
    assert "linear, ties, dare_linear, dare_ties" in answer.json()["error"]
    answer = router.http.post(
        "/generate", ask({"merged_adapters": {**merged, "majority_sign_method": "vote"}}))
    assert answer.status == 422
    assert "total, frequency" in answer.json()["error"]


def test_an_unknown_source_is_the_requests_error(router):
    answer = router.http.post("/generate", ask({"adapter_id": "a", "adapter_source": "moon"}))
    assert answer.status == 424
    assert answer.json() == {
        "error": "Request failed during generation: Server error: "
        "Invalid source 'moon' when downloading adapter 'a'",
        "error_type": "generation",
    }


def test_a_body_at_the_limit_and_one_byte_more(router):
    def sized(size: int) -> bytes:
        empty = json.dumps({"inputs": "a", "parameters": {"max_new_tokens": 1}, "x": ""}).encode()
        return empty[:-2] + b"y" * (size - len(empty)) + b'"}'

    kind = {"content-type": "application/json"}
    assert len(sized(2_097_152)) == 2_097_152
    assert router.http.post("/generate", sized(2_097_152), kind).status == 200
    answer = router.http.post("/generate", sized(2_097_153), kind)
    assert answer.status == 413
    assert answer.body == b"Failed to buffer the request body: length limit exceeded"


def test_cors_as_configured(sims, routers, router):
    headers = router.http.get("/health", {"origin": "https://a.example"}).headers
    assert headers["access-control-allow-origin"] == "*"
    vary = "origin, access-control-request-method, access-control-request-headers"
    assert headers["vary"] == vary
    asked = router.http.call("OPTIONS", "/nowhere", None, {"origin": "https://a.example"})
    assert (asked.status, asked.body) == (200, b"")
    assert asked.headers["access-control-allow-methods"] == "GET,POST"
    assert asked.headers["access-control-allow-headers"] == "content-type"

    flags = ["--cors-allow-origin", "https://a.example", "--cors-allow-origin", "https://b.example"]
    flags += ["--cors-allow-credentials", "true", "--cors-expose-header", "x-model-id"]
    flags += ["--cors-allow-method", "POST", "--cors-allow-header", "authorization"]
    strict = routers(sims(), flags=flags)
    for origin in ("https://a.example", "https://b.example"):
        headers = strict.http.post("/generate", ask({}), {"origin": origin}).headers
        assert headers["access-control-allow-origin"] == origin
        assert headers["access-control-allow-credentials"] == "true"
        assert headers["access-control-expose-headers"] == "x-model-id"
    other = strict.http.get("/health", {"origin": "https://c.example"}).headers
    assert "access-control-allow-origin" not in other
    asked = strict.http.call("OPTIONS", "/generate", None, {"origin": "https://a.example"})
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert asked.headers["access-control-allow-headers"] == "authorization"
    assert "POST" in asked.headers["allow"]


def test_head_unknown_paths_and_wrong_methods(router):
    for path in ("/", "/health", "/ping", "/info", "/metrics"):
        head = router.http.call("HEAD", path)
        assert (head.status, head.body) == (200, b""), path
    missing = router.http.get("/nowhere")
    assert (missing.status, missing.body) == (404, b"")
    assert router.http.get("/%68ealth").status == 404
    wrong = router.http.get("/generate")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    wrong = router.http.post("/health", {})
    assert wrong.status == 405
    assert "GET" in wrong.headers["allow"] and "HEAD" in wrong.headers["allow"]


def test_info_has_its_keys_in_order(router):
    assert list(router.http.get("/info").json()) == [
        "model_id", "model_sha", "model_dtype", "model_device_type", "model_pipeline_tag",
        "max_concurrent_requests", "max_best_of", "max_stop_sequences", "max_input_length",
        "max_total_tokens", "waiting_served_ratio", "max_batch_total_tokens", "max_waiting_tokens",
        "validation_workers", "eager_prefill", "version", "sha", "docker_label",
        "request_logger_url",
    ]  # fmt: skip


def test_info_tells_the_commit_that_was_built(router):
    sha = router.http.get("/info").json()["sha"]
    if (REPOSITORY / ".git").exists():
        assert re.fullmatch("[0-9a-f]{40}", sha), sha
    else:
        assert sha is None or sha


def test_info_tells_the_numbers_in_force_when_joining_is_weighed(sims, routers):
    # As the launcher passes them, always; weighing knows no smallest batch.
    options = {"--waiting-served-ratio": 0.5, "--max-waiting-tokens": 15}
    by_ratio = routers(sims(), options).http.get("/info").json()
    assert (by_ratio["waiting_served_ratio"], by_ratio["max_waiting_tokens"]) == (0.5, 15)
    weighed = routers(sims(), options, config="batching:\n  join: auto\n")
    weighed = weighed.http.get("/info").json()
    assert (weighed["waiting_served_ratio"], weighed["max_waiting_tokens"]) == (0.0, 15)


def test_tokenize_with_and_without_a_tokenizer(sims, routers, router):
    answer = router.http.post("/tokenize", {"inputs": "a"})
    assert answer.status == 404
    assert answer.json()["error_type"] == "no fast tokenizer"
    with_one = routers(sims(), {"--tokenizer-name": TOKENIZER})
    tokens = with_one.http.post("/tokenize", {"inputs": "the trees"}).json()
    assert all(list(t) == ["id", "text", "start", "stop"] for t in tokens)
    assert max(t["stop"] for t in tokens) == len("the trees")


def test_metrics_as_text_and_as_json(router):
    router.http.post("/generate", ask({}))
    text = router.http.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    assert b"lorax_request_count" in text.body
    as_json = router.http.get("/metrics", {"accept": "application/json"}).json()
    assert as_json["lorax_request_count"]["type"] == "counter"
    assert set(as_json["lorax_request_count"]["data"][0]) == {"key", "value"}
    by_query = router.http.get("/metrics?format=json")  # no effect, as in LoRAX
    assert by_query.headers["content-type"].startswith("text/plain")


def test_the_bearer_token_is_the_api_token_unless_the_body_has_one(sims, routers):
    router = routers(sims(options=["--private-adapter", "mine=secret"]))
    own = {"adapter_id": "mine", "adapter_source": "hub"}
    bearer = {"authorization": "Bearer secret"}
    assert router.http.post("/generate", ask(own), bearer).status == 200
    # Not exactly `Bearer `: no token.
    assert router.http.post("/generate", ask(own), {"authorization": "bearer secret"}).status == 424
    other = ask({**own, "api_token": "wrong"})
    assert router.http.post("/generate", other, bearer).status == 424


def test_the_type_of_a_format_is_not_looked_at(sims, routers):
    group = sims()
    router = routers(group)
    own = {"type": "object", "properties": {"b": {}, "a": {}}}

    def schema_for(response_format) -> str:
        assert router.http.post("/generate", ask({"response_format": response_format})).status == 200
        sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
        return sent["parameters"].get("schema", "")

    for name in ("text", "Text", "json_object", "JsonObject", "json_schema", "JsonSchema"):
        assert schema_for({"type": name, "schema": own}) == json.dumps(own, separators=(",", ":"))
        assert "ArbitraryJsonModel" in schema_for({"type": name})
        assert schema_for({"type": name, "schema": None}) == ""


def test_a_start_up_probe_that_fails(sims, routers):
    router = routers(sims(options=["--fail-prompt", "Who?"]))
    answer = router.http.get("/startup")
    assert answer.status == 500
    assert answer.json()["error_type"] == "generation"
