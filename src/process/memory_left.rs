//! How much memory a process may still take before the kernel ends one.

use super::proc_files::kib;
use crate::profile::Bytes;
use std::fs;

/// The least of what the machine has left and what the control group may still take (proc(5),
/// `MemAvailable`; the kernel's cgroup-v2, `memory.max`); `None` where neither is told.
pub fn memory_left() -> Option<Bytes> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| kib(&text, "MemAvailable:"))
        .map(Bytes);
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
    };
    let group = number("memory.max")
        .zip(number("memory.current"))
        .map(|(most, now)| Bytes(most.saturating_sub(now)));
    machine.into_iter().chain(group).min()
}
