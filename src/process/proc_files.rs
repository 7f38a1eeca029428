//! What `/proc` says of other processes (proc(5)). On a platform without it there is nothing to read.

use super::PAGE;
use crate::profile::Bytes;
use std::fs::File;
use std::io::Read;

/// Clock ticks in a second, as `/proc` counts them (`USER_HZ` of every architecture that is measured).
pub(super) const TICKS: u64 = 100;

/// A process was forked and has not executed a program yet (`PF_FORKNOEXEC` of linux/sched.h).
const FORKED: u64 = 0x40;

/// `/proc/<pid>/stat`, as far as it is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub parent: u32,
    /// It has ended and waits for its parent to ask how.
    pub zombie: bool,
    /// It runs a copy of its parent, or is about to run a program of its own.
    pub forked: bool,
    /// Its page faults so far: without one its memory is what it was.
    pub faults: u64,
    /// Minor page faults of those of its children that it has waited for.
    pub faults_of_children: u64,
    /// When it started, in ticks since the system did. With the pid it names a process for good.
    pub started: u64,
    pub rss: Bytes,
    /// The address of its arguments: another one after it has executed a program; 0 if it is hidden.
    pub image: u64,
    /// As wait(2) gives it; of use for a zombie only.
    pub status: i32,
}

/// `/proc/<pid>/smaps_rollup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rollup {
    pub rss: u64,
    pub pss: u64,
    /// Bytes in pages that no other process has.
    pub private: u64,
}

/// The beginning of a small file.
fn read<'b>(path: &str, room: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = File::open(path).ok()?.read(room).ok()?;
    Some(&room[..length])
}

pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(read(&format!("/proc/{pid}/stat"), &mut [0; 1024])?)
}

/// Of `/proc/<pid>/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// The id of the whole process, which is another one if the pid is one of its other threads.
    pub process: u32,
    /// VmHWM, which a zombie has no more.
    pub mark: Option<Bytes>,
    /// Resident pages of files and of shared memory.
    pub of_files: u64,
}

pub(super) fn status(pid: u32) -> Option<Status> {
    let mut room = [0; 4096];
    parse_status(read(&format!("/proc/{pid}/status"), &mut room)?)
}

/// Takes time: the kernel looks at every page.
pub(super) fn rollup(pid: u32) -> Option<Rollup> {
    parse_rollup(read(&format!("/proc/{pid}/smaps_rollup"), &mut [0; 2048])?)
}

/// Its arguments, as they are now.
pub(super) fn arguments(pid: u32) -> Vec<String> {
    let mut room = [0; 4096];
    let bytes = read(&format!("/proc/{pid}/cmdline"), &mut room).unwrap_or_default();
    parse_arguments(bytes)
}

/// The name that the kernel has for it: at most 15 bytes.
pub(super) fn name(pid: u32) -> Option<String> {
    let mut room = [0; 64];
    let bytes = read(&format!("/proc/{pid}/comm"), &mut room)?;
    Some(String::from_utf8_lossy(bytes).trim_end().to_owned())
}

/// The pid that was given last, to a thread or a process; `None` where the kernel does not say.
pub(super) fn last_pid() -> Option<u32> {
    let mut room = [0; 128];
    let text = std::str::from_utf8(read("/proc/loadavg", &mut room)?).ok()?;
    text.split_ascii_whitespace().nth(4)?.parse().ok().filter(|&pid| pid > 0)
}

/// Ticks since the system started.
pub(super) fn ticks_now() -> Option<u64> {
    let mut room = [0; 128];
    let text = std::str::from_utf8(read("/proc/uptime", &mut room)?).ok()?;
    let (seconds, hundredths) = text.split_ascii_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * TICKS + hundredths.parse::<u64>().ok()?)
}

/// Every process that there is.
pub(super) fn pids() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn parse_stat(line: &[u8]) -> Option<Stat> {
    // The name stands in parentheses and may hold anything, spaces and parentheses too; nothing
    // after it does.
    let after = line.iter().rposition(|&byte| byte == b')')? + 1;
    let fields: Vec<&str> =
        std::str::from_utf8(&line[after..]).ok()?.split_ascii_whitespace().collect();
    // proc(5) counts from 1, and the state is its third field.
    let field = |number: usize| fields.get(number - 3).copied();
    let count = |number: usize| field(number)?.parse::<u64>().ok();
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        zombie: matches!(field(3)?, "Z" | "X" | "x"),
        forked: count(9)? & FORKED != 0,
        faults: count(10)?.saturating_add(count(12)?),
        faults_of_children: count(11)?,
        started: count(22)?,
        rss: Bytes(count(24)? * PAGE),
        image: count(48).unwrap_or(0),
        status: field(52).and_then(|status| status.parse().ok()).unwrap_or(0),
    })
}

