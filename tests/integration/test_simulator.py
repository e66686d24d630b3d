"""truffula-sim as its users run it."""

import csv
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from looks import metric
from processes import wait_until

BINARY = Path(os.environ["TRUFFULA_BIN_DIR"]) / "truffula-sim"
SHORT = ["--rate", "20", "--seconds", "5"]


def sim(*arguments, status=0):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        sim("run", *SHORT, "--json", tmp_path / f"{name}.json", "--html", tmp_path / f"{name}.html")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_longer_gap_between_steps_makes_tokens_slower():
    def interval(*options):
        return json.loads(sim("run", *SHORT, *options, "--json", "-").stdout)["figures"]["inter_token_ms"]["p50"]

    assert interval("--call-gap-us", 1100) == pytest.approx(interval() + 1, abs=0.2)
    assert "--call-gap-us" in sim("run", "--call-gap-us", "-1", status=2).stderr


def test_a_trace_that_was_written_gives_the_same_figures(tmp_path):
    first = sim("run", *SHORT, "--write-trace", tmp_path / "t.csv", "--json", "-")
    again = sim("run", "--trace", tmp_path / "t.csv", "--json", "-")
    assert json.loads(first.stdout)["figures"] == json.loads(again.stdout)["figures"]
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == json.loads(first.stdout)["figures"]["requests"]
    assert "progress" not in first.stderr and "\r" not in first.stderr  # no bar without a terminal


def test_a_terminal_sees_how_far_it_is():
    terminal, theirs = pty.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        command = [BINARY, "run", "--rate", "25", "--seconds", "600"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=True, timeout=60)
        os.close(theirs)
        shown = screen.read(1 << 16).decode()
    percents = [int(p) for p in re.findall(r"(\d+) %", shown)]
    assert len(percents) > 1 and percents == sorted(percents)


def test_bad_lines_stop_or_are_left_out(tmp_path):
    trace = tmp_path / "t.csv"
    trace.write_text("time_s,adapter,tenant,input_tokens,output_tokens\n0,a,t,10,5\n1,a,t,many,5\n2,a,t,10,5\n")
    stopped = sim("run", "--trace", trace, status=1)
    assert f"{trace}:3: input_tokens: 'many'" in stopped.stderr
    skipped = sim("run", "--trace", trace, "--on-bad-line", "skip", "--json", "-")
    assert json.loads(skipped.stdout)["figures"]["requests"] == 2
    assert ":3: left out:" in skipped.stderr


def test_of_many_bad_lines_the_first_are_named(tmp_path):
    trace = tmp_path / "t.csv"
    trace.write_text("time_s,adapter,input_tokens,output_tokens\n0,a,10,5\n" + "x,a,10,5\n" * 30)
    errors = sim("run", "--trace", trace, "--on-bad-line", "skip").stderr.splitlines()
    assert len(errors) == 21
    assert errors[19].startswith(f"{trace}:22: left out:")
    assert errors[20] == f"{trace}: … and 10 more lines"


def test_settings_come_from_the_router_s_file(tmp_path):
    config = tmp_path / "truffula.yaml"
    config.write_text("adapters:\n  max_active_adapters: 1\n")
    busy = ["--adapters", "3", "--zipf", "0", "--json", "-"]
    one = json.loads(sim("run", *SHORT, *busy, "--config", config).stdout)
    many = json.loads(sim("run", *SHORT, *busy, "--config", config, "--set", "max_active_adapters=8").stdout)
    assert many["figures"]["loads"] == 3 < one["figures"]["loads"]
    config.write_text("adapters:\n  max_active_adaptors: 1\n")
    assert "max_active_adaptors" in sim("run", *SHORT, "--config", config, status=2).stderr


def test_a_sweep_marks_its_front(tmp_path):
    done = sim("sweep", *SHORT, "--seeds", "1", "--vary", "max_batch_size=1,8,64",
               "--json", tmp_path / "s.json", "--html", tmp_path / "s.html")
    assert "3 combinations" in done.stdout
    points = json.loads((tmp_path / "s.json").read_text())["points"]
    assert len(points) == 3 and any(p["is_on_front"] for p in points)
    assert "<svg" in (tmp_path / "s.html").read_text()


def test_mistakes_are_told():
    for arguments, words in [
        ([], "subcommand"),
        (["run", "--rate", "0"], "--rate"),
        (["run", "--input-tokens", "long"], "expected a number"),
        (["run", "--set", "max_batch_size"], "expected KEY=VALUE"),
        (["run", "--tenant", "acme=-1"], "weight above 0"),
        (["run", "--serial", "--overlap"], "excludes"),
        (["sweep"], "--vary"),
        (["sweep", "--vary", "max_batch_size=1,,2"], "V1,V2"),
    ]:
        assert words in sim(*arguments, status=2).stderr or words in sim(*arguments, status=2).stdout
    assert "cannot read" in sim("run", "--trace", "/nowhere/t.csv", status=1).stderr
    assert "cannot write" in sim("run", *SHORT, "--json", "/nowhere/t.json", status=1).stderr


def test_what_a_router_records_can_be_simulated(tmp_path, sims, routers):
    trace = tmp_path / "t.jsonl"
    router = routers(sims(), {"--record-trace": trace})
    body = {"inputs": "a secret prompt", "parameters": {"max_new_tokens": 5, "adapter_id": "sql"}}
    assert router.http.post("/generate", body, {"x-predibase-tenant": "acme"}).status == 200
    body["parameters"] = {"max_new_tokens": 3}
    assert router.http.post("/generate", body).status == 200
    assert router.http.post("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 0}}).status == 422
    router.stop()
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [line["adapter"] for line in lines] == ["sql", ""]
    assert [line["output_tokens"] for line in lines] == [5, 3]
    assert lines[0]["tenant"] == "acme"
    assert 0 < lines[0]["time_s"] < lines[1]["time_s"]
    assert "secret" not in trace.read_text()
    figures = json.loads(sim("run", "--trace", trace, "--json", "-").stdout)["figures"]
    assert (figures["requests"], figures["failed"], figures["loads"]) == (2, 0, 1)


def test_requests_that_a_full_disk_does_not_take_are_counted(sims, routers):
    router = routers(sims(), {"--record-trace": "/dev/full"})

    def lost():
        assert router.http.post("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 1}}).status == 200
        return metric(router, "truffula_trace_lost_requests") > 0

    wait_until(lost, "a request that is not in the trace")
    router.stop()
    assert "record_trace: cannot write" in router.process.log_text()
    assert "requests are not in the trace" in router.process.log_text()


def test_a_router_that_cannot_record_does_not_start(sims, routers, tmp_path):
    (tmp_path / "file").touch()
    trace = tmp_path / "file" / "t.jsonl"
    router = routers(sims(), {"--record-trace": trace}, wait=False)
    assert router.process.wait() == 1
    assert str(trace) in router.process.log_text()
