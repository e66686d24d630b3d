"""Fixtures: every shard a test starts has to end without having seen a violation."""

import os

# grpcio's handlers of a fork would end a child that is to become another program. Before its import.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import pytest

from harness import Router, SimGroup


@pytest.fixture
def sims(tmp_path):
    """Starts groups of simulated shards: `sims(world=2, options=[…])`.

    At the end of the test each must have seen no violation, unless the test stopped the group
    itself, with the number it expects.
    """
    groups = []

    def start(world: int = 1, options=(), options_of=None, record=True) -> SimGroup:
        folder = tmp_path / f"group-{len(groups)}"
        folder.mkdir()
        groups.append(SimGroup(folder, world, options, options_of, record))
        return groups[-1]

    yield start
    try:
        for group in groups:
            if not group.stopped:
                group.stop()
    finally:
        for group in groups:
            group.kill()


@pytest.fixture
def routers(tmp_path, sims):
    """Starts routers: `routers(group, options={…})`. At the end each must stop with status 0."""
    started = []

    def start(group: SimGroup, options=None, flags=(), config: str = "", wait: bool = True) -> Router:
        router = Router(tmp_path, group.master, options, flags, config)
        started.append(router)
        return router.wait_healthy() if wait else router

    yield start
    try:
        for router in started:
            if router.process.running:
                router.stop()
    finally:
        for router in started:
            router.kill()
