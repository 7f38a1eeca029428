//! How much memory a process may still take before the kernel ends one.

use super::control_group::Group;
use super::proc_files::kib;
use crate::profile::Bytes;
use std::fs;

/// What is left, of the machine or of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Memory that is free, or that the kernel can free by dropping pages of files.
    pub bytes: Bytes,
    /// Swap space that is free.
    pub swap: Bytes,
    /// All that there is, without swap.
    pub all: Bytes,
    /// Whether it is the control group's.
    pub of_group: bool,
}

/// The least of what the machine has left (proc(5), `MemAvailable`) and what the control group of this
/// process may still take; `None` where neither is told.
pub fn memory_left() -> Option<Left> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let swap = kib(&text, "SwapFree:").unwrap_or(0);
    let machine = kib(&text, "MemAvailable:").zip(kib(&text, "MemTotal:")).map(|(left, all)| {
        Left { bytes: Bytes(left), swap: Bytes(swap), all: Bytes(all), of_group: false }
    });
    let group = Group::of(std::process::id()).and_then(|group| group.left(swap));
    machine.into_iter().chain(group).min_by_key(|left| left.bytes.0 + left.swap.0)
}

/// The least of what the machine has and what the control group of this process may take.
pub fn memory_in_all() -> Option<Bytes> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = kib(&text, "MemTotal:").map(Bytes);
    let group = Group::of(std::process::id()).and_then(|group| group.limit());
    machine.into_iter().chain(group).min()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn there_is_less_left_than_there_is() {
        let left = memory_left().expect("the machine tells");
        assert!(left.bytes.0 > 0 && left.bytes <= left.all, "{left:?}");
        assert!(memory_in_all().is_some_and(|all| all >= left.bytes));
    }
}
