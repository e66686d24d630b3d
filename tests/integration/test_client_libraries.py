"""One path each through libraries that people use instead of OpenAI's own client."""

import shutil
from pathlib import Path

import pytest

TOKENIZER = Path(__file__).parent.parent / "data" / "tokenizer"
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
PROMPT = "The river sings."
USER = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def served(sims, routers, tmp_path):
    """A router that can chat, and the name of its model."""
    folder = tmp_path / "model"
    shutil.copytree(TOKENIZER, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return routers(sims(), {"--tokenizer-name": str(folder)}), str(folder)


def native_text(router, prompt=PROMPT) -> str:
    body = {"inputs": prompt, "parameters": {"max_new_tokens": 8}}
    return router.http.post("/generate", body).json()["generated_text"]


def test_langchain_openai(served):
    from langchain_openai import ChatOpenAI, OpenAI

    router, model = served
    options = {"model": model, "base_url": router.url + "/v1", "api_key": "none"}
    chat = ChatOpenAI(**options, max_tokens=8, temperature=0)
    answer = chat.invoke("Hello")
    assert answer.content.startswith("@base ")
    assert answer.usage_metadata["output_tokens"] == 8
    assert "".join(c.content for c in chat.stream("Hello")) == answer.content
    text = OpenAI(**options, max_tokens=8, temperature=0).invoke(PROMPT)
    assert text == native_text(router)


def test_litellm(served, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the internet for one
    import litellm

    router, model = served
    options = {"api_base": router.url + "/v1", "api_key": "none", "temperature": 0}
    got = litellm.completion(model=f"openai/{model}", messages=USER, max_tokens=8, **options)
    text = got.choices[0].message.content
    assert text.startswith("@base ")
    stream = litellm.completion(
        model=f"openai/{model}", messages=USER, max_tokens=8, stream=True, **options
    )
    assert "".join(c.choices[0].delta.content or "" for c in stream) == text


def test_huggingface_hub(served):
    from huggingface_hub import InferenceClient

    router, model = served
    text = InferenceClient(router.url).text_generation(PROMPT, max_new_tokens=8)
    assert text == native_text(router)
    client = InferenceClient(base_url=router.url)
    got = client.chat_completion(USER, model=model, max_tokens=8, temperature=0)
    assert got.choices[0].message.content.startswith("@")
    stream = client.chat_completion(USER, model=model, max_tokens=8, temperature=0, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream)
