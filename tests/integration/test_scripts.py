"""`scripts/run` as users type it, with the programs under test instead of a release build."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from processes import REPOSITORY, free_port, wait_until

LIMIT_S = 120


def environment() -> dict[str, str]:
    folder = os.environ.get("TRUFFULA_BIN_DIR", str(REPOSITORY / "build" / "debug" / "bin"))
    return {**os.environ, "TRUFFULA_BIN_DIR": folder, "HF_HUB_OFFLINE": "1"}


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [REPOSITORY / "scripts" / "run", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def test_once_answers_all_examples_and_ends():
    done = run("--sim", "2", "--once", "--port", str(free_port()))
    assert done.returncode == 0, done.stderr
    assert "starting 2 simulated shard(s)" in done.stderr
    assert "serving simulated\n" in done.stderr
    assert "all examples were answered" in done.stderr
    assert "@base " in done.stdout
    for adapter in ("first", "second", "third"):
        assert f"@{adapter} " in done.stdout
        assert f"adapter {adapter}, streamed" in done.stderr


def test_serves_until_it_is_interrupted_and_leaves_nothing_behind(tmp_path):
    port = free_port()
    with (tmp_path / "out").open("w") as out:
        child = subprocess.Popen(
            [REPOSITORY / "scripts" / "run", "--sim", "--port", str(port)],
            env={**environment(), "TMPDIR": str(tmp_path)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # As a terminal has it: a shell starts its background jobs with the signal ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        text = (tmp_path / "out").read_text
        wait_until(lambda: "until Ctrl-C" in text() or child.poll() is not None, "it serves", LIMIT_S)
        assert child.poll() is None, text()
        assert "curl -N" in text() or wait_until(lambda: "curl -N" in text(), "the line to try")
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(LIMIT_S) == 130
        with socket.socket() as s:
            assert s.connect_ex(("127.0.0.1", port)) != 0
        assert not list(tmp_path.glob("truffula.*"))
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


def test_a_start_that_fails_shows_the_logs():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--sim", "--once", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "a process ended at its start" in done.stderr
    assert re.search(r"Error: .*(in use|bind)", done.stderr), done.stderr


def test_what_another_serves_is_not_taken_for_ours(sims, routers):
    router = routers(sims(), {"--adapter-source": "local"})
    done = run("--sim", "--once", "--port", str(router.port))
    assert done.returncode == 1
    assert f"port {router.port} is taken" in done.stderr
    assert "answered" not in done.stderr


def test_unknown_options_are_refused():
    done = run("--frobnicate")
    assert done.returncode == 2
    assert "unknown option --frobnicate" in done.stderr
    assert "usage: scripts/run" in done.stderr


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--model"], "--model needs a file"),
        (["--model", "absent/m.gguf"], "there is no file absent/m.gguf"),
        (["--model", "folder"], "there is no file folder"),
        (["--model", "text.gguf"], "text.gguf is no GGUF file"),
        (["--model", "empty.gguf"], "empty.gguf is no GGUF file"),
        (["--model", "m.gguf", "--adapters"], "--adapters needs a directory"),
        (["--model", "m.gguf", "--adapters", "absent"], "there is no directory absent"),
        (["--model", "m.gguf", "--adapters", "m.gguf"], "there is no directory m.gguf"),
        (["--model", "m.gguf", "--adapters", "folder"], "there are no adapters (*.gguf) in folder"),
        (["--adapters", "folder"], "there are no adapters (*.gguf) in folder"),
        (["--sim", "--model", "m.gguf"], "--sim has neither a model nor adapters of one's own"),
    ],
)
def test_files_that_are_not_there_are_told_before_anything_is_built(tmp_path, arguments, sentence):
    # Alone it can neither set up nor build.
    (tmp_path / "scripts").mkdir()
    alone = shutil.copy(REPOSITORY / "scripts" / "run", tmp_path / "scripts" / "run")
    (tmp_path / "m.gguf").write_bytes(b"GGUF\3\0\0\0")
    (tmp_path / "text.gguf").write_text("Gguf")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "readme").touch()
    without_programs = {k: v for k, v in os.environ.items() if k != "TRUFFULA_BIN_DIR"}
    done = subprocess.run(
        [alone, *arguments],
        cwd=tmp_path,  # paths are meant from where the command is typed
        env=without_programs,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stderr, done.stdout) == (2, f"scripts/run: {sentence}\n", "")
