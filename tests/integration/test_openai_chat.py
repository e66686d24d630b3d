"""`/v1/chat/completions`: by the clients that people use, and as a LoRAX router does."""

import asyncio
import json
import shutil
from pathlib import Path

import openai
import pydantic
import pytest

TOKENIZER = Path(__file__).parent.parent / "data" / "tokenizer"
TEMPLATE = """
{%- if messages[0].role == 'king' or messages[0].content == 'refuse me' -%}
  {{ raise_exception('no kings here') }}
{%- endif -%}
{%- for m in messages -%}
<{{ m.role }}>{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}</{{ m.role }}>
{%- endfor -%}
{%- if mood is defined %}[{{ mood }}]{% endif -%}
{%- if tools %}[tools: {{ tools | map(attribute='function') | map(attribute='name') | join(',') }}]{% endif -%}
{%- if add_generation_prompt %}<assistant>{% endif -%}
"""
USER = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def model(tmp_path) -> str:
    """A folder with a tokenizer and a chat template."""
    folder = tmp_path / "model"
    shutil.copytree(TOKENIZER, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return str(folder)


@pytest.fixture
def chat(sims, routers, model):
    """A router that can chat, its group, and OpenAI's client."""
    group = sims()
    options = {"--tokenizer-name": model, "--max-input-length": 200, "--max-total-tokens": 400}
    router = routers(group, options)
    client = openai.OpenAI(base_url=router.url + "/v1", api_key="none", max_retries=0)
    return router, group, client


def ask(client, messages=USER, **more):
    more.setdefault("max_tokens", 8)
    more.setdefault("temperature", 0)
    more.setdefault("model", "")
    return client.chat.completions.create(messages=messages, **more)


def sent(group) -> dict:
    """The last request that a shard got."""
    return group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]


def refused(router, body: dict, status: int = 400) -> dict:
    answer = router.http.post("/v1/chat/completions", {"model": "", "messages": USER, **body})
    assert answer.status == status, answer.body
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error


def test_a_chat_is_whole(chat, model):
    router, group, client = chat
    got = ask(client, model=model)
    assert got.id.startswith("chatcmpl-")
    assert got.object == "chat.completion"
    assert got.created > 1_700_000_000
    assert got.model == model
    choice = got.choices[0]
    assert choice.finish_reason == "length"
    assert choice.message.role == "assistant"
    assert choice.message.content.startswith("@base ")
    assert choice.message.refusal is None and choice.message.tool_calls is None
    assert got.usage.completion_tokens == 8
    assert got.usage.total_tokens == got.usage.prompt_tokens + 8
    request = sent(group)
    assert request["inputs"] == "<user>Hello</user><assistant>"
    # The template writes the special tokens: the tokenizer adds none.
    ids = router.http.post(
        "/tokenize", {"inputs": request["inputs"], "add_special_tokens": False}
    ).json()
    assert request["tokenized_inputs"]["ids"] == [t["id"] for t in ids]


def test_a_stream(chat):
    _, _, client = chat
    whole = ask(client).choices[0].message.content
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert {c.object for c in chunks} == {"chat.completion.chunk"}
    assert len({c.id for c in chunks}) == 1
    first, last, usage = chunks[0], chunks[-2], chunks[-1]
    assert first.choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == whole
    assert last.choices[0].finish_reason == "length"
    assert last.choices[0].delta.content is None
    assert usage.choices == [] and usage.usage.completion_tokens == 8
    assert all(c.usage is None for c in chunks[:-1])
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = list(ask(client, stream=True, stream_options=options))
    assert [c.usage.completion_tokens for c in chunks] == [*range(9), 8, 8]
    assert {c.usage.prompt_tokens for c in chunks} == {usage.usage.prompt_tokens}


def test_an_asynchronous_stream(chat):
    router, _, client = chat

    async def text() -> str:
        async with openai.AsyncOpenAI(base_url=router.url + "/v1", api_key="x") as c:
            stream = await c.chat.completions.create(
                model="", messages=USER, max_tokens=8, temperature=0, stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(text()) == ask(client).choices[0].message.content


def test_messages_in_all_forms(chat):
    _, group, client = chat
    ask(
        client,
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": "d"},
        ],
    )
    text = "<system>Be brief.</system><user>ab</user><assistant>c</assistant><user>d</user>"
    assert sent(group)["inputs"] == text + "<assistant>"


