//! One rendering: what transformers' `apply_chat_template` does with a conversation.

use std::io;

use minijinja::{ErrorKind, Value as Item};
use serde_json::{Map, Value};

use super::template::{begin, Chat, Raised, Template, OUTPUT_LIMIT};

/// Texts are JSON; empty: none.
#[derive(Default)]
pub struct Prompt<'a> {
    pub messages: &'a str,
    pub tools: &'a str,
    pub documents: &'a str,
    pub arguments: &'a str,
    pub guideline: Option<&'a str>,
    pub template_name: &'a str,
    /// Seconds since 1970.
    pub now: i64,
    pub add_generation_prompt: bool,
    pub continue_final_message: bool,
}

pub enum Failure {
    MissingGuideline,
    Template(String),
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Failure::Template(words)
    }
}

type Rendered = Result<String, Failure>;

/// Names that a request sets by fields of its own, or that transformers keeps for itself.
const RESERVED: [&str; 6] = [
    "messages",
    "tools",
    "documents",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
];

const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Put behind the message that is to be continued, and searched in the text.
const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

pub fn render(chat: &Chat, prompt: &Prompt) -> Rendered {
    run(chat, prompt, true)
}

/// As `render`, but the arguments of tool calls stay an object or a text, as they were sent.
pub fn with_arguments_as_sent(chat: &Chat, prompt: &Prompt) -> Rendered {
    run(chat, prompt, false)
}

fn run(chat: &Chat, prompt: &Prompt, convert_arguments: bool) -> Rendered {
    let template = chat.choose(prompt.template_name, !prompt.tools.is_empty())?;
    let Value::Array(mut messages) = parsed("messages", prompt.messages)? else {
        return Err("`messages` must be a list".to_string().into());
    };
    for (i, message) in messages.iter_mut().enumerate() {
        let Value::Object(message) = message else {
            return Err(format!("`messages[{i}]` must be an object").into());
        };
        // Clients send `null` for what is not there; templates expect no key.
        message.retain(|_, value| !value.is_null());
        alias_reasoning(message);
        if convert_arguments {
            adapt_arguments(message, template.string_arguments);
        }
    }
    let continued = match prompt.continue_final_message {
        true if prompt.add_generation_prompt => {
            let words = "`continue_final_message` and `add_generation_prompt` exclude each other";
            return Err(words.to_string().into());
        }
        true => Some(tag_last(&mut messages)?),
        false => None,
    };
    let context = context(chat, template, prompt, messages)?;
    let text = execute(chat, template, context, prompt.now)?;
    match continued {
        Some(last) => cut_at_tag(text, &last),
        None => Ok(text),
    }
}

fn parsed(name: &str, json: &str) -> Result<Value, String> {
    if json.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(json).map_err(|e| format!("`{name}`: {e}"))
}

fn list(name: &str, json: &str) -> Result<Value, String> {
    match parsed(name, json)? {
        value @ (Value::Null | Value::Array(_)) => Ok(value),
        _ => Err(format!("`{name}` must be a list")),
    }
}

fn context(
    chat: &Chat,
    template: &Template,
    prompt: &Prompt,
    messages: Vec<Value>,
) -> Result<Item, Failure> {
    let mut variables: Vec<(String, Item)> = chat.tokens.clone();
    let mut guideline = prompt.guideline.map(Item::from);
    match parsed("chat_template_kwargs", prompt.arguments)? {
        Value::Null => {}
        Value::Object(arguments) => {
            for (name, value) in arguments {
                if RESERVED.contains(&name.as_str()) {
                    return Err(format!("`chat_template_kwargs` must not set `{name}`").into());
                }
                let value = Item::from_serialize(value);
                if name == "guideline" && guideline.is_none() && !value.is_none() {
                    guideline = Some(value.clone());
                }
                variables.push((name, value));
            }
        }
        _ => return Err("`chat_template_kwargs` must be an object".to_string().into()),
    }
    if guideline.is_none() && template.variables.contains("guideline") {
        return Err(Failure::MissingGuideline);
    }
    let mut add = |name: &str, value: Item| variables.push((name.to_string(), value));
    add("messages", Item::from_serialize(messages));
    add("tools", Item::from_serialize(list("tools", prompt.tools)?));
    add("documents", Item::from_serialize(list("documents", prompt.documents)?));
    add("add_generation_prompt", Item::from(prompt.add_generation_prompt));
    if let Some(guideline) = guideline {
        add("guideline", guideline);
    }
    Ok(variables.into_iter().collect())
}

