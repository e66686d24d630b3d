//! The environment that transformers gives a chat template, and the templates of one model.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::python::{str_of, tojson, too_long, write_str, Bounded};
use super::methods;
use crate::border::Outcome;

/// Instructions that one rendering may execute.
pub const FUEL: u64 = 10_000_000;
/// Bytes that one rendering may write, captured blocks included.
pub const OUTPUT_LIMIT: usize = 16 << 20;

thread_local! {
    static WRITTEN: Cell<usize> = const { Cell::new(0) };
    static NOW: Cell<i64> = const { Cell::new(0) };
}

/// Before each rendering on this thread: nothing is written yet, and the time is `now` (seconds).
pub fn begin(now: i64) {
    WRITTEN.with(|w| w.set(0));
    NOW.with(|n| n.set(now));
}

/// What a template said with `raise_exception`.
#[derive(Debug)]
pub struct Raised(pub String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

pub struct Template {
    pub name: String,
    pub variables: HashSet<String>,
    /// Writes the arguments of tool calls as text, and so cannot take them as an object.
    pub string_arguments: bool,
}

pub struct Chat {
    pub env: Environment<'static>,
    pub templates: BTreeMap<String, Template>,
    /// `bos_token` and its like.
    pub tokens: Vec<(String, Value)>,
}

impl Chat {
    /// The template that `name` means; none given: as transformers chooses.
    pub fn choose(&self, name: &str, has_tools: bool) -> Outcome<&Template> {
        if self.templates.is_empty() {
            return Err("template not found".to_string());
        }
        let found = match name {
            "" if has_tools => {
                self.templates.get("tool_use").or_else(|| self.templates.get("default"))
            }
            "" => self.templates.get("default"),
            name => self.templates.get(name),
        };
        found.ok_or_else(|| {
            let known: Vec<_> = self.templates.keys().map(String::as_str).collect();
            let wanted = if name.is_empty() { "default" } else { name };
            format!("no chat template is named `{wanted}`; there are: {}", known.join(", "))
        })
    }
}

pub fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_recursion_limit(100);
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(|state, value, method, arguments| {
        methods::call(state, value, method, arguments, OUTPUT_LIMIT)
    });
    env.set_formatter(|out, _state, value| emit(out, value));
    env.add_function("raise_exception", raise_exception);
    env.add_function("strftime_now", strftime_now);
    env.add_filter("tojson", |value: &Value, arguments: Rest<Value>| {
        tojson(value, arguments, OUTPUT_LIMIT)
    });
    env.add_filter("string", |value: &Value| str_of(value, OUTPUT_LIMIT));
    env.add_filter("trim", trim);
    env.add_filter("join", join);
    env.add_filter("title", title);
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_test("iterable", |value: &Value| {
        value.is_undefined() || value.as_str().is_some() || value.try_iter().is_ok()
    });
    env.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map
        )
    });
    env
}

/// What `{{ … }}` writes: `str()` of the value. Counted here, since blocks may capture it.
fn emit(out: &mut minijinja::Output, value: &Value) -> Result<(), Error> {
    let left = OUTPUT_LIMIT - WRITTEN.with(Cell::get);
    let owned;
    let text = match value.as_str() {
        Some(text) => text,
        None => {
            let mut bounded = Bounded::new(left);
            write_str(&mut bounded, value)?;
            owned = bounded;
            owned.as_str()
        }
    };
    if text.len() > left {
        return Err(too_long());
    }
    WRITTEN.with(|w| w.set(w.get() + text.len()));
    out.write_str(text).map_err(|_| too_long())
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let words = Raised(str_of(message, OUTPUT_LIMIT)?.to_string());
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(words))
}

/// `datetime.now().strftime(format)`: local time, by the C library as in Python.
fn strftime_now(format: &str) -> Result<Value, Error> {
    let bad = || Error::new(ErrorKind::InvalidOperation, format!("bad time format `{format}`"));
    // A mark in front: an empty answer is no error then.
    let format = std::ffi::CString::new(format!("|{format}")).map_err(|_| bad())?;
    let now: libc::time_t = NOW.with(Cell::get);
    let mut buffer = vec![0u8; 4096];
    // SAFETY: all pointers are to live values, and the length is that of the buffer.
    let length = unsafe {
        let mut broken_down: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&now, &mut broken_down).is_null() {
            return Err(bad());
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &broken_down)
    };
    if length == 0 {
        return Err(bad());
    }
    Ok(Value::from(String::from_utf8_lossy(&buffer[1..length]).into_owned()))
}

fn trim(value: &Value, chars: Option<&str>) -> Result<Value, Error> {
    let text = str_of(value, OUTPUT_LIMIT)?;
    let text = text.as_str().unwrap_or_default();
    Ok(Value::from(match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)),
        None => text.trim(),
    }))
}

/// Jinja's words begin after white space, hyphens and opening brackets only.
fn title(value: &Value) -> Result<Value, Error> {
    let text = str_of(value, OUTPUT_LIMIT)?;
    let mut out = String::new();
    let mut at_start = true;
    for c in text.as_str().unwrap_or_default().chars() {
        match at_start {
            true => out.extend(c.to_uppercase()),
            false => out.extend(c.to_lowercase()),
        }
        at_start = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    Ok(Value::from(out))
}

fn join(value: &Value, mark: Option<Value>, attribute: Option<Value>) -> Result<Value, Error> {
    let mut mark = mark;
    let mut attribute = attribute;
    // `join(d=…, attribute=…)`: named arguments come as one value, where a place is free.
    for place in [mark.clone(), attribute.clone()].into_iter().flatten() {
        if let (ValueKind::Map, Ok(named)) = (place.kind(), Kwargs::try_from(place.clone())) {
            if mark.as_ref() == Some(&place) {
                mark = None;
            }
            mark = named.get::<Option<Value>>("d")?.or(mark);
            attribute = named.get("attribute")?;
            named.assert_all_used()?;
        }
    }
    let mark = mark.map_or_else(|| Ok(Value::from("")), |m| str_of(&m, OUTPUT_LIMIT))?;
    let mark = mark.as_str().unwrap_or_default();
    if value.is_undefined() {
        return Ok(Value::from(""));
    }
    methods::join_all(value, mark, attribute.as_ref(), OUTPUT_LIMIT)
}

fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    if let Some(known) = value.len() {
        return Ok(known);
    }
    if value.kind() == ValueKind::Iterable {
        return Ok(value.try_iter()?.count());
    }
    let kind = value.kind();
    Err(Error::new(ErrorKind::InvalidOperation, format!("a value of type {kind} has no length")))
}
