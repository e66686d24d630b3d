"""Generation through the router in front of simulated shards (contract 5.1, 8, 9, 10)."""

import concurrent.futures
import time

import pytest

from processes import wait_until

PROMPT = "I speak for the trees"


def ask(parameters=None, prompt: str = PROMPT, **more) -> dict:
    return {"inputs": prompt, "parameters": {"max_new_tokens": 8, **(parameters or {})}, **more}


@pytest.fixture
def pair(sims, routers):
    """A router and its group of one simulated shard."""
    group = sims()
    return routers(group), group


def generated(router, parameters=None, **more) -> str:
    answer = router.http.post("/generate", ask(parameters, **more))
    assert answer.status == 200, answer.body
    return answer.json()["generated_text"]


def test_generate_answers_text_only(pair):
    router, _ = pair
    answer = router.http.post("/generate", ask())
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["generated_text"]
    assert body["generated_text"].startswith("@base ")
    assert generated(router) == body["generated_text"]


def test_generate_tells_times_and_counts_in_headers(pair):
    router, _ = pair
    headers = router.http.post("/generate", ask()).headers
    assert headers["x-compute-type"] == "gpu+optimized"
    assert headers["x-compute-characters"] == str(len(PROMPT))
    assert headers["x-generated-tokens"] == "8"
    assert headers["x-prompt-tokens"] == "5"
    assert headers["x-total-tokens"] == "13"
    for name in ("compute", "total", "validation", "queue", "inference"):
        assert headers[f"x-{name}-time"].isdigit()
    assert "x-adapter-id" not in headers


def test_details_have_their_keys_in_order(pair):
    router, _ = pair
    body = router.http.post("/generate", ask({"details": True})).json()
    details = body["details"]
    assert list(details) == [
        "finish_reason",
        "prompt_tokens",
        "generated_tokens",
        "skipped_tokens",
        "seed",
        "prefill",
        "tokens",
    ]
    assert details["finish_reason"] == "length"
    assert details["generated_tokens"] == 8
    assert details["seed"] is None
    assert details["prefill"] == []
    assert "".join(t["text"] for t in details["tokens"]) == body["generated_text"]
    assert list(details["tokens"][0])[:4] == ["id", "text", "logprob", "special"]


def test_prompt_details_on_request(pair):
    router, _ = pair
    details = router.http.post("/generate", ask({"decoder_input_details": True})).json()["details"]
    assert len(details["prefill"]) == 5
    assert details["prefill"][0]["logprob"] is None
    assert details["prefill"][1]["logprob"] <= 0


def test_alternatives_on_request(pair):
    router, _ = pair
    details = router.http.post(
        "/generate", ask({"details": True, "return_k_alternatives": 2})
    ).json()["details"]
    assert all(len(t["alternative_tokens"]) == 2 for t in details["tokens"])


@pytest.mark.parametrize("path", ["/", "/invocations"])
def test_compatible_routes_answer_a_list_or_a_stream(pair, path):
    router, _ = pair
    (only,) = router.http.post(path, ask()).json()
    events = router.http.events(path, ask(stream=True))
    assert events[-1]["generated_text"] == only["generated_text"]


def test_stream_gives_a_token_per_event_and_the_text_last(pair):
    router, _ = pair
    events = router.http.events("/generate_stream", ask({"details": True}))
    assert len(events) == 8
    assert all(list(e)[:3] == ["token", "generated_text", "details"] for e in events)
    assert all(e["generated_text"] is None and e["details"] is None for e in events[:-1])
    last = events[-1]
    assert "".join(e["token"]["text"] for e in events) == last["generated_text"]
    assert last["generated_text"] == generated(router)
    assert list(last["details"]) == ["finish_reason", "prompt_tokens", "generated_tokens", "seed"]


def test_stream_headers(pair):
    router, _ = pair
    with router.http.stream("/generate_stream", ask()) as stream:
        assert stream.status == 200
        assert stream.headers["cache-control"] == "no-cache"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["transfer-encoding"] == "chunked"
        assert len(list(stream)) == 8


def test_full_text_includes_the_prompt(pair):
    router, _ = pair
    assert generated(router, {"return_full_text": True}) == PROMPT + generated(router)


