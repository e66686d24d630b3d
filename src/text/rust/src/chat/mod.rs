//! Chat templates behind the C ABI.

mod load;
mod methods;
mod python;
mod render;
mod template;

use std::ffi::c_void;

use crate::border::{caught, guarded, text_of, OnError, Outcome};
use render::{Failure, Prompt};
use template::Chat;

type OnText = extern "C" fn(*mut c_void, *const u8, usize);

/// A text of C; `data` is null where there is none.
#[repr(C)]
pub struct Text {
    data: *const u8,
    length: usize,
}

impl Text {
    unsafe fn get<'a>(&self) -> Outcome<&'a str> {
        text_of(self.data, self.length)
    }
}

/// `truffula_chat_prompt` of the header.
#[repr(C)]
pub struct CPrompt {
    messages: Text,
    tools: Text,
    documents: Text,
    arguments: Text,
    guideline: Text,
    template_name: Text,
    now: i64,
    add_generation_prompt: bool,
    continue_final_message: bool,
}

/// Reads a model's chat templates; a path may be empty. `*out` is the caller's until
/// `truffula_chat_free`.
///
/// # Safety
/// Pointers must be valid for their lengths, `out` for a write.
#[no_mangle]
pub unsafe extern "C" fn truffula_chat_load(
    config: Text,
    jinja: Text,
    json: Text,
    tokens: Text,
    out: *mut *mut Chat,
    context: *mut c_void,
    on_error: OnError,
) -> i32 {
    guarded(context, on_error, || {
        let chat = load::load(config.get()?, jinja.get()?, json.get()?, tokens.get()?)?;
        *out = Box::into_raw(Box::new(chat));
        Ok(())
    })
}

/// # Safety
/// `handle` comes from `truffula_chat_load` and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn truffula_chat_free(handle: *mut Chat) {
    if !handle.is_null() {
        let _ = caught(|| {
            drop(Box::from_raw(handle));
            Ok(())
        });
    }
}

/// Does the template that `name` means with tools at hand read `variable`?
///
/// # Safety
/// `handle` comes from `truffula_chat_load`.
#[no_mangle]
pub unsafe extern "C" fn truffula_chat_uses(handle: *const Chat, name: Text, variable: Text) -> bool {
    caught(|| {
        let template = (*handle).choose(name.get()?, true)?;
        Ok(template.variables.contains(variable.get()?))
    })
    .unwrap_or(false)
}

/// # Safety
/// `handle` comes from `truffula_chat_load`.
#[no_mangle]
pub unsafe extern "C" fn truffula_chat_is_empty(handle: *const Chat) -> bool {
    (*handle).templates.is_empty()
}

/// Gives the prompt in one call of `on_text`. Returns 2 instead of 1 when the template wants a
/// guideline and there is none.
///
/// # Safety
/// `handle` comes from `truffula_chat_load`; all texts are valid for their lengths.
#[no_mangle]
pub unsafe extern "C" fn truffula_chat_render(
    handle: *const Chat,
    prompt: *const CPrompt,
    context: *mut c_void,
    on_text: OnText,
    on_error: OnError,
) -> i32 {
    let mut missing_guideline = false;
    let status = guarded(context, on_error, || {
        let c = &*prompt;
        let guideline =
            if c.guideline.data.is_null() { None } else { Some(c.guideline.get()?) };
        let prompt = Prompt {
            messages: c.messages.get()?,
            tools: c.tools.get()?,
            documents: c.documents.get()?,
            arguments: c.arguments.get()?,
            guideline,
            template_name: c.template_name.get()?,
            now: c.now,
            add_generation_prompt: c.add_generation_prompt,
            continue_final_message: c.continue_final_message,
        };
        match render::render(&*handle, &prompt) {
            Ok(text) => {
                on_text(context, text.as_ptr(), text.len());
                Ok(())
            }
            Err(Failure::MissingGuideline) => {
                missing_guideline = true;
                Err("guideline".to_string())
            }
            Err(Failure::Template(words)) => Err(words),
        }
    });
    if missing_guideline {
        2
    } else {
        status
    }
}
