//! Allocators that no hook sees, on histories that are known.

use memprofile::profile::Allocator;
use memprofile::sampling::{
    Block, Frames, Memory, Moved, Origin, Owner, Place, Reading, Recorded, Recorder, Region,
    Settings,
};
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;

/// A stack of one frame: line `.0` of the user's file.
struct Line(u32);

impl Frames for Line {
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
        std::iter::once(u64::from(self.0) + 1)
    }
    fn place(&self, _index: usize) -> Place {
        Place { function: "<module>".into(), file: "/home/me/cell.py".into(), line: self.0 }
    }
    fn gap(&self) -> Option<usize> {
        None
    }
}

/// What is resident, by the start of a range, and what a look at a range costs.
#[derive(Default)]
struct Pages {
    resident: BTreeMap<usize, u64>,
    cost: u64,
    clock: u64,
}

impl Memory for Pages {
    fn watch(&mut self, _address: usize) {}
    fn unwatch(&mut self, _address: usize) {}
    fn clock(&mut self) -> u64 {
        self.clock
    }
    fn resident(&mut self, start: usize, _length: u64) -> u64 {
        self.clock += self.cost;
        self.resident.get(&start).copied().unwrap_or_default()
    }
    fn anonymous(&mut self) -> Option<u64> {
        Some(self.resident.values().sum())
    }
}

const START: usize = 1 << 41;

fn region(owner: Owner) -> Region {
    Region { start: START, length: 1 << 30, owner, caller: 0 }
}

/// A recorder at line 1, its process with so much in one region.
struct Process {
    recorder: Recorder,
    pages: Pages,
    now: u64,
}

impl Process {
    fn new() -> Process {
        let recorder = Recorder::new(Settings { exact: true, ..Settings::default() });
        let mut process = Process { recorder, pages: Pages::default(), now: 0 };
        process.recorder.regions_known(0);
        process
    }

    fn with_pool(owner: Owner, bytes: u64, resident: u64) -> Process {
        let mut process = Process::new();
        process.pages.resident.insert(START, resident);
        process.recorder.found_region(region(owner), resident);
        process.recorder.found_pool(Reading { owner, bytes });
        // The first look.
        process.look();
        process
    }

    fn run(&mut self, line: u32) {
        self.now += 1;
        let line = Line(line);
        let origin = Origin { frames: Some(&line), recording_thread: true, library: None };
        let block = Block {
            address: 16 * self.now as usize,
            size: 0,
            allocator: Allocator::Pymalloc,
            epoch: 0,
            moved: Moved::default(),
        };
        self.recorder.allocated(block, 0, origin, self.now, &mut self.pages);
    }

    /// The pages of the region become so many, and a poll reads the resident set.
    fn poll(&mut self, resident: u64) {
        self.now += 1;
        self.pages.resident.insert(START, resident);
        self.recorder.anonymous(resident, self.now, &mut self.pages);
    }

    /// The other pages of the process become so many, and a poll reads the resident set.
    fn others(&mut self, resident: u64) {
        self.pages.resident.insert(0, resident);
        let all = self.pages.anonymous().unwrap_or_default();
        self.recorder.anonymous(all, self.now, &mut self.pages);
    }

    fn look(&mut self) {
        self.now += 1;
        let (losses, regions) = self.recorder.regions(None).expect("they are few");
        let found: Vec<_> = regions
            .into_iter()
            .map(|r| (r, self.pages.resident(r.start, r.length as u64)))
            .collect();
        let anonymous = self.pages.anonymous();
        self.recorder.regions_looked_at(losses, &found, anonymous, self.now);
    }

    fn read(&mut self, owner: Owner, bytes: u64, line: u32) {
        self.now += 1;
        let line = Line(line);
        let origin = Origin { frames: Some(&line), recording_thread: true, library: None };
        self.recorder.read_pools(&[Reading { owner, bytes }], Some(origin), self.now);
    }

    fn finish(mut self) -> (Recorded, BTreeMap<(u32, Allocator), [u64; 4]>) {
        let recorded = self.recorder.finish(self.now + 1, 0, &mut self.pages);
        let mut lines = BTreeMap::new();
        for site in recorded.sites.iter().filter(|s| s.allocator != Allocator::Pymalloc) {
            let line = site.stack.and_then(|s| recorded.stacks.user_line(s)).map_or(0, |f| f.line);
            let figures = [site.peak, site.surviving, site.allocated, site.temporary];
            lines.insert((line, site.allocator), figures.map(|f| f.value as u64 / MIB));
        }
        (recorded, lines)
    }
}