def test_a_stop_sequence_ends_the_text(pair):
    router, group = pair
    words = generated(router, {"max_new_tokens": 20}).split(" ")
    stop = " " + words[3]
    body = router.http.post(
        "/generate", ask({"max_new_tokens": 20, "stop": [stop], "details": True})
    ).json()
    assert body["details"]["finish_reason"] == "stop_sequence"
    assert body["generated_text"].endswith(stop)
    assert body["details"]["generated_tokens"] < 20
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert sent["stopping_parameters"]["stop_sequences"] == [stop]


def test_the_end_token_ends_the_text_unless_ignored(sims, routers):
    router = routers(sims(options=["--eos-after", 4]))
    body = router.http.post("/generate", ask({"details": True})).json()
    assert body["details"]["finish_reason"] == "eos_token"
    assert body["details"]["generated_tokens"] == 5
    assert body["details"]["tokens"][-1]["special"] is True
    assert "</s>" not in body["generated_text"]
    ignoring = router.http.post("/generate", ask({"details": True, "ignore_eos_token": True}))
    assert ignoring.json()["details"]["generated_tokens"] == 8


def test_a_seed_decides_a_sampled_text_and_is_told(pair):
    router, _ = pair
    sampled = {"do_sample": True, "seed": 2**64 - 1, "details": True}
    first = router.http.post("/generate", ask(sampled)).json()
    assert first["details"]["seed"] == 2**64 - 1
    assert router.http.post("/generate", ask(sampled)).json() == first
    other = router.http.post("/generate", ask({**sampled, "seed": 1})).json()
    assert other["generated_text"] != first["generated_text"]
    chosen = router.http.post("/generate", ask({"do_sample": True, "details": True})).json()
    assert isinstance(chosen["details"]["seed"], int)


def test_best_of_gives_the_losers_too(pair):
    router, _ = pair
    body = router.http.post(
        "/generate", ask({"best_of": 2, "do_sample": True, "details": True})
    ).json()
    best = body["details"]
    (other,) = best["best_of_sequences"]

    def mean(tokens):
        return sum(t["logprob"] for t in tokens) / len(tokens)

    assert mean(best["tokens"]) >= mean(other["tokens"])
    assert best["seed"] != other["seed"]


def test_adapters_write_with_their_own_weights(pair):
    router, group = pair
    names = ["sql", "pirate", "sentiment"]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        texts = list(pool.map(lambda n: generated(router, {"adapter_id": n}), names * 4))
    for name, text in zip(names * 4, texts):
        assert text.startswith(f"@{name} ")
    assert len(set(texts)) == len(names)
    assert generated(router).startswith("@base ")
    answer = router.http.post("/generate", ask({"adapter_id": "sql", "adapter_source": "local"}))
    assert answer.headers["x-adapter-id"] == "sql"
    assert answer.headers["x-adapter-source"] == "local"
    assert group.reports()[0]["loads"] >= 3


def test_merged_adapters(pair):
    router, _ = pair
    merged = {"ids": ["sql", "pirate"], "weights": [0.5, 0.5], "merge_strategy": "TIES"}
    assert generated(router, {"merged_adapters": merged}).startswith("@sql+pirate ")


def test_more_adapters_than_slots_take_turns(sims, routers):
    group = sims(options=["--decode-base-us", 2000])
    router = routers(group, {"--max-active-adapters": 2, "--adapter-cycle-time-s": 1})
    names = [f"adapter-{i}" for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda n: generated(router, {"adapter_id": n}), names * 2))
    assert [t.split(" ")[0] for t in texts] == [f"@{n}" for n in names * 2]
    report = group.reports()[0]
    assert report["peak_loaded_adapters"] == 2
    assert report["offloads"] >= 6


def test_an_adapter_that_cannot_be_had_fails_its_own_requests_only(sims, routers):
    router = routers(sims(options=["--no-such-adapter", "ghost", "--fail-load", "heavy"]))
    for name in ("ghost", "heavy"):
        answer = router.http.post("/generate", ask({"adapter_id": name}))
        assert answer.status == 424
        assert answer.json()["error_type"] == "generation"
        assert name in answer.json()["error"]
    assert generated(router).startswith("@base ")


def test_a_private_adapter_is_checked_for_each_token(sims, routers):
    router = routers(sims(options=["--private-adapter", "mine=secret"]))

    def status(token):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = ask({"adapter_id": "mine", "adapter_source": "hub"})
        return router.http.post("/generate", body, headers).status

    assert status("secret") == 200
    assert status("guess") == 424
    assert status(None) == 424
    assert status("secret") == 200


