"""Start, stop and settings of the router as a process."""

import concurrent.futures
import signal
import socket
import subprocess
import time

import pytest

from processes import binary, wait_until
from test_generate import ask


def run(*arguments):
    command = [binary("truffula-router"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_help_and_version():
    answer = run("--help")
    assert answer.returncode == 0
    assert "--max-batch-total-tokens" in answer.stdout
    assert run("--version").stdout.strip()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--no-such-option"], "no-such-option"),
        (["--max-total-tokens", "many"], "max"),
        (["--max-concurrent-requests", "0"], "max_concurrent_requests"),
        (["--max-input-length", "2048", "--max-total-tokens", "2048"], "max_input_length"),
    ],
)
def test_wrong_settings_are_one_line_and_status_2(arguments, words):
    answer = run("--tokenizer-name", "x", *arguments)
    assert answer.returncode == 2
    assert len(answer.stderr.strip().splitlines()) == 1
    assert answer.stderr.startswith("Error: ")
    assert words.replace("_", "-") in answer.stderr.replace("_", "-")


def test_a_wrong_file_names_its_line(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text("batching:\n  max_total_tokens: 2048\n  max_total_token: 1\n")
    answer = run("--tokenizer-name", "x", "--config", file)
    assert answer.returncode == 2
    assert f"{file}:3" in answer.stderr
    assert "max_total_tokens" in answer.stderr  # what was probably meant


def test_check_and_print(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text("batching:\n  max_batch_size: 7\n")
    assert run("--tokenizer-name", "x", "--config", file, "--check-config").returncode == 0
    shown = run("--tokenizer-name", "x", "--config", file, "--print-config", "--port", 4000).stdout
    assert f"max_batch_size: 7  # {file}:2" in shown
    assert "port: 4000  # --port" in shown


def test_budgets_that_the_shard_does_not_bear_are_status_1(sims, routers):
    group = sims(options=["--max-supported-total-tokens", 1000])
    router = routers(group, {"--max-batch-prefill-tokens": 1001}, wait=False)
    assert router.process.wait() == 1
    assert (
        "Error: " in router.process.log_text()
        and "`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`. Given: 1001 and 1000"
        in router.process.log_text()
    )


def test_a_port_in_use_is_told_before_the_warm_up(sims, routers):
    group = sims()
    first = routers(group)
    with_same = {"--port": first.port}
    second = routers(group, with_same, wait=False)
    assert second.process.wait() == 1
    assert str(first.port) in second.process.log_text()
    assert group.reports()[0]["calls"]["Warmup"] == 1


def test_a_port_that_another_waits_on_is_told_before_the_warm_up(sims, routers):
    """Of two routers that are started on one port, before there are shards, the second ends."""
    late = sims()
    late.kill()
    first = routers(late, wait=False)
    wait_until(lambda: "connecting to the shard" in first.process.log_text(), "the first try")
    ready = sims()
    second = routers(ready, {"--port": first.port}, wait=False)
    assert second.process.wait() == 1
    last_line = second.process.log_text().splitlines()[-1]
    assert last_line == f"Error: cannot listen on 127.0.0.1:{first.port}: Address already in use"
    assert set(ready.reports()[0]["calls"].values()) == {0}
    late.restart(0)
    first.wait_healthy()


def test_a_restart_takes_the_port_over_from_the_last_connections(sims, routers):
    group = sims()
    first = routers(group)
    with first.http.raw() as client:
        client.sendall(b"GET /info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        while client.recv(4096):  # the router closes first, and its end stays in TIME_WAIT
            pass
    first.stop()
    with socket.socket() as strict, pytest.raises(OSError):
        strict.bind(("127.0.0.1", first.port))  # something is in the way
    routers(group, {"--port": first.port})


def test_nobody_is_let_in_before_it_is_ready(sims, routers):
    group = sims()
    group.kill()
    router = routers(group, wait=False)
    wait_until(lambda: "connecting to the shard" in router.process.log_text(), "the first try")
    with pytest.raises(ConnectionRefusedError):
        router.http.get("/health")


def test_where_the_models_files_were_looked_for_is_told(tmp_path, sims, routers):
    files = {"--tokenizer-name": tmp_path / "typo", "--tokenizer-config-path": tmp_path / "none"}
    log = routers(sims(), files).process.log_text()
    (line,) = [one for one in log.splitlines() if "found no tokenizer.json in " in one]
    assert "--typo" in line  # as the cache would name its folder
    assert f"tokenizer_config_path: {tmp_path}/none is no file" in log


def test_a_shard_that_is_late_is_waited_for(tmp_path, sims, routers):
    group = sims()
    group.shards[0].kill()
    router = routers(group, {"--connect-timeout-s": 60}, wait=False)
    wait_until(lambda: "connecting to the shard" in router.process.log_text(), "the first try")
    group.restart(0)
    router.wait_healthy()


def test_a_shard_that_never_comes_is_an_error(sims, routers):
    group = sims()
    group.kill()
    router = routers(group, {"--connect-timeout-s": 1}, wait=False)
    assert router.process.wait() == 1
    assert "Error: " in router.process.log_text()
    assert group.master in router.process.log_text()


def test_sigterm_while_waiting_for_a_shard_ends_at_once(sims, routers):
    group = sims()
    group.kill()
    router = routers(group, wait=False)
    wait_until(lambda: "connecting to the shard" in router.process.log_text(), "the first try")
    assert router.process.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_streams_end_before_the_router(sims, routers, number):
    group = sims(options=["--decode-base-us", 20000])
    router = routers(group)
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 40})) as stream:
        events = iter(stream)
        next(events)
        router.process.child.send_signal(number)
        wait_until(lambda: router.http.get("/health").status == 503, "health 503")
        refused = router.http.post("/generate", ask())
        assert refused.status == 503
        assert refused.headers["connection"] == "close"
        rest = list(events)
    assert len(rest) == 39
    assert rest[-1]["generated_text"].startswith("@base")
    assert router.process.wait() == 0


