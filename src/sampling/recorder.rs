//! The recorder: everything of a recording while it runs.

use super::curve::{Curve, Point};
use super::footprint::Footprint;
use super::live_set::{LiveSet, Sample};
use super::sampler::{Draw, Sampler};
use super::sites::{Sites, Worth};
use super::stacks::{Frames, NO_SITE, Names, Paths};
use crate::profile::{
    Allocator, Bytes, Estimate, LineKey, Nanos, SignedBytes, Site, StackTable, ThreadKind,
    Timeline, TimelinePoint,
};

/// What a recording is made with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Record every allocation, however many there are.
    pub exact: bool,
    /// Seed of the sampling.
    pub seed: u64,
    /// Whose files are which.
    pub paths: Paths,
}

/// The addresses whose free must be told. Called with the recorder's lock held.
pub trait Filter {
    /// From now on.
    fn add(&mut self, address: usize);
    /// No longer.
    fn remove(&mut self, address: usize);
}

/// A block that was allocated.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Where; not 0.
    pub address: usize,
    /// Bytes asked for.
    pub size: u64,
    /// From where.
    pub allocator: Allocator,
    /// The epoch of the countdown that ran out at this block.
    pub epoch: u32,
}

/// Everything is recorded up to this many events, so that an ordinary cell is exact.
const ALWAYS_EXACT: u64 = 50_000;

/// Live samples at most, unless everything is to be recorded.
const MAX_LIVE: usize = 1 << 16;

/// The share of the time that samples may take.
const BUDGET: f64 = 0.015;

/// Between two looks at the time that they took: events, and nanoseconds.
const PACE: (u64, u64) = (256, 2_000_000);

/// Lines that a point of the curve tells apart.
const MAX_HELD: usize = 24;

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    sampler: Sampler,
    live: LiveSet,
    sites: Sites,
    names: Names,
    footprint: Footprint,
    curve: Curve,
    /// What each line holds now.
    line_held: Vec<f64>,
    running: Option<u32>,
    peak: i64,
    peak_at: u64,
    peak_running: Option<u32>,
    /// Nothing was freed since the footprint was largest: what is held is still the peak's.
    at_peak: bool,
    events: u64,
    paced: Pace,
}

/// Where the recorder stood when the time was last looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    events: u64,
    now: u64,
    spent: u64,
}

/// What a finished recorder knows.
#[derive(Debug)]
pub struct Recorded {
    /// The stacks.
    pub stacks: StackTable,
    /// The sites.
    pub sites: Vec<Site>,
    /// Memory over time.
    pub timeline: Timeline,
    /// The largest footprint, and when.
    pub peak: (Bytes, Nanos),
    /// The footprint at the end.
    pub footprint: SignedBytes,
    /// Mean bytes between samples; 0: everything was recorded.
    pub interval: Bytes,
    /// Sums over all sites: at the peak, surviving, allocated, and the count.
    pub sums: [Estimate; 4],
    /// Whether stacks were cut down to their line for want of room.
    pub stacks_cut: bool,
}

impl Recorder {
    /// A recorder that has seen nothing.
    pub fn new(settings: Settings) -> Recorder {
        let names = Names::new(settings.paths.clone());
        Recorder {
            sampler: Sampler::new(settings.seed),
            live: LiveSet::new(2 * MAX_LIVE),
            sites: Sites::new(),
            names,
            footprint: Footprint::default(),
            curve: Curve::default(),
            line_held: Vec::with_capacity(256),
            running: None,
            peak: 0,
            peak_at: 0,
            peak_running: None,
            at_peak: true,
            events: 0,
            paced: Pace::default(),
            settings,
        }
    }

    /// The interval between samples, in bytes; 0 while everything is recorded.
    pub fn interval(&self) -> f64 {
        self.sampler.interval()
    }

    /// From which size on a block must be told whatever its countdown says.
    pub fn always_from(&self) -> u64 {
        self.sampler.always_from()
    }

    /// A new countdown.
    pub fn draw(&mut self) -> Draw {
        self.sampler.draw()
    }

    /// Whether the countdown of this epoch was drawn with the present interval.
    pub fn epoch(&self) -> u32 {
        self.sampler.epoch()
    }

    /// A block was allocated at whose place the countdown ran out, or that is always told.
    pub fn allocated(
        &mut self,
        block: Block,
        frames: Option<&impl Frames>,
        now: u64,
        filter: &mut impl Filter,
    ) {
        let certain = block.size >= self.sampler.always_from();
        if !certain && !self.sampler.accept(block.size, block.epoch) {
            return;
        }
        // A block at the address of a live sample: its free was not seen.
        self.freed(block.address, now, filter);
        self.events += 1;
        if self.live.is_full() {
            if self.settings.exact {
                self.live.grow()
            } else {
                self.coarsen(1, filter)
            }
            if !self.settings.exact && !self.sampler.accept(block.size, self.sampler.epoch() - 1) {
                return;
            }
        }
        let site = self.site(block.allocator, frames);
        let line = self.sites.line(site);
        self.running = line.or(self.running);
        let probability = self.sampler.probability(block.size);
        let worth = Worth::new(block.size, probability);
        self.live.insert(Sample { address: block.address, size: block.size, site });
        filter.add(block.address);
        // What is added after a decrease is no part of the peak before it.
        self.leave_peak_if_below();
        self.sites.allocated(site, worth, probability);
        self.hold(site, worth.bytes, worth.variance);
        self.look(now);
    }

