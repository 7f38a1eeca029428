//! The recorder on histories that are known: its estimates against plain sums.

use memprofile::profile::{Allocator, Estimate};
use memprofile::sampling::{Block, Frames, Memory, Moved, Origin, Place, Recorder, Settings};
use proptest::prelude::*;
use std::collections::HashSet;

/// A stack of one frame: line `.0` of the user's file.
pub(crate) struct Line(pub(crate) u32);

impl Frames for Line {
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
        std::iter::once(u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
    fn place(&self, _index: usize) -> Place {
        Place { function: "<module>".into(), file: "/home/me/cell.py".into(), line: self.0 }
    }
    fn gap(&self) -> Option<usize> {
        None
    }
}

/// Addresses that are watched; every page is resident.
#[derive(Default)]
struct Watched(HashSet<usize>);

impl Memory for Watched {
    fn watch(&mut self, address: usize) {
        self.0.insert(address);
    }
    fn unwatch(&mut self, address: usize) {
        self.0.remove(&address);
    }
    fn clock(&mut self) -> u64 {
        0
    }
    fn resident(&mut self, _start: usize, length: u64) -> u64 {
        length
    }
}

/// A program that allocates and frees, with the countdown that the hooks would keep for it.
struct Program {
    recorder: Recorder,
    memory: Watched,
    countdown: i64,
    epoch: u32,
    now: u64,
    /// Nanoseconds that samples have taken, as a slow machine would tell.
    spent: u64,
    /// Nanoseconds that each takes.
    each: u64,
}

impl Program {
    fn new(seed: u64, exact: bool) -> Program {
        let settings = Settings { exact, seed, ..Settings::default() };
        Program {
            recorder: Recorder::new(settings),
            memory: Watched::default(),
            countdown: 0,
            epoch: 0,
            now: 0,
            spent: 0,
            each: 300,
        }
    }

    fn allocate(&mut self, address: usize, size: u64, line: u32) {
        self.allocate_below(address, size, &Line(line));
    }

    fn allocate_below(&mut self, address: usize, size: u64, frames: &impl Frames) {
        self.now += 100;
        self.countdown -= size as i64;
        if self.countdown >= 0 && size < self.recorder.always_from() {
            return;
        }
        self.spent += self.each;
        let block = Block {
            address,
            size,
            allocator: Allocator::Pymalloc,
            epoch: self.epoch,
            moved: Moved::default(),
        };
        let origin = Origin { frames: Some(frames), recording_thread: true, library: None };
        self.recorder.allocated(block, 0, origin, self.now, &mut self.memory);
        self.recorder.pace(self.now, self.spent, &mut self.memory);
        let draw = self.recorder.draw();
        (self.countdown, self.epoch) = (draw.countdown, draw.epoch);
    }

    fn free(&mut self, address: usize) {
        self.now += 100;
        if self.memory.0.contains(&address) {
            self.spent += self.each;
            self.recorder.freed(address, 0, self.now, &mut self.memory);
        }
    }

    fn finish(mut self) -> memprofile::sampling::Recorded {
        self.recorder.finish(self.now, 0, &mut self.memory)
    }
}

/// 200,000 blocks on three lines: many small ones, few larger ones, and one line that frees.
fn history(seed: u64) -> ([f64; 3], memprofile::sampling::Recorded) {
    let mut program = Program::new(seed, false);
    let mut truth = [0.0; 3];
    for index in 0..200_000usize {
        let address = 0x1000_0000 + index * 1024;
        let (line, size) = match index % 100 {
            0 => (1, 500),
            1..=49 => (2, 48 + index as u64 % 5 * 16),
            _ => (0, 64),
        };
        program.allocate(address, size, line + 1);
        if line == 2 && index % 3 != 0 {
            program.free(address);
        } else {
            truth[line as usize] += size as f64;
        }
    }
    (truth, program.finish())
}

#[test]
fn deep_stacks_end_what_is_exact_before_they_take_long() {
    for (each, exact) in [(300, true), (3_000, false)] {
        let mut program = Program::new(1, false);
        program.each = each;
        for index in 0..45_000 {
            program.allocate(0x1000_0000 + index * 64, 64, 1);
        }
        let spent = program.spent;
        assert_eq!(program.finish().interval.0 == 0, exact, "{each} ns each");
        assert!(spent < 100_000_000, "{spent} ns");
    }
}

/// The same line below that many frames of a recursion.
struct Deep(usize);

impl Frames for Deep {
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
        std::iter::repeat_n(1, self.0)
    }
    fn place(&self, index: usize) -> Place {
        Line(1).place(index)
    }
    fn gap(&self) -> Option<usize> {
        None
    }
}

