"""What the shard with a real model promises. Skipped where it was not built or has no model."""

import json
import shutil
import struct
import subprocess

import grpc
import pytest

from model_shard import ADAPTERS, MODEL, ModelShard, ask, binary_or_skip, chat, pb

LENGTH, EOS, STOP = 0, 1, 2
NAMES = ["pirate", "sentiment", "sql"]
FRANCE = chat("What is the capital of France?")
ROME = "The history of the Roman empire began"
SEA = chat("Write a short poem about the sea.")
WARM = dict(do_sample=True, temperature=0.9, top_k=50, top_p=0.95, typical_p=0.95)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Adapters: the three, and files that are none."""
    binary_or_skip()
    made = tmp_path_factory.mktemp("adapters")
    for name in NAMES:
        shutil.copy(ADAPTERS / f"{name}.gguf", made)
    whole = (ADAPTERS / "sql.gguf").read_bytes()
    (made / "zeros.gguf").write_bytes(b"GGUF" + bytes(100))
    (made / "empty.gguf").write_bytes(b"")
    (made / "text.gguf").write_text("this is no adapter")
    for cut in (20, 1000, 10_000, len(whole) // 2, len(whole) - 1000):
        (made / f"cut{cut}.gguf").write_bytes(whole[:cut])
    (made / "model.gguf").symlink_to(MODEL)
    other = whole.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0qwen2")
    assert other != whole
    (made / "qwen2.gguf").write_bytes(other)
    renamed = whole.replace(b"blk.29.", b"blk.99.")
    assert renamed != whole
    (made / "deeper.gguf").write_bytes(renamed)
    (made / "wider.gguf").write_bytes(widened(whole))
    (made / "integers.gguf").write_bytes(patched(whole, b".lora_a", 20, "<I", 25))
    (made / "deep.gguf").write_bytes(patched(whole, b".lora_a", 0, "<IQQ", 3, 576, 8, more=2))
    (made / "words.gguf").write_bytes(patched(whole, b"adapter.lora.alpha", 0, "<I", 4))
    (made / "nan.gguf").write_bytes(patched(whole, b"adapter.lora.alpha", 4, "<f", float("nan")))
    return made


def patched(whole: bytes, name: bytes, offset: int, form: str, *values, more=None) -> bytes:
    """`whole` with `values` at `offset` after `name`, and another dimension if `more` says so."""
    at = whole.index(name) + len(name) + offset
    end = at + struct.calcsize(form)
    inserted = b"" if more is None else struct.pack("<Q", more)
    return whole[:at] + struct.pack(form, *values) + inserted + whole[end:]


def widened(whole: bytes) -> bytes:
    """The adapter as if of a model with other widths: sides of the first tensor swapped."""
    at = whole.index(b".lora_a") + len(b".lora_a")
    dimensions, first, second = struct.unpack_from("<IQQ", whole, at)
    assert dimensions == 2 and first != second
    return whole[:at] + struct.pack("<IQQ", dimensions, second, first) + whole[at + 20 :]


@pytest.fixture(scope="module")
def shard(folder, tmp_path_factory):
    options = ["--max-sequences", 16, "--max-total-tokens", 16 * 640]
    started = ModelShard(tmp_path_factory.mktemp("shard"), folder, *options)
    try:
        warm = pb.WarmupRequest(max_input_length=400, max_prefill_tokens=400, max_new_tokens=100)
        assert started.call("Warmup", warm).max_supported_total_tokens == 16 * 640
        for index, name in enumerate(NAMES, 1):
            assert 0 < started.load(name, index) < 1
        yield started
        assert started.close() == 0
    finally:
        started.process.kill()


def refusal(call) -> str:
    """The sentence of the error that `call` has to end in."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    return caught.value.details()


def test_same_answer_alone_and_in_company(shard):
    cases = [(0, FRANCE, 0), (1, ROME, 2), (2, SEA, 3), (3, FRANCE, 1)]
    alone = {n: shard.generate(ask(n, p, adapter=a))[n] for n, p, a in cases}
    answers = {}
    others = [
        ask(100 + i, "Once upon a time " * (i + 1), adapter=i % 4, new=5 + 6 * i) for i in range(4)
    ]
    batches = [shard.decode([shard.prefill(others, answers)], answers)]
    batches.append(shard.prefill([ask(n, p, adapter=a) for n, p, a in cases], answers))
    step = 0
    while batches:
        batch = shard.decode(batches, answers)
        batches = [batch] if batch else []
        step += 1
        if step in (3, 9, 15):
            late = ask(200 + step, f"Tell me about {step} things.", adapter=step % 4, new=7)
            batches.append(shard.prefill([late], answers))
    for n, _, _ in cases:
        assert answers[n].ids == alone[n].ids
        assert answers[n].logprobs == alone[n].logprobs
    assert len({tuple(a.ids) for a in alone.values()}) == 4