    /// A block is about to be freed. Anything that is no sample is passed over.
    pub fn freed(&mut self, address: usize, now: u64, filter: &mut impl Filter) -> Option<Sample> {
        let sample = self.live.remove(address)?;
        filter.remove(address);
        self.leave_peak();
        let worth = Worth::new(sample.size, self.sampler.probability(sample.size));
        self.sites.freed(sample.site, worth);
        self.hold(sample.site, -worth.bytes, -worth.variance);
        self.look(now);
        Some(sample)
    }

    /// A free that was told did not happen: a `realloc` failed, and its block is where it was.
    pub fn undo_free(&mut self, sample: Sample, now: u64, filter: &mut impl Filter) {
        let worth = Worth::new(sample.size, self.sampler.probability(sample.size));
        self.live.insert(sample);
        filter.add(sample.address);
        self.sites.undo_free(sample.site, worth);
        self.hold(sample.site, worth.bytes, worth.variance);
        self.look(now);
    }

    /// Native blocks grew or shrank by usable bytes.
    pub fn native(&mut self, bytes: i64, now: u64) {
        if bytes < 0 {
            self.leave_peak();
        }
        self.footprint.add_native(bytes);
        self.look(now);
    }

    /// CPython took an arena or gave one back.
    pub fn arena(&mut self, bytes: i64, now: u64) {
        if bytes < 0 {
            self.leave_peak();
        }
        self.footprint.add_arena(bytes);
        self.look(now);
    }

    /// Anonymous memory was mapped.
    pub fn mapped(&mut self, start: usize, length: usize, now: u64) {
        self.footprint.map(start, length);
        self.look(now);
    }

    /// Addresses are about to be unmapped. Returns whether any was a mapping of this recording.
    pub fn unmapped(
        &mut self,
        start: usize,
        length: usize,
        now: u64,
        filter: &mut impl Filter,
    ) -> bool {
        self.freed(start, now, filter);
        self.leave_peak();
        let ours = self.footprint.unmap(start, length);
        self.look(now);
        ours
    }

    /// A poll: the resident set size was read.
    pub fn poll(&mut self, rss: u64, now: u64) {
        self.point(now, Some(rss));
    }

    /// Looks at what the samples cost, now and then: `spent` of `now` nanoseconds so far.
    /// Raises the interval where it is too much.
    pub fn pace(&mut self, now: u64, spent: u64, filter: &mut impl Filter) {
        let due = self.events >= self.paced.events + PACE.0 && now >= self.paced.now + PACE.1;
        if self.settings.exact || self.events < ALWAYS_EXACT || !due {
            return;
        }
        let last = std::mem::replace(&mut self.paced, Pace { events: self.events, now, spent });
        let share = (spent - last.spent) as f64 / (now - last.now) as f64;
        if share > BUDGET {
            // The share falls as the interval grows: this many doublings bring it to the budget.
            self.coarsen((share / BUDGET).log2().round().clamp(1.0, 4.0) as u32, filter);
        }
    }

    /// The blocks that are live by what is known of them, thinned to a coarser interval.
    fn coarsen(&mut self, doublings: u32, filter: &mut impl Filter) {
        let before: Vec<Sample> = self.live.iter().copied().collect();
        let old: Vec<f64> = before.iter().map(|s| self.sampler.probability(s.size)).collect();
        self.sampler.coarsen(doublings);
        self.leave_peak_if_below();
        for (sample, old) in before.into_iter().zip(old) {
            let was = Worth::new(sample.size, old);
            let is = if self.sampler.survives(sample.size) {
                Worth::new(sample.size, self.sampler.probability(sample.size))
            } else {
                self.live.remove(sample.address);
                filter.remove(sample.address);
                Worth { bytes: 0.0, variance: 0.0 }
            };
            let (bytes, variance) = (is.bytes - was.bytes, is.variance - was.variance);
            if (bytes, variance) != (0.0, 0.0) {
                self.sites.change(sample.site, bytes, variance);
                self.hold(sample.site, bytes, variance);
            }
        }
    }

    fn site(&mut self, allocator: Allocator, frames: Option<&impl Frames>) -> u32 {
        let number = self.names.intern(frames);
        let known = self.names.known(number);
        let index = allocator as usize;
        if known.sites[index] == NO_SITE {
            let thread = if frames.is_some() { ThreadKind::Python } else { ThreadKind::Native };
            known.sites[index] = self.sites.add(known.stack, allocator, thread, known.line);
        }
        known.sites[index]
    }

