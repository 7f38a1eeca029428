//! Linux: `/proc/self` (proc(5)).

use super::proc_files::kib;
use super::{PAGE, Reserved, Resident};
use crate::profile::Bytes;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

#[derive(Debug)]
pub(super) struct RssReader(File);

impl RssReader {
    pub(super) fn open() -> Option<RssReader> {
        File::open("/proc/self/statm").ok().map(RssReader)
    }

    /// The second and the third field of statm, in pages.
    pub(super) fn read(&self) -> Option<Resident> {
        let mut line = [0; 128];
        let length = self.0.read_at(&mut line, 0).ok()?;
        let text = std::str::from_utf8(&line[..length]).ok()?;
        let mut pages = text.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
        let (all, of_files) = (pages.next()??, pages.next()??);
        Some(Resident { all: Bytes(all * PAGE), of_files: Bytes(of_files * PAGE) })
    }
}

/// Writing 5 sets VmHWM to the present resident set size (proc(5), `clear_refs`).
pub(super) fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// VmHWM of `/proc/self/status`.
pub(super) fn peak() -> Option<Bytes> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kib(&status, "VmHWM:").map(Bytes)
}

/// glibc keeps the heap of a thread in so many bytes, and aligned to them (malloc/arena.c, HEAP_MAX_SIZE).
const HEAP: usize = 64 << 20;

/// The private mappings of no file with the flag `nr` in `/proc/self/smaps`, without glibc's own.
pub(super) fn reserved() -> Vec<Reserved> {
    fs::read_to_string("/proc/self/smaps").map(|text| parse_reserved(&text)).unwrap_or_default()
}

fn parse_reserved(smaps: &str) -> Vec<Reserved> {
    let mut found: Vec<Reserved> = Vec::new();
    let mut head: Option<(usize, usize, bool)> = None;
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let (start, end, accessible) = head.take().unwrap_or_default();
            if end > start && flags.split(' ').any(|flag| flag == "nr") {
                if accessible {
                    found.push(Reserved { start, length: end - start });
                } else {
                    reserve_closed(&mut found, start, end);
                }
            }
        } else if let Some(found) = parse_head(line) {
            head = found;
        }
    }
    found
}

/// Adds an inaccessible mapping, unless it is the rest of a heap of glibc's, whose blocks are counted:
/// then the used part of that heap goes too.
fn reserve_closed(found: &mut Vec<Reserved>, start: usize, end: usize) {
    if !drop_heap(found, start, end) {
        found.push(Reserved { start, length: end - start });
    }
}

/// If an inaccessible mapping is the rest of a heap of glibc's, takes the used part of that out.
fn drop_heap(found: &mut Vec<Reserved>, start: usize, end: usize) -> bool {
    let heap = end.wrapping_sub(HEAP);
    let last = found.last_mut().filter(|last| last.start + last.length == start);
    let of_a_heap =
        |last: &Reserved| end.is_multiple_of(HEAP) && (last.start..start).contains(&heap);
    let Some(last) = last.filter(|last| of_a_heap(last)) else { return false };
    last.length = heap - last.start;
    if last.length == 0 {
        found.pop();
    }
    true
}

/// The stack of a thread takes so many bytes above its guard page, unless somebody has asked for others.
const STACK: usize = 8 << 20;

/// The writable private mappings of no file in `/proc/self/maps`, without stacks and glibc's heaps.
pub(super) fn writable() -> Vec<Reserved> {
    fs::read_to_string("/proc/self/maps").map(|text| parse_writable(&text)).unwrap_or_default()
}

fn parse_writable(maps: &str) -> Vec<Reserved> {
    let mut found: Vec<Reserved> = Vec::new();
    let mut guard = 0;
    for line in maps.lines() {
        match parse_head(line) {
            Some(Some((start, end, true))) => {
                // The kernel makes one of a stack and a mapping that follows it.
                let start = if start == guard { start.saturating_add(STACK) } else { start };
                if start < end {
                    found.push(Reserved { start, length: end - start });
                }
            }
            Some(Some((start, end, false))) => {
                drop_heap(&mut found, start, end);
                guard = end;
            }
            _ => {}
        }
    }
    found
}