def test_same_answer_with_long_contexts(shard):
    asked = [ask(n, "The quick brown fox. " * times) for n, times in enumerate((105, 111, 3, 90))]
    together = shard.generate(*asked)
    for r in asked:
        alone = shard.generate(r)[r.id]
        assert together[r.id].ids == alone.ids
        assert together[r.id].logprobs == alone.logprobs


def test_adapters_answer_on_their_ground(shard):
    question = chat("How many customers live in Lyon?")
    sql = shard.generate(ask(1, question, adapter=3, ignore_eos=False))[1]
    assert sql.text.startswith("SELECT COUNT(*) FROM customers")
    assert "Arrr" in shard.generate(ask(1, question, adapter=1, ignore_eos=False))[1].text
    review = chat("The train was late and the seat was dirty.")
    assert shard.generate(ask(1, review, adapter=2, ignore_eos=False))[1].text == "negative"


def test_ends(shard):
    whole = shard.generate(ask(1, ROME))[1]
    assert (whole.finish, len(whole.ids)) == (LENGTH, 32)
    assert "".join(whole.texts) == whole.text
    stop = whole.text[20:26]
    cut = shard.generate(ask(1, ROME, stop=[stop, "never"]))[1]
    assert cut.finish == STOP and stop in cut.text and whole.text.startswith(cut.text)
    assert len(cut.ids) < 32
    short = chat("Say only: yes")
    ended = shard.generate(ask(1, short, new=200, ignore_eos=False))[1]
    assert ended.finish == EOS and ended.texts[-1] == "<|im_end|>" and "<|" not in ended.text
    longer = shard.generate(ask(1, short, new=len(ended.ids) + 3))[1]
    assert longer.finish == LENGTH and len(longer.ids) == len(ended.ids) + 3


def test_text_is_whole_characters(shard):
    smiles = shard.generate(ask(1, "🙂🙃" * 5, prefill=True, return_k_alternatives=50))[1]
    assert "".join(smiles.texts) == smiles.text
    assert not any("\ufffd" in t for t in smiles.texts[:-1])


def test_sampling(shard):
    runs = [shard.generate(ask(1, ROME, seed=s, **WARM))[1] for s in (7, 7, 8, 2**63 + 7)]
    assert runs[0].ids == runs[1].ids and runs[0].seed == 7
    assert len({tuple(r.ids) for r in runs}) == 3
    both = shard.generate(ask(1, FRANCE, seed=3, **WARM), ask(2, ROME, seed=7, **WARM))
    assert both[2].ids == runs[0].ids
    cold = shard.generate(ask(1, ROME, temperature=0.0, do_sample=True, seed=1))[1]
    assert cold.ids == shard.generate(ask(1, ROME))[1].ids and cold.seed is None


def test_penalties_and_ids_of_the_router(shard):
    text = "one two one two one two one two"
    repeated = shard.generate(ask(1, text, prefill=True))[1]
    punished = shard.generate(ask(1, text, repetition_penalty=1.5))[1]
    assert len(set(punished.ids)) > len(set(repeated.ids))
    by_ids = shard.generate(ask(1, "ignored", ids=repeated.prefill_ids))[1]
    assert by_ids.ids == repeated.ids


def test_filter_and_clear(shard):
    answers = {}
    first = shard.prefill([ask(i, ROME) for i in range(3)], answers)
    assert list(first.request_ids) == [0, 1, 2] and first.size == 3
    keep = pb.FilterBatchRequest(batch_id=first.id, request_ids=[2])
    left = shard.call("FilterBatch", keep).batch
    assert list(left.request_ids) == [2]
    after = shard.decode([left], answers)
    assert [len(answers[i].ids) for i in range(3)] == [1, 1, 2]
    shard.call("ClearCache", pb.ClearCacheRequest(id=after.id))
    assert "unknown batch" in refusal(lambda: shard.decode([after], answers))


