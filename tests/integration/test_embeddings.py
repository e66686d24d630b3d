"""Embeddings and classification through the router in front of simulated shards (contract 5.4, 8)."""

import asyncio
import base64
import concurrent.futures
import struct

import openai
import pytest

from load import run_all
from looks import metric
from processes import REPOSITORY, wait_until

TOKENIZER = str(REPOSITORY / "tests" / "data" / "tokenizer")
POOLING = ["--embeddings", "--classification"]
TEXTS = ["a", "", "San Francisco", "one two three four"]


@pytest.fixture(params=[(1, []), (2, []), (2, ["--mode", "padded"]), (1, ["--mode", "plain"])])
def serving(request, sims, routers):
    """A router that knows a tokenizer, and its shards, which do all three tasks."""
    world, layout = request.param
    group = sims(world=world, options=POOLING + layout)
    return routers(group, {"--tokenizer-name": TOKENIZER}), group


def embed(router, text: str, **parameters):
    answer = router.http.post("/embed", {"inputs": text, "parameters": parameters})
    assert answer.status == 200, answer.body
    return answer.json()["embeddings"]


def test_embed_answers_a_vector(serving):
    router, group = serving
    vectors = [embed(router, text) for text in TEXTS]
    assert all(len(v) == 8 for v in vectors)
    assert len({tuple(v) for v in vectors}) == len(TEXTS)
    assert embed(router, TEXTS[0]) == vectors[0]
    for shard in group.shards:  # every shard of a group computes the whole batch
        assert shard.report()["calls"]["Embed"] >= len(TEXTS)
    assert metric(router, 'lorax_batch_inference_count{method="embed"}') >= len(TEXTS) + 1
    assert metric(router, "lorax_request_input_count_count") == len(TEXTS) + 1


def test_openai_shape_and_order(serving):
    router, _ = serving
    texts = ["a", "San Francisco", "one two three four", "a"]
    body = {"model": "", "input": texts}
    answer = router.http.post("/v1/embeddings", body).json()
    assert list(answer) == ["object", "data", "model", "usage"]
    assert [d["index"] for d in answer["data"]] == [0, 1, 2, 3]
    assert [d["embedding"] for d in answer["data"]] == [embed(router, t) for t in texts]
    counted = sum(len(router.http.post("/tokenize", {"inputs": t}).json()) for t in texts)
    assert answer["usage"] == {"prompt_tokens": counted, "total_tokens": counted}

    coded = router.http.post("/v1/embeddings", {**body, "encoding_format": "base64"}).json()
    for plain, code in zip(answer["data"], coded["data"]):
        numbers = struct.unpack("<8f", base64.b64decode(code["embedding"], validate=True))
        assert list(numbers) == pytest.approx(plain["embedding"], rel=1e-6)


def test_token_ids_are_what_their_text_is(serving):
    router, _ = serving
    text = "one two three four"
    ids = [t["id"] for t in router.http.post("/tokenize", {"inputs": text}).json()]
    body = {"model": "", "input": [ids, ids]}
    answer = router.http.post("/v1/embeddings", body)
    assert answer.status == 200, answer.body
    first, second = (d["embedding"] for d in answer.json()["data"])
    assert first == second
    if "padded" not in serving[1].options:
        assert first == embed(router, text)


def test_classify_answers_entities(serving):
    router, _ = serving
    text = "San Francisco is in the United States of America"
    answer = router.http.post("/classify", {"inputs": text})
    assert answer.status == 200, answer.body
    entities = answer.json()
    assert entities
    for e in entities:
        assert list(e) == ["entity_group", "score", "word", "start", "end"]
        assert e["entity_group"] == "LOC"
        assert e["word"] == text.encode()[e["start"] : e["end"]].decode().lower()
    assert answer.headers["x-compute-type"] == "gpu+optimized"
    for name in ("compute", "validation", "queue", "inference"):
        assert answer.headers[f"x-{name}-time"].isdigit()
    batch = router.http.post("/classify_batch", {"inputs": [text, "", text]})
    assert batch.json() == [entities, [], entities]
    assert batch.headers["x-validation-time"] == "0"
    assert metric(router, "lorax_request_classify_output_count_sum") == 3 * len(entities)
    assert metric(router, "lorax_request_success") == 2


