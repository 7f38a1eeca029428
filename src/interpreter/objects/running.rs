//! Variables of functions that run: what they refer to has no other object that refers to it.

use super::gather::Name;
use super::labels::text;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};

type Object = *mut ffi::PyObject;
type Note = extern "C" fn(Object, Object, Object, Object, c_int, c_int, *mut c_void);

unsafe extern "C" {
    fn memprofile_each_running_variable(note: Note, arg: *mut c_void);
}

/// A function that runs, as a name for all of its variables together.
#[derive(Debug)]
pub struct Running<'py> {
    /// `running f()`, and what its variables refer to.
    pub name: Name<'py>,
    variables: Vec<String>,
}

impl Running<'_> {
    /// The variables that refer to an object of a graph that was gathered with this name.
    pub fn variables_of(&self, address: usize) -> Vec<&str> {
        let all = self.name.objects.iter().zip(&self.variables);
        all.filter(|(object, _)| object.as_ptr().addr() == address)
            .map(|(_, name)| name.as_str())
            .collect()
    }
}

struct Noting<'a, 'py> {
    py: Python<'py>,
    machinery: &'a str,
    machinery_runs: bool,
    found: Vec<Running<'py>>,
}

/// The functions that run in any thread and have variables, without those of files below `machinery`.
pub fn running<'py>(py: Python<'py>, machinery: &str) -> Vec<Running<'py>> {
    let mut noting = Noting { py, machinery, machinery_runs: false, found: Vec::new() };
    // SAFETY: `py` says that the GIL is held; `noting` is used by `note` alone until it has returned.
    unsafe { memprofile_each_running_variable(note, (&raw mut noting).cast()) };
    noting.found
}

extern "C" fn note(
    function: Object,
    file: Object,
    name: Object,
    value: Object,
    begins: c_int,
    own: c_int,
    arg: *mut c_void,
) {
    // SAFETY: `running` gives its own, for this call only; all of a running frame is alive, the GIL is held,
    // and a new reference changes nothing but its count.
    unsafe {
        let noting = &mut *arg.cast::<Noting<'_, '_>>();
        if begins != 0 {
            let file = text(file).unwrap_or_default();
            noting.machinery_runs = file.starts_with(noting.machinery);
            if !noting.machinery_runs {
                let function = text(function).unwrap_or_default();
                let thread = if own == 0 { " in another thread" } else { "" };
                let label = format!("running {function}(){thread}");
                let name = Name { label, objects: Vec::new(), borrowed: 1, passing: false };
                noting.found.push(Running { name, variables: Vec::new() });
            }
        }
        if let Some(running) = noting.found.last_mut().filter(|_| !noting.machinery_runs) {
            running.name.objects.push(Bound::from_borrowed_ptr(noting.py, value));
            running.variables.push(text(name).unwrap_or_default());
        }
    }
}