def test_after_the_grace_the_rest_gets_an_error_event(sims, routers):
    group = sims(options=["--decode-base-us", 50000])
    router = routers(group, {"--shutdown-grace-s": 1})
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
        events = iter(stream)
        next(events)
        started = time.monotonic()
        router.process.child.send_signal(signal.SIGTERM)
        rest = list(events)
    assert "error" in rest[-1]
    assert router.process.wait() == 0
    assert 0.5 < time.monotonic() - started < 10


def test_a_second_signal_ends_the_grace(sims, routers):
    group = sims(options=["--decode-base-us", 50000])
    router = routers(group)
    with router.http.stream("/generate_stream", ask({"max_new_tokens": 150})) as stream:
        events = iter(stream)
        next(events)
        router.process.child.send_signal(signal.SIGTERM)
        wait_until(lambda: router.http.get("/health").status == 503, "health 503")
        router.process.child.send_signal(signal.SIGTERM)
        assert "error" in list(events)[-1]
    assert router.process.wait(10) == 0


def test_queued_requests_are_answered_before_the_end(sims, routers):
    group = sims(options=["--decode-base-us", 10000])
    router = routers(group, {"--max-batch-size": 1})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(router.http.post, "/generate", ask()) for _ in range(4)]
        wait_until(lambda: b"lorax_queue_length 3" in router.http.get("/metrics").body, "a queue")
        router.process.child.send_signal(signal.SIGTERM)
        assert [w.result().status for w in waiting] == [200] * 4
    assert router.process.wait() == 0


def test_json_logs_are_json(sims, routers):
    import json

    router = routers(sims(), flags=["--json-output"])
    wait_until(lambda: "listening" in router.process.log_text(), "the line after the start")
    lines = [json.loads(line) for line in router.process.log_text().splitlines()]
    assert any("listening" in line["message"] for line in lines)
    assert {"timestamp", "level", "message", "target"} <= set(lines[0])


def test_no_token_reaches_the_log_or_info(sims, routers):
    group = sims(options=["--private-adapter", "mine=geheim"])
    router = routers(group, {"--adapter-source": "hub"})
    parameters = {"adapter_id": "mine", "api_token": "geheim"}
    assert router.http.post("/generate", ask(parameters)).status == 200
    assert router.http.post("/generate", ask({**parameters, "api_token": "falsch-geheim2"})).status == 424
    assert "geheim" not in router.process.log_text()
    assert b"geheim" not in router.http.get("/info").body
    assert b"geheim" not in router.http.get("/metrics").body