def test_a_list_of_any_size_is_split_over_steps(sims, routers):
    group = sims(options=POOLING)
    limits = {"--max-batch-prefill-tokens": 128, "--max-concurrent-requests": 8}
    router = routers(group, {"--tokenizer-name": TOKENIZER, **limits})
    texts = [f"text {i}" for i in range(700)]
    answer = router.http.post("/v1/embeddings", {"model": "", "input": texts})
    assert answer.status == 200, answer.body
    vectors = [d["embedding"] for d in answer.json()["data"]]
    for i in (0, 1, 255, 256, 257, 699):
        assert vectors[i] == embed(router, texts[i])
    assert group.shards[0].report()["calls"]["Embed"] > 20
    assert router.http.get("/health").status == 200


def test_a_long_list_leaves_places_for_others(sims, routers):
    group = sims(options=[*POOLING, "--prefill-base-us", "50000"])
    limits = {"--max-batch-prefill-tokens": 128, "--max-concurrent-requests": 300}
    router = routers(group, {"--tokenizer-name": TOKENIZER, **limits})
    before = group.shards[0].report()["calls"]["Embed"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        body = {"model": "", "input": [f"text {i}" for i in range(1000)]}
        long = pool.submit(router.http.post, "/v1/embeddings", body)
        wait_until(lambda: group.shards[0].report()["calls"]["Embed"] > before, "its first call")
        assert len(embed(router, "a")) == 8
        assert not long.done()
        assert long.result().status == 200


def test_adapters_work_as_for_generation(serving):
    router, _ = serving
    base = embed(router, "a")
    other = embed(router, "a", adapter_id="x", adapter_source="local")
    assert other != base
    by_model = {"model": "x", "input": "a", "adapter_source": "local"}
    answer = router.http.post("/v1/embeddings", by_model).json()
    assert answer["data"][0]["embedding"] == other
    assert answer["model"] == "x"


def test_adapters_that_cannot_be_used(sims, routers):
    group = sims(options=[*POOLING, "--no-such-adapter", "lost"])
    options = {"--tokenizer-name": TOKENIZER, "--adapter-source": "local"}
    router = routers(group, {**options, "--allowed-adapters": "lost"})
    for name in ("lost", "forbidden"):
        answer = router.http.post("/v1/embeddings", {"model": name, "input": "a"})
        assert answer.status == 404, answer.body
        error = answer.json()["error"]
        assert (error["param"], error["code"]) == ("model", "model_not_found")
        assert name in error["message"]
    native = {"inputs": "a", "parameters": {"adapter_id": "lost"}}
    assert router.http.post("/embed", native).status == 424
    native["parameters"]["adapter_id"] = "forbidden"
    assert router.http.post("/embed", native).status == 422


@pytest.mark.parametrize("compat", ["openai", "lorax"])
def test_empty_lists(sims, routers, compat):
    router = routers(
        sims(options=POOLING),
        {"--tokenizer-name": TOKENIZER},
        config=f"server:\n  compat: {compat}\n",
    )
    nothing = router.http.post("/classify_batch", {"inputs": []})
    assert nothing.status == 500
    assert nothing.json() == {
        "error": "Classification Failure",
        "error_type": "classification_failure",
    }
    answer = router.http.post("/v1/embeddings", {"model": "", "input": []})
    if compat == "lorax":
        assert answer.status == 500
        assert answer.json() == {"error": "Embedding Failure", "error_type": "embedding_failure"}
        one = router.http.post("/v1/embeddings", {"model": "anything", "input": "a"}).json()
        assert list(one) == ["embeddings"]
        assert list(one["embeddings"][0]) == ["index", "embedding", "object"]
        assert one["embeddings"][0]["embedding"] == embed(router, "a")
        assert metric(router, 'lorax_request_failure{err="embedding_failure"}') == 1
        for wrong in (5, [1, 2], [["a"]]):
            refused = router.http.post("/v1/embeddings", {"model": "", "input": wrong})
            assert refused.status == 422
            assert refused.headers["content-type"] == "text/plain; charset=utf-8"
            assert b"the target type: input: expected a string or" in refused.body
    else:
        assert answer.status == 400
        assert answer.json()["error"]["param"] == "input"
    assert metric(router, 'lorax_request_failure{err="classification_failure"}') == 1


def test_bad_requests_say_what_is_wrong(serving):
    router, _ = serving
    long_text = "word " * 200
    answer = router.http.post("/embed", {"inputs": long_text})
    assert answer.status == 422
    assert "`inputs` tokens" in answer.json()["error"]
    answer = router.http.post("/v1/embeddings", {"model": "", "input": ["a", long_text]})
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "input"
    assert "input 1" in answer.json()["error"]["message"]
    wrong_size = {"model": "", "input": "a", "dimensions": 7}
    answer = router.http.post("/v1/embeddings", wrong_size)
    assert answer.status == 400
    assert "must be 8" in answer.json()["error"]["message"]
    right_size = {"model": "", "input": "a", "dimensions": 8}
    assert router.http.post("/v1/embeddings", right_size).status == 200
    both = {"adapter_id": "x", "merged_adapters": {"ids": ["a"], "weights": [1.0]}}
    assert router.http.post("/embed", {"inputs": "a", "parameters": both}).status == 422
    assert router.http.post("/embed", {}).status == 422
    assert router.http.post("/classify", {"inputs": ["a"]}).status == 422


def test_a_model_says_what_it_does_not_do(sims, routers):
    router = routers(sims(), {"--tokenizer-name": TOKENIZER})
    answer = router.http.post("/embed", {"inputs": "a"})
    assert answer.status == 422
    assert "does not compute embeddings" in answer.json()["error"]
    answer = router.http.post("/v1/embeddings", {"model": "", "input": "a"})
    assert answer.status == 400
    assert "does not compute embeddings" in answer.json()["error"]["message"]
    assert router.http.post("/classify", {"inputs": "a"}).status == 422
    assert router.http.post("/classify_batch", {"inputs": ["a"]}).status == 422
    assert router.http.get("/startup").status == 200


@pytest.mark.parametrize("layout", [[], ["--mode", "padded"]])
def test_a_model_that_only_embeds(sims, routers, layout):
    router = routers(sims(options=["--no-generation", *POOLING, *layout]), {"--tokenizer-name": TOKENIZER})
    assert router.http.get("/startup").status == 200
    assert len(embed(router, "San Francisco")) == 8
    answer = router.http.post("/generate", {"inputs": "a"})
    assert answer.status == 422
    assert "does not generate" in answer.json()["error"]
    assert router.http.get("/health").status == 200


def test_classification_needs_a_tokenizer_embedding_does_not(sims, routers):
    router = routers(sims(options=POOLING))
    assert len(embed(router, "a")) == 8
    answer = router.http.post("/classify", {"inputs": "a"})
    assert answer.status == 404
    assert answer.json()["error_type"] == "no fast tokenizer"
    answer = router.http.post("/v1/embeddings", {"model": "", "input": [1, 2]})
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "no_tokenizer"


def test_a_poisoned_text_fails_alone(serving, sims, routers):
    group = sims(options=[*POOLING, "--fail-prompt", "poison", "--prefill-base-us", "30000"])
    router = routers(group, {"--tokenizer-name": TOKENIZER})
    texts = ["a", "poison", "b", "c"] * 3

    def ask(text):
        return router.http.post("/embed", {"inputs": text})

    with concurrent.futures.ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(ask, texts))
    for text, answer in zip(texts, answers):
        if text == "poison":
            assert answer.status == 424
            assert "cannot embed a prompt" in answer.json()["error"]
        else:
            assert answer.status == 200, answer.body
    answer = router.http.post("/v1/embeddings", {"model": "", "input": ["a", "b", "poison"]})
    assert answer.status == 500
    assert "(input 2, the first is 0)" in answer.json()["error"]["message"]
    assert router.http.get("/health").status == 200


