//! Reads `tokenizer.json`, and mends what transformers mends when it loads one.

use serde_json::Value;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::Tokenizer;

use crate::border::Outcome;

pub fn load(file: &str, config: &str) -> Outcome<Tokenizer> {
    let mut tokenizer = Tokenizer::from_file(file).map_err(|e| format!("{file}: {e}"))?;
    tokenizer.with_truncation(None).map_err(|e| format!("{file}: {e}"))?;
    tokenizer.with_padding(None);
    if !config.is_empty() {
        let text = std::fs::read_to_string(config).map_err(|e| format!("{config}: {e}"))?;
        let value = serde_json::from_str(&text).map_err(|e| format!("{config}: {e}"))?;
        if is_llama(&value) {
            rebuild_post_processor(&mut tokenizer, &value).map_err(|e| format!("{config}: {e}"))?;
        }
    }
    Ok(tokenizer)
}

fn is_llama(config: &Value) -> bool {
    let class = config["tokenizer_class"].as_str().unwrap_or("");
    class == "LlamaTokenizer" || class == "LlamaTokenizerFast"
}

/// A token is written as a text or as an object with its `content`.
pub fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(str::to_string)
}

/// For these classes `add_bos_token` and `add_eos_token` decide, not the file.
fn rebuild_post_processor(tokenizer: &mut Tokenizer, config: &Value) -> Outcome<()> {
    let wants = |name: &str, default: bool| config[name].as_bool().unwrap_or(default);
    let mut template = Vec::new();
    let mut special = Vec::new();
    let mut add = |wanted: bool, name: &str, template: &mut Vec<String>| -> Outcome<()> {
        if !wanted {
            return Ok(());
        }
        let Some(token) = token_text(&config[name]) else {
            return Err(format!("{name} is to be added, but there is none"));
        };
        let Some(id) = tokenizer.token_to_id(&token) else {
            return Err(format!("{name} `{token}` is not in the vocabulary"));
        };
        template.push(format!("{token}:0"));
        special.push((token, id));
        Ok(())
    };
    add(wants("add_bos_token", true), "bos_token", &mut template)?;
    template.push("$A:0".to_string());
    add(wants("add_eos_token", false), "eos_token", &mut template)?;
    let processor = TemplateProcessing::builder()
        .try_single(template)
        .map_err(|e| e.to_string())?
        .special_tokens(special)
        .build()
        .map_err(|e| e.to_string())?;
    tokenizer.with_post_processor(Some(processor));
    Ok(())
}