/// The head of a mapping: `Some(None)` for one that is shared or of a file.
#[allow(clippy::option_option, reason = "another line, another mapping, or one that counts")]
fn parse_head(line: &str) -> Option<Option<(usize, usize, bool)>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let mode = fields.next()?;
    let inode = fields.nth(2)?;
    let name = fields.next().unwrap_or_default();
    let counts = mode.ends_with('p') && inode == "0" && !matches!(name, "[heap]" | "[stack]");
    Some(counts.then_some((start, end, mode.starts_with("rw"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_told_from_heaps_of_glibc() {
        let mapping = |head: &str, flags: &str| format!("{head}\nRss:  4 kB\nVmFlags: {flags} \n");
        let smaps = [
            mapping("5c36b800000-5c3ab800000 rw-p 00000000 00:00 0 ", "rd wr mr mw me nr hg"),
            mapping("7f8683980000-7f8684021000 rw-p 00000000 00:00 0 ", "rd wr mr nr"),
            mapping("7f8684021000-7f8688000000 ---p 00000000 00:00 0 ", "mr mw me nr"),
            mapping("7f8688000000-7f8688021000 rw-p 00000000 00:00 0 ", "rd wr mr nr"),
            mapping("7f8688021000-7f868c000000 ---p 00000000 00:00 0 ", "mr mw me nr"),
            mapping("7f8690000000-7f8690100000 rw-p 00000000 00:00 0 ", "rd wr mr ac"),
            mapping("7f8690200000-7f8690300000 rw-p 00000000 08:01 7 /a b", "rd wr mr nr"),
            mapping("7f8690400000-7f8690500000 ---p 00000000 00:00 0 ", "mr nr"),
        ];
        let found: Vec<(usize, usize)> =
            parse_reserved(&smaps.concat()).iter().map(|r| (r.start, r.length)).collect();
        let expected = [
            (0x5c3_6b80_0000, 1 << 30),
            (0x7f86_8398_0000, 0x68_0000),
            (0x7f86_9040_0000, 1 << 20),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn stacks_and_heaps_are_told_from_mappings() {
        let maps = "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n\
                    7f0000200000-7f0000300000 r--p 00000000 08:01 7 /usr/lib/a b.so\n\
                    7f0000300000-7f0000301000 ---p 00000000 00:00 0 \n\
                    7f0000301000-7f0000b01000 rw-p 00000000 00:00 0 \n\
                    7f0000c00000-7f0000c01000 ---p 00000000 00:00 0 \n\
                    7f0000c01000-7f0001601000 rw-p 00000000 00:00 0 \n\
                    7f0003f00000-7f0004021000 rw-p 00000000 00:00 0 \n\
                    7f0004021000-7f0008000000 ---p 00000000 00:00 0 \n\
                    7f0008000000-7f0008100000 rw-s 00000000 00:00 0 \n\
                    7ff000000000-7ff000021000 rw-p 00000000 00:00 0 [stack]\n";
        let found: Vec<(usize, usize)> =
            parse_writable(maps).iter().map(|r| (r.start, r.length)).collect();
        let expected =
            [(0x7f00_0000_0000, 2 << 20), (0x7f00_0140_1000, 2 << 20), (0x7f00_03f0_0000, 1 << 20)];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_mark_follows_a_spike_that_is_gone() {
        assert!(reset_peak());
        let before = peak().expect("VmHWM is there");
        // Far more than other tests take or give back meanwhile.
        let spike = vec![1u8; 512 << 20];
        assert!(spike.iter().map(|&b| u64::from(b)).sum::<u64>() == 512 << 20);
        drop(spike);
        let grown = peak().expect("VmHWM is there").0 - before.0;
        assert!(grown >= 384 << 20, "{grown}");
        let now = RssReader::open().and_then(|r| r.read()).expect("statm is there").all;
        assert!(now.0 + (256 << 20) < before.0 + grown, "the spike is gone");
    }
}
