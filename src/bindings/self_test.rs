//! Whether the frames that we read are the frames that Python shows.
//!
//! The layouts are compiled in for one minor version; a distribution may have patched it. So once
//! in a process, outside of any hook, the stack as we read it is held against the stack as
//! `sys._getframe` tells it: in nested calls, a generator and a coroutine. Where they differ, recordings
//! go on without stacks and say so.

use crate::interpreter::frames::Stack;
use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

/// The stack of the caller as the hooks see it, innermost first: (function, file, line).
#[pyfunction]
pub(super) fn stack() -> Vec<(String, String, u32)> {
    let named = |stack: &Stack<'_>, index| {
        let place = stack.place(index);
        (place.function, place.file, place.line)
    };
    Stack::walk_all(|stack| {
        stack.map_or_else(Vec::new, |s| (0..s.len()).map(|index| named(s, index)).collect())
    })
}

const PROGRAM: &std::ffi::CStr = c_str!(
    r#"
import sys

def shown():
    frame, found = sys._getframe(1), []
    while frame is not None:
        found.append((frame.f_code.co_qualname, frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return found

def differs(stack):
    def look():
        return stack(), shown()

    def generate():
        yield look()

    async def wait():
        return next(generate())

    def run(coroutine):
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value

    class Place:
        def __init__(self):
            self.looks = [look(), next(generate()), run(wait())]

    return any(
        ours[1:] != theirs[1:] or ours[0][:2] != theirs[0][:2] for ours, theirs in Place().looks
    )
"#
);

/// Why stacks cannot be read, if they cannot.
pub(super) fn mismatch(py: Python<'_>) -> Option<String> {
    static RESULT: PyOnceLock<Option<String>> = PyOnceLock::new();
    let test = || -> PyResult<bool> {
        let file = c_str!("<memprofile self-test>");
        let module = PyModule::from_code(py, PROGRAM, file, c_str!("memprofile_self_test"))?;
        module.getattr("differs")?.call1((wrap_pyfunction!(stack, py)?,))?.extract()
    };
    let sentence = |why: &str| {
        format!(
            "Lines and stacks are missing: {why} Python {}; the totals are complete. Please report this build of Python.",
            Python::version_str()
        )
    };
    RESULT
        .get_or_init(py, || match test() {
            Ok(false) => None,
            Ok(true) => Some(sentence("the frames do not read as expected in")),
            Err(error) => Some(sentence(&format!("the self-test failed ({error}) in"))),
        })
        .clone()
}