#[test]
fn a_pool_grows_at_the_line_that_runs_when_it_is_read() {
    let mut process = Process::with_pool(Owner::Arrow, 0, 0);
    process.run(1);
    process.poll(100 * MIB);
    process.read(Owner::Arrow, 90 * MIB, 1);
    process.run(2);
    process.poll(130 * MIB);
    process.read(Owner::Arrow, 120 * MIB, 2);
    process.read(Owner::Arrow, 90 * MIB, 3);
    let (recorded, lines) = process.finish();
    assert_eq!(lines[&(1, Allocator::Arrow)], [90, 90, 100, 10]);
    // What came last goes first.
    assert_eq!(lines[&(2, Allocator::Arrow)], [30, 0, 30, 30]);
    // Its pages are still there: that is slack.
    assert_eq!(recorded.peak.0.0, 130 * MIB);
    assert_eq!(recorded.footprint.0 as u64, 130 * MIB);
}

#[test]
fn a_peak_inside_of_a_call_is_the_callers() {
    let mut process = Process::with_pool(Owner::Polars, 0, 0);
    process.run(4);
    process.poll(200 * MIB);
    process.poll(600 * MIB);
    process.read(Owner::Polars, 50 * MIB, 4);
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 600 * MIB);
    assert_eq!(lines[&(4, Allocator::Polars)], [600, 50, 600, 550]);
}

#[test]
fn a_pool_in_pages_that_were_there_before_still_counts() {
    let mut process = Process::with_pool(Owner::Polars, 10 * MIB, 500 * MIB);
    process.run(1);
    process.poll(500 * MIB);
    process.read(Owner::Polars, 310 * MIB, 1);
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 300 * MIB);
    assert_eq!(lines[&(1, Allocator::Polars)], [300, 300, 300, 0]);
}

#[test]
fn what_a_pool_asked_for_and_never_filled_costs_nothing() {
    let mut process = Process::with_pool(Owner::Arrow, 0, 0);
    process.run(1);
    process.poll(20 * MIB);
    process.look();
    process.read(Owner::Arrow, 20 * MIB, 1);
    let before = process.recorder.regions(None).expect("they are few");
    assert_eq!(before.1.len(), 1);
    process.read(Owner::Arrow, 800 * MIB, 1);
    process.look();
    let (recorded, _) = process.finish();
    assert_eq!(recorded.footprint.0 as u64, 20 * MIB);
}

#[test]
fn old_memory_that_a_pool_frees_makes_room() {
    let mut process = Process::with_pool(Owner::Arrow, 400 * MIB, 400 * MIB);
    process.run(1);
    process.pages.resident.insert(START, 0);
    process.recorder.gone_back(START, 1 << 30, 400 * MIB, 1, &mut process.pages);
    process.read(Owner::Arrow, 0, 1);
    process.run(2);
    process.poll(300 * MIB);
    process.read(Owner::Arrow, 300 * MIB, 2);
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 0);
    assert_eq!(recorded.footprint.0, -100 * MIB as i64);
    assert_eq!(lines[&(2, Allocator::Arrow)], [0, 300, 300, 0]);
}

#[test]
fn a_region_of_a_library_without_a_pool_counts_by_its_pages() {
    let mut process = Process::new();
    process.recorder.reserved(region(Owner::Other));
    process.run(7);
    process.poll(70 * MIB);
    process.run(8);
    process.poll(80 * MIB);
    process.pages.resident.insert(START, 80 * MIB);
    process.now += 1;
    process.recorder.unmapped(START, 1 << 30, process.now, &mut process.pages);
    process.pages.resident.clear();
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 80 * MIB);
    assert_eq!(recorded.footprint.0, 0);
    assert_eq!(lines[&(7, Allocator::Mmap)], [70, 0, 70, 70]);
    assert_eq!(lines[&(8, Allocator::Mmap)], [10, 0, 10, 10]);
}

#[test]
fn growth_that_other_memory_explains_is_not_of_a_region() {
    let mut process = Process::with_pool(Owner::Arrow, 0, 0);
    process.run(1);
    process.recorder.native(50 * MIB as i64, 1);
    process.poll(0);
    process.others(50 * MIB);
    // Freed, and kept by the allocator.
    process.recorder.native(-50 * MIB as i64, 2);
    process.others(50 * MIB);
    let (recorded, lines) = process.finish();
    assert!(lines.values().all(|figures| *figures == [0; 4]), "{lines:?}");
    assert_eq!(recorded.peak.0.0, 50 * MIB);
    assert_eq!(recorded.footprint.0, 0);
}

#[test]
fn a_block_is_of_no_region() {
    let mut process = Process::with_pool(Owner::Arrow, 0, 8 * MIB);
    process.run(1);
    let origin = Origin { frames: Some(&Line(2)), recording_thread: true, library: None };
    let (size, allocator, moved) = (4 * MIB, Allocator::Malloc, Moved::default());
    let block = Block { address: START + (1 << 20), size, allocator, epoch: 0, moved };
    process.recorder.allocated(block, size as i64, origin, 1, &mut process.pages);
    process.pages.resident.insert(START + (1 << 20), 4 * MIB);
    process.pages.resident.insert(START, MIB);
    process.look();
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 4 * MIB);
    assert_eq!(lines[&(2, Allocator::Malloc)], [4, 4, 4, 0]);
}

