"""The API's description, the page that shows it, and whether the router keeps to it."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TOKENIZER = str(Path(__file__).parent.parent / "data" / "tokenizer")
EXAMPLES = 20  # of each route


@pytest.fixture(params=["openai", "lorax"])
def router(request, sims, routers):
    options = {"--tokenizer-name": TOKENIZER, "--compat": request.param}
    return routers(sims(), options)


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
    # Everything that the page itself loads comes from the router.
    hosts = {line.split('"url":"')[1].split('"')[0] for line in asked.splitlines()
             if '"url":"http' in line and '"initiator":"' in line}  # fmt: skip
    own = {url for url in hosts if url.startswith("http://127.0.0.1")}
    assert hosts - own == set() or all("swagger" not in url for url in hosts - own)


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
            response = case.call(base_url=router.url)
            case.validate_response(response, checks=kept)

        keeps()
