"""How shards may be reached, and what they may bring along."""

import socket

import pytest

from harness import Router, SimGroup
from test_generate import generated


def two_free_ports() -> int:
    """The first of two neighbours: each rank of a group has its own port."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue
    raise RuntimeError("no two free ports side by side")


@pytest.mark.parametrize("world", [1, 2])
def test_a_group_over_tcp(tmp_path, world):
    address = f"127.0.0.1:{two_free_ports()}"
    group = SimGroup(tmp_path, world, options=["--tcp", address])
    try:
        config = f"shard:\n  master_shard: tcp://{address}\n"
        router = Router(tmp_path, None, {"--adapter-source": "local"}, config=config)
        router.wait_healthy()
        texts = [generated(router, {"adapter_id": "sql"}, prompt=f"story {i}") for i in range(6)]
        assert all(text.startswith("@sql ") for text in texts)
        assert f"connected to {world} shard(s)" in router.process.log_text()
        router.stop()
        reports = group.stop()
        assert all(r["calls"]["Decode"] == reports[0]["calls"]["Decode"] > 0 for r in reports)
    finally:
        group.kill()


def test_preloaded_adapters_are_ready_and_stay(sims, routers):
    group = sims(options=["--preload", "there=1", "--preload", "here=5"])
    options = {"--max-active-adapters": 1, "--adapter-cycle-time-s": 0}
    router = routers(group, options)
    ways = [{}, {"adapter_source": "local"}, {"adapter_source": "moon"}, {"api_token": "any"}]
    for way in ways:
        for name in ("there", "here"):
            assert generated(router, {"adapter_id": name, **way}).startswith(f"@{name} ")
    for name in ("first", "second"):  # they take turns in the one slot
        parameters = {"adapter_id": name, "adapter_source": "local"}
        assert generated(router, parameters).startswith(f"@{name} ")
    shard = group.shards[0]
    for method in ("DownloadAdapter", "LoadAdapter", "OffloadAdapter"):
        moved = {tuple(r["adapter_parameters"]["adapter_ids"]) for r in shard.requests(method)}
        assert moved <= {("first",), ("second",)}, method
    sent = [r for p in shard.requests("Prefill") for r in p["batch"]["requests"]]
    index = {r["parameters"].get("adapter_id"): r.get("adapter_index", 0) for r in sent}
    assert (index["there"], index["here"]) == (1, 5)
    assert not {index["first"], index["second"]} & {0, 1, 5}
