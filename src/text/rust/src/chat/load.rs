//! Finds the chat templates and special tokens of a model in its files.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::Value as Item;
use serde_json::Value;

use super::render::{self, Prompt};
use super::template::{environment, Chat, Template};
use crate::border::Outcome;
use crate::load::token_text;

/// Templates are kilobytes; more is a mistake.
const MAX_FILE: u64 = 1 << 20;
/// `tokenizer_config.json` may list thousands of added tokens.
const MAX_CONFIG: u64 = 64 << 20;

fn read(path: &str, limit: u64) -> Outcome<String> {
    let told = |e: std::io::Error| format!("{path}: {e}");
    let size = std::fs::metadata(path).map_err(told)?.len();
    if size > limit {
        return Err(format!("{path}: {size} bytes, at most {limit} are read"));
    }
    std::fs::read_to_string(path).map_err(told)
}

fn read_json(path: &str) -> Outcome<Value> {
    if path.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&read(path, MAX_CONFIG)?).map_err(|e| format!("{path}: {e}"))
}

/// `chat_template` of a file: one text, or named ones.
fn templates_of(value: &Value, path: &str) -> Outcome<BTreeMap<String, String>> {
    let wrong = || format!("{path}: `chat_template` is neither a text nor named texts");
    let mut found = BTreeMap::new();
    match value {
        Value::Null => {}
        Value::String(text) => {
            found.insert("default".to_string(), text.clone());
        }
        Value::Array(list) => {
            for entry in list {
                let (name, text) = (entry["name"].as_str(), entry["template"].as_str());
                let (Some(name), Some(text)) = (name, text) else {
                    return Err(wrong());
                };
                found.insert(name.to_string(), text.to_string());
            }
        }
        Value::Object(named) => {
            for (name, text) in named {
                found.insert(name.clone(), text.as_str().ok_or_else(wrong)?.to_string());
            }
        }
        _ => return Err(wrong()),
    }
    Ok(found)
}

/// The tokens of `config`, then those of the files in `more` that nothing before them has.
fn all_tokens(config: &Value, more: &str) -> Outcome<Vec<(String, Item)>> {
    let mut found = tokens_of(config);
    for path in more.lines().filter(|path| !path.is_empty()) {
        for (name, value) in tokens_of(&read_json(path)?) {
            if found.iter().all(|(known, _)| *known != name) {
                found.push((name, value));
            }
        }
    }
    Ok(found)
}

/// All that a configuration calls `…_token`, and what it lists as extra ones.
fn tokens_of(config: &Value) -> Vec<(String, Item)> {
    let mut found = Vec::new();
    let extra = config["extra_special_tokens"].as_object();
    let named = config.as_object().into_iter().chain(extra).flatten();
    for (name, value) in named {
        if name.ends_with("_token") {
            if let Some(text) = token_text(value) {
                found.push((name.clone(), Item::from(text)));
            }
        }
    }
    if let Some(list) = config["additional_special_tokens"].as_array() {
        let texts: Vec<_> = list.iter().filter_map(token_text).collect();
        found.push(("additional_special_tokens".to_string(), Item::from(texts)));
    }
    found
}

/// `{% generation %}` marks what an assistant wrote, for training. Here it is only a scope.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let inner = tag.trim_start_matches(['-', '+']);
        let sign = &tag[..tag.len() - inner.len()];
        let word = inner.trim_start();
        for (name, instead) in [("generation", "with"), ("endgeneration", "endwith")] {
            let Some(after) = word.strip_prefix(name) else {
                continue;
            };
            let end = after.trim_start();
            if end.starts_with("%}") || end.starts_with("-%}") || end.starts_with("+%}") {
                out.push_str(&format!("{sign} {instead} "));
                rest = end;
                break;
            }
        }
    }
    out.push_str(rest);
    out
}

/// minijinja panics at `[::-1]` of an empty list: inside of tags it becomes a method of ours.
fn with_reversal(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let close = if rest[at..].starts_with("{{") { "}}" } else { "%}" };
        let end = rest[at..].find(close).map_or(rest.len(), |length| at + length);
        out.push_str(&rest[..at]);
        out.push_str(&rest[at..end].replace("[::-1]", ".__reversed__()"));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Each path may be empty. What comes later wins: `tokenizer_config.json`, `chat_template.json`,
/// `chat_template.jinja` with the files of `additional_chat_templates` (`jinja` lists them all, one
/// in a line; the file's name is the template's, and `chat_template` the default). `tokens` lists
/// files whose special tokens fill gaps.
pub fn load(config_path: &str, jinja: &str, json_path: &str, tokens: &str) -> Outcome<Chat> {
    let config = read_json(config_path)?;
    let mut sources = BTreeMap::new();
    for (name, text) in templates_of(&config["chat_template"], config_path)? {
        sources.insert(name, (config_path, text));
    }
    let json = read_json(json_path)?;
    for (name, text) in templates_of(&json["chat_template"], json_path)? {
        sources.insert(name, (json_path, text));
    }
    for path in jinja.lines().filter(|path| !path.is_empty()) {
        let stem = Path::new(path).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let name = if stem == "chat_template" { "default" } else { stem };
        sources.insert(name.to_string(), (path, read(path, MAX_FILE)?));
    }

    let tokens = all_tokens(&config, tokens)?;
    let mut chat = Chat { env: environment(), templates: BTreeMap::new(), tokens };
    for (name, (path, source)) in sources {
        if source.len() as u64 > MAX_FILE {
            return Err(format!("{path}: chat template `{name}` is over {MAX_FILE} bytes"));
        }
        chat.env.add_template_owned(name.clone(), with_reversal(&without_generation(&source))).map_err(|e| {
            format!("{path}: chat template `{name}`: {}", render::words_of(&e))
        })?;
        let variables = {
            let compiled = chat.env.get_template(&name).map_err(|e| e.to_string())?;
            compiled.undeclared_variables(false)
        };
        let template = Template { name: name.clone(), variables, string_arguments: false };
        chat.templates.insert(name.clone(), template);
        if source.contains("tool_calls") && wants_text_arguments(&chat, &name) {
            chat.templates.entry(name).and_modify(|t| t.string_arguments = true);
        }
    }
    Ok(chat)
}

/// Tries a template on a tool call whose arguments are an object, and then a text: most templates
/// take the object, as transformers documents it, some only the text of the OpenAI API.
fn wants_text_arguments(chat: &Chat, name: &str) -> bool {
    let shows = |arguments: &str| {
        let messages = format!(
            r#"[{{"role":"user","content":"x"}},
                {{"role":"assistant","content":"","tool_calls":[{{"id":"abcdef123",
                  "type":"function","function":{{"name":"f","arguments":{arguments}}}}}]}},
                {{"role":"tool","content":"y","name":"f","tool_call_id":"abcdef123"}}]"#
        );
        let prompt = Prompt {
            messages: &messages,
            tools: r#"[{"type":"function","function":{"name":"f","description":"",
                        "parameters":{"type":"object","properties":{}}}}]"#,
            template_name: name,
            ..Prompt::default()
        };
        render::with_arguments_as_sent(chat, &prompt)
            .is_ok_and(|text| text.contains(r#""probe_key""#))
    };
    !shows(r#"{"probe_key":"v"}"#) && shows(r#""{\"probe_key\":\"v\"}""#)
}
