"""Every option and variable of contract section 2, from each of the three sources."""

import os
import subprocess

import pytest

from processes import binary

# Option, value, section of the file. The variable is the option's name in capitals.
OPTIONS = [
    ("max-concurrent-requests", "77", "server"),
    ("max-best-of", "5", "server"),
    ("max-stop-sequences", "6", "server"),
    ("max-input-length", "700", "batching"),
    ("max-total-tokens", "2500", "batching"),
    ("waiting-served-ratio", "1.25", "batching"),
    ("max-batch-prefill-tokens", "5000", "batching"),
    ("max-batch-total-tokens", "9000", "batching"),
    ("max-waiting-tokens", "9", "batching"),
    ("max-active-adapters", "33", "adapters"),
    ("adapter-cycle-time-s", "7", "adapters"),
    ("hostname", "127.0.0.9", "server"),
    ("port", "4321", "server"),
    ("master-shard-uds-path", "/tmp/elsewhere-0", "shard"),
    ("tokenizer-name", "org/model", "text"),
    ("tokenizer-config-path", "/tmp/config.json", "text"),
    ("revision", "abc", "text"),
    ("validation-workers", "3", "text"),
    ("otlp-endpoint", "http://127.0.0.1:4317", "telemetry"),
    ("ngrok-edge", "y", "server"),
    ("adapter-source", "local", "adapters"),
    ("cors-allow-credentials", "false", "server"),
]
FLAGS = [
    ("json-output", "telemetry"),
    ("eager-prefill", "batching"),
    ("prefix-caching", "batching"),
]
LISTS = ["cors-allow-origin", "cors-allow-method", "cors-allow-header", "cors-expose-header"]
FALSE_WORDS = ["0", "false", "no", "off", "n", "f", ""]


