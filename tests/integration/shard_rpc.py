"""The shard protocol through grpcio: calls, and requests that are made right."""

import sys
import tempfile
from pathlib import Path

import grpc
from grpc_tools import protoc

from processes import REPOSITORY

LIMIT_S = 20.0


def _compile():
    folder = tempfile.TemporaryDirectory(prefix="truffula-proto-")
    status = protoc.main(
        [
            "protoc",
            f"-I{REPOSITORY / 'proto'}",
            f"--python_out={folder.name}",
            f"--grpc_python_out={folder.name}",
            str(REPOSITORY / "proto" / "generate.proto"),
        ]
    )
    assert status == 0
    sys.path.insert(0, folder.name)
    return folder


_folder = _compile()
import generate_pb2 as pb  # noqa: E402
import generate_pb2_grpc as pb_grpc  # noqa: E402

sys.path.remove(_folder.name)
_folder.cleanup()


class Blocks:
    """Hands out blocks from 1 on, each once."""

    def __init__(self, size: int = 16):
        self.size = size
        self.next = 1

    def take(self, tokens: int) -> list[int]:
        count = -(-tokens // self.size)
        self.next += count
        return list(range(self.next - count, self.next))


class ShardClient:
    """Calls one shard. Errors are `grpc.RpcError`."""

    def __init__(self, target: str):
        self.channel = grpc.insecure_channel(target)
        self.stub = pb_grpc.LoraxServiceStub(self.channel)

    def call(self, method: str, request, limit_s: float = LIMIT_S):
        return getattr(self.stub, method)(request, timeout=limit_s)

    def start(self, prefill_tokens: int = 4096):
        """ServiceDiscovery, ClearCache, Info, Warmup; gives Info's answer."""
        self.call("ServiceDiscovery", pb.ServiceDiscoveryRequest())
        self.call("ClearCache", pb.ClearCacheRequest())
        info = self.call("Info", pb.InfoRequest())
        warm = pb.WarmupRequest(max_input_length=64, max_prefill_tokens=prefill_tokens)
        warm.batch.requests.add(id=0, inputs="_test ")
        self.call("Warmup", warm)
        return info

    def ready(self, adapter_id: str, index: int, token: str | None = None):
        """Downloads and loads an adapter."""
        what = pb.AdapterParameters(adapter_ids=[adapter_id])
        self.call("DownloadAdapter", pb.DownloadAdapterRequest(adapter_parameters=what, api_token=token))
        load = pb.LoadAdapterRequest(adapter_parameters=what, adapter_index=index, api_token=token)
        self.call("LoadAdapter", load)

    def prefill(self, batch):
        return self.call("Prefill", pb.PrefillRequest(batch=batch))

    def decode(self, *batches):
        return self.call("Decode", pb.DecodeRequest(batches=batches))

    def filter(self, batch_id: int, ids):
        return self.call("FilterBatch", pb.FilterBatchRequest(batch_id=batch_id, request_ids=ids))

    def close(self):
        self.channel.close()


def request(number: int, prompt: str, max_new: int = 8, blocks: Blocks | None = None, **more):
    """A greedy request; `more` are fields of Request."""
    ids = [1000 + i + len(word) for i, word in enumerate(prompt.split())]
    r = pb.Request(id=number, inputs=prompt, **more)
    r.tokenized_inputs.ids.extend(ids)
    r.parameters.temperature = r.parameters.top_p = r.parameters.typical_p = 1.0
    r.stopping_parameters.max_new_tokens = max_new
    if blocks:
        tokens = len(ids) + max_new - 1
        r.blocks.extend(blocks.take(tokens))
        slots = [b * blocks.size + i for b in r.blocks for i in range(blocks.size)]
        r.slots.extend(slots[:tokens])
    return r


def batch(number: int, requests):
    """A batch whose sizes are right."""
    return pb.Batch(
        id=number,
        requests=requests,
        size=len(requests),
        max_tokens=sum(len(r.tokenized_inputs.ids) for r in requests),
        max_blocks=max((len(r.blocks) for r in requests), default=0),
    )
