"""The request log: every successful generation is posted somewhere, and delays nobody (contract 2)."""

import contextlib
import http.server
import json
import threading
import time

import pytest

from looks import metric
from processes import free_port, wait_until


class Collector:
    """An HTTP server that keeps what is posted; `answers` are its first statuses, then 200."""

    def __init__(self):
        self.bodies = []
        self.answers = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.bodies.append((self.headers["content-type"], json.loads(body)))
                collector.may_answer.wait(30)
                status = collector.answers.pop(0) if collector.answers else 200
                with contextlib.suppress(OSError):  # who broke off reads nothing
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/log"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    c = Collector()
    yield c
    c.stop()


def start(sims, routers, url: str, more: str = ""):
    config = f"telemetry:\n  request_logger_url: {url}\n{more}"
    return routers(sims(options=["--embeddings"]), config=config)


def generate(router, **parameters):
    body = {"inputs": "hello", "parameters": {"max_new_tokens": 4, **parameters}}
    answer = router.http.post("/generate", body)
    assert answer.status == 200, answer.body
    return answer.json()["generated_text"]


def logs(router, outcome: str) -> float:
    return metric(router, f'truffula_request_logs{{outcome="{outcome}"}}')


def test_the_collector_is_told_of_without_its_password(sims, routers, collector):
    url = collector.url.replace("http://", "http://me:geheim@")
    router = start(sims, routers, url)
    assert router.http.get("/info").json()["request_logger_url"] == collector.url
    generate(router)
    wait_until(lambda: collector.bodies, "a post")
    assert "geheim" not in router.process.log_text()


def test_every_generation_is_posted(sims, routers, collector):
    router = start(sims, routers, collector.url)
    text = generate(router, adapter_id="a", adapter_source="local", api_token="secret")
    body = {"inputs": "hello", "parameters": {"max_new_tokens": 4, "return_full_text": True}}
    events = router.http.events("/generate_stream", body)
    completion = {"model": "", "prompt": ["x", "y"], "max_tokens": 2}
    assert router.http.post("/v1/completions", completion).status == 200
    assert router.http.post("/generate", {"inputs": ""}).status == 422  # no success: not posted
    assert router.http.post("/embed", {"inputs": "a"}).status == 200  # nor this
    wait_until(lambda: len(collector.bodies) >= 4, "four posts")
    wait_until(lambda: logs(router, "sent") == 4, "the count")
    kind, first = collector.bodies[0]
    assert kind == "application/json"
    assert list(first) == ["tokens", "adapter_id", "input", "output", "api_token", "model_id"]
    assert first["adapter_id"] == "a"
    assert first["input"] == "hello"
    assert first["output"] == text
    assert first["api_token"] == ""
    assert first["model_id"] == "no-tokenizer"
    assert first["tokens"] > 4
    assert collector.bodies[1][1]["output"] == events[-1]["generated_text"]
    assert events[-1]["generated_text"].startswith("hello")
    assert {b["input"] for _, b in collector.bodies[2:]} == {"x", "y"}
    streamed = {"model": "", "prompt": "z", "max_tokens": 2, "n": 2, "stream": True}
    events = router.http.events("/v1/completions", streamed)
    wait_until(lambda: len(collector.bodies) >= 6, "both answers of the stream")
    texts = ["".join(e["choices"][0]["text"] for e in events[:-1] if e["choices"][0]["index"] == i)
             for i in (0, 1)]  # fmt: skip
    assert {b["input"] for _, b in collector.bodies[4:]} == {"z"}
    assert sorted(b["output"] for _, b in collector.bodies[4:]) == sorted(texts)


def test_tokens_are_posted_only_when_asked_for(sims, routers, collector):
    router = start(sims, routers, collector.url, "  request_logger_api_token: true\n")
    generate(router, adapter_id="a", adapter_source="local", api_token="secret")
    wait_until(lambda: collector.bodies, "a post")
    assert collector.bodies[0][1]["api_token"] == "secret"
    assert "secret" not in router.process.log_text()


def test_a_slow_collector_delays_nobody(sims, routers, collector):
    collector.may_answer.clear()
    router = start(sims, routers, collector.url, "  request_logger_queue: 4\n")
    started = time.monotonic()
    for _ in range(20):
        generate(router)
    assert time.monotonic() - started < 10  # the collector answers nothing for 30 s
    # One is under way, four wait.
    assert logs(router, "dropped") >= 15
    collector.may_answer.set()
    wait_until(lambda: logs(router, "sent") >= 4, "those that waited")
    assert logs(router, "sent") + logs(router, "dropped") <= 20


def test_a_failing_collector_is_asked_again(sims, routers, collector):
    collector.answers = [500, 429, 200, 404, 400]
    router = start(sims, routers, collector.url)
    generate(router)
    wait_until(lambda: logs(router, "sent") == 1, "the third attempt")
    assert len(collector.bodies) == 3
    for refusals in (1, 2):
        generate(router)
        wait_until(lambda: logs(router, "failed") == refusals, "a refusal")
        assert len(collector.bodies) == 3 + refusals


def test_a_collector_that_is_gone_costs_nothing(sims, routers):
    router = start(sims, routers, f"http://127.0.0.1:{free_port()}/")
    for _ in range(3):
        generate(router)
    assert router.http.get("/health").status == 200
    wait_until(lambda: logs(router, "failed") >= 1, "giving up")


def test_what_waits_is_posted_at_shutdown(sims, routers, collector):
    collector.may_answer.clear()
    router = start(sims, routers, collector.url)
    for _ in range(5):
        generate(router)
    wait_until(lambda: collector.bodies, "the first post")
    threading.Timer(0.3, collector.may_answer.set).start()
    router.stop()
    assert len(collector.bodies) == 5


def test_a_stuck_collector_holds_the_shutdown_no_longer_than_the_grace(sims, routers, collector):
    collector.may_answer.clear()
    more = "server:\n  shutdown_grace_s: 1\n"
    router = start(sims, routers, collector.url, more)
    generate(router)
    wait_until(lambda: collector.bodies, "the first post")
    started = time.monotonic()
    router.stop()
    assert time.monotonic() - started < 8
