"""The simulated shard, driven over gRPC as a router would."""

import signal
import subprocess
import time

import grpc
import pytest
from google.protobuf.message import DecodeError

from harness import SimGroup
from processes import binary, free_port, wait_until
from shard_rpc import Blocks, ShardClient, batch, pb, request

DEADLINE = grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.fixture
def connect():
    """Connects to a shard: `connect(shard)`; the start sequence has been run."""
    clients = []

    def open_client(shard, start: bool = True) -> ShardClient:
        clients.append(ShardClient(shard.target))
        if start:
            clients[-1].start()
        return clients[-1]

    yield open_client
    for c in clients:
        c.close()


def texts(answer) -> dict[int, str]:
    return {g.request_id: "".join(g.next_tokens.texts) for g in answer.generations}


def write_all(client, first) -> dict[int, str]:
    """Decodes and filters to the end; the text of each request."""
    written = {}
    answer = first
    while True:
        ended = set()
        for g in answer.generations:
            written[g.request_id] = written.get(g.request_id, "") + "".join(g.next_tokens.texts)
            if g.HasField("generated_text"):
                ended.add(g.request_id)
        if not answer.HasField("batch"):
            return written
        kept = answer.batch
        if ended:
            left = [i for i in kept.request_ids if i not in ended]
            kept = client.filter(kept.id, left).batch
        answer = client.decode(kept)


def failure(call, *arguments) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value


def test_greedy_text_is_the_same_alone_and_in_company(sims, connect):
    client = connect(sims().shards[0])
    blocks = Blocks()
    alone = write_all(client, client.prefill(batch(1, [request(1, "a b c", 9, blocks)])))
    client.ready("sql", 1)
    mixed = [
        request(2, "other words", 5, blocks),
        request(3, "a b c", 9, blocks),
        request(4, "a b c", 7, blocks, adapter_index=1),
    ]
    company = write_all(client, client.prefill(batch(2, mixed)))
    assert company[3] == alone[1]
    assert alone[1].startswith("@base ")
    assert company[4].startswith("@sql ")


def test_a_group_splits_each_batch_and_answers_all_of_it(sims, connect):
    group = sims(world=2, options=["--eos-after", 6])
    clients = [connect(s) for s in group.shards]
    urls = clients[1].call("ServiceDiscovery", pb.ServiceDiscoveryRequest()).urls
    assert list(urls) == [f"unix://{s.socket_path}" for s in group.shards]
    blocks = Blocks()
    fresh = batch(1, [request(i, f"prompt {i}", 4, blocks) for i in (4, 5, 7)])
    answers = [c.prefill(fresh) for c in clients]
    assert [sorted(texts(a)) for a in answers] == [[4], [5, 7]]
    assert answers[0].batch == answers[1].batch
    assert list(answers[0].batch.request_ids) == [4, 5, 7]
    answers = [c.decode(answers[0].batch) for c in clients]
    assert [sorted(texts(a)) for a in answers] == [[4], [5, 7]]


def test_padded_shards_split_by_position_and_need_no_blocks(sims, connect):
    group = sims(world=2, options=["--mode", "padded"])
    clients = [connect(s) for s in group.shards]
    info = clients[0].call("Info", pb.InfoRequest())
    assert info.requires_padding and not info.requires_block_allocator
    fresh = batch(1, [request(i, f"prompt {i}") for i in (4, 6, 8)])
    answers = [c.prefill(fresh) for c in clients]
    assert [sorted(texts(a)) for a in answers] == [[4, 8], [6]]
    assert {g.prefill_tokens_length for a in answers for g in a.generations} == {0}


def test_speculation_gives_the_same_text_in_fewer_steps(sims, connect):
    slow = connect(sims(options=["--mode", "plain"]).shards[0])
    fast_group = sims(options=["--mode", "plain", "--speculate", 3])
    fast = connect(fast_group.shards[0])
    one = batch(1, [request(1, "tell me more", 40)])
    assert write_all(slow, slow.prefill(one)) == write_all(fast, fast.prefill(one))
    assert fast_group.shards[0].report()["calls"]["Decode"] < 39


def test_calls_cost_time_one_after_the_other(sims, connect):
    group = sims(options=["--decode-base-us", 20_000, "--download-us", 100_000])
    client = connect(group.shards[0])
    kept = client.prefill(batch(1, [request(1, "a b c", 9, Blocks())])).batch
    begin = time.monotonic()
    download = client.stub.DownloadAdapter.future(
        pb.DownloadAdapterRequest(adapter_parameters=pb.AdapterParameters(adapter_ids=["sql"]))
    )
    while group.shards[0].report()["calls"]["DownloadAdapter"] == 0:
        pass
    client.decode(kept)
    assert time.monotonic() - begin >= 0.12
    assert download.done()


