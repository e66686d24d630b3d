//! Methods of Python's types that minijinja-contrib lacks, or counts in bytes where Python counts
//! characters.

use minijinja::value::{from_args, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::python::{write_str, Bounded};

pub fn call(
    state: &State,
    value: &Value,
    method: &str,
    arguments: &[Value],
    limit: usize,
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        if let Some(outcome) = of_text(text, method, arguments, limit) {
            return outcome;
        }
    }
    match (value.kind(), method) {
        (ValueKind::Map | ValueKind::Seq, "copy") => {
            let () = from_args(arguments)?;
            Ok(value.clone())
        }
        (ValueKind::Seq, "index") => {
            let (wanted,): (&Value,) = from_args(arguments)?;
            value
                .try_iter()?
                .position(|item| &item == wanted)
                .map(Value::from)
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "value is not in list"))
        }
        (ValueKind::Seq | ValueKind::Iterable, "__reversed__") => {
            let () = from_args(arguments)?;
            let mut items: Vec<Value> = value.try_iter()?.collect();
            items.reverse();
            Ok(Value::from(items))
        }
        _ => pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

type Call = Result<Value, Error>;

/// Nothing if there is no such method here.
fn of_text(text: &str, method: &str, arguments: &[Value], limit: usize) -> Option<Call> {
    Some(match method {
        "find" => find(text, arguments, |text, part| text.find(part)),
        "rfind" => find(text, arguments, |text, part| text.rfind(part)),
        "index" => found(find(text, arguments, |text, part| text.find(part))),
        "rindex" => found(find(text, arguments, |text, part| text.rfind(part))),
        "__reversed__" => {
            from_args(arguments).map(|()| Value::from(text.chars().rev().collect::<String>()))
        }
        "rsplit" => rsplit(text, arguments),
        "partition" => from_args(arguments).map(|(mark,): (&str,)| match text.split_once(mark) {
            Some((head, tail)) => triple(head, mark, tail),
            None => triple(text, "", ""),
        }),
        "rpartition" => from_args(arguments).map(|(mark,): (&str,)| match text.rsplit_once(mark) {
            Some((head, tail)) => triple(head, mark, tail),
            None => triple("", "", text),
        }),
        "removeprefix" => from_args(arguments)
            .map(|(part,): (&str,)| Value::from(text.strip_prefix(part).unwrap_or(text))),
        "removesuffix" => from_args(arguments)
            .map(|(part,): (&str,)| Value::from(text.strip_suffix(part).unwrap_or(text))),
        "join" => join(text, arguments, limit),
        _ => return None,
    })
}

fn triple(head: &str, mark: &str, tail: &str) -> Value {
    Value::from(vec![Value::from(head), Value::from(mark), Value::from(tail)])
}

fn find(text: &str, arguments: &[Value], search: fn(&str, &str) -> Option<usize>) -> Call {
    let (wanted,): (&str,) = from_args(arguments)?;
    Ok(match search(text, wanted) {
        Some(at) => Value::from(text[..at].chars().count()),
        None => Value::from(-1),
    })
}

fn found(position: Call) -> Call {
    let position = position?;
    if position == Value::from(-1) {
        return Err(Error::new(ErrorKind::InvalidOperation, "substring not found"));
    }
    Ok(position)
}

fn rsplit(text: &str, arguments: &[Value]) -> Call {
    let (mark, most): (Option<&str>, Option<i64>) = from_args(arguments)?;
    let most = most.filter(|n| *n >= 0).map_or(usize::MAX, |n| (n as usize).saturating_add(1));
    let mut parts: Vec<Value> = match mark {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(mark) => text.rsplitn(most, mark).map(Value::from).collect(),
        None => rsplit_at_space(text, most),
    };
    parts.reverse();
    Ok(Value::from(parts))
}

/// At runs of white space, from the end; `most` parts.
fn rsplit_at_space(text: &str, most: usize) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() && parts.len() + 1 < most {
        let start = rest.char_indices().rev().find(|(_, c)| c.is_whitespace());
        let start = start.map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(Value::from(&rest[start..]));
        rest = rest[..start].trim_end();
    }
    if !rest.is_empty() {
        parts.push(Value::from(rest));
    }
    parts
}

fn join(text: &str, arguments: &[Value], limit: usize) -> Call {
    let (values,): (&Value,) = from_args(arguments)?;
    join_all(values, text, None, limit)
}

/// Joins what `str()` gives for each; `attribute` is taken of each first.
pub fn join_all(values: &Value, mark: &str, attribute: Option<&Value>, limit: usize) -> Call {
    let mut out = Bounded::new(limit);
    if let Some(text) = values.as_str() {
        for (i, c) in text.chars().enumerate() {
            out.push(if i > 0 { mark } else { "" })?;
            out.push(c.encode_utf8(&mut [0; 4]))?;
        }
        return Ok(out.into_value());
    }
    for (i, value) in values.try_iter()?.enumerate() {
        out.push(if i > 0 { mark } else { "" })?;
        match attribute {
            Some(name) => write_str(&mut out, &value.get_item(name)?)?,
            None => write_str(&mut out, &value)?,
        }
    }
    Ok(out.into_value())
}
