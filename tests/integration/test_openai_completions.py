"""`/v1/completions` and the errors of `/v1`: by OpenAI's own client, and as a LoRAX router does."""

import asyncio
import json
from pathlib import Path

import openai
import pytest

from looks import metric

TOKENIZER = str(Path(__file__).parent.parent / "data" / "tokenizer")
PROMPT = "The river sings."


def client_of(router, **more) -> openai.OpenAI:
    return openai.OpenAI(base_url=router.url + "/v1", api_key="none", max_retries=0, **more)


@pytest.fixture
def base(sims, routers):
    """A router with a tokenizer, in front of one simulated shard."""
    group = sims()
    router = routers(group, {"--tokenizer-name": TOKENIZER, "--max-stop-sequences": 4})
    return router, group, client_of(router)


@pytest.fixture
def lorax(sims, routers):
    group = sims()
    return routers(group, {"--tokenizer-name": TOKENIZER, "--compat": "lorax"}), group


def complete(client, prompt=PROMPT, **more):
    more.setdefault("max_tokens", 8)
    more.setdefault("temperature", 0)
    return client.completions.create(model=TOKENIZER, prompt=prompt, **more)


def refused(router, body: dict, status: int = 400, path: str = "/v1/completions") -> dict:
    """The error of a body, which must have OpenAI's shape."""
    answer = router.http.post(path, {"model": TOKENIZER, "prompt": PROMPT, **body})
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"]
    return error


def native_text(router, prompt=PROMPT, **parameters) -> str:
    answer = router.http.post(
        "/generate", {"inputs": prompt, "parameters": {"max_new_tokens": 8, **parameters}}
    )
    return answer.json()["generated_text"]


def test_a_completion_is_whole(base):
    router, _, client = base
    got = complete(client)
    assert got.id.startswith("cmpl-") and got.id != complete(client).id
    assert got.object == "text_completion"
    assert got.created > 1_700_000_000
    assert got.model == TOKENIZER
    assert got.system_fingerprint
    assert got.choices[0].text == native_text(router)
    assert got.choices[0].index == 0
    assert got.choices[0].finish_reason == "length"
    assert got.choices[0].logprobs is None
    assert got.usage.prompt_tokens == 6
    assert got.usage.completion_tokens == 8
    assert got.usage.total_tokens == 14


def test_without_max_tokens_it_is_16(base):
    _, group, client = base
    got = client.completions.create(model=TOKENIZER, prompt=PROMPT)
    assert got.usage.completion_tokens == 16
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert sent["parameters"]["do_sample"] is True


