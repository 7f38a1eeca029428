//! Child processes while a recording runs: the kernel tells of them, and a hook of their ends.

use crate::hooks::reaped;
use crate::process::{Children, Ended};
use crate::profile::{Bytes, Child, Nanos};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

static CHILDREN: Mutex<Option<Children>> = Mutex::new(None);

/// The poll thread holds it while it looks, and is not there at a fork. What panicked under it is
/// still good enough to be shown.
fn children() -> MutexGuard<'static, Option<Children>> {
    CHILDREN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Begins, before the hooks are installed.
pub(super) fn start(start: Instant) {
    reaped::take();
    *children() = Some(Children::follow(start, reaped::any_child()));
}

/// Called by the poll.
pub(super) fn look() {
    if let Some(children) = children().as_mut() {
        hear(children);
        children.look();
    }
}

fn hear(children: &mut Children) {
    for ended in reaped::take() {
        let largest = Bytes(ended.largest);
        children.ended(Ended { pid: ended.pid, status: ended.status, largest });
    }
}

/// Ends after so long: what was found, and a sentence on what was missed.
pub(super) fn finish(duration: Nanos) -> (Vec<Child>, Option<String>) {
    let Some(mut found) = children().take() else { return (Vec::new(), None) };
    hear(&mut found);
    found.finish(duration, Bytes(reaped::largest_ever()))
}

/// Ends without a result.
pub(super) fn forget() {
    children().take();
}