def test_options_of_the_template(chat):
    _, group, client = chat
    more = {"chat_template_kwargs": {"mood": "calm"}, "add_generation_prompt": False}
    ask(client, extra_body=more)
    assert sent(group)["inputs"] == "<user>Hello</user>[calm]"
    messages = USER + [{"role": "assistant", "content": "Well, I"}]
    ask(client, messages, extra_body={"continue_final_message": True})
    assert sent(group)["inputs"].endswith("Well, I")


def test_many_answers_and_log_probabilities(chat):
    _, _, client = chat
    got = ask(client, n=2, temperature=1.0, seed=3, logprobs=True, top_logprobs=2)
    assert [c.index for c in got.choices] == [0, 1]
    for choice in got.choices:
        scores = choice.logprobs.content
        assert "".join(s.token for s in scores) == choice.message.content
        assert bytes(scores[0].bytes).decode() == scores[0].token
        assert len(scores[0].top_logprobs) == 2
    chunks = list(ask(client, n=2, temperature=1.0, seed=3, logprobs=True, stream=True))
    for choice in got.choices:
        parts = [c.choices[0] for c in chunks if c.choices[0].index == choice.index]
        assert "".join(p.delta.content or "" for p in parts) == choice.message.content
        tokens = [s.token for p in parts if p.logprobs for s in p.logprobs.content]
        assert "".join(tokens) == choice.message.content


def test_stop_texts_and_lengths(chat):
    _, group, client = chat
    text = ask(client).choices[0].message.content
    stop = text.split(" ")[3]
    got = ask(client, stop=stop)
    assert got.choices[0].finish_reason == "stop"
    assert got.choices[0].message.content == text[: text.index(stop)]
    ask(client, max_tokens=None, max_completion_tokens=5)
    assert sent(group)["stopping_parameters"]["max_new_tokens"] == 5


def test_structured_output_is_asked_of_the_shard(chat):
    _, group, client = chat
    with pytest.raises((pydantic.ValidationError, openai.LengthFinishReasonError)):
        client.chat.completions.parse(
            model="", messages=USER, response_format=Tree, max_tokens=8, temperature=0
        )
    schema = json.loads(sent(group)["parameters"]["schema"])
    assert schema["properties"]["height"]["type"] == "number"
    ask(client, response_format={"type": "text"})
    assert sent(group)["parameters"].get("schema", "") == ""


class Tree(pydantic.BaseModel):
    name: str
    height: float


def test_structured_output_is_parsed(replying):
    _, _, client = replying('{"name": "oak", "height": 3.5}')
    asked = {"model": "", "messages": USER, "response_format": Tree, "max_tokens": 50}
    got = client.chat.completions.parse(**asked)
    assert got.choices[0].message.parsed == Tree(name="oak", height=3.5)
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Tree(name="oak", height=3.5)


@pytest.mark.parametrize(
    "field,taken,refused_values",
    [
        ("temperature", [0, 2], [-0.01, 2.01]),
        ("top_p", [0.01, 1], [-0.1, 1.01]),
        ("presence_penalty", [-2, 2], [-2.01, 2.01]),
        ("frequency_penalty", [-2, 2], [-2.01, 2.01]),
        ("top_logprobs", [0, 20], [-1, 21]),
        ("n", [1, 2, 128], [0, 129]),
        ("stop", ["a", ["a"] * 10], ["", ["a"] * 11]),
        ("max_tokens", [1], [0, -1]),
        ("logit_bias", [{}], [{"5": 1}, []]),
    ],
)
def test_both_sides_of_each_limit(sims, routers, model, field, taken, refused_values):
    router = routers(sims(), {"--tokenizer-name": model, "--max-best-of": 200})
    body = {"model": "", "messages": USER, "max_tokens": 2, "logprobs": True}
    for value in taken:
        answer = router.http.post("/v1/chat/completions", {**body, field: value})
        assert answer.status == 200, (value, answer.body)
    for value in refused_values:
        answer = router.http.post("/v1/chat/completions", {**body, field: value})
        assert answer.status == 400, (value, answer.body)
        assert answer.json()["error"]["param"] == field