def test_a_stream_gives_the_same_text_and_ends_with_done(base):
    router, _, client = base
    whole = complete(client).choices[0].text
    chunks = list(complete(client, stream=True, stream_options={"include_usage": True}))
    assert len({c.id for c in chunks}) == 1
    assert "".join(c.choices[0].text for c in chunks[:-1]) == whole
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * 7 + ["length"]
    assert all(c.usage is None for c in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 14
    events = router.http.events(
        "/v1/completions", {"model": "", "prompt": PROMPT, "stream": True, "max_tokens": 3}
    )
    assert events[-1] == "[DONE]"
    assert "usage" not in events[0]


def test_what_headers_say(sims, routers):
    """Whose request it is, how long it may wait, and what comes back."""
    options = {"--tokenizer-name": TOKENIZER}
    config = "scheduling:\n  prefix_cache_salt: tenant\n"
    group = sims(options=["--private-adapter", "mine=secret", "--block-size", "1"])
    router = routers(group, options, ["--prefix-caching"], config)
    body = {"model": "mine", "prompt": PROMPT, "max_tokens": 2}
    for token, status in ("secret", 200), ("guess", 404):
        bearer = {"authorization": f"Bearer {token}"}
        assert router.http.post("/v1/completions", body, bearer).status == status
    assert router.http.post("/v1/completions", {**body, "api_token": "secret"}).status == 200
    body["model"] = ""
    hits = []
    for tenant in ("one", "two", "one"):
        answer = router.http.post("/v1/completions", body, {"x-predibase-tenant": tenant})
        assert answer.status == 200
        sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
        hits.append("cache_len" in sent)
    assert hits == [False, False, True]
    for name, value in ("x-truffula-deadline-ms", "0"), ("x-truffula-priority", "urgent"):
        answer = router.http.post("/v1/completions", body, {name: value})
        assert answer.status == 400
        assert answer.json()["error"]["param"] == name
    with router.http.stream("/v1/completions", {**body, "stream": True}) as stream:
        assert list(stream)[-1] == "[DONE]"
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-cache"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["x-model-id"] == TOKENIZER


def test_an_asynchronous_stream(base):
    router, _, client = base

    async def text() -> str:
        async with openai.AsyncOpenAI(base_url=router.url + "/v1", api_key="x") as c:
            stream = await c.completions.create(
                model=TOKENIZER, prompt=PROMPT, max_tokens=8, temperature=0, stream=True
            )
            return "".join([chunk.choices[0].text async for chunk in stream])

    assert asyncio.run(text()) == complete(client).choices[0].text


def test_prompts_in_all_forms(base):
    router, group, client = base
    text = complete(client).choices[0].text
    ids = [t["id"] for t in router.http.post("/tokenize", {"inputs": PROMPT}).json()]
    assert complete(client, prompt=ids).choices[0].text == text
    many = complete(client, prompt=[PROMPT, "Another one"])
    assert [c.index for c in many.choices] == [0, 1]
    assert many.choices[0].text == text
    assert many.choices[1].text == native_text(router, "Another one")
    assert many.usage.completion_tokens == 16
    lists = complete(client, prompt=[ids, ids[:3]])
    assert lists.choices[0].text == text
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"]
    assert any(r["tokenized_inputs"]["ids"] == ids[:3] for r in sent)


def test_token_ids_that_do_not_exist(base):
    router, _, _ = base
    error = refused(router, {"prompt": [1, 4_000_000_000]})
    assert error["param"] == "prompt"
    assert "4000000000" in error["message"]
    assert metric(router, 'lorax_request_failure{err="validation"}') == 1


def test_token_ids_without_a_tokenizer(sims, routers):
    router = routers(sims())
    error = refused(router, {"prompt": [1, 2]})
    assert error["code"] == "no_tokenizer"
    assert "tokenizer" in error["message"]


def test_many_answers(base):
    router, group, client = base
    got = complete(client, n=2, temperature=1.0, seed=5)
    assert [c.index for c in got.choices] == [0, 1]
    assert got.usage.completion_tokens == 16
    assert got.usage.prompt_tokens == 6
    seeds = {
        r["parameters"]["seed"]
        for call in group.shards[0].requests("Prefill")
        for r in call["batch"]["requests"]
        if r["inputs"] == PROMPT
    }
    assert seeds == {"5", "6"} or seeds == {5, 6}
    one = complete(client, n=1, best_of=2, temperature=1.0)
    assert len(one.choices) == 1
    assert one.usage.completion_tokens == 16
    means = []
    for seed in range(10):
        more = {"temperature": 1.0, "seed": seed, "logprobs": 0}
        both = complete(client, n=2, **more).choices
        means.append([sum(c.logprobs.token_logprobs) for c in both])
        best = both[means[-1].index(max(means[-1]))]
        assert complete(client, n=1, best_of=2, **more).choices[0].text == best.text
    assert any(first < second for first, second in means)


def test_many_answers_streamed(base):
    _, _, client = base
    usage = {"include_usage": True}
    *chunks, last = complete(client, n=2, temperature=1.0, seed=5, stream=True, stream_options=usage)
    whole = complete(client, n=2, temperature=1.0, seed=5)
    assert last.usage == whole.usage  # a prompt counts once, however many answers it has
    for choice in whole.choices:
        parts = [c.choices[0] for c in chunks if c.choices[0].index == choice.index]
        assert "".join(p.text for p in parts) == choice.text
        assert parts[-1].finish_reason == "length"


def test_long_answers_of_several_sequences_do_not_starve(sims, routers):
    """More than the buffer of a stream waits while another one is read."""
    router = routers(sims(), {"--max-total-tokens": 2000, "--max-best-of": 8})
    got = complete(client_of(router), n=8, temperature=1.0, max_tokens=1500, logprobs=5)
    assert got.usage.completion_tokens == 8 * 1500


def test_echo(base):
    _, _, client = base
    plain = complete(client).choices[0].text
    assert complete(client, echo=True).choices[0].text == PROMPT + plain
    chunks = list(complete(client, echo=True, stream=True))
    assert chunks[0].choices[0].text == PROMPT
    assert "".join(c.choices[0].text for c in chunks) == PROMPT + plain


def test_log_probabilities(base):
    _, _, client = base
    choice = complete(client, logprobs=2).choices[0]
    scores = choice.logprobs
    assert "".join(scores.tokens) == choice.text
    assert len(scores.token_logprobs) == 8 and all(p <= 0 for p in scores.token_logprobs)
    assert all(2 <= len(t) <= 3 and token in t for t, token in zip(scores.top_logprobs, scores.tokens))
    assert scores.text_offset[0] == 0
    assert scores.text_offset[-1] == len("".join(scores.tokens[:-1]))
    chunks = list(complete(client, logprobs=2, stream=True))
    assert [t for c in chunks for t in c.choices[0].logprobs.tokens] == scores.tokens


def test_log_probabilities_of_the_prompt(base):
    _, _, client = base
    for stream in (False, True):
        got = complete(client, logprobs=1, echo=True, stream=stream)
        choices = [c.choices[0] for c in got] if stream else [got.choices[0]]
        tokens = [t for c in choices for t in c.logprobs.tokens]
        scores = [p for c in choices for p in c.logprobs.token_logprobs]
        assert len(tokens) == 6 + 8
        assert scores[0] is None and None not in scores[1:]


def test_a_prompt_is_scored_without_an_answer(base):
    """As tools that evaluate models ask for it."""
    _, _, client = base
    more = {"max_tokens": 0, "echo": True, "logprobs": 1}
    got = complete(client, prompt=[PROMPT, "The"], **more)
    assert [c.text for c in got.choices] == [PROMPT, "The"]
    assert [c.finish_reason for c in got.choices] == ["length"] * 2
    assert len(got.choices[0].logprobs.tokens) == len(got.choices[0].logprobs.token_logprobs) == 6
    assert got.usage.completion_tokens == 0 and got.usage.total_tokens == got.usage.prompt_tokens
    chunks = list(complete(client, stream=True, stream_options={"include_usage": True}, **more))
    assert "".join(c.choices[0].text for c in chunks[:-1]) == PROMPT
    assert [t for c in chunks[:-1] for t in c.choices[0].logprobs.tokens] == got.choices[0].logprobs.tokens
    assert chunks[-1].usage.completion_tokens == 0
    assert complete(client, max_tokens=0).choices[0].text == ""


def test_the_stop_text_is_not_shown(base):
    router, group, client = base
    text = complete(client).choices[0].text
    stop = text.split(" ")[3]
    for given in (stop, [stop, "never"]):
        got = complete(client, stop=given).choices[0]
        assert got.finish_reason == "stop"
        assert got.text == text[: text.index(stop)]
        chunks = list(complete(client, stop=given, stream=True))
        assert "".join(c.choices[0].text for c in chunks) == got.text
        assert chunks[-1].choices[0].finish_reason == "stop"
    kept = complete(client, stop=stop, extra_body={"include_stop_str_in_output": True})
    assert kept.choices[0].text == text[: text.index(stop) + len(stop)]
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert sent["stopping_parameters"]["stop_sequences"] == [stop]


def test_an_end_token_is_not_shown(sims, routers):
    router = routers(sims(options=["--eos-after", "4"]))
    client = client_of(router)
    got = complete(client).choices[0]
    assert got.finish_reason == "stop"
    assert "</s>" not in got.text
    chunks = list(complete(client, stream=True))
    assert "".join(c.choices[0].text for c in chunks) == got.text
    more = complete(client, extra_body={"ignore_eos": True})
    assert more.usage.completion_tokens == 8


def test_the_model_is_an_adapter(base):
    router, _, client = base
    got = client.completions.create(model="org/tuned", prompt=PROMPT, max_tokens=3)
    assert got.model == "org/tuned"
    assert got.choices[0].text.startswith("@org/tuned")
    raw = client.completions.with_raw_response.create(
        model=TOKENIZER, prompt=PROMPT, max_tokens=3, extra_body={"adapter_id": "other"}
    )
    assert raw.headers["x-adapter-id"] == "other"
    assert raw.parse().choices[0].text.startswith("@other")
    merged = {"ids": ["a", "b"], "weights": [0.5, 0.5]}
    got = client.completions.create(
        model="named", prompt=PROMPT, max_tokens=3, extra_body={"merged_adapters": merged}
    )
    assert got.choices[0].text


def test_fields_of_others_reach_the_shard(base):
    _, group, client = base
    schema = {"type": "object", "properties": {"b": {"type": "string"}, "a": {}}}
    complete(
        client,
        temperature=0.5,
        top_p=0.9,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=-7,
        user="me",
        extra_body={
            "top_k": 7,
            "typical_p": 0.9,
            "repetition_penalty": 1.5,
            "guided_json": schema,
            "truncate_prompt_tokens": 3,
        },
    )
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    parameters = sent["parameters"]
    assert parameters["top_k"] == 7
    assert parameters["temperature"] == 0.5
    assert parameters["repetition_penalty"] == 1.5
    assert parameters["frequency_penalty"] == -0.5
    assert int(parameters["seed"]) == 2**64 - 7
    assert parameters["schema"] == json.dumps(schema, separators=(",", ":"))
    assert len(sent["tokenized_inputs"]["ids"]) == 3


def test_a_json_format_constrains_and_text_does_not(base):
    _, group, client = base

    def schema_for(response_format):
        complete(client, extra_body={"response_format": response_format})
        sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
        return sent["parameters"].get("schema", "")

    assert schema_for({"type": "text"}) == ""
    assert "ArbitraryJsonModel" in schema_for({"type": "json_object"})
    named = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    assert schema_for(named) == '{"type":"object"}'


@pytest.mark.parametrize(
    "body,param",
    [
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 2.01}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"frequency_penalty": -2.5}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"typical_p": 1}, "typical_p"),
        ({"n": 0}, "n"),
        ({"n": 3}, "n"),
        ({"n": 2, "best_of": 1}, "best_of"),
        ({"best_of": 3}, "best_of"),
        ({"n": 2, "temperature": 0}, "n"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 10**6}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "word " * 100}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["x"] * 2000}, "prompt"),
        ({"logprobs": 6}, "logprobs"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": 5}, "stop"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"suffix": "x"}, "suffix"),
        ({"min_p": 0.5}, "min_p"),
        ({"stop_token_ids": [2]}, "stop_token_ids"),
        ({"structured_outputs": {"regex": "a+"}}, "structured_outputs.regex"),
        ({"truncate_prompt_tokens": 65}, "truncate_prompt_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"adapter_id": "a\nb"}, "adapter_id"),
        ({"model": "a\nb"}, "model"),
        ({"model": None}, "model"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_each_refusal_names_the_field(base, body, param):
    router, _, _ = base
    for stream in (False, True):
        if stream and "stream_options" in body:
            continue
        error = refused(router, {**body, "stream": stream})
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param
        assert param in error["message"]


def test_a_prompt_that_is_too_long_has_its_code(base):
    router, _, _ = base
    error = refused(router, {"prompt": "word " * 100})
    assert error["code"] == "context_length_exceeded"
    client = client_of(router)
    with pytest.raises(openai.BadRequestError) as caught:
        complete(client, max_tokens=10_000)
    assert caught.value.code == "context_length_exceeded"


def test_bodies_that_cannot_be_read(base):
    router, _, _ = base
    json_type = {"content-type": "application/json"}
    for body, status, code in [
        (b"{", 400, "invalid_json"),
        (b'{"model": NaN}', 400, "invalid_json"),
        (b'{"a":' + b"[" * 600, 400, "invalid_json"),
        (b'{"model":"\xff"}', 400, "invalid_json"),
        (b"[]", 400, None),
        (b"{}", 400, "missing_required_parameter"),
        (b'{"model":"a","model":"b"}', 400, "invalid_type"),
    ]:
        answer = router.http.post("/v1/completions", body, json_type)
        assert answer.status == status, (body, answer.body)
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["code"] == code
    for path, body, missing in [
        ("completions", {"model": ""}, "prompt"),
        ("chat/completions", {"model": ""}, "messages"),
        ("chat/completions", {"messages": []}, "model"),
        ("embeddings", {"model": ""}, "input"),
    ]:
        error = router.http.post("/v1/" + path, body).json()["error"]
        assert (error["param"], error["code"]) == (missing, "missing_required_parameter")
        assert missing in error["message"]
    answer = router.http.post("/v1/completions", b"{}", {"content-type": "text/plain"})
    assert answer.status == 415 and "application/json" in answer.json()["error"]["message"]
    answer = router.http.post("/v1/completions", b"x" * 3_000_000, json_type)
    assert answer.status == 413 and answer.json()["error"]["message"]


def test_routes_and_methods_that_do_not_exist(base):
    router, _, _ = base
    answer = router.http.post("/v1/nothing", {})
    assert answer.status == 404
    assert answer.json()["error"]["code"] == "unknown_url"
    answer = router.http.get("/v1/completions")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]["code"] == "method_not_supported"
    assert router.http.get("/nothing").body == b""


def test_overload_is_429_with_a_time_to_come_back(sims, routers):
    router = routers(sims(options=["--decode-base-us", "20000"]), {"--max-concurrent-requests": 1})
    body = {"model": "", "prompt": PROMPT, "max_tokens": 100, "stream": True}
    with router.http.stream("/v1/completions", body) as running:
        assert running.status == 200
        for stream in (False, True):
            answer = router.http.post("/v1/completions", {**body, "stream": stream})
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_shard_that_fails_before_the_first_token_is_a_status(sims, routers):
    group = sims(options=["--fail-prompt", "poison"])
    router = routers(group)
    for stream in (False, True):
        answer = router.http.post(
            "/v1/completions",
            {"model": "", "prompt": "poison", "max_tokens": 5, "stream": stream},
        )
        assert answer.status == 500, answer.body
        assert answer.json()["error"]["type"] == "server_error"
        assert "x-accel-buffering" not in answer.headers


def test_an_adapter_that_is_not_there(sims, routers):
    group = sims(options=["--no-such-adapter", "lost", "--fail-load", "torn"])
    router = routers(group)
    client = client_of(router)
    for stream in (False, True):
        for name in ("lost", "torn"):
            with pytest.raises(openai.NotFoundError) as caught:
                list(client.completions.create(model=name, prompt=PROMPT, stream=stream))
            assert caught.value.code == "model_not_found"
            assert caught.value.param == "model"
            assert name in str(caught.value)
    body = {"inputs": PROMPT, "parameters": {"adapter_id": "lost"}}
    assert router.http.post("/generate", body).status == 424


def test_an_adapter_for_which_there_is_no_memory_now(sims, routers):
    router = routers(sims(options=["--no-memory-for", "big"]))
    client = client_of(router)
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as caught:  # clients try these again
            list(client.completions.create(model="big", prompt=PROMPT, stream=stream))
        assert "out of memory" in str(caught.value)
    body = {"inputs": PROMPT, "parameters": {"adapter_id": "big"}}
    assert router.http.post("/generate", body).status == 424


def test_adapters_may_be_restricted(sims, routers):
    group = sims(options=["--preload", "there=1"])
    router = routers(group, {"--allowed-adapters": "good/one"})
    client = client_of(router)
    for name in ("good/one", "there"):
        got = client.completions.create(model=name, prompt=PROMPT, max_tokens=3)
        assert got.choices[0].text.startswith("@" + name)
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="bad/one", prompt=PROMPT)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    answer = router.http.post("/generate", {"inputs": "x", "parameters": {"adapter_id": "bad/one"}})
    assert answer.status == 422
    assert answer.json()["error_type"] == "validation"
    names = {m.id: m.model_extra["state"] for m in client.models.list()}
    assert names == {"no-tokenizer": "ready", "good/one": "ready", "there": "ready"}


def test_models(base):
    _, _, client = base
    assert [m.id for m in client.models.list()] == [TOKENIZER]
    client.completions.create(model="org/tuned", prompt=PROMPT, max_tokens=2)
    models = list(client.models.list())
    assert [m.id for m in models] == [TOKENIZER, "org/tuned"]
    assert models[1].object == "model"
    assert models[1].model_extra["state"] == "ready"
    assert models[1].model_extra["parent"] == TOKENIZER
    assert client.models.retrieve("org/tuned").id == "org/tuned"
    assert client.models.retrieve(TOKENIZER).id == TOKENIZER
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("compat", ["openai", "lorax"])
def test_the_model_has_the_name_it_is_served_under(sims, routers, compat):
    options = {"--tokenizer-name": TOKENIZER, "--served-model-name": "org/model", "--compat": compat}
    router = routers(sims(), options)
    client = client_of(router)
    assert [m.id for m in client.models.list()] == ["org/model"]
    assert router.http.get("/info").json()["model_id"] == "org/model"
    for name in ("org/model", ""):  # else it would be an adapter's
        got = client.completions.create(model=name, prompt=PROMPT, max_tokens=4)
        assert got.choices[0].text.startswith("@base")
    assert router.http.post("/generate", {"inputs": PROMPT}).headers["x-model-id"] == "org/model"
    assert len(router.http.post("/tokenize", {"inputs": PROMPT}).json()) > 1  # the tokenizer is there


@pytest.mark.parametrize("are_allowed", [False, True])
def test_models_that_failed_are_listed_only_if_the_operator_names_them(sims, routers, are_allowed):
    group = sims(options=["--no-such-adapter", "typo", "--fail-load", "broken"])
    names = ["typo", "broken", "good"] if are_allowed else []
    client = client_of(routers(group, flags=[f"--allowed-adapters={name}" for name in names]))
    client.completions.create(model="good", prompt=PROMPT, max_tokens=2)
    for name in ("typo", "broken"):
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model=name, prompt=PROMPT)
    listed = {m.id: m.model_extra["state"] for m in client.models.list()}
    if not are_allowed:
        assert listed == {"no-tokenizer": "ready", "good": "ready"}
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("typo")
        return
    assert list(listed) == ["no-tokenizer", "broken", "good", "typo"]
    assert listed["typo"] == "failed"
    assert client.models.retrieve("typo").model_extra["state"] == "failed"


