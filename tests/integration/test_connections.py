"""Clients that send strangely, half-close, or go away, at any moment."""

import json
import socket
import time

import pytest

from looks import metric
from processes import wait_until


def body(parameters=None, prompt="one two") -> bytes:
    return json.dumps({"inputs": prompt, "parameters": {"max_new_tokens": 4, **(parameters or {})}}).encode()


def request(payload: bytes, path: str = "/generate", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}"
    return head.encode() + f"content-length: {len(payload)}\r\n\r\n".encode() + payload


def read_all(connection: socket.socket) -> bytes:
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


def test_pipelined_requests_are_answered_in_order(sims, routers):
    router = routers(sims(options=["--decode-base-us", 2_000]))
    lengths = [12, 1, 7]
    sent = b"".join(request(body({"max_new_tokens": n, "details": True})) for n in lengths)
    with router.http.raw() as connection:
        connection.sendall(sent[:-1])
        connection.sendall(sent[-1:])
        got = b""
        while got.count(b'"generated_tokens"') < 3:
            part = connection.recv(65536)
            assert part, got
            got += part
    told = [int(p.split(b",")[0]) for p in got.split(b'"generated_tokens":')[1:]]
    assert told == lengths


def test_a_request_behind_a_stream_waits_for_its_end(sims, routers):
    router = routers(sims(options=["--decode-base-us", 2_000]))
    with router.http.raw() as connection:
        connection.sendall(
            request(body(), "/generate_stream") + request(body(), more="connection: close\r\n")
        )
        got = read_all(connection)
    stream, _, answer = got.partition(b"\r\n0\r\n\r\n")
    assert stream.count(b"data: ") == 4
    assert answer.startswith(b"HTTP/1.1 200")


def test_who_half_closes_has_left(sims, routers):
    group = sims(options=["--decode-base-us", 20_000])
    router = routers(group, {"--max-concurrent-requests": 1})
    with router.http.raw() as connection:
        connection.sendall(request(body({"max_new_tokens": 150}), "/generate_stream"))
        assert b"200" in connection.recv(4096)
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: router.http.post("/generate", json.loads(body())).status == 200, "a permit")
    wait_until(lambda: group.reports()[0]["live_requests"] == 0, "an empty shard")


def test_a_client_that_sends_a_byte_at_a_time_is_served_or_cut_off(sims, routers):
    """Within the time for a request it is served; others are not held up meanwhile."""
    router = routers(sims())
    sent = request(body(), more="connection: close\r\n")
    with router.http.raw() as connection:
        for at in range(len(sent)):
            connection.sendall(sent[at : at + 1])
            if at % 40 == 0:
                begin = time.monotonic()
                assert router.http.get("/health").status == 200
                assert time.monotonic() - begin < 5.0
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_a_request_that_never_ends_is_cut_off(sims, routers):
    router = routers(sims(), config="server:\n  read_timeout_s: 1\n")
    for start in (b"POST /gener", request(body())[:-5]):
        with router.http.raw() as connection:
            connection.sendall(start)
            begin = time.monotonic()
            answer = read_all(connection)
            assert time.monotonic() - begin < 10.0
            assert answer == b"" or answer.startswith(b"HTTP/1.1 408"), answer


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_who_leaves_the_queue_costs_the_shard_nothing(sims, routers, path):
    """The client goes before its prefill: its adapter is still on its way."""
    group = sims(options=["--download-us", 500_000])
    router = routers(group, {"--max-concurrent-requests": 1, "--adapter-source": "local"})
    with router.http.raw() as connection:
        connection.sendall(request(body({"adapter_id": "slow"}), path))
        wait_until(lambda: metric(router, "lorax_queue_length") == 1, "a queued request")
    wait_until(lambda: metric(router, "lorax_queue_length") == 0, "an empty queue")
    assert router.http.post("/generate", json.loads(body())).status == 200
    sent = [r for p in group.shards[0].requests("Prefill") for r in p["batch"]["requests"]]
    assert all(r["parameters"].get("adapter_id", "") != "slow" for r in sent if r.get("parameters"))


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_who_leaves_during_the_prefill_is_dropped_after_it(sims, routers, path):
    group = sims(options=["--prefill-base-us", 300_000])
    router = routers(group, {"--max-concurrent-requests": 1})
    with router.http.raw() as connection:
        connection.sendall(request(body({"max_new_tokens": 100}), path))
        wait_until(lambda: router.http.post("/generate", {"inputs": "x"}).status == 429, "it runs")
    wait_until(lambda: router.http.post("/generate", json.loads(body())).status == 200, "a permit")
    report = group.reports()[0]
    assert report["live_requests"] == 0
    assert report["generated_tokens"] < 50


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_who_leaves_after_the_prefill_is_filtered_out(sims, routers, path):
    group = sims(options=["--decode-base-us", 10_000])
    router = routers(group, {"--max-concurrent-requests": 1})
    with router.http.raw() as connection:
        connection.sendall(request(body({"max_new_tokens": 190}), path))
        wait_until(lambda: group.reports()[0]["calls"].get("Decode", 0) > 2, "some steps")
    wait_until(lambda: group.reports()[0]["live_requests"] == 0, "an empty shard", limit_s=10)
    assert group.reports()[0]["generated_tokens"] < 150


def test_a_reset_connection_is_a_client_that_left(sims, routers):
    group = sims(options=["--decode-base-us", 10_000])
    router = routers(group)
    connection = router.http.raw()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.sendall(request(body({"max_new_tokens": 190}), "/generate_stream"))
    assert b"200" in connection.recv(4096)
    connection.close()  # RST
    wait_until(lambda: group.reports()[0]["live_requests"] == 0, "an empty shard", limit_s=10)
    assert router.http.post("/generate", json.loads(body())).status == 200


def test_headers_over_the_limit(sims, routers):
    router = routers(sims())
    for headers in ({f"x-{i}": "y" for i in range(101)}, {"x-large": "y" * 70_000}):
        answer = router.http.get("/health", headers)
        assert answer.status == 431
    assert router.http.get("/health", {"x-large": "y" * 60_000}).status == 200


def test_two_lengths_are_refused(sims, routers):
    router = routers(sims())
    both = b"POST /generate HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
    for second in (b"transfer-encoding: chunked\r\n", b"content-length: 3\r\n"):
        with router.http.raw() as connection:
            connection.sendall(both + second + b"\r\n{}")
            assert read_all(connection).startswith(b"HTTP/1.1 400")
