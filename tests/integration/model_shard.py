"""The shard with a real model: a process, and requests as a router would make them."""

import dataclasses
import os
from pathlib import Path

import pytest

from processes import REPOSITORY, Process
from shard_rpc import ShardClient, pb

START_LIMIT_S = 60.0
STEP_LIMIT_S = 120.0
ADAPTERS = REPOSITORY / "scripts" / "demo_adapters"
MODEL = Path(
    os.environ.get(
        "TRUFFULA_MODEL",
        REPOSITORY / "build" / "deps" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf",
    )
)


def binary_or_skip() -> str:
    """Path of the shard; skips the test where it was not built or has no model."""
    folder = Path(os.environ.get("TRUFFULA_BIN_DIR", REPOSITORY / "build" / "debug" / "bin"))
    path = folder / "truffula-shard-llama"
    if not path.exists():
        pytest.skip(f"no {path.name}: libllama was not built")
    if not MODEL.exists():
        pytest.skip(f"no {MODEL.name}: scripts/fetch-model fetches it")
    return str(path)


@dataclasses.dataclass
class Answer:
    """What one request has got so far."""

    ids: list = dataclasses.field(default_factory=list)
    logprobs: list = dataclasses.field(default_factory=list)
    texts: list = dataclasses.field(default_factory=list)
    prefill_ids: list = dataclasses.field(default_factory=list)
    text: str = ""
    finish: int = -1
    seed: int | None = None


class ModelShard:
    """A running shard. Errors of calls are `grpc.RpcError`."""

    def __init__(self, folder: Path, adapters: Path, *options):
        prefix = folder / "shard"
        command = [binary_or_skip(), "--model", MODEL, "--adapters", adapters, "--uds-path", prefix]
        self.process = Process([str(c) for c in [*command, *options]], folder / "log")
        self.client = ShardClient(f"unix:{prefix}-0")
        self.next_batch = 1
        try:
            ready = Path(f"{prefix}-0")
            self.process.wait_ready(ready.exists, "the shard's socket")
            self.call("Health", pb.HealthRequest())
        except BaseException:
            self.process.kill()
            raise

    def call(self, method: str, request):
        return self.client.call(method, request, STEP_LIMIT_S)

    def load(self, adapter_id: str, index: int) -> float:
        """Downloads and loads an adapter; its fraction of the memory."""
        what = dict(
            adapter_parameters=pb.AdapterParameters(adapter_ids=[adapter_id]), adapter_source=pb.LOCAL
        )
        downloaded = self.call("DownloadAdapter", pb.DownloadAdapterRequest(**what))
        assert downloaded.downloaded
        assert self.call("LoadAdapter", pb.LoadAdapterRequest(**what, adapter_index=index)).loaded
        return downloaded.memory_fraction

    def offload(self, adapter_id: str, index: int) -> bool:
        what = pb.AdapterParameters(adapter_ids=[adapter_id])
        request = pb.OffloadAdapterRequest(
            adapter_parameters=what, adapter_source=pb.LOCAL, adapter_index=index
        )
        return self.call("OffloadAdapter", request).offloaded

    def prefill(self, requests, answers):
        batch = pb.Batch(id=self.next_batch, requests=requests, size=len(requests))
        self.next_batch += 1
        return collect(self.call("Prefill", pb.PrefillRequest(batch=batch)), answers)

    def decode(self, batches, answers):
        return collect(self.call("Decode", pb.DecodeRequest(batches=batches)), answers)

    def generate(self, *requests) -> dict[int, Answer]:
        """Runs the requests as one batch to the end."""
        answers = {}
        batch = self.prefill(requests, answers)
        while batch:
            batch = self.decode([batch], answers)
        return answers

    def close(self) -> int:
        self.client.close()
        return self.process.stop()


def collect(response, answers):
    """Adds a step to `answers`; the batch that is left, or None."""
    for g in response.generations:
        a = answers.setdefault(g.request_id, Answer())
        a.ids += g.next_tokens.ids
        a.logprobs += g.next_tokens.logprobs
        a.texts += g.next_tokens.texts
        if g.prefill_tokens.ids:
            a.prefill_ids = list(g.prefill_tokens.ids)
        if g.HasField("generated_text"):
            whole = g.generated_text
            a.text, a.finish = whole.text, whole.finish_reason
            a.seed = whole.seed if whole.HasField("seed") else None
    return response.batch if response.HasField("batch") else None


def ask(number, text, *, ids=(), adapter=0, new=32, stop=(), ignore_eos=True, prefill=False, **how):
    """A greedy request unless `how` (fields of NextTokenChooserParameters) says otherwise."""
    parameters = dict(temperature=1.0, top_p=1.0, typical_p=1.0, repetition_penalty=1.0) | how
    return pb.Request(
        id=number,
        inputs=text,
        tokenized_inputs=pb.TokenizedInputs(ids=ids),
        parameters=pb.NextTokenChooserParameters(**parameters),
        stopping_parameters=pb.StoppingCriteriaParameters(
            max_new_tokens=new, stop_sequences=stop, ignore_eos_token=ignore_eos
        ),
        prefill_logprobs=prefill,
        adapter_index=adapter,
    )


def chat(text: str) -> str:
    """`text` as the user's turn in the model's own chat format."""
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    return (
        f"<|im_start|>system\n{system}<|im_end|>\n"
        f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )
