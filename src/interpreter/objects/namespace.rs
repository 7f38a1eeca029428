//! What the names of a notebook hold, before a cell and after it.
//!
//! A cell waits for the first look, so that has little time. What a name holds is what it reaches and no
//! name before it does. A name that takes too long before the cell is left out of both looks, with all that
//! only it reaches: so what others hold is the same thing in both.

use super::buffers::outside;
use super::deep::{Asked, Walk, spent};
use super::dicts::each_item;
use super::kinds::{is_program, kind_of};
use super::labels::text;
use super::measure::Measure;
use super::pieces::Stretch;
use super::scope::Scope;
use crate::error::Result;
use crate::profile::{Bytes, NameChange, Names};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

type Object = *mut ffi::PyObject;

/// How long a cell waits at most, in time of the processor.
const BEFORE: Duration = Duration::from_millis(20);
/// How long the report does, by the time that the cell took: this part of it, within these bounds.
const AFTER: (u32, Duration, Duration) =
    (50, Duration::from_millis(10), Duration::from_millis(100));

/// A namespace, and which of its names are none of the user's.
#[derive(Debug, Clone, Copy)]
pub struct Namespace<'a, 'py> {
    /// All names.
    pub names: &'a Bound<'py, PyDict>,
    /// Those that the shell has put there.
    pub hidden: &'a Bound<'py, PyDict>,
}

/// What names held before a cell. Nothing here keeps an object alive.
#[derive(Debug, Default)]
pub struct Before {
    /// The type, and the bytes or `None` where there was too little time.
    held: HashMap<String, (String, Option<Bytes>)>,
}

/// A look at a namespace, when libraries have not yet been asked what their objects hold.
pub struct Look<'py> {
    measure: Measure<'py>,
    asked: Asked<'py>,
    names: Vec<Looked>,
}

/// What one name holds.
struct Looked {
    name: String,
    kind: String,
    bytes: u64,
    /// Whether that is all of it.
    whole: bool,
    /// How many objects libraries are to be asked for, of this name and all before it.
    foreign: usize,
}

/// A name with what it refers to.
struct Named {
    name: String,
    object: Object,
}

impl Namespace<'_, '_> {
    /// The user's own names of data, in the order in which they were first bound.
    fn data(self) -> Vec<Named> {
        let mut hidden = HashSet::new();
        let mut found = Vec::new();
        // SAFETY: bound objects are alive and mean that the GIL is held; nothing is called.
        unsafe {
            each_item(self.hidden.as_ptr(), |key, _| {
                if is_of_the_user(key) {
                    hidden.extend(text(key));
                }
                true
            });
            each_item(self.names.as_ptr(), |key, object| {
                let type_ = ffi::Py_TYPE(object);
                if is_of_the_user(key)
                    && !is_program(type_)
                    && ffi::PyFunction_Check(object) == 0
                    && let Some(name) = text(key)
                    && !hidden.contains(&name)
                {
                    found.push(Named { name, object });
                }
                true
            });
        }
        found
    }
}

/// Whether it is a name that may be the user's own: one that begins with `_` is not, and IPython makes some for
/// every cell.
///
/// # Safety
///
/// The caller has the GIL, and the object is alive.
unsafe fn is_of_the_user(name: Object) -> bool {
    // SAFETY: as the caller says; the first character is read where there is one.
    unsafe {
        ffi::PyUnicode_CheckExact(name) != 0
            && ffi::PyUnicode_GetLength(name) > 0
            && ffi::PyUnicode_ReadChar(name, 0) != u32::from('_')
    }
}

/// The type of a live object.
///
/// # Safety
///
/// The caller has the GIL, and the object is alive.
unsafe fn kind(object: Object) -> String {
    // SAFETY: as the caller says; the type of a live object is alive.
    unsafe { kind_of(ffi::Py_TYPE(object)).name }
}