def test_an_adapter_answers(chat):
    _, _, client = chat
    got = ask(client, model="org/tuned")
    assert got.model == "org/tuned"
    assert got.choices[0].message.content.startswith("@org/tuned")


@pytest.mark.parametrize(
    "body,param",
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": USER + [{"role": "assistant", "tool_calls": 5}]}, "messages[1].tool_calls"),
        ({"messages": [{**USER[0], "tool_calls": [{}]}]}, "messages[0].tool_calls"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"messages": USER * 10_000}, "messages"),
        ({"messages": [{"role": "user", "content": "word " * 1000}]}, "messages"),
        ({"messages": [{"role": "user", "content": "refuse me"}]}, "messages"),
        ({"n": 3}, "n"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 2.01}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"logprobs": 5}, "logprobs"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"functions": [{}]}, "functions"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"function_call": "auto"}, "function_call"),
        ({"logit_bias": {"5": 5}}, "logit_bias"),
        ({"documents": {}}, "documents"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        (
            {"continue_final_message": True, "add_generation_prompt": True},
            "continue_final_message",
        ),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_each_refusal_names_the_field(chat, body, param):
    router, _, _ = chat
    for stream in (False, True):
        error = refused(router, {**body, "stream": stream})
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param, error
        assert error["message"]


@pytest.mark.parametrize(
    "messages",
    ['[{"role":"user","content":NaN}]', '[{"role":"user","content":' + "[" * 5000, "[" * 100_000],
    ids=["not a number", "deep content", "deep"],
)
def test_conversations_that_are_no_json(chat, messages):
    router, _, _ = chat
    body = '{"model":"","messages":' + messages + "}"
    answer = router.http.post(
        "/v1/chat/completions", body.encode(), {"content-type": "application/json"}
    )
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error" and error["message"]
    assert ask(openai.OpenAI(base_url=router.url + "/v1", api_key="x")).choices


def test_a_template_refuses_with_its_own_words(chat):
    router, _, _ = chat
    error = refused(router, {"messages": [{"role": "user", "content": "refuse me"}]})
    assert "no kings here" in error["message"]


def test_without_a_template(sims, routers):
    router = routers(sims(), {"--tokenizer-name": str(TOKENIZER)})
    error = refused(router, {})
    assert "template" in error["message"]
    answer = router.http.post(
        "/generate", {"inputs": "x", "parameters": {"apply_chat_template": True}}
    )
    assert answer.status == 422
    assert answer.json()["error_type"] == "template_error"


def test_a_template_that_never_ends(sims, routers, tmp_path):
    folder = tmp_path / "endless"
    shutil.copytree(TOKENIZER, folder)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(loop)
    router = routers(sims(), {"--tokenizer-name": str(folder)})
    assert refused(router, {})["type"] == "invalid_request_error"
    assert router.http.get("/health").status == 200


def test_the_template_on_native_routes(chat):
    router, group, _ = chat
    parameters = {"apply_chat_template": True, "max_new_tokens": 4}
    answer = router.http.post("/generate", {"inputs": "Hello", "parameters": parameters})
    assert answer.status == 200
    assert sent(group)["inputs"] == "<user>Hello</user><assistant>"


@pytest.fixture
def lorax(sims, routers, model):
    group = sims()
    options = {"--tokenizer-name": model, "--compat": "lorax"}
    return routers(group, options), group


def test_lorax_whole(lorax, model):
    router, group = lorax
    body = {"model": "org/tuned", "messages": USER, "max_tokens": 4}
    answer = router.http.post("/v1/chat/completions", body)
    assert answer.status == 200, answer.body
    got = answer.json()
    keys = ["id", "object", "created", "model", "choices", "usage", "system_fingerprint"]
    assert list(got) == keys
    assert got["id"] == "null" and got["object"] == "text_completion"
    assert got["model"] == model
    assert got["created"] > 1_700_000_000
    message = got["choices"][0]["message"]
    assert list(message) == ["role", "content"]
    assert message["content"].startswith("@org/tuned")
    assert got["choices"][0]["finish_reason"] == "length"
    assert sent(group)["parameters"]["do_sample"] is True
    router.http.post("/v1/chat/completions", {**body, "temperature": 0})
    assert not sent(group)["parameters"].get("do_sample", False)
    many = router.http.post("/v1/chat/completions", {**body, "n": 2}).json()
    assert [c["index"] for c in many["choices"]] == [0, 1]
    assert many["usage"]["completion_tokens"] == 4


def test_lorax_streamed(lorax):
    router, _ = lorax
    body = {"model": "", "messages": USER, "max_tokens": 3, "stream": True}
    events = router.http.events("/v1/chat/completions", body)
    assert events[-1] == "[DONE]"
    chunks = events[:-1]
    assert len(chunks) == 3
    for c in chunks:
        assert [c["id"], c["object"], c["created"], c["model"]] == [
            "null", "chat.completion.chunk", 0, "null",
        ]  # fmt: skip
        assert c["choices"][0]["delta"]["role"] == "assistant"
    assert "usage" not in chunks[0]
    assert chunks[-1]["usage"]["completion_tokens"] == 3
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_lorax_ends_a_stream_with_an_empty_delta(sims, routers, model):
    router = routers(
        sims(options=["--eos-after", "3"]), {"--tokenizer-name": model, "--compat": "lorax"}
    )
    body = {"model": "", "messages": USER, "max_tokens": 9, "stream": True, "temperature": 0}
    events = router.http.events("/v1/chat/completions", body)
    assert events[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}


def test_lorax_formats_of_answers(lorax):
    router, group = lorax

    def schema_for(response_format) -> str:
        body = {"model": "", "messages": USER, "max_tokens": 2, "response_format": response_format}
        answer = router.http.post("/v1/chat/completions", body)
        assert answer.status == 200, answer.body
        return sent(group)["parameters"].get("schema", "")

    own = {"type": "object", "properties": {"b": {}, "a": {}}}
    text = json.dumps(own, separators=(",", ":"))
    for name in ("text", "Text"):
        assert schema_for({"type": name, "schema": own}) == ""
    for name in ("json_object", "JsonObject"):
        assert "ArbitraryJsonModel" in schema_for({"type": name})
        assert schema_for({"type": name, "schema": own}) == text
    for name in ("json_schema", "JsonSchema"):
        assert schema_for({"type": name, "json_schema": {"name": "x", "schema": own}}) == text
        assert "ArbitraryJsonModel" in schema_for({"type": name, "json_schema": {"name": "x"}})
        assert "ArbitraryJsonModel" in schema_for({"type": name})
    body = {"model": "", "messages": USER, "response_format": {"type": "xml"}}
    answer = router.http.post("/v1/chat/completions", body)
    assert answer.status == 422
    assert b"response_format.type: " in answer.body


def test_lorax_errors(lorax):
    router, _ = lorax
    answer = router.http.post("/v1/chat/completions", {"model": "", "messages": [{}]})
    assert answer.status == 422
    assert answer.headers["content-type"].startswith("text/plain")
    refusal = {"model": "", "messages": [{"role": "king", "content": "x"}], "stream": True}
    answer = router.http.post("/v1/chat/completions", refusal)
    assert answer.status == 422
    assert answer.json()["error_type"] == "template_error"
    assert answer.json()["error"].startswith("Failed applying chat template to inputs: ")
    answer = router.http.post("/v1/chat/completions", {"model": "", "messages": USER, "n": 3})
    assert answer.json()["error_type"] == "validation"
    # No end marker after the error of a stream.
    events = router.http.events(
        "/v1/chat/completions", {"model": "", "messages": USER, "top_k": 0, "stream": True}
    )
    assert events == [
        {
            "error": "Input validation error: `top_k` must be strictly positive",
            "error_type": "validation",
        }
    ]


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather at a place",
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["place"],
            },
        },
    },
    {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}},
]
CALL = '{"function": {"_name": "weather", "place": "Lyon", "days": 3}}'
WORDS = '{"function": {"_name": "no_tool", "content": "Just words."}}'