#[test]
fn more_than_lines_hold_is_from_before() {
    let mut process = Process::with_pool(Owner::Arrow, 50 * MIB, 50 * MIB);
    process.run(1);
    process.read(Owner::Arrow, 54 * MIB, 1);
    process.run(2);
    process.read(Owner::Arrow, 14 * MIB, 2);
    process.run(3);
    process.read(Owner::Arrow, 4 * MIB, 3);
    let (_, lines) = process.finish();
    // 10 MiB were left from before, so what line 3 freed may be all of that.
    assert_eq!(lines[&(1, Allocator::Arrow)], [4, 4, 4, 0]);
}

#[test]
fn growth_that_nobody_explains_is_looked_for() {
    for cost in [0, 1_000_000_000] {
        let mut process = Process::with_pool(Owner::Arrow, 0, MIB);
        process.run(1);
        process.pages.cost = cost;
        process.others(3 * MIB);
        process.others(7 * MIB);
        // Where a look costs much there is one; from then on the region is taken to have grown.
        let supposed = if cost == 0 { 0 } else { 4 * MIB };
        assert_eq!(process.recorder.bytes() as u64, supposed);
        process.read(Owner::Arrow, 0, 1);
        let (recorded, _) = process.finish();
        assert_eq!((recorded.peak.0.0, recorded.footprint.0), (supposed, 0));
    }
}

#[test]
fn what_came_and_went_between_two_readings_is_no_growth() {
    let mut process = Process::with_pool(Owner::Arrow, 0, 0);
    process.pages.cost = 1_000_000_000;
    process.run(1);
    process.others(MIB);
    process.recorder.native(50 * MIB as i64, 1);
    process.recorder.native(-50 * MIB as i64, 2);
    process.others(51 * MIB);
    assert_eq!(process.recorder.bytes(), 0);
}

#[test]
fn an_owner_that_is_looked_up_later_answers_for_his_regions() {
    let mut process = Process::new();
    process.recorder.reserved(Region { caller: 0x1234, ..region(Owner::Other) });
    assert_eq!(process.recorder.unknown_callers(), [0x1234]);
    process.recorder.resolve_caller(0x1234, Owner::Polars);
    assert!(process.recorder.unknown_callers().is_empty());
    let next = Region { start: START + (1 << 30), caller: 0x1234, ..region(Owner::Other) };
    process.recorder.reserved(next);
    assert!(process.recorder.unknown_callers().is_empty());
    process.run(1);
    process.poll(5 * MIB);
    let (_, lines) = process.finish();
    assert_eq!(lines[&(1, Allocator::Polars)], [5, 5, 5, 0]);
}

/// Of the mapping from before the start this was resident.
fn with_old_memory(resident: u64) -> Process {
    let mut process = Process::new();
    process.pages.resident.insert(START, resident);
    process.recorder.found_mapping(START, 1 << 30, resident);
    process.look();
    process
}

#[test]
fn memory_from_before_counts_by_what_is_written_to() {
    let mut process = with_old_memory(100 * MIB);
    process.run(1);
    // Python fills its arenas: its objects are counted already.
    process.poll(100 * MIB + MIB / 2);
    process.look();
    process.run(2);
    process.poll(400 * MIB);
    process.look();
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 300 * MIB);
    assert_eq!(recorded.footprint.0, 300 * MIB as i64);
    assert_eq!(lines[&(2, Allocator::Earlier)], [300, 300, 300, 0]);
    assert!(!lines.contains_key(&(1, Allocator::Earlier)));
    assert_eq!([recorded.parts[1].earlier, recorded.parts[1].foreign], [300 * MIB as i64, 0]);
}

#[test]
fn a_block_from_before_gives_back_what_is_resident() {
    let mut process = with_old_memory(100 * MIB);
    process.run(1);
    // Nobody has looked at what was written meanwhile.
    process.pages.resident.insert(START, 400 * MIB);
    process.recorder.freed(START, -(1 << 30), 5, &mut process.pages);
    process.pages.resident.clear();
    process.run(2);
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.peak.0.0, 300 * MIB);
    assert_eq!(recorded.footprint.0, -100 * MIB as i64);
    assert_eq!(lines[&(1, Allocator::Earlier)], [300, 0, 300, 300]);
}

#[test]
fn a_new_block_in_the_place_of_an_old_one_is_new() {
    let mut process = with_old_memory(0);
    process.run(1);
    let line = Line(3);
    let origin = Origin { frames: Some(&line), recording_thread: true, library: None };
    let block = Block {
        address: START,
        size: 1 << 30,
        allocator: Allocator::Malloc,
        epoch: 0,
        moved: Moved::default(),
    };
    process.recorder.allocated(block, 1 << 30, origin, 3, &mut process.pages);
    process.poll(400 * MIB);
    process.look();
    let (recorded, lines) = process.finish();
    assert_eq!(recorded.footprint.0, 400 * MIB as i64);
    assert_eq!(lines[&(3, Allocator::Malloc)], [400, 400, 1024, 0]);
    assert_eq!(lines.len(), 1, "{lines:?}");
}