@pytest.mark.parametrize(
    "path, body",
    [
        ("/embed", {"inputs": "a", "parameters": {"adapter_id": "slow", "adapter_source": "local"}}),
        ("/v1/embeddings", {"model": "slow", "adapter_source": "local", "input": ["a", "b"]}),
    ],
)
def test_deadlines_are_for_embeddings_too(sims, routers, path, body):
    router = routers(sims(options=["--embeddings", "--download-us", 3_000_000]))
    answer = router.http.post(path, body, {"x-truffula-deadline-ms": "300"})
    assert answer.status == 408, answer.body
    assert metric(router, 'lorax_request_failure{err="timeout"}') == 1
    wrong = router.http.post(path, body, {"x-truffula-deadline-ms": "-1"})
    assert wrong.status == (400 if path.startswith("/v1") else 422)
    assert b"x-truffula-deadline-ms" in wrong.body


def test_the_authorization_header_is_for_generations_only(sims, routers):
    group = sims(options=[*POOLING, "--private-adapter", "mine=secret"])
    router = routers(group, {"--tokenizer-name": TOKENIZER})
    bearer = {"authorization": "Bearer secret"}
    body = {"model": "mine", "input": "a"}
    assert router.http.post("/v1/embeddings", body, bearer).status == 404
    assert router.http.post("/v1/embeddings", {**body, "api_token": "secret"}).status == 200