@pytest.fixture
def replying(sims, routers, model):
    """Starts a router whose shard gives constrained requests this reply."""

    def start(reply: str, compat: str = "openai"):
        group = sims(options=["--constrained-reply", reply])
        options = {"--tokenizer-name": model, "--compat": compat, "--max-total-tokens": 1400}
        router = routers(group, {**options, "--max-input-length": 1000})
        client = openai.OpenAI(base_url=router.url + "/v1", api_key="none", max_retries=0)
        return router, group, client

    return start


def test_a_tool_is_called(replying):
    _, group, client = replying(CALL)
    got = ask(client, tools=TOOLS, max_tokens=100).choices[0]
    assert got.finish_reason == "tool_calls"
    assert got.message.content is None
    call = got.message.tool_calls[0]
    assert call.id.startswith("call_") and call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"place": "Lyon", "days": 3}
    again = ask(client, tools=TOOLS, max_tokens=100).choices[0].message.tool_calls[0]
    assert again.id != call.id
    request = sent(group)
    schema = json.loads(request["parameters"]["schema"])
    assert list(schema["$functions"]) == ["weather", "clock", "no_tool"]
    assert schema["$functions"]["weather"]["properties"]["_name"]["const"] == "weather"
    assert "[tools: weather,clock]" in request["inputs"]
    # A plain text, too, gets the words about them, but not the tools that the template shows.
    assert "Hello\n---\nReply with one JSON object" in request["inputs"]
    assert '"description"' not in request["inputs"]


