"""The Python clients that users have: PyPI's `lorax-client` and `text-generation`."""

import asyncio

import lorax
import lorax.errors
import pytest
import text_generation
import text_generation.errors
from lorax.types import MergedAdapters

from harness import Router, SimGroup

PROMPT = "I speak for the trees"
OPTIONS = ["--no-such-adapter", "ghost", "--private-adapter", "mine=secret"]
LIMIT_S = 30
pytestmark = pytest.mark.filterwarnings("ignore:The `dict` method is deprecated")  # the clients'


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    group = SimGroup(folder, options=OPTIONS)
    router = Router(folder, group.master, {"--adapter-source": "local"}).wait_healthy()
    try:
        yield router
        router.stop()
        group.stop()
    finally:
        router.kill()
        group.kill()


@pytest.fixture(params=[lorax, text_generation], ids=["lorax", "text_generation"])
def package(request):
    return request.param


def text_of(events) -> str:
    events = list(events)
    assert all(e.generated_text is None for e in events[:-1])
    assert events[-1].details.generated_tokens == len(events)
    assert "".join(e.token.text for e in events) == events[-1].generated_text
    return events[-1].generated_text


def test_generate_and_stream_give_the_same_text(router, package):
    client = package.Client(router.url, timeout=LIMIT_S)
    whole = client.generate(PROMPT, max_new_tokens=12)
    assert whole.generated_text.startswith("@base ")
    assert whole.details.generated_tokens == 12
    assert whole.details.finish_reason == "length"
    assert len(whole.details.tokens) == 12
    assert text_of(client.generate_stream(PROMPT, max_new_tokens=12)) == whole.generated_text


def test_the_asynchronous_clients(router, package):
    async def run():
        client = package.AsyncClient(router.url, timeout=LIMIT_S)
        answers = await asyncio.gather(
            *(client.generate(f"{PROMPT} {i}", max_new_tokens=5) for i in range(10))
        )
        events = [e async for e in client.generate_stream(f"{PROMPT} 3", max_new_tokens=5)]
        return answers, events

    answers, events = asyncio.run(run())
    assert len({a.generated_text for a in answers}) == 10
    assert text_of(events) == answers[3].generated_text


def test_sampling_best_of_and_prompt_details(router, package):
    client = package.Client(router.url, timeout=LIMIT_S)
    answer = client.generate(
        PROMPT, max_new_tokens=6, do_sample=True, best_of=2, decoder_input_details=True
    )
    assert len(answer.details.best_of_sequences) == 1
    assert answer.details.best_of_sequences[0].generated_text != answer.generated_text
    assert len(answer.details.prefill) == len(PROMPT.split())
    assert answer.details.prefill[0].logprob is None
    same = [client.generate(PROMPT, max_new_tokens=6, do_sample=True, seed=7) for _ in range(2)]
    assert same[0].generated_text == same[1].generated_text
    assert same[0].details.seed == 7


def test_all_other_parameters_are_taken(router, package):
    client = package.Client(router.url, timeout=LIMIT_S)
    answer = client.generate(
        PROMPT,
        max_new_tokens=5,
        repetition_penalty=1.1,
        return_full_text=True,
        stop_sequences=["never said"],
        temperature=0.7,
        top_k=10,
        top_p=0.9,
        truncate=50,
        typical_p=0.9,
        watermark=True,
    )
    assert answer.generated_text.startswith(PROMPT)


def test_refusals_are_the_clients_own_errors(router, package):
    client = package.Client(router.url, timeout=LIMIT_S)
    too_long = {"max_new_tokens": 10_000}
    with pytest.raises(package.errors.ValidationError, match="max_new_tokens"):
        client.generate(PROMPT, **too_long)
    with pytest.raises(Exception, match="max_new_tokens"):
        list(client.generate_stream(PROMPT, **too_long))


def test_overload_is_the_clients_own_error(sims, routers, package):
    busy = routers(sims(options=["--decode-base-us", 20_000]), {"--max-concurrent-requests": 1})
    client = package.Client(busy.url, timeout=LIMIT_S)
    first = client.generate_stream(PROMPT, max_new_tokens=100)
    next(first)
    with pytest.raises(package.errors.OverloadedError, match="overloaded"):
        client.generate(PROMPT, max_new_tokens=1)
    first.close()


def test_adapters_of_the_lorax_client(router):
    client = lorax.Client(router.url, timeout=LIMIT_S)
    for name in ("sql", "pirate"):
        answer = client.generate(PROMPT, adapter_id=name, adapter_source="local", max_new_tokens=4)
        assert answer.generated_text.startswith(f"@{name} ")
        events = client.generate_stream(
            PROMPT, adapter_id=name, adapter_source="local", max_new_tokens=4
        )
        assert text_of(events) == answer.generated_text
    merged = MergedAdapters(
        ids=["sql", "pirate"], weights=[0.5, 0.5], merge_strategy="ties", density=0.5
    )
    answer = client.generate(PROMPT, merged_adapters=merged, max_new_tokens=4)
    assert answer.generated_text.startswith("@sql+pirate ")


def test_adapter_errors_of_the_lorax_client(router):
    client = lorax.Client(router.url, timeout=LIMIT_S)
    with pytest.raises(lorax.errors.GenerationError, match="ghost"):
        client.generate(PROMPT, adapter_id="ghost", max_new_tokens=4)
    private = {"adapter_id": "mine", "adapter_source": "hub", "max_new_tokens": 4}
    with pytest.raises(lorax.errors.GenerationError):
        client.generate(PROMPT, **private, api_token="a guess")
    assert client.generate(PROMPT, **private, api_token="secret").generated_text.startswith("@mine ")
    bearer = lorax.Client(
        router.url, headers={"authorization": "Bearer secret"}, timeout=LIMIT_S
    )
    assert bearer.generate(PROMPT, **private).generated_text.startswith("@mine ")


def test_alternatives_and_schemas_of_the_lorax_client(router):
    client = lorax.Client(router.url, timeout=LIMIT_S)
    answer = client.generate(
        PROMPT, max_new_tokens=4, details=True, return_k_alternatives=3
    )
    assert all(len(t.alternative_tokens) == 3 for t in answer.details.tokens)
    schema = {"type": "json_object", "schema": {"type": "string", "title": "response"}}
    assert client.generate(PROMPT, max_new_tokens=4, response_format=schema).generated_text


def test_a_client_that_stops_reading_frees_its_place(sims, routers):
    group = sims(options=["--decode-base-us", 10_000])
    one = routers(group, {"--max-concurrent-requests": 1})
    client = lorax.Client(one.url, timeout=LIMIT_S)

    async def leave():
        asynchronous = lorax.AsyncClient(one.url, timeout=LIMIT_S)
        stream = asynchronous.generate_stream(PROMPT, max_new_tokens=190)
        async for _ in stream:
            break
        await stream.aclose()

    asyncio.run(leave())
    for _ in range(100):
        try:
            assert client.generate(PROMPT, max_new_tokens=2).details.generated_tokens == 2
            break
        except lorax.errors.OverloadedError:
            continue
    else:
        pytest.fail("the permit did not come back")
    assert group.reports()[0]["generated_tokens"] < 100
