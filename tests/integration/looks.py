"""What several tests look at: the router's metrics, and prompts that begin alike."""

from pathlib import Path

import pytest

from processes import wait_until

TOKENIZER = Path(__file__).parent.parent / "data" / "tokenizer"
COMMON = "Answer in one short and friendly sentence, whatever you are asked. The question is: "


def metric(router, name: str, otherwise: float = 0.0) -> float:
    for line in router.http.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return otherwise


def hit_tokens(router) -> float:
    """Of all prompts that were asked, once the router has counted what became of the last one.

    Its gauges alone do not tell that: no block is in use either while all that wait wait for adapters,
    and they may be shown as they were then.
    """

    def is_counted():
        asked = metric(router, "lorax_request_input_length_sum")
        return metric(router, "truffula_prompt_tokens") == asked

    wait_until(is_counted, "all prompts counted")
    return metric(router, "truffula_prefix_hit_tokens")


def with_tokenizer(router):
    if router.http.post("/tokenize", {"inputs": "a"}).status != 200:
        pytest.skip("the router was built without its tokenizer")
    return router