def test_a_tool_call_is_streamed(replying):
    _, _, client = replying(CALL)
    chunks = list(ask(client, tools=TOOLS, max_tokens=100, stream=True))
    deltas = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
    assert deltas[0].id.startswith("call_")
    assert deltas[0].function.name == "weather"
    assert all(d.id is None and d.function.name is None for d in deltas[1:])
    assert len(deltas) > 3
    arguments = "".join(d.function.arguments for d in deltas)
    assert json.loads(arguments) == {"place": "Lyon", "days": 3}
    assert all(not c.choices[0].delta.content for c in chunks)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_tool_call_is_streamed_to_the_asynchronous_client(replying):
    router, _, _ = replying(CALL)

    async def call():
        async with openai.AsyncOpenAI(base_url=router.url + "/v1", api_key="x") as c:
            stream = await c.chat.completions.create(
                model="", messages=USER, tools=TOOLS, max_tokens=100, stream=True
            )
            deltas = [d async for c in stream for d in c.choices[0].delta.tool_calls or []]
        return deltas[0].function.name, "".join(d.function.arguments for d in deltas)

    name, arguments = asyncio.run(call())
    assert name == "weather"
    assert json.loads(arguments) == {"place": "Lyon", "days": 3}


def test_log_probabilities_beside_a_call(replying):
    _, _, client = replying(CALL)
    more = {"tools": TOOLS, "max_tokens": 100, "logprobs": True, "top_logprobs": 1}
    choice = ask(client, **more).choices[0]
    assert choice.message.tool_calls[0].function.name == "weather"
    scores = choice.logprobs.content
    assert "".join(s.token for s in scores) == CALL
    assert len(scores[0].top_logprobs) == 1
    chunks = [c.choices[0] for c in ask(client, stream=True, **more)]
    tokens = [s.token for c in chunks if c.logprobs for s in c.logprobs.content]
    assert "".join(tokens) == CALL