/// Newer templates read `reasoning_content`, older ones `thinking`; clients send any of three.
fn alias_reasoning(message: &mut Map<String, Value>) {
    let known = REASONING.iter().find_map(|key| message.get(*key).filter(|v| !v.is_null()));
    if let Some(reasoning) = known.cloned() {
        let rest = std::mem::take(message);
        message.insert("thinking".to_string(), reasoning.clone());
        message.extend(rest);
        message.insert("reasoning_content".to_string(), reasoning);
    }
}

/// Clients send the arguments of a tool call as a text, most templates want the object in it.
fn adapt_arguments(message: &mut Map<String, Value>, as_text: bool) {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else {
        return;
    };
    for call in calls {
        let Some(arguments) = call.pointer_mut("/function/arguments") else {
            continue;
        };
        match arguments {
            Value::String(text) if !as_text => {
                if let Ok(object @ Value::Object(_)) = serde_json::from_str(text) {
                    *arguments = object;
                }
            }
            Value::Object(_) if as_text => *arguments = Value::String(arguments.to_string()),
            _ => {}
        }
    }
}

/// Tags the text of the last message, and gives it.
fn tag_last(messages: &mut [Value]) -> Result<String, String> {
    let nothing = || "`continue_final_message`: the last message has no text".to_string();
    let content = messages.last_mut().ok_or_else(nothing)?.get_mut("content").ok_or_else(nothing)?;
    let text = match content {
        Value::Array(parts) => {
            let last = parts.iter_mut().rev().find_map(|part| part.get_mut("text"));
            last.ok_or_else(nothing)?
        }
        content => content,
    };
    let Value::String(text) = text else {
        return Err(nothing());
    };
    let before = text.clone();
    text.push_str(TAG);
    Ok(before)
}

fn cut_at_tag(mut text: String, last: &str) -> Rendered {
    let at = text.rfind(TAG.trim_end()).filter(|_| text.contains(last.trim()));
    let Some(at) = at else {
        let words = "`continue_final_message`: the chat template leaves the last message out";
        return Err(words.to_string().into());
    };
    let spaces_kept = text[at..].starts_with(TAG);
    text.truncate(at);
    if !spaces_kept {
        text.truncate(text.trim_end().len());
    }
    Ok(text)
}

/// Refuses what goes over the limit.
struct Output(Vec<u8>);

impl io::Write for Output {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if part.len() > OUTPUT_LIMIT - self.0.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn execute(chat: &Chat, template: &Template, context: Item, now: i64) -> Result<String, String> {
    let compiled = chat.env.get_template(&template.name).map_err(|e| e.to_string())?;
    let mut output = Output(Vec::with_capacity(4096));
    begin(now);
    compiled.render_captured_to(context, &mut output).map_err(|e| words_of(&e))?;
    String::from_utf8(output.0).map_err(|e| e.to_string())
}

/// A template's own words, or what is wrong with it and where.
pub fn words_of(error: &minijinja::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut inner = error;
    while let Some(known) = cause {
        if let Some(raised) = known.downcast_ref::<Raised>() {
            return raised.0.clone();
        }
        if let Some(deeper) = known.downcast_ref::<minijinja::Error>() {
            inner = deeper;
        }
        cause = known.source();
    }
    let place = match inner.line() {
        Some(line) => format!(" (line {line} of the template)"),
        None => String::new(),
    };
    match (inner.kind(), inner.detail()) {
        (ErrorKind::OutOfFuel, _) => "the chat template runs for too long".to_string(),
        (ErrorKind::WriteFailure, _) => "the chat template writes too much text".to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}{place}"),
        (kind, None) => format!("{kind}{place}"),
    }
}
