"""What reaches the shards (contract sections 3, 12.1, 12.2 and 13): every field, by its value."""

import pytest

from looks import TOKENIZER, with_tokenizer

LIMITS = {"--max-input-length": 8, "--max-total-tokens": 24, "--max-batch-prefill-tokens": 20}
NEUTRAL = {"temperature": 1, "top_p": 1, "typical_p": 1, "repetition_penalty": 1}
TEXT = "one two three four five six"


@pytest.fixture
def group(sims):
    return sims(options=["--mode", "plain"])


def last_prefill(group) -> dict:
    return group.shards[0].requests("Prefill")[-1]["batch"]


def test_the_warm_up_fills_the_prefill_budget(group, routers):
    routers(group, LIMITS)
    text = "_test " * 8
    sampling = {
        "temperature": 0.9, "top_k": 10, "top_p": 0.9, "typical_p": 0.9, "repetition_penalty": 1.2,
        "frequency_penalty": 0.5, "presence_penalty": 0.5, "watermark": True,
    }  # fmt: skip
    (sent,) = group.shards[0].requests("Warmup")
    requests = sent["batch"].pop("requests")
    assert sent == {
        "batch": {"size": 3, "max_tokens": 8},
        "max_input_length": 8,
        "max_prefill_tokens": 20,
        "max_new_tokens": 16,
    }
    image = requests[0]["tokenized_inputs"]["input_chunks"].pop(1)["image"]
    assert image["mimetype"] == "image/jpeg;base64"
    for request, truncate in zip(requests, (8, 8, 4), strict=True):
        assert request.pop("stopping_parameters")["max_new_tokens"] == 24 - truncate
        assert request == {
            "inputs": text,
            "tokenized_inputs": {"input_chunks": [{"text": text}]},
            "truncate": truncate,
            "parameters": sampling,
            "prefill_logprobs": True,
        }


def test_the_probe_of_health_is_outside_of_everything(group, routers):
    routers(group, LIMITS)
    most = str(2**64 - 1)
    assert last_prefill(group) == {
        "id": most,
        "size": 1,
        "max_tokens": 2,
        "max_blocks": 1,
        "requests": [
            {
                "id": most,
                "inputs": "liveness",
                "tokenized_inputs": {"ids": [75], "input_chunks": [{"text": "liveness"}]},
                "truncate": 10,
                "parameters": NEUTRAL,
                "stopping_parameters": {"max_new_tokens": 1},
                "blocks": [0],
                "slots": list(range(16)),
            }
        ],
    }


def test_every_parameter_of_a_request(group, routers):
    router = with_tokenizer(routers(group, {**LIMITS, "--tokenizer-name": TOKENIZER}))
    ids = [t["id"] for t in router.http.post("/tokenize", {"inputs": TEXT}).json()]
    parameters = {
        "adapter_id": "sql", "adapter_source": "PBASE", "api_token": "tok", "temperature": 0.5,
        "repetition_penalty": 1.25, "frequency_penalty": -0.5, "presence_penalty": 0.25, "top_k": 7,
        "top_p": 0.75, "typical_p": 0.5, "do_sample": True, "max_new_tokens": 3,
        "ignore_eos_token": True, "stop": ["a", "b"], "truncate": 4, "watermark": True,
        "decoder_input_details": True, "return_k_alternatives": 2, "seed": 2**64 - 1,
        "response_format": {"type": "json_object", "schema": {"b": 1, "a": [1, 2]}},
    }  # fmt: skip
    answer = router.http.post("/generate", {"inputs": TEXT, "parameters": parameters})
    assert answer.status == 200, answer.body
    assert last_prefill(group) == {
        "size": 1,
        "max_tokens": 7,
        "requests": [
            {
                "inputs": TEXT,
                "tokenized_inputs": {"ids": ids[-4:], "input_chunks": [{"text": TEXT}]},
                "truncate": 4,
                "parameters": {
                    "temperature": 0.5, "top_k": 7, "top_p": 0.75, "typical_p": 0.5,
                    "do_sample": True, "seed": str(2**64 - 1), "repetition_penalty": 1.25,
                    "frequency_penalty": -0.5, "presence_penalty": 0.25, "watermark": True,
                    "adapter_id": "sql", "schema": '{"b":1,"a":[1,2]}', "return_k_alternatives": 2,
                },
                "stopping_parameters": {
                    "max_new_tokens": 3, "stop_sequences": ["a", "b"], "ignore_eos_token": True,
                },
                "prefill_logprobs": True,
                "adapter_index": 1,
            }
        ],
    }  # fmt: skip


def test_what_a_bare_request_becomes(group, routers):
    router = routers(group, LIMITS)
    seeds = set()
    for number in range(2):
        assert router.http.post("/generate", {"inputs": TEXT, "parameters": {}}).status == 200
        batch = last_prefill(group)
        (request,) = batch["requests"]
        assert int(batch.get("id", 0)) == int(request.pop("id", 0)) == number
        seeds.add(request["parameters"].pop("seed"))
        # Without a tokenizer a prompt counts as the longest that there may be.
        assert (batch["size"], batch["max_tokens"]) == (1, 24)
        assert request == {
            "inputs": TEXT,
            "truncate": 8,
            "parameters": NEUTRAL,
            "stopping_parameters": {"max_new_tokens": 16},
        }
    assert len(seeds) == 2  # of its own each, though greedy


def test_adapter_calls(group, routers):
    options = {"--max-active-adapters": 1, "--adapter-cycle-time-s": 0, "--adapter-source": "local"}
    router = routers(group, {**LIMITS, **options})
    merged = {
        "ids": ["a", "b"], "weights": [0.25, 0.75], "merge_strategy": "DARE_TIES", "density": 0.5,
        "majority_sign_method": "Frequency",
    }  # fmt: skip
    single = {"adapter_id": "sql", "adapter_source": "pbase", "api_token": "tok"}
    for parameters in (single, {"merged_adapters": merged}):
        assert router.http.post("/generate", {"inputs": "x", "parameters": parameters}).status == 200
    assert "adapter_id" not in last_prefill(group)["requests"][0]["parameters"]
    one = {"adapter_parameters": {"adapter_ids": ["sql"]}, "adapter_source": "PBASE"}
    both = {
        "adapter_parameters": {
            **{k: v for k, v in merged.items() if k != "ids"},
            "adapter_ids": ["a", "b"],
            "majority_sign_method": "FREQUENCY",
        },
        "adapter_source": "LOCAL",
    }
    token = {"api_token": "tok"}
    sent = group.shards[0].requests
    assert sent("DownloadAdapter") == [{**one, **token}, both]
    loads = [{**one, **token, "adapter_index": 1}, {**both, "adapter_index": 2}]
    assert sent("LoadAdapter") == loads
    # Each index is cleared before its first use: the shard was there before the router.
    cleared = [{**one, "adapter_index": 1}, {**both, "adapter_index": 2}]
    offloads = sent("OffloadAdapter")
    assert all(o in offloads for o in cleared)
    assert offloads.count(cleared[0]) == 2  # it made room for the merge
    assert not any("api_token" in o for o in offloads)
