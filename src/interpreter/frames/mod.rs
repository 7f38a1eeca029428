//! The Python stack of the calling thread.
//!
//! `walk.c` reads the interpreter's own frames, through one small layout file for each minor
//! version; the public API would allocate, and inside of `malloc` that is not allowed. Nothing is
//! kept but numbers: a frame is known by its code object's address together with the addresses of
//! its name and line table, and named (function, file, line) when it is first seen, while it is
//! alive on the stack. So no reference count changes, and nothing has to be given back.

mod elsewhere;
mod line_table;

pub use elsewhere::Thread;

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The most frames that are kept of one stack. Of a deeper one the innermost and the outermost
/// are kept, so that the cell's own line is always among them.
pub const ROOM: usize = 256;
const TAIL: usize = 64;

/// A frame as it was found; `struct memprofile_frame` of `walk.c`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct RawFrame {
    code: usize,
    qualname: usize,
    filename: usize,
    lines: u64,
    first_line: i32,
    offset: i32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct RawText {
    data: *const c_void,
    length: usize,
    kind: u32,
}

unsafe extern "C" {
    safe fn memprofile_current_frame() -> *const c_void;
    safe fn memprofile_loop() -> *const c_void;
    safe fn memprofile_holds_gil() -> std::ffi::c_int;
    fn memprofile_walk(out: *mut RawFrame, room: usize, tail: usize, stop: *const c_void) -> isize;
    fn memprofile_describe(
        frame: *const RawFrame,
        function: *mut RawText,
        file: *mut RawText,
        lines: *mut RawText,
    );
}

/// Where walks end: the frame that started the recording. Everything above it ran before.
static STOP: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// An address on this thread's C stack, in the frame of the innermost evaluation loop: what lies below it
/// is of the native code that this loop has called. `None` without one.
pub fn evaluation_loop() -> Option<usize> {
    Some(memprofile_loop() as usize).filter(|address| *address != 0)
}

/// Whether this thread holds the GIL.
pub fn holds_gil() -> bool {
    memprofile_holds_gil() != 0
}

/// Ends every later walk below the frame that runs now. It must outlive the recording: the
/// address of a frame that has returned is given to the next call.
pub fn stop_here() {
    STOP.store(memprofile_current_frame().cast_mut(), Relaxed);
}

/// Lets every later walk go on to the outermost frame.
pub fn stop_nowhere() {
    STOP.store(std::ptr::null_mut(), Relaxed);
}

/// Makes every later [`Stack::walk`] find nothing: where the frames cannot be read.
pub fn walk_nothing() {
    STOP.store(NOTHING, Relaxed);
}

/// No frame has this address.
const NOTHING: *mut c_void = std::ptr::without_provenance_mut(1);

/// A place in the code, named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Qualified name of the function.
    pub function: String,
    /// File name as in a traceback.
    pub file: String,
    /// Line number from 1; 0 where the instruction has none.
    pub line: u32,
}

/// The stack of the calling thread at this moment, innermost frame first. It lives inside of the
/// call that took it, on its thread: its frames are alive as long as that call lasts.
pub struct Stack<'call> {
    frames: &'call [RawFrame],
    count: usize,
    _here: PhantomData<*const ()>,
}

