//! How much memory a process may still take before the kernel ends one.

use crate::profile::Bytes;
use std::fs;

/// The least of what the machine has left and what the control group may still take (proc(5),
/// `MemAvailable`; the kernel's cgroup-v2, `memory.max`); `None` where neither is told.
pub fn memory_left() -> Option<Bytes> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let number = |file: &str| -> Option<u64> {
        fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse().ok()
    };
    let group = number("memory.max")
        .zip(number("memory.current"))
        .map(|(most, now)| Bytes(most.saturating_sub(now)));
    machine.into_iter().chain(group).min()
}

fn available(text: &str) -> Option<Bytes> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kib * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_meminfo() {
        let text = "MemTotal:  100 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(available(text), Some(Bytes(2 << 20)));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}
