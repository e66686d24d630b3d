"""What several tests look at: the router's metrics, and prompts that begin alike."""

from pathlib import Path

import pytest

TOKENIZER = Path(__file__).parent.parent / "data" / "tokenizer"
COMMON = "Answer in one short and friendly sentence, whatever you are asked. The question is: "


def metric(router, name: str, otherwise: float = 0.0) -> float:
    for line in router.http.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return otherwise


def with_tokenizer(router):
    if router.http.post("/tokenize", {"inputs": "a"}).status != 200:
        pytest.skip("the router was built without its tokenizer")
    return router