impl Stack<'_> {
    /// Reads the stack of this thread up to the stop and gives it to `look`; `None` when the
    /// thread runs no Python.
    pub fn walk<R>(look: impl FnOnce(Option<&Stack<'_>>) -> R) -> R {
        let stop = STOP.load(Relaxed);
        if stop == NOTHING { look(None) } else { Stack::walk_to(stop, look) }
    }

    /// The same up to the outermost frame, where frames can be read.
    pub fn walk_whole<R>(look: impl FnOnce(Option<&Stack<'_>>) -> R) -> R {
        if STOP.load(Relaxed) == NOTHING { look(None) } else { Stack::walk_all(look) }
    }

    /// The same, whether frames can be read or not: that is found out by it.
    pub fn walk_all<R>(look: impl FnOnce(Option<&Stack<'_>>) -> R) -> R {
        Stack::walk_to(std::ptr::null(), look)
    }

    fn walk_to<R>(stop: *const c_void, look: impl FnOnce(Option<&Stack<'_>>) -> R) -> R {
        // Not cleared: it is 8 KiB, and most stacks are short.
        let mut room = [const { MaybeUninit::<RawFrame>::uninit() }; ROOM];
        // SAFETY: `out` has room for ROOM frames, TAIL <= ROOM; `stop` is only compared.
        let count = unsafe { memprofile_walk(room.as_mut_ptr().cast(), ROOM, TAIL, stop) };
        let Ok(count) = usize::try_from(count) else { return look(None) };
        // SAFETY: the walk has written min(count, ROOM) frames.
        let frames = unsafe {
            std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<RawFrame>(), count.min(ROOM))
        };
        if count > ROOM {
            // The tail was written round and round: turn its oldest frame to the front.
            frames[ROOM - TAIL..].rotate_left((count - ROOM) % TAIL);
        }
        look(Some(&Stack { frames, count, _here: PhantomData }))
    }

    /// How many frames were kept.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the thread runs Python but has no frame below the stop.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether a frame that was kept runs the code object at this address.
    pub fn runs(&self, code: usize) -> bool {
        self.frames.iter().any(|frame| frame.code == code)
    }

    /// Whether, inside of a frame that runs the code object at `outer`, one that runs `caller` has called code of
    /// other files than theirs.
    pub fn runs_what_is_called(&self, outer: usize, caller: usize) -> bool {
        let Some(outer) = self.frames.iter().position(|frame| frame.code == outer) else {
            return false;
        };
        let inside = &self.frames[..outer];
        let Some(caller) = inside.iter().rposition(|frame| frame.code == caller) else {
            return self.gap().is_some();
        };
        let theirs = [self.frames[outer].filename, inside[caller].filename];
        caller.checked_sub(1).is_some_and(|called| !theirs.contains(&inside[called].filename))
    }

    /// Where in the kept frames some are left out, if any are.
    pub fn gap(&self) -> Option<usize> {
        (self.count > ROOM).then_some(ROOM - TAIL)
    }

    /// A number for each kept frame, innermost first, that is the same for the same place.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.frames.iter().map(|f| {
            let place = (f.first_line as u64) << 32 | u64::from(f.offset as u32);
            let name = fold(f.qualname as u64, f.filename as u64);
            fold(f.code as u64, f.lines ^ name.rotate_left(32)) ^ fold(place, !name)
        })
    }

    /// Names a kept frame.
    pub fn place(&self, index: usize) -> Place {
        let frame = &self.frames[index];
        let blank = RawText { data: std::ptr::null(), length: 0, kind: 1 };
        let (mut function, mut file, mut lines) = (blank, blank, blank);
        // SAFETY: the frame is on this thread's stack still: `self` cannot leave the call that
        // walked it, so its code object and the strings that it owns are alive.
        unsafe {
            memprofile_describe(frame, &raw mut function, &raw mut file, &raw mut lines);
        }
        // SAFETY: as above; a bytes object of that many bytes, which never changes.
        let table = unsafe { std::slice::from_raw_parts(lines.data.cast::<u8>(), lines.length) };
        let line = line_table::line_at(table, frame.first_line, frame.offset);
        Place { function: function.decode(), file: file.decode(), line }
    }
}

/// Both halves of a product of 128 bits, into which every bit of both goes; as wyhash does (Wang Yi, public domain).
fn fold(one: u64, other: u64) -> u64 {
    let product =
        u128::from(one ^ 0xa076_1d64_78bd_642f) * u128::from(other ^ 0xe703_7ed1_a0b4_28db);
    product as u64 ^ (product >> 64) as u64
}

impl RawText {
    fn decode(&self) -> String {
        if self.data.is_null() {
            return String::new();
        }
        let (data, length) = (self.data, self.length);
        // SAFETY: the characters of a live str (see `Stack::place`), which are `length` units of
        // `kind` bytes, aligned to their size.
        let units: Vec<u32> = unsafe {
            match self.kind {
                1 => widen(std::slice::from_raw_parts(data.cast::<u8>(), length)),
                2 => widen(std::slice::from_raw_parts(data.cast::<u16>(), length)),
                _ => widen(std::slice::from_raw_parts(data.cast::<u32>(), length)),
            }
        };
        // A lone surrogate is a Python character but no Unicode scalar value.
        units
            .into_iter()
            .map(|u| char::from_u32(u).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

fn widen<T: Copy + Into<u32>>(units: &[T]) -> Vec<u32> {
    units.iter().map(|&unit| unit.into()).collect()
}
