//! memprofile: what a notebook cell really costs in memory.
//!
//! The rooms, from the ground up. A room imports from lower floors only, and rooms on one
//! floor do not know each other; `tests/rust/layers.rs` keeps it so.
//!
//! A profile flows up through them once: `hooks` (an allocation happened) -> `sampling` (which
//! ones matter, what was live at the peak) -> `profile` (the finished recording) -> `report`
//! (answers, ready to draw) -> `render` (text, SVG, HTML, PNG) -> `bindings` -> the notebook.

// Floor 0: nouns.
pub mod error;
pub mod profile;

// Floor 1: engines. `hooks` and `interpreter` hold all of the crate's unsafe code.
pub mod graph;
#[expect(unsafe_code, reason = "runs inside of malloc and writes other libraries' tables")]
pub mod hooks;
#[cfg(any(feature = "python", test))]
#[expect(unsafe_code, reason = "reads CPython's frames and objects")]
pub mod interpreter;
pub mod process;
pub mod sampling;

// Floor 2: answers. Floor 3: ink.
pub mod render;
pub mod report;

// Floor 4: conductors.
#[cfg(target_os = "linux")]
pub mod kernel;
pub mod session;

// Floor 5: doors.
#[cfg(feature = "python")]
mod bindings;
