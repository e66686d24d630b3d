"""Processes under test: started with their log in a file, never outliving the test."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0


def binary(name: str) -> str:
    """Path of a program of ours, from TRUFFULA_BIN_DIR (default: build/debug/bin)."""
    folder = Path(os.environ.get("TRUFFULA_BIN_DIR", REPOSITORY / "build" / "debug" / "bin"))
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: build it, or set TRUFFULA_BIN_DIR")
    return str(path)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what: str, limit_s: float = START_LIMIT_S):
    """Waits for `condition()` to be true and returns it; fails after the limit."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s} s for {what}")
        time.sleep(0.01)


def _die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Process:
    """A child whose output goes to `log`."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None):
        self.command = command
        self.log = log
        with log.open("ab") as out:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=_die_with_parent,
            )

    @property
    def running(self) -> bool:
        return self.child.poll() is None

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_ready(self, condition, what: str):
        """Waits for `condition()`; fails early, with the log, if the process ends."""

        def ready():
            if not self.running:
                raise RuntimeError(f"{what}: exit {self.child.returncode}\n{self.log_text()}")
            return condition()

        return wait_until(ready, what)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit status; kills, and fails, after the limit."""
        if self.running:
            self.child.send_signal(number)
        try:
            return self.child.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.command[0]} did not stop\n{self.log_text()}") from None

    def kill(self):
        self.child.kill()
        self.child.wait()

    def wait(self, limit_s: float = STOP_LIMIT_S) -> int:
        """The exit status of a process that ends by itself."""
        return self.child.wait(limit_s)