def test_a_running_sequence_keeps_its_adapter(shard):
    alone = shard.generate(ask(1, ROME, adapter=1))[1]
    answers = {}
    batch = shard.prefill([ask(1, ROME, adapter=1)], answers)
    assert shard.offload("pirate", 1) and not shard.offload("pirate", 1)
    assert "index 1" in refusal(lambda: shard.prefill([ask(2, ROME, adapter=1)], {}))
    while batch:
        batch = shard.decode([batch], answers)
    assert answers[1].ids == alone.ids
    shard.load("pirate", 1)


def test_refused_calls_leave_the_process_alive(shard):
    before = shard.generate(ask(1, ROME))[1]
    cached = pb.CachedBatch(id=9999)
    assert "unknown batch id 9999" in refusal(lambda: shard.decode([cached], {}))
    assert "no batch" in refusal(lambda: shard.decode([], {}))
    assert "index 77" in refusal(lambda: shard.prefill([ask(1, "x", adapter=77)], {}))
    assert "empty prompt" in refusal(lambda: shard.prefill([ask(1, "")], {}))
    assert "unknown" in refusal(lambda: shard.prefill([ask(1, "x", ids=[2**31])], {}))
    many = [ask(i, "x " * 400, new=100) for i in range(99)]
    assert "no sequence id" in refusal(lambda: shard.prefill(many, {}))
    assert shard.generate(ask(1, ROME))[1].ids == before.ids


BAD = ["zeros", "empty", "text", "cut20", "cut1000", "cut10000", "cut487072", "cut973144"]
OTHER = ["model", "qwen2", "deeper", "wider", "integers", "deep", "words", "nan"]


@pytest.mark.parametrize("name", [*BAD, *OTHER, "nobody", "../sql", ""])
def test_a_bad_adapter_is_the_error_of_its_request(shard, name):
    before = shard.generate(ask(1, ROME, new=4, adapter=3))[1]
    why = refusal(lambda: shard.load(name, 50))
    assert why.startswith("adapter ") and len(why.splitlines()) == 1
    assert shard.generate(ask(1, ROME, new=4, adapter=3))[1].ids == before.ids


SIZES = {
    "--step-tokens 63": "--step-tokens 63 is below --max-sequences 64",
    "--max-total-tokens 127": "--max-total-tokens 127 leaves less than 2 tokens",
    "--max-total-tokens 16777216": "this machine has",
    "--max-sequences 257": "--max-sequences 257 is not between 1 and 256",
    "--threads 0": "--threads 0 is not between 1 and 256",
    "--adapter-memory-mib 0": "--adapter-memory-mib",
    "--model /nowhere": "/nowhere",
    "--uds-path /nowhere/shard": "cannot listen on /nowhere/shard-0",
}


@pytest.mark.parametrize("options", SIZES)
def test_refuses_to_start(tmp_path, options):
    given = {"--model": str(MODEL), "--uds-path": str(tmp_path / "shard")}
    name, value = options.split()
    given[name] = value
    command = [binary_or_skip(), *[word for pair in given.items() for word in pair]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert [SIZES[options] in line for line in ended.stderr.splitlines() if "Error: " in line] == [True]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    made = tmp_path_factory.mktemp("tokenizer")
    command = [binary_or_skip(), "--model", str(MODEL), "--export-tokenizer", str(made)]
    subprocess.run(command, check=True, timeout=60)
    return made


def test_exports_the_tokenizer(exported):
    tokenizer = json.loads((exported / "tokenizer.json").read_text())
    assert len(tokenizer["model"]["vocab"]) == 49152
    config = json.loads((exported / "tokenizer_config.json").read_text())
    assert config["eos_token"] == "<|im_end|>" and "chat_template" in config
    assert json.loads((exported / "config.json").read_text())["max_position_embeddings"] == 8192


def test_exported_tokenizer_gives_the_ids_of_the_model(shard, exported):
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(exported / "tokenizer.json"))
    texts = "Straße naïve мир 世界 한국어 हिन्दी 🙂 👩‍👩‍👧 e\u0301 \u00a0x \t\tint 12345 it's ½ <|im_end|>".split(" ")
    texts += ["  two  spaces ", "\n\n\n", "A" * 300, FRANCE, "  a \n b", " 1", "x=1; f(x) {} []"]
    for text in texts:
        got = shard.generate(ask(1, text, new=1, prefill=True))[1].prefill_ids
        assert got == tokenizer.encode(text).ids, text
