"""Writes tests/data/chat_templates/expected.json; run by make-chat-expectations."""

import copy
import datetime
import json
import logging
import pathlib

import jinja2
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

FOLDER = pathlib.Path("tests/data/chat_templates")
NOW = datetime.datetime(2024, 7, 26, 12, 0, 0)


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def with_text_arguments(messages):
    messages = copy.deepcopy(messages)
    for message in messages:
        for call in message.get("tool_calls") or []:
            arguments = call["function"]["arguments"]
            call["function"]["arguments"] = json.dumps(
                arguments, separators=(",", ":"), ensure_ascii=False)
    return messages


def render(tokenizer, source, conversation, text_arguments):
    """`text`; or the `error` that the template raised; or `fails`: anything else that went wrong."""
    messages = conversation["messages"]
    if text_arguments:
        messages = with_text_arguments(messages)
    try:
        text = tokenizer.apply_chat_template(
            messages,
            tools=conversation.get("tools"),
            documents=conversation.get("documents"),
            chat_template=source,
            tokenize=False,
            add_generation_prompt=conversation.get("add_generation_prompt", True),
            continue_final_message=conversation.get("continue_final_message", False),
            **conversation.get("arguments", {}),
        )
    except jinja2.exceptions.TemplateError as error:
        raised = type(error) is jinja2.exceptions.TemplateError
        return {"error": str(error)} if raised else {"fails": True}
    except (TypeError, ValueError, KeyError, AttributeError):
        return {"fails": True}
    return {"text": text}


def main():
    logging.disable(logging.WARNING)
    chat_template_utils.datetime = FixedTime
    styles = json.loads((FOLDER / "styles.json").read_text())
    conversations = json.loads((FOLDER / "conversations.json").read_text())
    expected = {}
    for name, style in sorted(styles.items()):
        tokens = {key: value for key, value in style.items() if key.endswith("_token")}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file="tests/data/tokenizer/tokenizer.json", **tokens)
        source = (FOLDER / f"{name}.jinja").read_text()
        expected[name] = {
            conversation["name"]: render(
                tokenizer, source, conversation, style.get("arguments") == "text")
            for conversation in conversations
        }
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    (FOLDER / "expected.json").write_text(text + "\n")


main()
