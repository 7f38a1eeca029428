//! The thread that reads the resident set size while a recording runs.
//!
//! It serves the curve alone: the peak is the kernel's. It also notices libraries that were loaded
//! meanwhile; their slots are patched by a thread that holds the GIL, not here (see `hooks::native`).

use super::{OWN_PEAK, live};
use crate::hooks::{own_bytes, quiet_thread};
use crate::process::RssReader;
use crate::profile::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two readings.
pub(super) const PERIOD: Duration = Duration::from_millis(10);

/// Started polling; it ends when it is told to or dropped.
#[derive(Debug)]
pub(super) struct Poll {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    readings: Arc<AtomicU64>,
}

impl Poll {
    /// Starts the thread; `None` where the platform has nothing to read or no thread to give.
    pub(super) fn start(rss: RssReader) -> Option<Poll> {
        let stop = Arc::new(AtomicBool::new(false));
        let readings = Arc::new(AtomicU64::new(0));
        let (told, counted) = (Arc::clone(&stop), Arc::clone(&readings));
        let body = move || {
            while !told.load(Relaxed) {
                std::thread::park_timeout(PERIOD);
                read(&rss);
                counted.fetch_add(1, Relaxed);
            }
        };
        let thread = quiet_thread::spawn("memprofile", body).ok()?;
        Some(Poll { thread: Some(thread), stop, readings })
    }

    /// Mean time between two readings in a recording of this length.
    pub(super) fn period(&self, duration: Nanos) -> Nanos {
        Nanos(duration.0 / self.readings.load(Relaxed).max(1))
    }
}

fn read(rss: &RssReader) {
    let entered = Instant::now();
    let Some(bytes) = rss.read() else { return };
    OWN_PEAK.fetch_max(own_bytes() as u64, Relaxed);
    super::look_for_libraries();
    if let Some(live) = live().as_mut() {
        live.now = live.nanos(Instant::now());
        live.recorder.poll(bytes.0, live.now);
        live.spent += entered.elapsed().as_nanos() as u64;
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot panic but by a bug of ours, and then there is nothing left to stop.
            let _ended: std::result::Result<(), _> = thread.join();
        }
    }
}
