//! What the pools of Arrow and polars hold, by their own word.
//!
//! A library is found in `sys.modules` and never imported by us. A reading calls built-in functions of
//! its extension module and nothing written in Python, so that no tracer of the user's sees it. A
//! version without the needed call is remembered, and said at the end.

use crate::hooks::reentrancy::Pause;
use crate::interpreter::pending::Pending;
use crate::sampling::{Owner, Reading};
use crate::session;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use std::sync::Mutex;

/// What is known of a library.
enum Library {
    /// It is not imported, or not to the end.
    Absent,
    /// The sum of what these return is what its pools hold.
    Known(Vec<Py<PyAny>>),
    /// It is there, and does not say: why.
    Silent(String),
}

/// The libraries in the order of [`OWNERS`]. Only used with the GIL, so nobody ever waits for it.
static LIBRARIES: Mutex<[Library; 2]> = Mutex::new([Library::Absent, Library::Absent]);

const OWNERS: [Owner; 2] = [Owner::Arrow, Owner::Polars];

fn names(owner: Owner) -> (&'static str, &'static [&'static str]) {
    match owner {
        Owner::Arrow => ("pyarrow", &["pyarrow.lib"]),
        // Before 1.33 its extension module was called otherwise.
        _ => ("polars", &["polars._plr", "polars.polars"]),
    }
}

fn find(modules: &Bound<'_, PyDict>, owner: Owner) -> PyResult<Library> {
    let (package, extensions) = names(owner);
    let Some(found) = modules.get_item(package)? else { return Ok(Library::Absent) };
    // A module of the user's own by that name, or a stand-in, is none of the library's.
    let Ok(found) = found.cast_into::<PyModule>() else { return Ok(Library::Absent) };
    if is_being_imported(&found)? {
        return Ok(Library::Absent);
    }
    let mut extension = None;
    for name in extensions {
        if let Some(module) = modules.get_item(name)?
            && let Ok(module) = module.cast_into::<PyModule>()
        {
            extension = Some(module);
            break;
        }
    }
    let calls = match extension {
        None => Vec::new(),
        Some(module) if owner == Owner::Arrow => arrow(&module),
        Some(module) => module.dict().get_item("_estimate_memory_usage")?.into_iter().collect(),
    };
    if calls.is_empty() {
        return Ok(Library::Silent(format!(
            "What {package}’s own allocator holds is taken from its resident pages: this version of {package} has no call that says it. Its memory may be shown at a line that ran a little later."
        )));
    }
    Ok(Library::Known(calls.into_iter().map(Bound::unbind).collect()))
}

/// The module's own `__spec__`, which its import marks until it is complete.
fn is_being_imported(module: &Bound<'_, PyModule>) -> PyResult<bool> {
    let Some(spec) = module.dict().get_item(intern!(module.py(), "__spec__"))? else {
        return Ok(false);
    };
    match spec.getattr_opt(intern!(module.py(), "_initializing"))? {
        Some(mark) => mark.is_truthy(),
        None => Ok(false),
    }
}

/// The pools that allocate from regions of their own; what the pool of `malloc` holds is seen by hooks.
/// A pool that this build was made without raises NotImplementedError.
fn arrow<'py>(module: &Bound<'py, PyModule>) -> Vec<Bound<'py, PyAny>> {
    let pool = |name: &str| {
        let pool = module.dict().get_item(name).ok()??.call0().ok()?;
        pool.getattr(intern!(pool.py(), "bytes_allocated")).ok()
    };
    ["mimalloc_memory_pool", "jemalloc_memory_pool"].into_iter().filter_map(pool).collect()
}

fn hold(py: Python<'_>, calls: &[Py<PyAny>]) -> PyResult<u64> {
    calls.iter().map(|call| call.bind(py).call0()?.extract::<u64>()).sum()
}

fn unreadable(owner: Owner, error: &PyErr) -> Library {
    let (package, _) = names(owner);
    Library::Silent(format!(
        "What {package}’s own allocator holds could not be read ({error}), and is taken from its resident pages."
    ))
}

/// What each pool that is there holds now; nothing where that cannot be told. Looks for libraries that
/// were imported since.
fn read(py: Python<'_>) -> Vec<Reading> {
    let _pause = Pause::new();
    // It is held only with the GIL; a reading within a reading (a signal's handler) is left out.
    let Ok(mut libraries) = LIBRARIES.try_lock() else { return Vec::new() };
    let modules = PyModule::import(py, intern!(py, "sys"))
        .and_then(|sys| sys.getattr(intern!(py, "modules")))
        .map(|modules| modules.cast_into::<PyDict>());
    // A program may put anything there; then no library is found.
    let Ok(Ok(modules)) = modules else { return Vec::new() };
    let mut found = Vec::with_capacity(OWNERS.len());
    for (library, owner) in libraries.iter_mut().zip(OWNERS) {
        if matches!(library, Library::Absent) {
            *library = find(&modules, owner).unwrap_or_else(|error| unreadable(owner, &error));
        }
        if let Library::Known(calls) = library {
            match hold(py, calls) {
                Ok(bytes) => found.push(Reading { owner, bytes }),
                Err(error) => *library = unreadable(owner, &error),
            }
        }
    }
    found
}

/// A recording begins: what there is. Libraries are looked up anew, since one may have been reloaded.
pub(super) fn begin(py: Python<'_>) -> Vec<Reading> {
    if let Ok(mut libraries) = LIBRARIES.try_lock() {
        *libraries = [Library::Absent, Library::Absent];
    }
    read(py)
}

/// A recording is about to end: the last reading. Returns why pools were not read, if some were not.
pub(super) fn end(py: Python<'_>) -> Vec<String> {
    let found = read(py);
    let _pause = Pause::new();
    session::read_pools(&found, false);
    let Ok(libraries) = LIBRARIES.try_lock() else { return Vec::new() };
    let silent = |library: &Library| match library {
        Library::Silent(why) => Some(why.clone()),
        Library::Absent | Library::Known(_) => None,
    };
    libraries.iter().filter_map(silent).collect()
}

static READING: Pending = Pending::new(|| {
    if session::is_recording() {
        Python::attach(|py| {
            let found = read(py);
            if !found.is_empty() {
                let _pause = Pause::new();
                session::read_pools(&found, true);
            }
        });
    }
});

/// Asks for a reading, if this thread may; with or without the GIL, and inside of a hook.
pub(super) fn ask() -> bool {
    READING.ask()
}