#[test]
fn frames_end_what_is_exact() {
    for (depth, exact) in [(1, true), (3, true), (30, false), (1000, false)] {
        let mut program = Program::new(1, false);
        program.allocate(0x0f00_0000, 64, 1);
        for index in 0..45_000 {
            program.allocate_below(0x1000_0000 + index * 64, 64, &Deep(depth));
        }
        assert_eq!(program.finish().interval.0 == 0, exact, "{depth} frames");
    }
    // What all have does not count; a stack without a line of the user's own is none of them.
    let mut program = Program::new(1, false);
    program.allocate_below(0x0f00_0000, 64, &Deep(0));
    for index in 0..45_000 {
        program.allocate_below(0x1000_0000 + index * 64, 64, &Deep(40));
    }
    assert_eq!(program.finish().interval.0, 0);
}

#[test]
fn the_truth_lies_in_the_stated_interval_in_95_of_100_runs() {
    let mut inside = [0; 3];
    for seed in 1..=100 {
        let (truth, recorded) = history(seed);
        assert!(recorded.interval.0 > 0, "the history is to be sampled");
        for site in &recorded.sites {
            let stack = site.stack.expect("every block has a stack");
            let line = recorded.stacks.frame(stack).line as usize - 1;
            let margin = site.surviving.margin(recorded.interval.as_f64());
            inside[line] += usize::from((site.surviving.value - truth[line]).abs() <= margin);
        }
    }
    assert!(inside.iter().all(|&runs| runs >= 95), "{inside:?} of 100");
}

#[test]
fn the_estimate_has_no_bias() {
    let mut sum = [0.0; 3];
    let mut truth = [0.0; 3];
    let runs = 60;
    for seed in 1000..1000 + runs {
        let (known, recorded) = history(seed);
        truth = known;
        for site in &recorded.sites {
            let stack = site.stack.expect("every block has a stack");
            sum[recorded.stacks.frame(stack).line as usize - 1] += site.surviving.value;
        }
    }
    for line in 0..3 {
        let mean = sum[line] / runs as f64;
        assert!((mean / truth[line] - 1.0).abs() < 0.03, "line {line}: {mean} {}", truth[line]);
    }
}

#[test]
fn an_unseen_line_lies_in_its_interval_too() {
    let none = Estimate::default();
    assert!(none.margin(1000.0) > 3000.0);
    assert_eq!(none.margin(0.0), 0.0);
}

/// Objects that went have left their arenas full of holes: a little later the footprint is larger than
/// it ever was, and the lines that hold it are those of before.
#[test]
fn a_peak_is_explained_by_the_moment_at_which_most_was_held() {
    let mut program = Program::new(1, true);
    let blocks = || (0..2000usize).map(|index| 0x1000_0000 + index * 512);
    program.recorder.arena(0x1000_0000, 1 << 20, 0, &mut program.memory);
    blocks().for_each(|address| program.allocate(address, 500, 1));
    blocks().for_each(|address| program.free(address));
    program.recorder.native(10_000, program.now);
    program.allocate(0x5000_0000, 100, 2);
    let recorded = program.finish();
    assert_eq!(recorded.peak.0.0, (1 << 20) + 10_000);
    assert_eq!(recorded.sums[0], Estimate::exact(1_000_000.0));
    let lines: Vec<f64> = recorded.sites.iter().map(|site| site.peak.value).collect();
    assert_eq!(lines, [1_000_000.0, 0.0]);
}

proptest! {
    /// While everything is recorded, every figure is the plain sum.
    #[test]
    fn an_exact_history_is_exact(
        steps in proptest::collection::vec((0usize..50, 1u64..2000, 1u32..4), 1..500)
    ) {
        let mut program = Program::new(1, true);
        let mut live = std::collections::HashMap::new();
        let (mut allocated, mut highest) = (0, 0);
        for (slot, size, line) in steps {
            let address = 0x1000 + slot * 4096;
            if live.remove(&slot).is_some() {
                program.free(address);
            } else {
                program.allocate(address, size, line);
                live.insert(slot, size);
                allocated += size;
            }
            highest = highest.max(live.values().sum::<u64>());
        }
        let recorded = program.finish();
        let [at_peak, surviving, all, _] = recorded.sums;
        prop_assert_eq!(surviving, Estimate::exact(live.values().sum::<u64>() as f64));
        prop_assert_eq!(all, Estimate::exact(allocated as f64));
        prop_assert_eq!(at_peak, Estimate::exact(highest as f64));
        prop_assert_eq!(recorded.peak.0.0, highest);
        prop_assert_eq!(recorded.interval.0, 0);
    }

    /// However it goes, the books stay bounded and nothing panics.
    #[test]
    fn any_history_is_survived(
        seed: u64,
        steps in proptest::collection::vec((0usize..3000, 1u64..3_000_000, 1u32..9), 1..3000)
    ) {
        let mut program = Program::new(seed, false);
        for (slot, size, line) in steps {
            let address = 0x1000 + slot * 16;
            if size % 3 == 0 { program.free(address) } else { program.allocate(address, size, line) }
        }
        let recorded = program.finish();
        prop_assert!(recorded.timeline.points.len() < 1000);
        for site in &recorded.sites {
            prop_assert!(site.surviving.value >= 0.0 && site.peak.value >= 0.0);
        }
    }
}