    /// A site holds more or less.
    fn hold(&mut self, site: u32, bytes: f64, variance: f64) {
        if self.sites.allocator(site) == Allocator::Pymalloc {
            self.footprint.add_objects(bytes, variance);
        }
        if let Some(line) = self.sites.line(site) {
            let line = line as usize;
            if line >= self.line_held.len() {
                self.line_held.resize(line + 1, 0.0);
            }
            self.line_held[line] += bytes;
        }
    }

    /// To be called before a decrease: what is held until now was held at the peak.
    fn leave_peak(&mut self) {
        if self.at_peak {
            self.at_peak = false;
            self.sites.mark_peak();
        }
    }

    fn leave_peak_if_below(&mut self) {
        if self.footprint.bytes() < self.peak {
            self.leave_peak();
        }
    }

    /// To be called after every change of the footprint.
    fn look(&mut self, now: u64) {
        let footprint = self.footprint.bytes();
        if footprint > self.peak || (self.at_peak && footprint == self.peak) {
            self.peak = footprint;
            self.peak_at = now;
            self.peak_running = self.running;
            self.at_peak = true;
        }
        if self.curve.moved(footprint, now) {
            self.point(now, None);
        }
    }

    fn point(&mut self, now: u64, rss: Option<u64>) {
        let mut held: Vec<(u32, f64)> = self
            .line_held
            .iter()
            .enumerate()
            .filter(|&(_, &bytes)| bytes >= 1.0)
            .map(|(line, &bytes)| (line as u32, bytes))
            .collect();
        if held.len() > MAX_HELD {
            held.select_nth_unstable_by(MAX_HELD, |a, b| b.1.total_cmp(&a.1));
            held.truncate(MAX_HELD);
        }
        let footprint = self.footprint.bytes();
        self.curve.push(Point { at: now, footprint, rss, held, running: self.running });
    }

    /// Ends the recording.
    pub fn finish(mut self, now: u64, rss: u64) -> Recorded {
        // A peak that nothing has come down from yet is the present.
        self.leave_peak_if_below();
        self.leave_peak();
        self.point(now, Some(rss));
        let peak = (Bytes(self.peak.max(0) as u64), Nanos(self.peak_at));
        let mut at_peak: Vec<(u32, f64)> = Vec::new();
        for (line, bytes) in self.sites.lines_at_peak() {
            match at_peak.iter_mut().find(|(l, _)| *l == line) {
                Some((_, sum)) => *sum += bytes,
                None => at_peak.push((line, bytes)),
            }
        }
        let footprint = SignedBytes(self.footprint.bytes());
        let stacks_cut = self.names.cut();
        let (stacks, lines) = self.names.finish();
        let mut points = self.curve.finish();
        let peak_point = Point {
            at: self.peak_at,
            footprint: self.peak,
            rss: None,
            held: at_peak,
            running: self.peak_running,
        };
        // The peak itself is a point, whichever points were made around it.
        let place = points.partition_point(|(p, _)| p.at < self.peak_at);
        let rss_there = points.get(place).or(points.last()).map_or(rss, |(_, rss)| *rss);
        points.insert(place, (peak_point, rss_there));
        let sites = self.sites.finish();
        let mut sums = [Estimate::default(); 4];
        for site in &sites {
            sums[0] += site.peak;
            sums[1] += site.surviving;
            sums[2] += site.allocated;
            sums[3] += site.count;
        }
        Recorded {
            timeline: timeline(points, &lines),
            stacks,
            sites,
            peak,
            footprint,
            interval: Bytes(self.sampler.interval() as u64),
            sums,
            stacks_cut,
        }
    }
}

/// The curve with its lines renumbered: only those that hold something at some point.
fn timeline(points: Vec<(Point, u64)>, lines: &[(crate::profile::FileId, u32)]) -> Timeline {
    let mut used: Vec<u32> =
        points.iter().flat_map(|(p, _)| p.held.iter().map(|h| h.0).chain(p.running)).collect();
    used.sort_unstable();
    used.dedup();
    let number = |line: u32| used.binary_search(&line).ok();
    let points = points
        .into_iter()
        .map(|(p, rss)| {
            let mut held = Vec::new();
            for (line, bytes) in p.held {
                if let Some(index) = number(line) {
                    if held.len() <= index {
                        held.resize(index + 1, 0);
                    }
                    held[index] = bytes.max(0.0) as u64;
                }
            }
            TimelinePoint {
                at: Nanos(p.at),
                footprint: SignedBytes(p.footprint),
                rss: Bytes(rss),
                held,
                running: p.running.and_then(|line| number(line).map(|i| i as u32)),
            }
        })
        .collect();
    let key = |&line: &u32| {
        let (file, line) = lines[line as usize];
        LineKey { file, line }
    };
    Timeline { lines: used.iter().map(key).collect(), points }
}
