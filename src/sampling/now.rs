//! What a recording knows while it runs.

use super::recorder::{Block, Memory, Moved, Origin, Recorder};
use super::stacks::{Frames, Line};
use crate::profile::Allocator;

impl Recorder {
    /// The largest footprint so far, in bytes above the start.
    pub fn peak(&self) -> i64 {
        self.peak
    }

    /// The line of the recording thread that allocated last.
    pub fn running(&self) -> Option<Line<'_>> {
        self.names.line(self.running?)
    }

    /// A part of the recording begins: its peak is to be found. Returns the footprint, in bytes above the
    /// start.
    pub fn begin_part(&mut self) -> i64 {
        self.leave_peak();
        self.running = None;
        self.peak = self.bytes();
        self.peak
    }

    /// CPython took an arena (positive) or gave one back (negative), in a recording that does not see the
    /// objects in it: the line that needed it holds it, by its resident pages.
    pub fn arena_at(
        &mut self,
        address: usize,
        bytes: i64,
        origin: Origin<'_, impl Frames>,
        now: u64,
        memory: &mut impl Memory,
    ) {
        self.arena(address, bytes, now, memory);
        if bytes > 0 {
            let (size, allocator) = (bytes as u64, Allocator::Mmap);
            let block = Block { address, size, allocator, epoch: 0, moved: Moved::default() };
            self.note(block, origin, now, memory);
        } else {
            self.freed(address, 0, now, memory);
        }
    }

    /// The footprint over time, as (nanoseconds, bytes above the start), and the last resident set size
    /// that was read.
    pub fn curve(&self) -> (Vec<(u64, i64)>, Option<u64>) {
        let points = self.curve.points();
        let resident = points.iter().rev().find_map(|point| point.rss);
        (points.iter().map(|point| (point.at, point.footprint)).collect(), resident)
    }

    /// The lines that hold most, with their bytes, the largest first.
    pub fn holders(&self, most: usize) -> Vec<(Line<'_>, f64)> {
        let mut held = self.held(most);
        held.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        held.iter().filter_map(|&(line, bytes)| Some((self.names.line(line)?, bytes))).collect()
    }

    /// The lines that hold most, in no order.
    pub(super) fn held(&self, most: usize) -> Vec<(u32, f64)> {
        let mut held: Vec<(u32, f64)> = self
            .line_held
            .iter()
            .enumerate()
            .filter(|&(_, &bytes)| bytes >= 1.0)
            .map(|(line, &bytes)| (line as u32, bytes))
            .collect();
        if held.len() > most {
            held.select_nth_unstable_by(most, |a, b| b.1.total_cmp(&a.1));
            held.truncate(most);
        }
        held
    }
}
