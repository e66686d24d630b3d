//! Values as Python writes them: `str()`, `repr()` and `json.dumps`, each into a bounded text.

use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Deeper values are refused: writing them is recursive.
const MAX_DEPTH: usize = 200;

/// A text that refuses to grow beyond a limit, in bytes.
pub struct Bounded {
    text: String,
    limit: usize,
}

impl Bounded {
    pub fn new(limit: usize) -> Self {
        Bounded { text: String::new(), limit }
    }

    pub fn push(&mut self, part: &str) -> Result<(), Error> {
        if part.len() > self.limit - self.text.len() {
            return Err(too_long());
        }
        self.text.push_str(part);
        Ok(())
    }

    fn push_char(&mut self, c: char) -> Result<(), Error> {
        self.push(c.encode_utf8(&mut [0; 4]))
    }

    pub fn into_value(self) -> Value {
        Value::from(self.text)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

pub fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "the chat template writes too much text")
}

fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply")
}

/// `repr()` of a float: the shortest digits that read back, with Python's exponents.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let text = format!("{value:?}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    format!("{digits}e{sign}{exponent:0>2}")
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// `str()`.
pub fn write_str(out: &mut Bounded, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.push(text),
        None if value.is_undefined() => Ok(()),
        None => write_repr(out, value, 0),
    }
}

/// `str()` as a text of its own.
pub fn str_of(value: &Value, limit: usize) -> Result<Value, Error> {
    if value.as_str().is_some() {
        return Ok(value.clone());
    }
    let mut out = Bounded::new(limit);
    write_str(&mut out, value)?;
    Ok(out.into_value())
}