def test_calls_are_served_in_the_order_in_which_they_came(sims, connect):
    client = connect(sims(options=["--download-us", 5_000]).shards[0])
    served = []
    for name in "abcdefgh":
        one = pb.DownloadAdapterRequest(adapter_parameters=pb.AdapterParameters(adapter_ids=[name]))
        call = client.stub.DownloadAdapter.future(one)
        call.add_done_callback(lambda _, name=name: served.append(name))
    wait_until(lambda: len(served) == 8, "all are served")
    assert "".join(served) == "abcdefgh"


def test_what_is_no_call_is_refused(sims, connect):
    shard = sims().shards[0]
    with grpc.insecure_channel(shard.target) as channel:

        def code(method: str, messages: list[bytes]) -> grpc.StatusCode:
            call = channel.stream_unary(f"/generate.v1.LoraxService/{method}")
            return failure(lambda: call(iter(messages), timeout=5)).code()

        assert code("Info", []) == grpc.StatusCode.INTERNAL
        assert code("Info", [b"\xff\xff"]) == grpc.StatusCode.INTERNAL
        assert code("Train", [b""]) == grpc.StatusCode.UNIMPLEMENTED
    connect(shard)


def test_overlapping_calls_do_not_wait(sims, connect):
    group = sims(options=["--overlap", "--fault", "DownloadAdapter:1:hang"])
    client = connect(group.shards[0])
    kept = client.prefill(batch(1, [request(1, "a b c", 9, Blocks())])).batch
    download = client.stub.DownloadAdapter.future(
        pb.DownloadAdapterRequest(adapter_parameters=pb.AdapterParameters(adapter_ids=["sql"]))
    )
    while group.shards[0].report()["calls"]["DownloadAdapter"] == 0:
        pass
    client.decode(kept)
    assert not download.done()
    download.cancel()


def test_a_call_that_hangs_holds_up_all_others(sims, connect):
    client = connect(sims(options=["--fault", "Health:1:hang"]).shards[0])
    assert failure(client.call, "Health", pb.HealthRequest(), 0.2).code() == DEADLINE
    assert failure(client.call, "Info", pb.InfoRequest(), 0.2).code() == DEADLINE


def test_a_call_that_was_given_up_is_not_held_against_the_next(sims, connect):
    client = connect(sims(options=["--overlap", "--fault", "Prefill:1:hang"]).shards[0])
    fresh = batch(1, [request(1, "a b c", 9, Blocks())])
    hung = pb.PrefillRequest(batch=fresh)
    assert failure(client.call, "Prefill", hung, 0.2).code() == DEADLINE
    client.prefill(fresh)


@pytest.mark.parametrize(
    "method", ["Info", "Warmup", "Prefill", "Decode", "FilterBatch", "ClearCache", "Health"]
)
def test_any_call_can_fail_and_the_next_goes_well(sims, connect, method):
    group = sims(options=["--fault", f"{method}:1:fail:out of luck"])
    client = connect(group.shards[0], start=False)

    def session():
        client.start()
        client.call("Health", pb.HealthRequest())
        kept = client.prefill(batch(1, [request(1, "a b c", 9, Blocks())])).batch
        kept = client.filter(1, [1]).batch
        client.decode(kept)
        client.call("ClearCache", pb.ClearCacheRequest(id=1))

    error = failure(session)
    assert error.code() == grpc.StatusCode.INTERNAL
    assert error.details() == "out of luck"
    if method in ("FilterBatch", "Decode"):
        client.call("ClearCache", pb.ClearCacheRequest())
    assert group.shards[0].report()["failures"][method] == 1


def test_a_crash_ends_the_process_and_leaves_its_report(sims, connect):
    group = sims(options_of={0: ["--fault", "Decode:2:crash"]})
    client = connect(group.shards[0])
    kept = client.prefill(batch(1, [request(1, "a b c", 9, Blocks())])).batch
    kept = client.decode(kept).batch
    assert failure(client.decode, kept).code() == grpc.StatusCode.UNAVAILABLE
    assert group.shards[0].process.wait() == 70
    assert group.shards[0].report()["calls"]["Decode"] == 2
    group.restart(0)
    connect(group.shards[0]).prefill(batch(1, [request(1, "a b c", 9, Blocks())]))


@pytest.mark.parametrize("kind", ["garbage", "truncated"])
def test_bytes_that_are_no_message(sims, connect, kind):
    client = connect(sims(options=["--fault", f"Prefill:1:{kind}"]).shards[0])
    one = pb.PrefillRequest(batch=batch(1, [request(1, "a b c", 9, Blocks())]))
    raw = client.channel.unary_unary(
        "/generate.v1.LoraxService/Prefill",
        request_serializer=pb.PrefillRequest.SerializeToString,
        response_deserializer=bytes,
    )
    answer = raw(one, timeout=20)
    with pytest.raises(DecodeError):
        pb.PrefillResponse.FromString(answer)


