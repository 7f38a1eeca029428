//! The child's memory over the last seconds, as the supervisor sees it.

use crate::process::resident;
use crate::profile::{Bytes, Nanos};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Between two looks, which take microseconds.
const PERIOD: Duration = Duration::from_millis(25);
/// How far back it goes.
const SPAN: Duration = Duration::from_secs(30);

/// Looks at one process again and again while a cell runs.
#[derive(Debug)]
pub struct MemoryWatch {
    pid: u32,
    cell: Vec<u8>,
    due: Instant,
    seen: VecDeque<(Instant, Bytes)>,
}

impl MemoryWatch {
    /// Of a process.
    pub fn of(pid: u32) -> MemoryWatch {
        MemoryWatch { pid, cell: Vec::new(), due: Instant::now(), seen: VecDeque::new() }
    }

    /// When the next look is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Looks, if it is due. `cell` names what runs: of another one than before, all is new.
    pub fn look(&mut self, cell: &[u8]) {
        let now = Instant::now();
        if self.cell != cell {
            self.cell = cell.to_vec();
            self.seen.clear();
            self.due = now;
        }
        if now < self.due {
            return;
        }
        self.due = now + PERIOD;
        if let Some(held) = resident(self.pid) {
            self.seen.push_back((now, held.all));
        }
        while self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) > SPAN) {
            self.seen.pop_front();
        }
    }

    /// What was seen, by the time since the first of it.
    pub fn curve(&self) -> Vec<(Nanos, Bytes)> {
        let Some((first, _)) = self.seen.front() else { return Vec::new() };
        let since = |at: &Instant| at.duration_since(*first).as_nanos() as u64;
        self.seen.iter().map(|(at, held)| (Nanos(since(at)), *held)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_cell_begins_a_curve_of_its_own() {
        let mut watch = MemoryWatch::of(std::process::id());
        watch.look(b"a");
        watch.look(b"a");
        assert_eq!(watch.curve().len(), 1, "the second look was not due");
        assert!(watch.due() > Instant::now());
        watch.look(b"b");
        let curve = watch.curve();
        assert!(matches!(curve[..], [(Nanos(0), Bytes(held))] if held > 0), "{curve:?}");
    }
}