fn write_repr(out: &mut Bounded, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    match value.kind() {
        ValueKind::Undefined => out.push("Undefined"),
        ValueKind::None => out.push("None"),
        ValueKind::Bool => out.push(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => out.push(&number(value)),
        ValueKind::String => quote(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push("[")?;
            for (i, item) in value.try_iter()?.enumerate() {
                if i > 0 {
                    out.push(", ")?;
                }
                write_repr(out, &item, depth + 1)?;
            }
            out.push("]")
        }
        ValueKind::Map => {
            out.push("{")?;
            for (i, key) in value.try_iter()?.enumerate() {
                if i > 0 {
                    out.push(", ")?;
                }
                write_repr(out, &key, depth + 1)?;
                out.push(": ")?;
                write_repr(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push("}")
        }
        _ => out.push(&value.to_string()),
    }
}

/// What `str.isprintable` denies: controls, format characters, separators but the space, private
/// use.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c as u32,
            0xA0 | 0xAD | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x1680 | 0x180E
            | 0x2000..=0x200F | 0x2028..=0x202F | 0x205F..=0x206F | 0x3000 | 0xE000..=0xF8FF
            | 0xFEFF | 0xFFF0..=0xFFFB | 0xFFFE..=0xFFFF | 0xE0000..=0x10FFFF)
}

fn quote(out: &mut Bounded, text: &str) -> Result<(), Error> {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push_char(mark)?;
    for c in text.chars() {
        match c {
            '\\' => out.push("\\\\")?,
            '\n' => out.push("\\n")?,
            '\r' => out.push("\\r")?,
            '\t' => out.push("\\t")?,
            c if c == mark => {
                out.push("\\")?;
                out.push_char(c)?;
            }
            c if is_printable(c) => out.push_char(c)?,
            c => out.push(&match c as u32 {
                code @ 0..=0xFF => format!("\\x{code:02x}"),
                code @ 0x100..=0xFFFF => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            })?,
        }
    }
    out.push_char(mark)
}

/// Arguments of `json.dumps` as transformers' `tojson` filter takes them.
struct JsonStyle {
    ensure_ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

impl JsonStyle {
    fn new(mut arguments: Vec<Value>) -> Result<Self, Error> {
        let named = match arguments.last().map(|last| Kwargs::try_from(last.clone())) {
            Some(Ok(named)) => {
                arguments.pop();
                named
            }
            _ => Kwargs::from_iter(Vec::<(String, Value)>::new()),
        };
        let mut places = arguments.into_iter();
        let mut next = |name: &str| -> Result<Option<Value>, Error> {
            match places.next() {
                Some(value) => Ok(Some(value)),
                None => named.get::<Option<Value>>(name),
            }
        };
        let ensure_ascii = next("ensure_ascii")?.is_some_and(|v| v.is_true());
        let indent = match next("indent")?.filter(|v| !v.is_none() && !v.is_undefined()) {
            None => None,
            Some(v) if v.as_str().is_some() => v.as_str().map(str::to_string),
            Some(v) => Some(" ".repeat(i64::try_from(v)?.clamp(0, 64) as usize)),
        };
        let separators = next("separators")?.filter(|v| !v.is_none() && !v.is_undefined());
        let (item_separator, key_separator) = match separators {
            Some(pair) => (
                pair.get_item_by_index(0)?.to_string(),
                pair.get_item_by_index(1)?.to_string(),
            ),
            None if indent.is_some() => (",".to_string(), ": ".to_string()),
            None => (", ".to_string(), ": ".to_string()),
        };
        let sort_keys = next("sort_keys")?.is_some_and(|v| v.is_true());
        named.assert_all_used()?;
        if places.next().is_some() {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        Ok(JsonStyle { ensure_ascii, indent, item_separator, key_separator, sort_keys })
    }
}

/// The `tojson` filter.
pub fn tojson(value: &Value, arguments: Rest<Value>, limit: usize) -> Result<Value, Error> {
    let style = JsonStyle::new(arguments.0)?;
    let mut out = Bounded::new(limit);
    write_json(&mut out, value, &style, 0)?;
    Ok(out.into_value())
}

fn new_line(out: &mut Bounded, style: &JsonStyle, depth: usize) -> Result<(), Error> {
    let Some(indent) = &style.indent else {
        return Ok(());
    };
    out.push("\n")?;
    for _ in 0..depth {
        out.push(indent)?;
    }
    Ok(())
}

fn write_json(out: &mut Bounded, value: &Value, style: &JsonStyle, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    match value.kind() {
        ValueKind::None => out.push("null"),
        ValueKind::Bool => out.push(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push(&json_number(value)),
        ValueKind::String => json_quote(out, value.as_str().unwrap_or_default(), style.ensure_ascii),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut empty = true;
            out.push("[")?;
            for item in value.try_iter()? {
                if !empty {
                    out.push(&style.item_separator)?;
                }
                empty = false;
                new_line(out, style, depth + 1)?;
                write_json(out, &item, style, depth + 1)?;
            }
            if !empty {
                new_line(out, style, depth)?;
            }
            out.push("]")
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if style.sort_keys {
                keys.sort();
            }
            out.push("{")?;
            for (i, key) in keys.iter().enumerate() {
                if i > 0 {
                    out.push(&style.item_separator)?;
                }
                new_line(out, style, depth + 1)?;
                json_key(out, key, style.ensure_ascii)?;
                out.push(&style.key_separator)?;
                write_json(out, &value.get_item(key)?, style, depth + 1)?;
            }
            if !keys.is_empty() {
                new_line(out, style, depth)?;
            }
            out.push("}")
        }
        kind => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a value of type {kind} is not JSON serializable"),
        )),
    }
}

fn json_number(value: &Value) -> String {
    match number(value).as_str() {
        "nan" => "NaN".to_string(),
        "inf" => "Infinity".to_string(),
        "-inf" => "-Infinity".to_string(),
        text => text.to_string(),
    }
}

fn json_key(out: &mut Bounded, key: &Value, ascii: bool) -> Result<(), Error> {
    let text = match key.kind() {
        ValueKind::None => "null".to_string(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_string(),
        ValueKind::Number => json_number(key),
        ValueKind::String => key.to_string(),
        kind => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("a key of type {kind} is not JSON serializable"),
            ))
        }
    };
    json_quote(out, &text, ascii)
}

fn json_quote(out: &mut Bounded, text: &str, ascii: bool) -> Result<(), Error> {
    out.push("\"")?;
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escaped = match c {
            '"' => "\\\"".to_string(),
            '\\' => "\\\\".to_string(),
            '\n' => "\\n".to_string(),
            '\r' => "\\r".to_string(),
            '\t' => "\\t".to_string(),
            '\u{8}' => "\\b".to_string(),
            '\u{c}' => "\\f".to_string(),
            '\0'..='\u{1f}' => format!("\\u{:04x}", c as u32),
            c if ascii && !(' '..='~').contains(&c) => {
                let mut escaped = String::new();
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
                escaped
            }
            _ => continue,
        };
        out.push(&text[plain..at])?;
        out.push(&escaped)?;
        plain = at + c.len_utf8();
    }
    out.push(&text[plain..])?;
    out.push("\"")
}
