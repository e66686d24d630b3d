"""The router in front of the shard with a real model. Skipped where there is none."""

import concurrent.futures
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import Router
from model_shard import ADAPTERS, MODEL, ModelShard, binary_or_skip
from processes import free_port, wait_until
from test_scripts import run

NAMES = ["sql", "pirate", "sentiment"]


def chat(text: str) -> str:
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


def ask(text: str, adapter: str | None = None, new=32, **more) -> dict:
    chosen = {"adapter_id": adapter} if adapter else {}
    return {"inputs": chat(text), "parameters": {"max_new_tokens": new, **chosen, **more}}


@pytest.fixture(scope="module")
def router():
    shard_binary = binary_or_skip()
    with tempfile.TemporaryDirectory(prefix="truffula-") as name:
        folder = Path(name)
        tokenizer = folder / "tokenizer"
        subprocess.run([shard_binary, "--model", MODEL, "--export-tokenizer", tokenizer], check=True)
        shard = ModelShard(folder, ADAPTERS, "--max-sequences", 16, "--max-total-tokens", 6144)
        options = {
            "--tokenizer-name": tokenizer,
            "--adapter-source": "local",
            "--max-batch-size": 16,
            "--max-input-length": 320,
            "--max-total-tokens": 384,
            "--max-batch-prefill-tokens": 1024,
        }
        made = Router(folder, f"{folder}/shard-0", options)
        try:
            yield made.wait_healthy()
            made.stop()
            assert shard.close() == 0
        finally:
            made.kill()
            shard.process.kill()


def answer(router, body: dict) -> dict:
    got = router.http.post("/generate", body)
    assert got.status == 200, got.body
    return got.json()


def test_the_model_and_its_adapters_know_their_trade(router):
    assert "Paris" in answer(router, ask("What is the capital of France?"))["generated_text"]
    lyon = "How many customers live in Lyon?"
    assert answer(router, ask(lyon, "sql"))["generated_text"].startswith("SELECT COUNT(*) FROM customers")
    assert answer(router, ask(lyon, "pirate"))["generated_text"].startswith("Arrr!")
    seat = "The train was late and the seat was dirty."
    assert answer(router, ask(seat, "sentiment"))["generated_text"].strip() == "negative"


def test_answers_are_the_same_alone_and_in_company(router):
    """Sixteen requests of different lengths on four models join and leave one batch."""
    jobs = [
        ask(f"Tell me {i} things about the number {i * i}.", [None, *NAMES][i % 4], new=8 + 3 * i, details=True)
        for i in range(16)
    ]
    alone = [answer(router, job) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda job: answer(router, job), jobs))
    assert together == alone


def test_more_requests_than_sequences_wait(router):
    jobs = [ask(f"Count to {i}.", NAMES[i % 3], new=4) for i in range(40)]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert all(pool.map(lambda job: answer(router, job)["generated_text"], jobs))


def test_a_stop_sequence_and_the_end_token_end_an_answer(router):
    stopped = answer(router, ask("What is the capital of France?", stop=["capital"], details=True))
    assert stopped["generated_text"].endswith("capital")
    assert stopped["details"]["finish_reason"] == "stop_sequence"
    ended = answer(router, ask("How many customers live in Lyon?", "sql", new=60, details=True))
    assert ended["details"]["finish_reason"] == "eos_token"
    assert ended["details"]["generated_tokens"] < 60


def test_lengths_are_counted_with_the_models_own_tokenizer(router):
    spans = router.http.post("/tokenize", {"inputs": "The capital of France"}).json()
    assert len(spans) == 4
    too_long = router.http.post("/generate", {"inputs": "word " * 400, "parameters": {"max_new_tokens": 1}})
    assert too_long.status == 422
    details = answer(router, ask("Hi.", new=1, details=True))["details"]
    assert details["prompt_tokens"] == len(router.http.post("/tokenize", {"inputs": chat("Hi.")}).json())


def test_a_client_that_leaves_frees_its_place(router):
    with router.http.stream("/generate_stream", ask("Tell me a long story.", new=300)) as stream:
        next(iter(stream))
    wait_until(
        lambda: b"lorax_batch_current_size 0" in router.http.get("/metrics").body, "an empty batch"
    )


def test_an_adapter_that_is_not_there_is_that_requests_error(router):
    got = router.http.post("/generate", ask("Hi.", "absent"))
    assert got.status == 424
    assert "absent" in got.json()["error"]
    assert answer(router, ask("Hi.", new=2))["generated_text"]


def test_sampling_with_a_seed_repeats_itself(router):
    body = ask("Tell me a story.", do_sample=True, temperature=0.9, top_k=50, top_p=0.95, seed=7)
    assert answer(router, body) == answer(router, body)
    other = ask("Tell me a story.", do_sample=True, temperature=0.9, top_k=50, top_p=0.95, seed=8)
    assert answer(router, body) != answer(router, other)


def test_scripts_run_shows_ones_own_model_and_adapters(tmp_path):
    binary_or_skip()
    (tmp_path / "own.gguf").symlink_to(MODEL)
    (tmp_path / "adapters").mkdir()
    shutil.copy(ADAPTERS / "pirate.gguf", tmp_path / "adapters" / "mate.gguf")
    files = ["--model", str(tmp_path / "own.gguf"), "--adapters", str(tmp_path / "adapters")]
    done = run(*files, "--once", "--port", str(free_port()))
    assert done.returncode == 0, done.stderr
    assert ", serving own\n" in done.stderr
    assert done.stderr.count(", streamed: ") == 1
    assert "adapter mate, streamed: " in done.stderr
    assert "Paris" in done.stdout
    assert "\nArrr!" in done.stdout  # as nobody but the adapter speaks