def test_only_the_offender_of_a_batch_fails(sims, routers):
    group = sims(options=["--fail-prompt", "poison", "--prefill-base-us", 50_000])
    router = routers(group)
    prompts = ["one", "two", "some poison", "three", "four"]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda p: router.http.post("/generate", ask(prompt=p)), prompts))
    assert [a.status for a in answers] == [200, 200, 424, 200, 200]
    error = answers[2].json()
    assert error["error"].startswith("Request failed during generation: Server error: ")
    assert error["error_type"] == "generation"


def test_a_client_that_leaves_frees_its_place(sims, routers):
    group = sims(options=["--decode-base-us", 20_000])
    router = routers(group, {"--max-concurrent-requests": 1})
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
        next(iter(stream))
        assert router.http.post("/generate", ask()).status == 429
    begin = time.monotonic()
    wait_until(lambda: router.http.post("/generate", ask()).status == 200, "a free permit")
    assert time.monotonic() - begin < 2.0
    wait_until(lambda: group.reports()[0]["live_requests"] == 0, "an empty shard")
    assert group.reports()[0]["generated_tokens"] < 100


def test_one_leaves_while_others_go_on(sims, routers):
    group = sims(options=["--decode-base-us", 5_000])
    router = routers(group)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        others = [
            pool.submit(generated, router, {"max_new_tokens": 60}, prompt=f"story {i}")
            for i in range(4)
        ]
        with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
            next(iter(stream))
        texts = [o.result() for o in others]
    assert texts == [generated(router, {"max_new_tokens": 60}, prompt=f"story {i}") for i in range(4)]


@pytest.mark.parametrize("mode", ["paged", "padded", "plain"])
def test_answers_are_the_same_alone_and_in_company(sims, routers, mode):
    group = sims(options=["--mode", mode, "--decode-base-us", 1_000])
    router = routers(group)
    jobs = [(f"prompt number {i % 5}", ["", "sql", "pirate"][i % 3]) for i in range(30)]

    def run(job):
        return generated(router, {"max_new_tokens": 20, "adapter_id": job[1]}, prompt=job[0])

    with concurrent.futures.ThreadPoolExecutor(15) as pool:
        together = list(pool.map(run, jobs))
    assert together == [run(job) for job in jobs]
    assert group.reports()[0]["peak_batch_size"] > 1


@pytest.mark.parametrize("mode", ["paged", "padded"])
def test_two_shards_answer_as_one(sims, routers, mode):
    one = routers(sims(options=["--mode", mode]))
    group = sims(world=2, options=["--mode", mode])
    two = routers(group)
    prompts = [f"prompt number {i}" for i in range(12)]

    def all_texts(router):
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            return list(pool.map(lambda p: generated(router, {"adapter_id": "sql"}, prompt=p), prompts))

    assert all_texts(two) == all_texts(one)
    first, second = group.reports()
    assert first["calls"]["Decode"] == second["calls"]["Decode"]
    assert (first["downloads"], second["downloads"]) == (1, 0)
    assert (first["loads"], second["loads"]) == (1, 1)


def test_speculation_gives_an_event_per_token(sims, routers):
    plain = routers(sims())
    group = sims(options=["--speculate", 3])
    fast = routers(group)
    wanted = ask({"max_new_tokens": 40})
    slow_events = plain.http.events("/generate_stream", wanted)
    fast_events = fast.http.events("/generate_stream", wanted)
    assert [e["token"]["text"] for e in fast_events] == [e["token"]["text"] for e in slow_events]
    assert any(e["token"].get("skipped") for e in fast_events)
    assert group.reports()[0]["calls"]["Decode"] < 39


def test_an_error_in_a_stream_is_its_last_event(sims, routers):
    router = routers(sims(options=["--fault", "Decode:3:fail:out of memory"]))
    events = router.http.events("/generate_stream", ask())
    assert list(events[-1]) == ["error", "error_type"]
    assert "out of memory" in events[-1]["error"]
    assert events[-1]["error_type"] == "generation"
    assert generated(router).startswith("@base ")


def test_validation_errors_name_the_rule(pair):
    router, _ = pair
    answer = router.http.post("/generate", ask({"temperature": -1.0}))
    assert answer.status == 422
    assert answer.json() == {
        "error": "Input validation error: `temperature` must be non-negative",
        "error_type": "validation",
    }
    (event,) = router.http.events("/generate_stream", ask({"best_of": 2}))
    assert event["error"] == (
        "Input validation error: `best_of` != 1 is not supported when streaming tokens"
    )