def test_adapters_that_cannot_be_had(sims, connect):
    options = ["--no-such-adapter", "ghost", "--fail-load", "heavy"]
    options += ["--private-adapter", "mine=secret", "--adapter-memory", "big=0.5"]
    group = sims(options=options)
    client = connect(group.shards[0])
    assert "ghost" in failure(client.ready, "ghost", 1).details()
    assert "heavy" in failure(client.ready, "heavy", 2).details()
    assert "mine" in failure(client.ready, "mine", 3).details()
    assert "mine" in failure(client.ready, "mine", 3, "guess").details()
    client.ready("mine", 3, "secret")
    big = pb.DownloadAdapterRequest(adapter_parameters=pb.AdapterParameters(adapter_ids=["big"]))
    assert client.call("DownloadAdapter", big).memory_fraction == 0.5
    assert group.shards[0].report()["loaded_adapters"] == {"3": "mine"}


def test_one_prompt_fails_its_whole_batch(sims, connect):
    client = connect(sims(options=["--fail-prompt", "poison"]).shards[0])
    blocks = Blocks()
    fresh = batch(1, [request(1, "good", 4, blocks), request(2, "some poison", 4, blocks)])
    assert failure(client.prefill, fresh).code() == grpc.StatusCode.INTERNAL
    client.prefill(batch(2, [fresh.requests[0]]))


def test_violations_are_reported_on_demand_and_at_the_end(sims, connect):
    group = sims()
    client = connect(group.shards[0])
    failure(client.decode)
    client.prefill(batch(1, [request(1, "no blocks")]))
    report = group.shards[0].report()
    assert report["violations"]["decode_without_batches"] == 1
    assert report["violations"]["blocks_missing"] == 1
    assert report["violations_total"] == 2
    assert len(report["violation_examples"]) == 2
    group.stop(violations=2)


def test_two_computing_calls_at_once_are_seen(sims, connect):
    group = sims(options=["--decode-base-us", 300_000])
    client = connect(group.shards[0])
    blocks = Blocks()
    kept = client.prefill(batch(1, [request(1, "a b c", 9, blocks)])).batch
    decode = client.stub.Decode.future(pb.DecodeRequest(batches=[kept]))
    while group.shards[0].report()["calls"]["Decode"] == 0:
        pass
    client.prefill(batch(2, [request(2, "a b c", 9, blocks)]))
    decode.result()
    report = group.shards[0].report()
    assert report["violations"]["overlapping_calls"] == 1
    group.stop(violations=1)


def test_the_gap_between_decodes_is_measured(sims, connect):
    group = sims()
    client = connect(group.shards[0])
    kept = client.prefill(batch(1, [request(1, "a b c", 12, Blocks())])).batch
    for _ in range(10):
        kept = client.decode(kept).batch
    client.decode(kept)
    gap = group.shards[0].report()["decode_gap_us"]
    assert gap["count"] == 10
    assert 0 < gap["min"] <= gap["median"] <= gap["p99"] <= gap["max"]


def test_requests_are_recorded_as_they_came(sims, connect):
    group = sims()
    client = connect(group.shards[0])
    client.prefill(batch(7, [request(1, "a b c", 3, Blocks())]))
    (sent,) = group.shards[0].requests("Prefill")
    assert sent["batch"]["id"] == "7"
    assert sent["batch"]["requests"][0]["stopping_parameters"]["max_new_tokens"] == 3


def test_listens_on_tcp_too(tmp_path):
    port = free_port()
    command = [binary("truffula-shard-sim"), "--tcp", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert "ready" in child.stderr.readline()
            client = ShardClient(f"127.0.0.1:{port}")
            urls = client.call("ServiceDiscovery", pb.ServiceDiscoveryRequest()).urls
            assert list(urls) == [f"tcp://127.0.0.1:{port}"]
            client.close()
            second = subprocess.run(command, capture_output=True, text=True, timeout=20)
            assert second.returncode == 1
            assert "cannot listen" in second.stderr
        finally:
            child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0


def test_strict_turns_violations_into_an_exit_status(tmp_path):
    group = SimGroup(tmp_path, options=["--strict"])
    client = ShardClient(group.shards[0].target)
    client.start()
    client.close()
    assert group.shards[0].process.stop() == 0
    group.restart(0)
    client = ShardClient(group.shards[0].target)
    failure(client.decode)
    client.close()
    assert group.shards[0].process.stop() == 3


def test_bad_options_are_one_sentence_and_status_2():
    command = [binary("truffula-shard-sim"), "--uds-path", "/tmp/x", "--fault", "Decode:0:fail"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "'0' is not N" in done.stdout + done.stderr