/// `VmHWM:      1760 kB` and the like, in bytes.
pub(super) fn kib(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn parse_status(bytes: &[u8]) -> Option<Status> {
    let text = String::from_utf8_lossy(bytes);
    let process = text.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
    let of_files = ["RssFile:", "RssShmem:"].iter().filter_map(|label| kib(&text, label)).sum();
    Some(Status { process, mark: kib(&text, "VmHWM:").map(Bytes), of_files })
}

fn parse_rollup(bytes: &[u8]) -> Option<Rollup> {
    let text = String::from_utf8_lossy(bytes);
    let private = ["Private_Clean:", "Private_Dirty:"].map(|label| kib(&text, label));
    Some(Rollup {
        rss: kib(&text, "Rss:")?,
        pss: kib(&text, "Pss:")?,
        private: private.into_iter().sum::<Option<u64>>()?,
    })
}

fn parse_arguments(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|&byte| byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

/// The exit status, or the negative number of the signal that killed it (wait(2)).
pub(super) fn exit_status(status: i32) -> i32 {
    match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => -signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "S 19144 19144 6497 0 -1 4194368 99 7777 0 0 0 0 0 0 20 0 1 0 310547 3133440 394 18446744073709551615 94168377454592 94168377474473 140722489170256 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 94168377490480 94168377492096 94168424013824 140722489174542 140722489174562 140722489174562 140722489176043 256";

    #[test]
    fn a_name_may_hold_spaces_and_parentheses() {
        let expected = Stat {
            parent: 19144,
            zombie: false,
            forked: true,
            faults: 99,
            faults_of_children: 7777,
            started: 310_547,
            rss: Bytes(394 * 4096),
            image: 140_722_489_174_542,
            status: 256,
        };
        for name in ["cat", "", "a b", ") S 1 2", "((x) R 7", "\n"] {
            let line = format!("19155 ({name}) {REST}\n");
            assert_eq!(parse_stat(line.as_bytes()), Some(expected.clone()), "{name:?}");
        }
        let mut line = b"1 (\xff\xfe) ".to_vec();
        line.extend(REST.replacen('S', "Z", 1).into_bytes());
        assert!(parse_stat(&line).expect("a name of any bytes").zombie);
        assert_eq!(exit_status(expected.status), 1);
    }

    #[test]
    fn what_is_cut_or_no_stat_is_nothing() {
        let line = format!("19155 (cat) {REST}");
        for end in 0..line.find("394").expect("the field is there") {
            assert_eq!(parse_stat(&line.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(
            parse_status(b"Name:\tcat\nTgid:\t12\n"),
            Some(Status { process: 12, mark: None, of_files: 0 })
        );
        assert_eq!(parse_status(b"Name:\tcat\nTgi"), None);
        assert_eq!(parse_rollup(b"Rss:  1 kB\n"), None);
        assert!(parse_arguments(b"").is_empty());
    }

    #[test]
    fn the_line_of_meminfo() {
        let text = "MemTotal:  100 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(kib(text, "MemAvailable:"), Some(2 << 20));
        assert_eq!(kib("MemTotal: 1 kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn the_other_files_are_read() {
        let status =
            b"Name:\tVmHWM: 1 kB\nTgid:\t12\nVmPeak:\t 9 kB\nVmHWM:\t    1760 kB\nRssFile:\t 3 kB\nRssShmem:\t 1 kB\n";
        let expected = Status { process: 12, mark: Some(Bytes(1760 << 10)), of_files: 4 << 10 };
        assert_eq!(parse_status(status), Some(expected));
        let rollup = b"00-7f ---p 0 00:00 0 [rollup]\nRss: 1760 kB\nPss: 283 kB\nPss_Dirty: 1 kB\nPrivate_Clean: 48 kB\nPrivate_Dirty: 112 kB\n";
        let expected = Rollup { rss: 1760 << 10, pss: 283 << 10, private: 160 << 10 };
        assert_eq!(parse_rollup(rollup), Some(expected));
        assert_eq!(parse_arguments(b"sh\0-c\0echo (a b)\0"), ["sh", "-c", "echo (a b)"]);
        assert_eq!(parse_arguments(b"a\0\0b\0"), ["a", "", "b"]);
    }

    #[test]
    fn a_signal_is_negative() {
        assert_eq!([0, 7 << 8, 9, 11 | 0x80].map(exit_status), [0, 7, -9, -11]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_read_as_it_is() {
        let pid = std::process::id();
        let own = stat(pid).expect("stat is there");
        assert!(!own.zombie && own.rss.0 > 0);
        assert_eq!(status(pid).map(|status| status.process), Some(pid));
        assert!(own.started <= ticks_now().expect("uptime is there"));
        assert!(pids().contains(&pid));
        let whole = rollup(pid).expect("smaps_rollup is there");
        assert!(whole.pss <= whole.rss && whole.private <= whole.rss);
    }
}
