"""Images in prompts: read, counted and sent to the shards as pieces (contract 6)."""

import base64
import contextlib
import http.server
import json
import shutil
import struct
import threading
import time

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


def test_a_model_of_text_refuses_images_of_conversations(sims, routers, model):
    folder = model(model_type="llama")
    with open(folder + "/chat_template.jinja", "w") as file:
        file.write("{% for m in messages %}{{ m.content }}{% endfor %}")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": "See "}, image]
    body = {"model": "", "messages": [{"role": "user", "content": parts}], "max_tokens": 2}
    options = {"--tokenizer-name": folder}
    answer = routers(sims(), options).http.post("/v1/chat/completions", body)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "messages[0].content[1]"
    assert "reads no images" in answer.json()["error"]["message"]
    lorax = routers(sims(), {**options, "--compat": "lorax"})
    assert lorax.http.post("/v1/chat/completions", body).status == 200


def test_images_of_conversations(sims, routers, model):
    group = sims()
    folder = model(model_type="mllama")
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    with open(folder + "/chat_template.jinja", "w") as file:
        file.write(template)
    router = routers(group, {"--tokenizer-name": folder})

    def ask(url: str):
        parts = [{"type": "text", "text": "See "}, {"type": "image_url", "image_url": {"url": url}}]
        body = {"model": "", "messages": [{"role": "user", "content": parts}], "max_tokens": 2}
        return router.http.post("/v1/chat/completions", body)

    data = base64.b64encode(png(3, 4)).decode()
    assert ask(f"data:image/png;base64,{data}").status == 200
    sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
    text, image = sent["tokenized_inputs"]["input_chunks"]
    assert text == {"text": "<user>See "}
    assert base64.b64decode(image["image"]["data"]) == png(3, 4)
    for url, words in [
        ("data:image/png;base64,AAA", "base64 encoding is invalid"),
        ("data:image/png;base64,AAAA", "invalid image"),
        ("https://example.com/a.png", "fetches no images"),
        ("nonsense", "invalid image content"),
    ]:
        answer = ask(url)
        error = answer.json()["error"]
        assert answer.status == 400, error
        assert error["type"] == "invalid_request_error" and error["param"] == "messages", error
        assert words in error["message"]


@contextlib.contextmanager
def image_server():
    """Serves images, and what is none, on a free port of this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            if self.path == "/slow":
                time.sleep(3)
            status, body = {
                "/moved": (302, b""),
                "/none": (404, b""),
                "/large": (200, png(3, 4) + bytes(5000)),
                "/text": (200, b"<html>"),
                "/half": (200, png(3, 4) + bytes(2100)),
            }.get(self.path, (200, png(3, 4)))
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("location", "/a.png")
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        server.server_close()


FETCHING = """
server:
  remote_image_hosts: ["127.0.0.1:{port}", "localhost:{port}"]
  remote_image_networks: {networks}
  remote_image_max_bytes: 4096
  remote_image_timeout_s: 1
"""


def test_images_elsewhere(sims, routers, model):
    group = sims()
    folder = model(model_type="mllama")
    with image_server() as (port, seen):
        config = FETCHING.format(port=port, networks="[127.0.0.0/8]")
        router = routers(group, {"--tokenizer-name": folder}, config=config)
        at = f"http://127.0.0.1:{port}"
        answer = generate(router, f"a ![]({at}/a.png) b ![]({at}/a.png) ![](http://localhost:{port}/b)")
        assert answer.status == 200, answer.body
        assert seen == ["/a.png", "/b"]
        sent = group.shards[0].requests("Prefill")[-1]["batch"]["requests"][0]
        pieces = sent["tokenized_inputs"]["input_chunks"]
        images = [p["image"] for p in pieces if "image" in p]
        assert [base64.b64decode(i["data"]) for i in images] == [png(3, 4)] * 3
        assert images[0]["mimetype"] == "image/png"
        for url, words in [
            (f"{at}/none", "status 404"),
            (f"{at}/moved", "redirects are not followed"),
            (f"{at}/large", "more than 4096 bytes"),
            (f"{at}/slow", "too long"),
            (f"http://127.0.0.1:{port + 1}/", "none that this router may ask"),
            ("http://example.com/a.png", "none that this router may ask"),
            (f"http://user:x@127.0.0.1:{port}/", "without user name"),
            ("http://", "must be http or https"),
        ]:
            answer = generate(router, f"![]({url})")
            assert answer.status == 422, url
            assert answer.json()["error_type"] == "validation"
            assert "Could not fetch image: " in answer.json()["error"]
            assert words in answer.json()["error"]
        # The limit is for all images of a prompt.
        assert generate(router, f"![]({at}/half)").status == 200
        answer = generate(router, f"![]({at}/half) ![](http://localhost:{port}/half)")
        assert answer.status == 422
        assert "bytes are not taken" in answer.json()["error"]
        answer = generate(router, f"![]({at}/text)")
        assert "invalid image: " in answer.json()["error"]
        assert f"http://127.0.0.1:{port}/moved" not in str(seen) and seen.count("/a.png") == 1
        metrics = router.http.get("/metrics").body.decode()
        assert 'truffula_image_fetches{outcome="fetched"} 5' in metrics
        assert 'truffula_image_fetches{outcome="failed"} 9' in metrics


def test_private_addresses_are_not_asked(sims, routers, model):
    folder = model(model_type="mllama")
    with image_server() as (port, seen):
        config = FETCHING.format(port=port, networks="[]")
        config = config.replace('"localhost', f'"[::ffff:127.0.0.1]:{port}", "localhost')
        router = routers(sims(), {"--tokenizer-name": folder}, config=config)
        # 2130706433 is 127.0.0.1, too.
        for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]:
            answer = generate(router, f"![](http://{host}:{port}/a.png)")
            assert answer.status == 422
            assert "address is not public" in answer.json()["error"], (host, answer.body)
        assert seen == []


def test_a_slow_host_holds_up_nobody(sims, routers, model):
    group = sims()
    folder = model(model_type="mllama")
    with image_server() as (port, seen):
        config = FETCHING.format(port=port, networks="[127.0.0.1/32]").replace("_s: 1", "_s: 30")
        router = routers(group, {"--tokenizer-name": folder, "--http-threads": 1}, config=config)
        slow = [
            threading.Thread(target=generate, args=(router, f"![](http://127.0.0.1:{port}/slow)"))
            for _ in range(4)
        ]
        for thread in slow:
            thread.start()
        while seen.count("/slow") < 4:
            time.sleep(0.01)
        began = time.monotonic()
        assert generate(router, "nothing to fetch").status == 200
        assert generate(router, f"![](http://127.0.0.1:{port}/a.png)").status == 200
        assert time.monotonic() - began < 2
        for thread in slow:
            thread.join()


@pytest.mark.parametrize(
    "key,entry", [("hosts", "https://example.com"), ("networks", "10.0.0.0/99")]
)
def test_a_wrong_host_ends_the_start(sims, routers, model, key, entry):
    config = f'server:\n  remote_image_{key}: ["{entry}"]\n'
    router = routers(sims(), config=config, wait=False)
    assert router.process.wait() == 2
    assert entry in router.process.log_text()