impl<'py> Look<'py> {
    /// Looks at a namespace before a cell.
    ///
    /// # Errors
    /// [`crate::error::Error::NoRoom`] when there is too little memory to remember what was seen.
    pub fn before(namespace: Namespace<'_, 'py>, scope: &Scope) -> Result<Look<'py>> {
        let walk = Walk::new(namespace.names.py(), scope).forgetful();
        Look::with(walk, namespace, BEFORE, true, |_| true)
    }

    /// Looks at it after the cell, which took so long, but for what was not looked at to its end before.
    ///
    /// # Errors
    /// As of [`Look::before`].
    pub fn after(
        namespace: Namespace<'_, 'py>,
        scope: &Scope,
        before: &Before,
        took: Duration,
    ) -> Result<Look<'py>> {
        let walk = Walk::new(namespace.names.py(), scope);
        let compared = |name: &str| !matches!(before.held.get(name), Some((_, None)));
        let (part, least, most) = AFTER;
        Look::with(walk, namespace, (took / part).clamp(least, most), false, compared)
    }

    fn with(
        mut walk: Walk<'_, 'py>,
        namespace: Namespace<'_, 'py>,
        time: Duration,
        all_or_nothing: bool,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Look<'py>> {
        let until = spent() + time;
        let mut names = Vec::new();
        for Named { name, object } in namespace.data().into_iter().filter(|n| wanted(&n.name)) {
            // SAFETY: the namespace keeps the object, and nothing has run since it was read.
            let (kind, reached) =
                unsafe { (kind(object), walk.reach(object, Some(share(until)), usize::MAX)?) };
            if all_or_nothing && !reached.whole {
                walk.forget();
            }
            let (Bytes(bytes), whole) = (reached.bytes, reached.whole);
            names.push(Looked { name, kind, bytes, whole, foreign: walk.foreign() });
        }
        let (measure, asked) = walk.end();
        Ok(Look { measure, asked, names })
    }

    /// The objects that libraries are to be asked for.
    pub fn foreign(&self) -> &[Bound<'py, PyAny>] {
        &self.asked.foreign
    }

    /// Adds what these hold; `held` ends early where there was too little time to ask for all.
    fn with_buffers(self, held: &[Vec<Stretch>]) -> Vec<Looked> {
        let Look { measure, asked, mut names } = self;
        let (known, _) = asked.blocks.in_order();
        for piece in outside(held, &known, &measure) {
            let first = piece.holders[0] as usize;
            let owner = names.partition_point(|name| name.foreign <= first);
            names[owner].bytes += piece.bytes;
        }
        for name in &mut names {
            name.whole &= name.foreign <= held.len();
        }
        names
    }
}

impl Before {
    /// What a look found.
    pub fn new(look: Look<'_>, held: &[Vec<Stretch>]) -> Before {
        let names = look.with_buffers(held).into_iter();
        let known = |name: Looked| {
            let bytes = name.whole.then_some(Bytes(name.bytes));
            (name.name, (name.kind, bytes))
        };
        Before { held: names.map(known).collect() }
    }

    /// What has changed until a look after the cell, of a namespace with these names.
    pub fn changes(&self, look: Look<'_>, held: &[Vec<Stretch>]) -> Names {
        let mut changed = Vec::new();
        let mut there = HashSet::new();
        for Looked { name, kind, bytes, whole, .. } in look.with_buffers(held) {
            let before = self.held.get(&name).and_then(|(_, bytes)| *bytes);
            let (after, at_least) = (Some(Bytes(bytes)), !whole);
            let change = NameChange { name: name.clone(), kind, before, after, at_least };
            changed.extend((change.grown().0 != 0).then_some(change));
            there.insert(name);
        }
        let mut not_compared = Vec::new();
        for (name, (kind, before)) in self.held.iter().filter(|(name, _)| !there.contains(*name)) {
            let (name, kind, before) = (name.clone(), kind.clone(), *before);
            match before {
                None => not_compared.push(name),
                Some(Bytes(0)) => {}
                Some(_) => {
                    let at_least = false;
                    changed.push(NameChange { name, kind, before, after: None, at_least });
                }
            }
        }
        Names::new(changed, not_compared)
    }
}

/// What one name may take: half of what is left, so that there is some for those after it.
fn share(until: Duration) -> Duration {
    until.saturating_sub(spent()) / 2
}
