//! Linux: `/proc/self` (proc(5)).

use super::proc_files::kib;
use super::{PAGE, Resident};
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

#[cfg(test)]
mod tests {
    use super::*;

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
