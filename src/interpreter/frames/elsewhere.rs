//! Where another thread is in its Python code: `elsewhere.c` says how that can be read.

use super::{NOTHING, Place, RawText, STOP, line_table};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::Relaxed;

/// `struct memprofile_peeked` of `elsewhere.c`.
#[repr(C)]
struct Peeked {
    next: *const c_void,
    code: *const c_void,
    instruction: *const c_void,
    first_line: i32,
    offset: i32,
    file: RawText,
    function: RawText,
    lines: RawText,
    rooms: [MaybeUninit<u8>; 1024 + 1024 + 16384],
}

unsafe extern "C" {
    safe fn memprofile_own_thread_state() -> *const c_void;
    safe fn memprofile_peek_head(pid: c_int, thread: *const c_void) -> *const c_void;
    fn memprofile_peek(pid: c_int, frame: *const c_void, out: *mut Peeked) -> c_int;
    fn memprofile_peek_file(pid: c_int, out: *mut Peeked) -> c_int;
    fn memprofile_peek_code(pid: c_int, frame: *const c_void, out: *mut Peeked) -> c_int;
}

/// Frames that are looked at before the search is given up: of a deep recursion the innermost.
const MOST: usize = 256;

/// A thread that runs Python. It may have ended meanwhile: then nothing is found.
#[derive(Debug, Clone, Copy)]
pub struct Thread(usize);

impl Thread {
    /// The calling one.
    pub fn this() -> Option<Thread> {
        Some(Thread(memprofile_own_thread_state().addr())).filter(|thread| thread.0 != 0)
    }

    /// The innermost place in this file where the thread is, or was a moment ago. `None` where it is not in
    /// that file, or where that cannot be told.
    pub fn place_in(self, file: &str) -> Option<Place> {
        if STOP.load(Relaxed) == NOTHING {
            return None;
        }
        let pid = std::process::id() as c_int;
        let mut frame = memprofile_peek_head(pid, std::ptr::without_provenance(self.0));
        let blank = RawText { data: std::ptr::null(), length: 0, kind: 1 };
        let mut peeked = Peeked {
            next: std::ptr::null(),
            code: std::ptr::null(),
            instruction: std::ptr::null(),
            first_line: 0,
            offset: 0,
            file: blank,
            function: blank,
            lines: blank,
            rooms: [const { MaybeUninit::uninit() }; _],
        };
        // Of a recursion the file is read once.
        let mut elsewhere = std::ptr::null();
        for _ in 0..MOST {
            // SAFETY: it has the layout that C writes; `frame` is not followed but copied from by the kernel.
            if frame.is_null() || unsafe { memprofile_peek(pid, frame, &raw mut peeked) } == 0 {
                return None;
            }
            if peeked.code != elsewhere {
                // SAFETY: as above.
                let is_code = unsafe { memprofile_peek_file(pid, &raw mut peeked) } != 0;
                if is_code && peeked.file.decode() == file {
                    // SAFETY: as above.
                    let same = unsafe { memprofile_peek_code(pid, frame, &raw mut peeked) } != 0;
                    return same.then(|| peeked.place());
                }
                elsewhere = peeked.code;
            }
            frame = peeked.next;
        }
        None
    }
}

impl Peeked {
    /// Of one that was read to its end.
    fn place(&self) -> Place {
        // SAFETY: `memprofile_peek_code` has written that many bytes to the room that this points to, which
        // is in `self`.
        let table =
            unsafe { std::slice::from_raw_parts(self.lines.data.cast::<u8>(), self.lines.length) };
        let line = line_table::line_at(table, self.first_line, self.offset);
        Place { function: self.function.decode(), file: self.file.decode(), line }
    }
}
