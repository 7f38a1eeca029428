//! What the operating system knows of this process, one file a platform, and of its children.

mod children;
mod command;
mod control_group;
mod followed;
mod killed;
mod mappings;
mod memory_left;
mod proc_files;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
use other as platform;

pub use children::{Children, Ended};
pub use killed::{OutOfMemory, Whose, resident};
pub use mappings::{Addresses, Malloc, Mappings};
pub use memory_left::{Left, memory_in_all, memory_left};

use crate::profile::Bytes;
use std::time::Duration;

/// The size of a page of the two architectures that are measured: x86-64, and AArch64 as usual
/// distributions build it.
const PAGE: u64 = 4096;

/// Reads the resident set size of this process, again and again.
#[derive(Debug)]
pub struct RssReader(platform::RssReader);

impl RssReader {
    /// Opens what is to be read; `None` where the platform offers nothing.
    pub fn open() -> Option<RssReader> {
        platform::RssReader::open().map(RssReader)
    }

    /// The resident set size now; `None` when it cannot be read.
    pub fn read(&self) -> Option<Bytes> {
        self.read_parts().map(|resident| resident.all)
    }

    /// The same, with what of it is of files.
    pub fn read_parts(&self) -> Option<Resident> {
        self.0.read()
    }
}

/// The resident set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resident {
    /// All of it.
    pub all: Bytes,
    /// Pages of files and of shared memory.
    pub of_files: Bytes,
}

impl Resident {
    /// What is of no file.
    pub fn anonymous(&self) -> Bytes {
        Bytes(self.all.0.saturating_sub(self.of_files.0))
    }
}

/// The kernel's high-water mark of the resident set size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HighWaterMark {
    start: Bytes,
    reset: bool,
}

impl HighWaterMark {
    /// Sets the mark to the present resident set size, where the kernel lets us.
    pub fn reset() -> HighWaterMark {
        let reset = platform::reset_peak();
        HighWaterMark { start: platform::peak().unwrap_or_default(), reset }
    }

    /// The peak since the reset: the mark when it could be reset, and also when it has grown since. An old
    /// mark says nothing.
    pub fn read(&self) -> Option<Bytes> {
        platform::peak().filter(|&peak| self.reset || peak > self.start)
    }
}

/// Processor time of the calling thread, in nanoseconds; 0 where the system does not tell. It is what work
/// of ours costs: on a busy machine a clock on the wall goes on while others have the processor.
pub fn thread_time() -> u64 {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
    #[cfg(not(unix))]
    0
}

/// What work has cost that began at this moment of the calling thread's own time.
pub fn cost_since(began: u64) -> Duration {
    Duration::from_nanos(thread_time().saturating_sub(began))
}

/// The platform in words, such as `linux x86_64`.
pub fn name() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}
