"""The API's description, the page that shows it, and whether the router keeps to it."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TOKENIZER = str(Path(__file__).parent.parent / "data" / "tokenizer")
EXAMPLES = 20  # of each route
PLAIN = {"model", "prompt", "messages", "input", "inputs"}  # fields that must be there


@pytest.fixture(params=["openai", "lorax"])
def router(request, sims, routers, tmp_path):
    """One whose model does everything, so that bodies that are right are answered."""
    folder = tmp_path / "model"
    shutil.copytree(TOKENIZER, folder)
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    options = {"--tokenizer-name": str(folder), "--compat": request.param}
    group = sims(options=["--embeddings", "--classification"])
    return routers(group, options)


def test_the_document_has_all_routes(router):
    answer = router.http.get("/api-doc/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        for method in operations:
            if "{" not in path:
                answer = router.http.call(method.upper(), path, b"")
                assert answer.status not in (404, 405), path


def test_the_page_is_whole_and_local(router):
    answer = router.http.get("/docs")
    assert answer.status == 303
    assert answer.headers["location"] == "/docs/"
    page = router.http.get("/docs/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert b"http" not in page.body
    for name, least in [("swagger-ui-bundle.js", 1_000_000), ("swagger-ui.css", 100_000)]:
        file = router.http.get("/docs/" + name)
        assert file.status == 200 and len(file.body) > least
    assert router.http.get("/docs/../etc/passwd").status == 404
    assert router.http.get("/docs/nothing").status == 404


def test_the_page_shows_the_routes_in_a_browser(router):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("no chromium: `apt install chromium` to see the page in a browser")
    with tempfile.TemporaryDirectory() as profile:
        log = Path(profile) / "net.json"
        shown = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update",
                "--virtual-time-budget=20000", f"--user-data-dir={profile}", f"--log-net-log={log}",
                "--dump-dom", router.url + "/docs/",
            ],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        asked = log.read_text() if log.exists() else ""
    assert "/v1/completions" in shown.stdout, shown.stderr[-2000:]
    assert "Generate a text" in shown.stdout
    # Everything that the page itself loads comes from the router. What the browser asks for on its
    # own account has another initiator.
    by_page = [line for line in asked.splitlines() if f'"initiator":"{router.url}"' in line]
    urls = {url for line in by_page for url in re.findall(r'"url":"([^"]*)"', line)}
    names = ("docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js")
    assert {f"{router.url}/{n}" for n in (*names, "api-doc/openapi.json")} == urls


def checks():
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    return [
        not_a_server_error,
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    ]


def operations_of(document: dict) -> list:
    schema = schemathesis.openapi.from_dict(document)
    return [r.ok() for r in schema.get_all_operations()]


def test_the_router_keeps_to_its_description(router):
    document = router.http.get("/api-doc/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=router.url)
    kept = checks()
    answered = set()

    def check(case):
        response = case.call(base_url=router.url)
        if response.status_code == 200:
            answered.add(case.operation.path)
        case.validate_response(response, checks=kept)

    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=operation.as_strategy())
        def keeps(case):
            if isinstance(case.body, dict):
                case.body.pop("stream", None)  # events are no JSON
            check(case)
            if isinstance(case.body, dict):  # with less in it that may be refused
                case.body = {k: v for k, v in case.body.items() if k in PLAIN}
                check(case)

        keeps()
        if "{model}" in operation.path:
            model = quote(router.http.get("/info").json()["model_id"], safe="")
            check(operation.Case(path_parameters={"model": model}))
    # Refusals alone would say little.
    assert answered == set(document["paths"])
