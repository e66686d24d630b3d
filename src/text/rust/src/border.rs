//! What every function of the C ABI needs: texts from C, and errors and panics back to it.

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice;
use std::sync::Once;

pub type OnError = extern "C" fn(*mut c_void, *const u8, usize);

pub type Outcome<T> = Result<T, String>;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Bytes of C. A null pointer is an empty text.
///
/// # Safety
/// `data` is null or valid for `length`, as long as the text is used.
pub unsafe fn text_of<'a>(data: *const u8, length: usize) -> Outcome<&'a str> {
    if data.is_null() || length == 0 {
        return Ok("");
    }
    let bytes = slice::from_raw_parts(data, length);
    std::str::from_utf8(bytes).map_err(|e| format!("text is not UTF-8: {e}"))
}

fn words_of(panic: Box<dyn std::any::Any + Send>) -> String {
    if let Some(words) = panic.downcast_ref::<&str>() {
        return format!("internal failure: {words}");
    }
    match panic.downcast_ref::<String>() {
        Some(words) => format!("internal failure: {words}"),
        None => "internal failure".to_string(),
    }
}

/// A panic that is caught here becomes an error for one caller: nothing belongs on stderr.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.with(Cell::get) {
                loud(info);
            }
        }));
    });
}

/// What `work` gives; a panic is an error like others.
pub fn caught<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    quiet_panics();
    let before = GUARDED.with(|g| g.replace(true));
    let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|p| Err(words_of(p)));
    GUARDED.with(|g| g.set(before));
    outcome
}

/// Runs `work`; what went wrong, a panic included, is told to `on_error`.
pub fn guarded(context: *mut c_void, on_error: OnError, work: impl FnOnce() -> Outcome<()>) -> i32 {
    match caught(work) {
        Ok(()) => 0,
        Err(words) => {
            on_error(context, words.as_ptr(), words.len());
            1
        }
    }
}
