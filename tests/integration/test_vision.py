"""Images in prompts: read, counted and sent to the shards as pieces (contract 6)."""

import base64
import json
import shutil
import struct

import pytest

from processes import REPOSITORY


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBB", 13, b"IHDR", width, height, 8, 2)


def markdown(data: bytes) -> str:
    return f"![](data:image/png;base64,{base64.b64encode(data).decode()})"


@pytest.fixture
def model(tmp_path):
    """A folder with a tokenizer, and what makes it a model of some type."""

    def make(**config) -> str:
        folder = tmp_path / "model"
        shutil.copytree(REPOSITORY / "tests" / "data" / "tokenizer", folder)
        (folder / "config.json").write_text(json.dumps(config))
        return str(folder)

    return make


def generate(router, inputs: str, **parameters):
    body = {"inputs": inputs, "parameters": {"max_new_tokens": 2, **parameters}}
    return router.http.post("/generate", body)


@pytest.mark.parametrize("layout", ["paged", "padded", "plain"])
def test_pieces_reach_the_shard(sims, routers, model, layout):
    group = sims(options=["--mode", layout])
    limits = {"--max-input-length": 512, "--max-total-tokens": 600}
    router = routers(group, {"--tokenizer-name": model(model_type="mllama"), **limits})
    inputs = f"See {markdown(png(3, 4))} and say."
    answer = generate(router, inputs)
    assert answer.status == 200, answer.body
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert sent["inputs"] == inputs
    text, image, rest = sent["tokenized_inputs"]["input_chunks"]
    assert text == {"text": "See "}
    assert base64.b64decode(image["image"]["data"]) == png(3, 4)
    assert image["image"]["mimetype"] == "image/png"
    assert rest == {"text": " and say."}
    # What stands for the image is counted, not its bytes.
    ids = router.http.post("/tokenize", {"inputs": "See <|image|> and say."}).json()
    assert sent["tokenized_inputs"]["ids"] == [t["id"] for t in ids]


def test_what_is_wrong_with_an_image(sims, routers, model):
    router = routers(sims(), {"--tokenizer-name": model(model_type="idefics")})
    for inputs, words in [
        ("![](https://example.com/a.png)", "fetches no images"),
        ("![](data:image/png;base64,AAA)", "base64 encoding is invalid"),
        ("![](data:image/png;base64,AAAA)", "invalid image"),
        ("![](file:///etc/passwd)", "invalid image content"),
    ]:
        answer = generate(router, inputs)
        assert answer.status == 422
        assert words in answer.json()["error"]
    cut = generate(router, "a b c " + markdown(png(1, 1)), truncate=3)
    assert cut.status == 422
    assert "truncate" in cut.json()["error"]


def test_a_model_of_text_reads_no_images(sims, routers, model):
    group = sims()
    router = routers(group, {"--tokenizer-name": model(model_type="llama")})
    assert generate(router, "![](https://a/b.png) is text").status == 200
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    assert sent["tokenized_inputs"]["input_chunks"] == [{"text": "![](https://a/b.png) is text"}]
