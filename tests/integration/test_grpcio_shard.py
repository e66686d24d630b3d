"""The router in front of a shard on Python's grpcio, which is what a LoRAX shard runs on."""

import concurrent.futures
import tempfile
import threading

import grpc
import pytest

from harness import Router
from processes import wait_until
from shard_rpc import pb, pb_grpc

PROMPT = "I speak for the trees"


class PythonShard(pb_grpc.LoraxServiceServicer):
    """Tokens `w0`, `w1`, … of the adapter's index; one call at a time, as LoRAX's."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = []
        self.requests = {}  # batch id → {request id: [steps, max_new, index]}
        self.fail_next_decode = None
        self.is_silent = False  # tokens without text

    def note(self, name):
        self.calls.append(name)

    def ServiceDiscovery(self, request, context):
        self.note("ServiceDiscovery")
        return pb.ServiceDiscoveryResponse(urls=[self.url])

    def ClearCache(self, request, context):
        self.note("ClearCache")
        if request.HasField("id"):
            self.requests.pop(request.id, None)
        else:
            self.requests.clear()
        return pb.ClearCacheResponse()

    def Info(self, request, context):
        self.note("Info")
        return pb.InfoResponse(
            requires_padding=False, dtype="float32", device_type="cpu", block_size=1,
            supports_generation=True,
        )  # fmt: skip

    def Warmup(self, request, context):
        self.note("Warmup")
        return pb.WarmupResponse(max_supported_total_tokens=8000)

    def Health(self, request, context):
        return pb.HealthResponse()

    def DownloadAdapter(self, request, context):
        self.note("DownloadAdapter")
        return pb.DownloadAdapterResponse(downloaded=True, memory_fraction=0.1)

    def LoadAdapter(self, request, context):
        self.note("LoadAdapter")
        return pb.LoadAdapterResponse(loaded=True)

    def OffloadAdapter(self, request, context):
        self.note("OffloadAdapter")
        return pb.OffloadAdapterResponse(offloaded=True)

    def FilterBatch(self, request, context):
        self.note("FilterBatch")
        held = self.requests[request.batch_id]
        for number in set(held) - set(request.request_ids):
            del held[number]
        return pb.FilterBatchResponse(batch=self.cached(request.batch_id))

    def Prefill(self, request, context):
        self.note("Prefill")
        batch = request.batch
        self.requests[batch.id] = {
            r.id: [0, r.stopping_parameters.max_new_tokens, r.adapter_index] for r in batch.requests
        }
        return self.step(batch.id, pb.PrefillResponse())

    def Decode(self, request, context):
        self.note("Decode")
        if self.fail_next_decode:
            words, self.fail_next_decode = self.fail_next_decode, None
            self.requests.clear()
            context.abort(grpc.StatusCode.INTERNAL, words)
        first = request.batches[0].id
        for batch in request.batches[1:]:
            self.requests[first].update(self.requests.pop(batch.id))
        return self.step(first, pb.DecodeResponse())

    def cached(self, number):
        held = self.requests[number]
        return pb.CachedBatch(id=number, request_ids=list(held), size=len(held), max_tokens=100)

    def step(self, number, answer):
        held = self.requests[number]
        for id, state in list(held.items()):
            generation = answer.generations.add(request_id=id)
            if state[0] == 0:
                generation.prefill_tokens_length = 5
            text = "" if self.is_silent else f"w{state[0]}@{state[2]} "
            tokens = generation.next_tokens
            tokens.ids.append(state[0] + 1)
            tokens.logprobs.append(-0.5)
            tokens.texts.append(text)
            tokens.is_special.append(False)
            state[0] += 1
            if state[0] == state[1]:
                if not self.is_silent:
                    words = (f"w{i}@{state[2]} " for i in range(state[0]))
                    generation.generated_text.text = "".join(words)
                generation.generated_text.generated_tokens = state[0]
                generation.generated_text.finish_reason = pb.FINISH_REASON_LENGTH
                del held[id]
        if held:
            answer.batch.CopyFrom(self.cached(number))
        return answer


class Server:
    def __init__(self, path: str):
        self.path = path
        self.shard = PythonShard()
        self.shard.url = f"unix://{path}"
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
        pb_grpc.add_LoraxServiceServicer_to_server(self.shard, self.server)
        self.server.add_insecure_port(f"unix:{path}")
        self.server.start()

    def stop(self):
        self.server.stop(None).wait()


@pytest.fixture
def socket_path():
    with tempfile.TemporaryDirectory(prefix="truffula-") as folder:
        yield f"{folder}/shard-0"


@pytest.fixture
def served(tmp_path, socket_path):
    server = Server(socket_path)
    options = {"--adapter-source": "local"}
    router = Router(tmp_path, socket_path, options).wait_healthy()
    holder = [server]
    try:
        yield router, holder
        router.stop()
    finally:
        router.kill()
        holder[0].stop()


def ask(tokens: int = 6, adapter: str = "") -> dict:
    return {"inputs": PROMPT, "parameters": {"max_new_tokens": tokens, "adapter_id": adapter}}


def text(tokens: int, index: int = 0) -> str:
    return "".join(f"w{i}@{index} " for i in range(tokens))


def test_start_generate_and_stream(served):
    router, (server,) = served
    start = ["ServiceDiscovery", "ClearCache", "Info", "Warmup"]
    assert [c for c in server.shard.calls if c in start] == start
    assert router.http.get("/info").json()["max_batch_total_tokens"] == 8000
    assert router.http.post("/generate", ask()).json()["generated_text"] == text(6)
    events = router.http.events("/generate_stream", ask())
    assert "".join(e["token"]["text"] for e in events) == text(6)


def test_many_at_once_on_adapters(served):
    router, (server,) = served
    names = ["", "a", "b", "c"] * 8
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: router.http.post("/generate", ask(9, n)), names))
    assert all(a.status == 200 for a in answers)
    texts = {n: {a.json()["generated_text"] for a, m in zip(answers, names) if m == n} for n in names}
    assert all(len(t) == 1 for t in texts.values())
    assert texts[""] == {text(9)}
    assert server.shard.calls.count("DownloadAdapter") == 3
    assert server.shard.calls.count("LoadAdapter") == 3
    assert not server.shard.requests.get(0)


def test_a_start_up_probe_without_text_has_failed(served):
    router, (server,) = served
    server.shard.is_silent = True
    answer = router.http.get("/startup")
    assert answer.status == 500
    assert answer.json() == {"error": "Empty generation", "error_type": "failed healthcheck"}
    assert router.healthy()


def test_the_shards_words_reach_the_client(served):
    router, (server,) = served
    assert router.http.post("/generate", ask()).status == 200
    server.shard.fail_next_decode = "CUDA out of memory: 100 % of 24 GiB — \"sorry\"\nline two"
    answer = list(router.http.events("/generate_stream", ask()))[-1]
    assert answer["error_type"] == "generation"
    assert answer["error"] == (
        "Request failed during generation: Server error: "
        "CUDA out of memory: 100 % of 24 GiB — \"sorry\"\nline two"
    )
    assert router.http.post("/generate", ask()).status == 200


def test_a_server_that_goes_and_comes_back(served, socket_path):
    router, holder = served
    assert router.http.post("/generate", ask(3, "a")).status == 200
    holder[0].stop()
    wait_until(lambda: router.http.get("/health").status == 503, "an unhealthy router")
    holder[0] = Server(socket_path)
    wait_until(router.healthy, "a healthy router")
    answer = router.http.post("/generate", ask(3, "a"))
    assert answer.status == 200, answer.body
    assert holder[0].shard.calls.count("LoadAdapter") == 1  # what it had is gone