def test_the_stream_helper_of_openai_puts_the_call_together(replying):
    _, _, client = replying(CALL)
    with client.chat.completions.stream(
        model="", messages=USER, tools=TOOLS, max_tokens=100
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "weather"


def test_words_instead_of_a_call(replying):
    _, _, client = replying(WORDS)
    got = ask(client, tools=TOOLS, max_tokens=100).choices[0]
    assert got.finish_reason == "stop"
    assert got.message.content == "Just words."
    assert got.message.tool_calls is None
    chunks = list(ask(client, tools=TOOLS, max_tokens=100, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Just words."
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_tool_choice_in_all_forms(replying):
    _, group, client = replying(CALL)

    def functions(choice) -> list:
        ask(client, tools=TOOLS, tool_choice=choice, max_tokens=100)
        schema = sent(group)["parameters"].get("schema", "")
        return list(json.loads(schema)["$functions"]) if schema else []

    assert functions("auto") == ["weather", "clock", "no_tool"]
    assert functions("required") == ["weather", "clock"]
    assert functions({"type": "function", "function": {"name": "weather"}}) == ["weather"]
    assert functions("none") == []
    assert sent(group)["inputs"] == "<user>Hello</user><assistant>"
    ask(client, tools=TOOLS, parallel_tool_calls=False, max_tokens=100)


def test_results_of_tools_go_back(replying):
    _, group, client = replying(WORDS)
    first = {"id": "call_1", "type": "function"}
    first["function"] = {"name": "weather", "arguments": '{"place":"Lyon"}'}
    messages = USER + [
        {"role": "assistant", "content": None, "tool_calls": [first]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    got = ask(client, messages, tools=TOOLS, max_tokens=100)
    assert got.choices[0].message.content == "Just words."
    assert '"place": "Lyon"' in sent(group)["inputs"]
    assert "<tool>sunny" in sent(group)["inputs"]


def test_a_call_that_is_cut_off_keeps_what_came(replying):
    _, _, client = replying(CALL)
    got = ask(client, tools=TOOLS, max_tokens=15).choices[0]
    assert got.finish_reason == "length"
    assert got.message.tool_calls[0].function.arguments.startswith('{"place":')


def test_a_call_that_a_stop_text_cuts_off_keeps_what_came(replying):
    _, _, client = replying(CALL)
    for stream in (False, True):
        got = ask(client, tools=TOOLS, max_tokens=100, stop="Lyon", stream=stream)
        if stream:
            choices = [c.choices[0] for c in got]
            calls = [d for c in choices for d in c.delta.tool_calls or []]
            assert "".join(d.function.arguments for d in calls) == '{"place":"'
        else:
            choices = got.choices
            assert choices[0].message.tool_calls[0].function.arguments == '{"place":"'
        assert choices[-1].finish_reason == "stop"


def test_a_reply_that_is_no_call(replying):
    router, _, client = replying('{"answer": 42}')
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, tools=TOOLS, max_tokens=100)
    assert "tool call" in str(caught.value)
    body = {"model": "", "messages": USER, "tools": TOOLS, "stream": True, "max_tokens": 100}
    events = router.http.events("/v1/chat/completions", body)
    assert events[-1] == "[DONE]"
    assert events[-2]["error"]["type"] == "server_error"


def tool(name="f", **more) -> dict:
    return {"type": "function", "function": {"name": name, **more}}


@pytest.mark.parametrize(
    "body,param",
    [
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [tool("")]}, "tools[0].function.name"),
        ({"tools": [tool("a b")]}, "tools[0].function.name"),
        ({"tools": [tool(), tool()]}, "tools[1].function.name"),
        ({"tools": [tool(parameters=5)]}, "tools[0].function.parameters"),
        ({"tools": [tool()], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [tool()], "tool_choice": {"type": "function"}}, "tool_choice"),
        (
            {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [tool()], "response_format": {"type": "json_object"}}, "response_format"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "nonsense"}},
                }
            },
            "response_format.json_schema.schema.type",
        ),
        ({"guided_json": {"$ref": "#"}}, "guided_json"),
    ],
)
def test_tools_that_are_refused(chat, body, param):
    router, _, _ = chat
    error = refused(router, body)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param, error


def test_native_schemas_are_checked(chat):
    router, _, _ = chat
    body = {"inputs": "x", "parameters": {"response_format": {"type": "json_object"}}}
    body["parameters"]["response_format"]["schema"] = {"type": "nonsense"}
    answer = router.http.post("/generate", body)
    assert answer.status == 422
    assert "response_format.schema" in answer.json()["error"]


def test_lorax_tools(replying):
    router, group, _ = replying(CALL, "lorax")
    body = {"model": "", "messages": USER, "tools": TOOLS, "max_tokens": 100}
    got = router.http.post("/v1/chat/completions", body).json()
    message = got["choices"][0]["message"]
    assert list(message) == ["role", "tool_calls"]
    call = message["tool_calls"][0]
    assert call["id"] == "0"
    assert list(call["function"]) == ["description", "name", "arguments"]
    assert json.loads(call["function"]["arguments"]) == {"place": "Lyon", "days": 3}
    # Words for the model about the tools are lost where the message is a plain text.
    assert "---" not in sent(group)["inputs"]
    events = router.http.events("/v1/chat/completions", {**body, "stream": True})
    text = "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1])
    assert text == CALL
    answer = router.http.post("/v1/chat/completions", {**body, "tool_choice": "required"})
    assert answer.status == 422
    assert answer.json() == {
        "error": "Tool error: Tool with name required not found",
        "error_type": "tool_error",
    }
    answer = router.http.post(
        "/v1/chat/completions", {**body, "response_format": {"type": "json_object"}}
    )
    assert answer.json()["error"] == "Tool error: Response format and tools are mutually exclusive"


@pytest.mark.parametrize(
    "reply,words",
    [
        ('{"answer": 42}', "No function found in generated text"),
        ('{"function": {"place": "Lyon"}}', "No _name found in generated text"),
        ('{"function": {"_name": "no_tool"}}', "No `content` found in generated text"),
        ('{"function": {"_name": "gone"}}', "Tool with name gone not found"),
        ("Lyon", "Failed to parse generated text: "),
    ],
)
def test_lorax_replies_that_are_no_calls(replying, reply, words):
    router, _, _ = replying(reply, "lorax")
    body = {"model": "", "messages": USER, "tools": TOOLS, "max_tokens": 100}
    answer = router.http.post("/v1/chat/completions", body)
    assert answer.status == 422
    assert answer.json()["error"].startswith("Tool error: " + words)
    assert answer.json()["error_type"] == "tool_error"


@pytest.mark.parametrize(
    "tools,where",
    [
        (5, "tools"),
        ([5], "tools[0]"),
        ([{"function": {"name": "f"}}], "tools[0].type"),
        ([{"type": "function"}], "tools[0].function"),
        ([{"type": "function", "function": {}}], "tools[0].function.name"),
    ],
)
def test_lorax_tools_that_cannot_be_read(lorax, tools, where):
    router, _ = lorax
    body = {"model": "", "messages": USER, "tools": tools}
    answer = router.http.post("/v1/chat/completions", body)
    assert answer.status == 422
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    start = "Failed to deserialize the JSON body into the target type: "
    assert answer.body.decode().startswith(f"{start}{where}: expected ")


def test_lorax_words_about_tools(replying):
    router, group, _ = replying(CALL, "lorax")
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]

    def ask_lorax(messages, **more) -> dict:
        body = {"model": "", "messages": messages, "max_tokens": 100, **more}
        answer = router.http.post("/v1/chat/completions", body)
        assert answer.status == 200, answer.body
        return sent(group)

    def functions(choice) -> list:
        request = ask_lorax(USER, tools=TOOLS, tool_choice=choice)
        return list(json.loads(request["parameters"]["schema"])["$functions"])

    # They are lost only where the last message is a plain text.
    for messages in parts, [{"role": "user"}]:
        assert "\n---\nmine" in ask_lorax(messages, tools=TOOLS, tool_prompt="mine")["inputs"]
    for tools, choice in ([], None), (TOOLS, "none"):
        request = ask_lorax(parts, tools=tools, tool_choice=choice, tool_prompt="mine")
        assert "Hello\n---\nmine" in request["inputs"]
        assert not request["parameters"].get("schema")
    assert "---" not in ask_lorax(parts)["inputs"]
    assert "---" not in ask_lorax(USER, tools=TOOLS)["inputs"]
    assert functions("auto") == ["weather", "clock", "no_tool"]
    assert functions("weather") == ["weather"]
    assert functions({"Function": {"name": "weather"}}) == ["weather"]
    body = {"model": "", "messages": USER, "tools": TOOLS}
    body["tool_choice"] = {"type": "function", "function": {"name": "weather"}}
    answer = router.http.post("/v1/chat/completions", body)
    assert answer.status == 422
    assert b"tool_choice: " in answer.body


