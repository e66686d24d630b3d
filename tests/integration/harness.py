"""Shards and routers for tests: start, look into, stop.

    group = SimGroup(tmp_path, world=2, options=["--decode-base-us", "1000"])
    router = Router(tmp_path, group.master)
    answer = router.http.post("/generate", {"inputs": "hello"})
    router.stop()       # asserts exit status 0
    group.stop()        # asserts that no shard saw a violation of the protocol
"""

import json
import signal
import socket
import tempfile
from pathlib import Path

from processes import Process, binary, free_port, wait_until
from web import Http


def accepts(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(path)
            return True
        except OSError:
            return False


class SimShard:
    """One simulated shard. `socket_path` is where it listens, `target` the same for grpcio."""

    def __init__(
        self, folder: Path, base: str, rank: int = 0, world: int = 1, options=(), record=True
    ):
        self.rank = rank
        self.base = base
        self.socket_path = f"{self.base}-{rank}"
        self.target = f"unix:{self.socket_path}"
        self.report_path = _fresh(folder, f"report-{rank}", "json")
        self.record_path = _fresh(folder, f"record-{rank}", "jsonl")
        command = [binary("truffula-shard-sim"), "--uds-path", self.base]
        command += ["--rank", str(rank), "--world", str(world)]
        command += ["--report", str(self.report_path)]
        command += ["--record", str(self.record_path)] if record else []
        command += [str(o) for o in options]
        self.process = Process(command, _fresh(folder, f"shard-{rank}", "log"))
        self.process.wait_ready(lambda: accepts(self.socket_path), f"shard {rank}")

    def report(self) -> dict:
        """What the shard has counted up to now (of a process that ended: its last word)."""
        if self.process.running:
            self.report_path.unlink(missing_ok=True)
            self.process.child.send_signal(signal.SIGUSR1)
            wait_until(self.report_path.exists, "the report")
        return json.loads(self.report_path.read_text())

    def requests(self, method: str) -> list[dict]:
        """All requests of a method that arrived, as JSON with the names of the protocol."""
        lines = [json.loads(line) for line in self.record_path.read_text().splitlines()]
        return [line["request"] for line in lines if line["method"] == method]

    def stop(self, violations: int = 0) -> dict:
        """Ends the shard if it still runs; asserts the number of violations it saw."""
        if self.process.running:
            assert self.process.stop() == 0, self.process.log_text()
        report = self.report()
        assert report["violations_total"] == violations, report["violation_examples"]
        return report

    def kill(self):
        self.process.kill()


class SimGroup:
    """The shards of one model; options for all, `options_of[rank]` for one.

    `record` keeps all requests for `SimShard.requests`: not for tests with thousands of them.
    """

    def __init__(self, folder: Path, world: int = 1, options=(), options_of=None, record=True):
        self.record = record
        self.folder = folder
        self.world = world
        self.options = list(options)
        self.options_of = options_of or {}
        self.stopped = False
        # A socket's path has 107 bytes at most: not below a test's long name.
        self.sockets = tempfile.TemporaryDirectory(prefix="truffula-")
        self.shards = [self._start(rank) for rank in range(world)]
        self.master = self.shards[0].socket_path

    def _start(self, rank: int) -> SimShard:
        options = self.options + list(self.options_of.get(rank, []))
        base = f"{self.sockets.name}/shard"
        return SimShard(self.folder, base, rank, self.world, options, self.record)

    def restart(self, rank: int):
        """Starts a rank whose process has ended, without the options of that rank."""
        # Its sockets close before the process is gone.
        wait_until(lambda: not self.shards[rank].process.running, "the end of the shard")
        self.options_of.pop(rank, None)
        self.shards[rank] = self._start(rank)

    def reports(self) -> list[dict]:
        return [s.report() for s in self.shards]

    def stop(self, violations: int = 0) -> list[dict]:
        self.stopped = True
        return [s.stop(violations) for s in self.shards]

    def kill(self):
        """Ends all without a word, and without a look at what they saw."""
        self.stopped = True
        for s in self.shards:
            s.kill()


class Router:
    """A router in front of `master` (path of a Unix socket; none: `config` has it), on a free port.

    `options` as on the command line; `config` is the text of a YAML file.
    """

    # Without a tokenizer a request counts as the longest prompt there may be.
    defaults = {
        "--max-input-length": 64,
        "--max-total-tokens": 256,
        "--max-batch-prefill-tokens": 4096,
        "--tokenizer-name": "no-tokenizer",
        "--hostname": "127.0.0.1",
    }

    def __init__(self, folder: Path, master: str | None, options=None, flags=(), config: str = ""):
        chosen = {"--port": free_port(), **self.defaults, **(options or {})}
        self.port = chosen["--port"]
        command = [binary("truffula-router")]
        command += ["--master-shard-uds-path", master] if master else []
        for name, value in chosen.items():
            command += [name, str(value)]
        command += list(flags)
        if config:
            file = _fresh(folder, "truffula", "yaml")
            file.write_text(config)
            command += ["--config", str(file)]
        environment = {"HF_HUB_OFFLINE": "1", "HOSTNAME": "", "LOG_LEVEL": "debug"}
        self.process = Process(command, _fresh(folder, "router", "log"), environment)
        self.http = Http("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_healthy(self):
        """Waits for /health to answer 200."""
        self.process.wait_ready(self.healthy, "router /health")
        return self

    def healthy(self) -> bool:
        try:
            return self.http.get("/health").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """SIGTERM; asserts exit status 0."""
        assert self.process.running, f"the router ended before\n{self.process.log_text()}"
        assert self.process.stop() == 0, self.process.log_text()

    def kill(self):
        self.process.kill()


def _fresh(folder: Path, name: str, suffix: str) -> Path:
    """A path in `folder` that is not taken, so that a restart keeps what was before."""
    number = 0
    while (path := folder / f"{name}.{number}.{suffix}").exists():
        number += 1
    path.touch()
    return path