@pytest.mark.parametrize("world", [1, 2])
def test_all_tasks_at_once_beside_adapters(sims, routers, world):
    group = sims(world=world, options=[*POOLING, "--decode-base-us", "1000"], record=False)
    options = {
        "--tokenizer-name": TOKENIZER,
        "--adapter-source": "local",
        "--max-active-adapters": 3,
        "--adapter-cycle-time-s": 1,
        "--max-batch-prefill-tokens": 512,
    }
    router = routers(group, options)
    expected = {t: embed(router, t) for t in TEXTS}
    bodies = [
        {"inputs": f"request {i}", "parameters": {"max_new_tokens": 40, "adapter_id": f"a{i % 6}"}}
        for i in range(120)
    ]

    def pool_many(worker: int):
        for i in range(25):
            text = TEXTS[(worker + i) % len(TEXTS)]
            assert embed(router, text) == expected[text]
            embed(router, text, adapter_id=f"a{(worker + i) % 6}")
            assert router.http.post("/classify", {"inputs": text}).status == 200

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        pooled = [pool.submit(pool_many, w) for w in range(6)]
        outcomes = asyncio.run(run_all(router.port, bodies))
        for p in pooled:
            p.result()
    for o in outcomes:
        o.check(40)
    group.stop()


def test_openai_client(serving):
    router, _ = serving
    client = openai.OpenAI(base_url=router.url + "/v1", api_key="none", max_retries=0)
    plain = client.embeddings.create(model=TOKENIZER, input=["a", "b"], encoding_format="float")
    coded = client.embeddings.create(model=TOKENIZER, input=["a", "b"])  # base64 by itself
    assert plain.model == TOKENIZER
    assert plain.usage.total_tokens == coded.usage.total_tokens > 0
    for p, c, text in zip(plain.data, coded.data, ["a", "b"]):
        assert p.embedding == embed(router, text)
        assert c.embedding == pytest.approx(p.embedding, rel=1e-6)
    with pytest.raises(openai.BadRequestError) as wrong:
        client.embeddings.create(model=TOKENIZER, input="a", dimensions=3)
    assert wrong.value.param == "dimensions"


def test_langchain_openai(serving):
    from langchain_openai import OpenAIEmbeddings

    router, _ = serving
    texts = ["San Francisco", "one two three four"]
    embeddings = OpenAIEmbeddings(
        model=TOKENIZER,
        base_url=router.url + "/v1",
        api_key="none",
        check_embedding_ctx_length=False,  # its tokenizer is OpenAI's, not this model's
    )
    for vector, text in zip(embeddings.embed_documents(texts), texts):
        assert vector == pytest.approx(embed(router, text), rel=1e-6)
    assert embeddings.embed_query("a") == pytest.approx(embed(router, "a"), rel=1e-6)