def test_a_guideline(sims, routers, model):
    (Path(model) / "chat_template.jinja").write_text("{{ guideline }}|{{ messages[0].content }}")
    for compat, status in ("lorax", 422), ("openai", 400):
        group = sims()
        router = routers(group, {"--tokenizer-name": model, "--compat": compat})
        body = {"model": "", "messages": USER, "max_tokens": 2}
        answer = router.http.post("/v1/chat/completions", body)
        assert answer.status == status
        words = "Missing template vatiable: guideline"
        if compat == "lorax":
            expected = {"error": words, "error_type": "missing_template_variable"}
            assert answer.json() == expected
        else:
            assert answer.json()["error"]["code"] == "missing_template_variable"
        router.http.post("/v1/chat/completions", {**body, "guideline": "be kind"})
        assert sent(group)["inputs"] == "be kind|Hello"


def test_an_adapter_has_its_own_template(sims, routers, model, tmp_path):
    own = tmp_path / "adapters" / "own"
    own.mkdir(parents=True)
    (own / "chat_template.jinja").write_text(
        "{{ bos_token }}own: {{ messages[0].content }}{% if tools %} with tools{% endif %}"
    )
    (tmp_path / "adapters" / "bare").mkdir()
    (tmp_path / "adapters" / "broken").mkdir()
    (tmp_path / "adapters" / "broken" / "chat_template.jinja").write_text("{% if %}")
    group = sims()
    options = {"--tokenizer-name": model, "--local-adapter-folder": str(own.parent)}
    options |= {"--max-input-length": 500, "--max-total-tokens": 600}
    router = routers(group, options)
    client = openai.OpenAI(base_url=router.url + "/v1", api_key="none", max_retries=0)

    def prompt(adapter: str, source: str = "local", **more) -> str:
        ask(client, model=adapter, extra_body={"adapter_source": source}, **more)
        return sent(group)["inputs"]

    config = json.loads((Path(model) / "tokenizer_config.json").read_text())
    bos = config["bos_token"]["content"]
    base = "<user>Hello</user><assistant>"
    assert prompt("own") == prompt(str(own)) == bos + "own: Hello"
    with pytest.raises(openai.InternalServerError):  # what the shard says is no call
        prompt("own", tools=TOOLS[1:])
    assert sent(group)["inputs"].endswith(" with tools")
    assert '"clock"' not in sent(group)["inputs"]
    assert prompt("bare") == base
    assert prompt("own", source="hub") == base
    assert prompt("../model") == base
    native = {"adapter_id": "own", "adapter_source": "local", "apply_chat_template": True}
    native["max_new_tokens"] = 2
    router.http.post("/generate", {"inputs": "Hi", "parameters": native})
    assert sent(group)["inputs"] == bos + "own: Hi"
    (own / "chat_template.jinja").write_text("changed")
    assert prompt("own") == "changed"

    broken = {**native, "adapter_id": "broken"}
    answer = router.http.post("/generate", {"inputs": "Hi", "parameters": broken})
    assert answer.status == 422
    assert answer.json()["error_type"] == "template_error"
    assert "broken/chat_template.jinja" in answer.json()["error"]
    assert str(tmp_path) not in answer.json()["error"]
    error = refused(router, {"model": "broken", "adapter_source": "local"})
    assert error["param"] == "model" and error["code"] == "template_error"


def test_a_folder_of_adapters_that_is_not_there(sims, routers, model, tmp_path):
    options = {"--tokenizer-name": model, "--local-adapter-folder": str(tmp_path / "no")}
    router = routers(sims(), options, wait=False)
    assert router.process.wait() == 1
    assert "local_adapter_folder" in router.process.log_text()