def printed(tmp_path, arguments=(), environment=None, config="") -> dict[str, tuple[str, str]]:
    """What `--print-config` says: key → value, origin."""
    command = [binary("truffula-router"), "--print-config", *arguments]
    if not any("tokenizer-name" in a for a in arguments) and "tokenizer_name" not in config:
        if "TOKENIZER_NAME" not in (environment or {}):
            command += ["--tokenizer-name", "m"]
    if config:
        file = tmp_path / "truffula.yaml"
        file.write_text(config)
        command += ["--config", str(file)]
    clean = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
    done = subprocess.run(
        command, env={**clean, **(environment or {})}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("  ") and "  # " in line:
            key, _, rest = line.strip().partition(": ")
            value, _, origin = rest.rpartition("  # ")
            found[key] = (value.strip('"'), origin)
    return found


def variable(option: str) -> str:
    return option.replace("-", "_").upper()


def key(option: str) -> str:
    return option.replace("-", "_")


@pytest.mark.parametrize("option, value, section", OPTIONS, ids=[o[0] for o in OPTIONS])
def test_each_option_in_three_sources(tmp_path, option, value, section):
    config = f"{section}:\n  {key(option)}: {value}\n"
    from_line = printed(tmp_path, [f"--{option}", value])[key(option)]
    assert from_line == (value, f"--{option}")
    from_environment = printed(tmp_path, environment={variable(option): value})[key(option)]
    assert from_environment == (value, f"environment {variable(option)}")
    value_of_file, origin = printed(tmp_path, config=config)[key(option)]
    assert value_of_file == value
    assert origin.endswith("truffula.yaml:2")


@pytest.mark.parametrize("option, section", FLAGS, ids=[f[0] for f in FLAGS])
def test_flags_in_three_sources(tmp_path, option, section):
    assert printed(tmp_path, [f"--{option}"])[key(option)][0] == "true"
    assert printed(tmp_path)[key(option)] == ("false", "default")
    assert printed(tmp_path, environment={variable(option): "1"})[key(option)][0] == "true"
    for word in FALSE_WORDS:
        assert printed(tmp_path, environment={variable(option): word})[key(option)][0] == "false"
    config = f"{section}:\n  {key(option)}: true\n"
    assert printed(tmp_path, config=config)[key(option)][0] == "true"


@pytest.mark.parametrize("option", LISTS)
def test_lists_in_three_sources(tmp_path, option):
    twice = printed(tmp_path, [f"--{option}", "a,b", f"--{option}", "c"])[key(option)][0]
    assert twice in ('["a,b", "c"]', "[\"a,b\", \"c\"]"), twice
    assert "one" in printed(tmp_path, environment={variable(option): "one"})[key(option)][0]
    config = f"server:\n  {key(option)}: [one, two]\n"
    assert "two" in printed(tmp_path, config=config)[key(option)][0]


def test_a_secret_is_taken_but_not_shown(tmp_path):
    config = "server:\n  ngrok_authtoken: sesame\n"
    ways = [
        printed(tmp_path, ["--ngrok-authtoken", "sesame"]),
        printed(tmp_path, environment={"NGROK_AUTHTOKEN": "sesame"}),
        printed(tmp_path, config=config),
    ]
    assert [w["ngrok_authtoken"][0] for w in ways] == ["(hidden)"] * 3


def test_the_models_name_in_three_sources(tmp_path):
    config = "text:\n  served_model_name: org/model\n"
    ways = [
        printed(tmp_path, ["--served-model-name", "org/model"]),
        printed(tmp_path, environment={"SERVED_MODEL_NAME": "org/model"}),
        printed(tmp_path, config=config),
    ]
    assert [w["served_model_name"][0] for w in ways] == ["org/model"] * 3
    assert printed(tmp_path)["served_model_name"] == ("null", "default")


def test_the_short_port_and_the_order_of_sources(tmp_path):
    config = "server:\n  port: 1111\n"
    environment = {"PORT": "2222"}
    assert printed(tmp_path, config=config)["port"][0] == "1111"
    assert printed(tmp_path, environment=environment, config=config)["port"][0] == "2222"
    assert printed(tmp_path, ["-p", "3333"], environment, config)["port"][0] == "3333"


def test_variables_without_an_option(tmp_path):
    assert printed(tmp_path, environment={"LOG_LEVEL": "debug"})["log_level"][0] == "debug"
    url = "http://127.0.0.1:9/log"
    assert printed(tmp_path, environment={"REQUEST_LOGGER_URL": url})["request_logger_url"][0] == url
    # Containers set it to a name: no address.
    assert printed(tmp_path, environment={"HOSTNAME": "3f2a9c"})["hostname"][0] == "0.0.0.0"


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["--version"], 0),
        (["--help"], 0),
        (["--tokenizer-name", "m", "--check-config"], 0),
        ([], 2),  # the tokenizer's name is required
        (["--tokenizer-name", "m", "--no-such-option"], 2),
        (["--tokenizer-name", "m", "--port", "65536"], 2),
        (["--tokenizer-name", "m", "--port", "-1"], 2),
        (["--tokenizer-name", "m", "--max-input-length", "0"], 2),
        (["--tokenizer-name", "m", "--max-input-length", "2048"], 2),
        (["--tokenizer-name", "m", "--validation-workers", "0"], 2),
        (["--tokenizer-name", "m", "--waiting-served-ratio", "nan"], 2),
        (["--tokenizer-name", "m", "--cors-allow-credentials", "perhaps"], 2),
        (["--tokenizer-name", "m", "--check-config", "--log-level", "loud"], 2),
        (["--tokenizer-name", "m", "--check-config", "--cors-allow-origin", "*"], 2),
        (["--tokenizer-name", "m", "--check-config", "--remote-image-hosts", "http://a"], 2),
        (["--tokenizer-name", "m", "--port", "1", "--port", "2"], 2),
    ],
)
def test_exit_statuses(arguments, status):
    clean = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
    done = subprocess.run(
        [binary("truffula-router"), *arguments], env=clean, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == status, done.stderr
    if status != 0:
        assert done.stderr.startswith("Error: ") or "rror" in done.stderr
        assert done.stdout == ""