def test_lorax_whole(lorax):
    router, group = lorax
    body = {"model": "", "prompt": PROMPT, "max_tokens": 4, "echo": True}
    answer = router.http.post("/v1/completions", body)
    assert answer.status == 200
    got = answer.json()
    assert list(got) == ["id", "object", "created", "model", "choices", "usage"]
    assert [got["id"], got["object"], got["created"], got["model"]] == [
        "null", "text_completion", 0, "null",
    ]  # fmt: skip
    assert got["choices"][0]["text"].startswith(PROMPT + "@base")
    assert got["choices"][0]["finish_reason"] == "length"
    assert list(got["usage"]) == ["prompt_tokens", "total_tokens", "completion_tokens"]
    assert answer.headers["x-prompt-tokens"] == str(got["usage"]["prompt_tokens"])
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert not sent["parameters"].get("do_sample", False)
    router.http.post("/v1/completions", {**body, "n": 3})
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert sent["parameters"]["do_sample"] is True


def test_lorax_streamed(lorax):
    router, _ = lorax
    events = router.http.events(
        "/v1/completions", {"model": "", "prompt": PROMPT, "max_tokens": 3, "stream": True}
    )
    assert events[-1] == "[DONE]"
    zeros = {"prompt_tokens": 0, "total_tokens": 0, "completion_tokens": 0}
    assert [e["usage"] for e in events[:2]] == [zeros] * 2
    assert events[2]["usage"]["completion_tokens"] == 3
    assert [e["id"] for e in events[:3]] == ["null"] * 3
    stop = events[1]["choices"][0]["text"]
    answer = router.http.post(
        "/v1/completions", {"model": "", "prompt": PROMPT, "max_tokens": 9, "stop": [stop]}
    )
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["text"].endswith(stop)


def test_lorax_errors(lorax):
    router, _ = lorax
    answer = router.http.post("/v1/completions", {"model": "", "prompt": ["x"]})
    assert answer.status == 422
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"prompt" in answer.body
    answer = router.http.post("/v1/completions", {"model": "", "prompt": "x", "temperature": -1})
    assert answer.status == 422
    assert answer.json() == {
        "error": "Input validation error: `temperature` must be non-negative",
        "error_type": "validation",
    }
    answer = router.http.post("/v1/completions", {"model": "", "prompt": "x", "max_tokens": -1})
    assert answer.status == 422 and "4294967295" in answer.json()["error"]
    events = router.http.events(
        "/v1/completions", {"model": "", "prompt": "x", "top_k": 0, "stream": True}
    )
    assert events == [
        {
            "error": "Input validation error: `top_k` must be strictly positive",
            "error_type": "validation",
        }
    ]
    events = router.http.events(
        "/v1/completions", {"model": "", "prompt": "x", "logprobs": 1, "stream": True}
    )
    assert "decoder_input_details" in events[0]["error"]
    assert router.http.post("/v1/nothing", {}).body == b""
