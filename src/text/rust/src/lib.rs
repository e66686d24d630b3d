//! Hugging Face tokenizers and chat templates behind a C ABI (src/text/rust_abi.hpp is its header).
//!
//! Answers go out through callbacks, so that no memory changes its owner. No panic crosses the
//! border: each function returns 0, or tells an error and returns 1.

mod border;
mod chat;
mod load;

use std::ffi::c_void;
use std::slice;

use border::{caught, guarded, text_of, OnError};
use tokenizers::Tokenizer;

type OnIds = extern "C" fn(*mut c_void, *const u32, usize);
type OnSpan = extern "C" fn(*mut c_void, u32, *const u8, usize, usize, usize);
type OnText = extern "C" fn(*mut c_void, *const u8, usize);

/// Loads a tokenizer; `config` may be empty. `*out` is the caller's until `truffula_text_free`.
///
/// # Safety
/// Pointers must be valid for their lengths, `out` for a write.
#[no_mangle]
pub unsafe extern "C" fn truffula_text_load(
    file: *const u8,
    file_length: usize,
    config: *const u8,
    config_length: usize,
    out: *mut *mut Tokenizer,
    context: *mut c_void,
    on_error: OnError,
) -> i32 {
    guarded(context, on_error, || {
        let tokenizer = load::load(text_of(file, file_length)?, text_of(config, config_length)?)?;
        *out = Box::into_raw(Box::new(tokenizer));
        Ok(())
    })
}

/// # Safety
/// `handle` comes from `truffula_text_load` and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn truffula_text_free(handle: *mut Tokenizer) {
    if !handle.is_null() {
        let _ = caught(|| {
            drop(Box::from_raw(handle));
            Ok(())
        });
    }
}

/// Gives all ids in one call of `on_ids`.
///
/// # Safety
/// `handle` comes from `truffula_text_load`; `text` is valid for `length`.
#[no_mangle]
pub unsafe extern "C" fn truffula_text_encode(
    handle: *const Tokenizer,
    text: *const u8,
    length: usize,
    add_special: bool,
    context: *mut c_void,
    on_ids: OnIds,
    on_error: OnError,
) -> i32 {
    guarded(context, on_error, || {
        let encoding = (*handle)
            .encode_fast(text_of(text, length)?, add_special)
            .map_err(|e| e.to_string())?;
        let ids = encoding.get_ids();
        on_ids(context, ids.as_ptr(), ids.len());
        Ok(())
    })
}

/// Gives each token in a call of `on_span`: id, vocabulary form, and where it is in characters.
///
/// # Safety
/// As `truffula_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn truffula_text_spans(
    handle: *const Tokenizer,
    text: *const u8,
    length: usize,
    add_special: bool,
    context: *mut c_void,
    on_span: OnSpan,
    on_error: OnError,
) -> i32 {
    guarded(context, on_error, || {
        let encoding = (*handle)
            .encode_char_offsets(text_of(text, length)?, add_special)
            .map_err(|e| e.to_string())?;
        for (i, id) in encoding.get_ids().iter().enumerate() {
            let form = &encoding.get_tokens()[i];
            let (start, stop) = encoding.get_offsets()[i];
            on_span(context, *id, form.as_ptr(), form.len(), start, stop);
        }
        Ok(())
    })
}

/// Gives the text of ids, special tokens included, in one call of `on_text`.
///
/// # Safety
/// `handle` comes from `truffula_text_load`; `ids` is valid for `count`.
#[no_mangle]
pub unsafe extern "C" fn truffula_text_decode(
    handle: *const Tokenizer,
    ids: *const u32,
    count: usize,
    context: *mut c_void,
    on_text: OnText,
    on_error: OnError,
) -> i32 {
    guarded(context, on_error, || {
        let ids = if count == 0 { &[][..] } else { slice::from_raw_parts(ids, count) };
        if let Some(id) = ids.iter().find(|id| (*handle).id_to_token(**id).is_none()) {
            return Err(format!("token id {id} is not in the vocabulary"));
        }
        let text = (*handle).decode(ids, false).map_err(|e| e.to_string())?;
        on_text(context, text.as_ptr(), text.len());
        Ok(())
    })
}

/// The byte where token number `skip` begins; the text's length when there are no more tokens.
///
/// # Safety
/// As `truffula_text_encode`; `out` is valid for a write.
#[no_mangle]
pub unsafe extern "C" fn truffula_text_byte_offset(
    handle: *const Tokenizer,
    text: *const u8,
    length: usize,
    add_special: bool,
    skip: usize,
    out: *mut usize,
    context: *mut c_void,
    on_error: OnError,
) -> i32 {
    guarded(context, on_error, || {
        let text = text_of(text, length)?;
        let encoding = (*handle).encode(text, add_special).map_err(|e| e.to_string())?;
        let mut at = match encoding.get_offsets().get(skip) {
            Some((start, _)) => *start,
            None => text.len(),
        };
        // A token may begin inside a character.
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        *out = at;
        Ok(())
    })
}
