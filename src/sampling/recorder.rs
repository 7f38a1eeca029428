//! The recorder: everything of a recording while it runs.

use super::copies::LineCopies;
use super::curve::{Curve, Point};
use super::earlier::is_older;
use super::footprint::{Footprint, Parts};
use super::foreign::Foreign;
use super::in_use::Looks;
use super::large::{Filled, LARGE, LargeBlock, LargeBlocks};
use super::live_set::{LiveSet, Sample};
use super::pace::{Depths, Pace};
use super::sampler::{Draw, Sampler};
use super::sites::{Sites, Worth};
use super::sizes::Sizes;
use super::stacks::{Frames, Known, NO_SITE, Names, Paths};
use crate::profile::{Allocator, ThreadKind};

/// What a recording is made with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Record every allocation, however many there are.
    pub exact: bool,
    /// Take samples at large intervals from the first allocation on.
    pub light: bool,
    /// Seed of the sampling.
    pub seed: u64,
    /// Whose files are which.
    pub paths: Paths,
}

/// The memory of the process, as far as the recorder asks for it. Called with its lock held.
pub trait Memory {
    /// The free of this address must be told from now on.
    fn watch(&mut self, address: usize);
    /// It need not be told any longer.
    fn unwatch(&mut self, address: usize);
    /// How many bytes of a range are resident.
    fn resident(&mut self, start: usize, length: u64) -> u64;
    /// What of ranges is resident, each as a whole and from its start on.
    fn filled(&mut self, ranges: &[(usize, u64)]) -> Vec<Filled> {
        let bytes = ranges.iter().map(|&(start, length)| self.resident(start, length));
        bytes.map(|bytes| Filled { bytes, front: 0 }).collect()
    }
    /// A clock in nanoseconds, which tells what a look at a range costs.
    fn clock(&mut self) -> u64;
    /// How many bytes of the process are resident and of no file; `None` where that is not known.
    fn anonymous(&mut self) -> Option<u64> {
        None
    }
}

/// A block that was taken out of the books: enough to put it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// The sample.
    pub sample: Sample,
    /// Of a large block, the bytes that were in use.
    pub touched: Option<u64>,
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
    /// What moved here with it, if it was another before.
    pub moved: Moved,
}

/// The contents of a block that moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many bytes of the block are in use by them.
    pub in_use: u64,
    /// How many were in use at their old place too, until they were copied.
    pub twice: u64,
}

/// Where an allocation comes from.
#[derive(Debug)]
pub struct Origin<'call, F> {
    /// The thread's Python stack, if it has one.
    pub frames: Option<&'call F>,
    /// Whether it is the thread that the recording was started in.
    pub recording_thread: bool,
    /// Of a thread without a stack: the library that asked, where it is known.
    pub library: Option<&'static str>,
}

impl<F> Clone for Origin<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Origin<'_, F> {}

/// Live samples at most, unless everything is to be recorded.
const MAX_LIVE: usize = 1 << 16;

/// A maximum that is larger by less than this part is nearly the same.
const NEARLY: i64 = 32;

/// Lines that a point of the curve tells apart.
const MAX_HELD: usize = 24;

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    pub(super) settings: Settings,
    pub(super) sampler: Sampler,
    pub(super) live: LiveSet,
    pub(super) large: LargeBlocks,
    /// What a large block that is being moved leaves untouched; it goes with the block's own bytes.
    pub(super) moving: u64,
    pub(super) sites: Sites,
    pub(super) names: Names,
    pub(super) footprint: Footprint,
    pub(super) curve: Curve,
    /// What each line holds now.
    pub(super) line_held: Vec<f64>,
    pub(super) running: Option<u32>,
    pub(super) peak: i64,
    pub(super) peak_at: u64,
    pub(super) peak_running: Option<u32>,
    pub(super) peak_parts: Parts,
    /// Nothing was freed since the moment that `composed` is of: what is held is still what was held then.
    pub(super) at_peak: bool,
    /// The footprint and what all sites held at the moment whose composition stands for the peak.
    composed: (i64, f64),
    /// What all sites hold now.
    held_in_all: f64,
    pub(super) events: u64,
    pub(super) paced: Pace,
    pub(super) depths: Depths,
    /// What thinning has cost, in nanoseconds.
    pub(super) thinning: u64,
    pub(super) looks: Looks,
    /// Native bytes that went since the last look at all large blocks, and the footprint then.
    pub(super) gone: u64,
    pub(super) looked_at: i64,
    pub(super) sizes: Sizes,
    pub(super) copies: LineCopies,
    pub(super) foreign: Foreign,
}

impl Recorder {
    /// A recorder that has seen nothing.
    pub fn new(settings: Settings) -> Recorder {
        let names = Names::new(settings.paths.clone());
        Recorder {
            sampler: if settings.light {
                Sampler::light(settings.seed)
            } else {
                Sampler::new(settings.seed)
            },
            live: LiveSet::new(2 * MAX_LIVE),
            large: LargeBlocks::default(),
            moving: 0,
            sites: Sites::new(),
            names,
            footprint: Footprint::default(),
            curve: Curve::default(),
            line_held: Vec::with_capacity(256),
            running: None,
            peak: 0,
            peak_at: 0,
            peak_running: None,
            peak_parts: Parts::default(),
            at_peak: true,
            composed: (0, 0.0),
            held_in_all: 0.0,
            events: 0,
            paced: Pace::default(),
            depths: Depths::default(),
            thinning: 0,
            looks: Looks::new(settings.light),
            gone: 0,
            looked_at: 0,
            sizes: Sizes::default(),
            copies: LineCopies::default(),
            foreign: Foreign::default(),
            settings,
        }
    }

    /// The interval between samples, in bytes; 0 while everything is recorded.
    pub fn interval(&self) -> f64 {
        self.sampler.interval()
    }

    /// From which size on a block must be told whatever its countdown says.
    pub fn always_from(&self) -> u64 {
        self.sampler.always_from().min(LARGE)
    }

    /// A new countdown.
    pub fn draw(&mut self) -> Draw {
        self.sampler.draw()
    }

    /// A block was allocated at whose place the countdown ran out, or that is always told. `net`:
    /// usable native bytes of this and other blocks, allocated minus freed, that were not told yet.
    pub fn allocated(
        &mut self,
        block: Block,
        net: i64,
        origin: Origin<'_, impl Frames>,
        now: u64,
        memory: &mut impl Memory,
    ) {
        if net < 0 {
            self.look_before_a_decrease(net, now, memory);
            self.leave_peak();
        }
        // What is added after a decrease is no part of the peak before it.
        self.leave_peak_if_below();
        self.count(net);
        if block.size >= LARGE {
            // Until it is in the books nothing of it is in use: somebody may look before.
            self.moving = block.size;
        }
        if block.size >= self.always_from() || self.sampler.accept(block.size, block.epoch) {
            self.note(block, origin, now, memory);
        }
        self.look(now);
    }

    pub(super) fn note(
        &mut self,
        block: Block,
        origin: Origin<'_, impl Frames>,
        now: u64,
        memory: &mut impl Memory,
    ) {
        // A block at the address of a live one: its free was not seen.
        self.freed(block.address, 0, now, memory);
        self.events += 1;
        let is_large = block.size >= LARGE;
        if !is_large && self.live.is_full() {
            if self.settings.exact {
                self.live.grow();
            } else {
                self.coarsen(1, memory);
                if !self.sampler.accept(block.size, self.sampler.epoch() - 1) {
                    return;
                }
            }
        }
        let stack_before = self.foreign.here;
        let site = self.site(block.allocator, origin);
        if origin.recording_thread {
            if self.sites.line(site).is_some_and(|line| self.running != Some(line)) {
                self.line_before_may_have_filled(stack_before, now, memory);
            }
            self.running = self.sites.line(site).or(self.running);
        }
        memory.watch(block.address);
        if is_large {
            self.replace_regions(block.address, block.size as usize, memory);
            // Nothing more of it is in use until it was looked up.
            self.sites.reserved(site);
            self.sizes.allocated(block.size, Worth::new(block.size, 1.0), 1.0);
            if let (Allocator::Malloc, Some(line)) = (block.allocator, self.sites.line(site)) {
                let held = self.line_held.get(line as usize).copied().unwrap_or(0.0);
                self.copies.allocated(block.address, block.size, line, held);
            }
            self.large.insert(block.address, LargeBlock::new(block.size, 0, site));
            self.moving = 0;
            let Moved { in_use, twice } = block.moved;
            if let Some(partial) = self.large.partial_at(block.address).filter(|_| in_use > 0) {
                self.found_in_use(partial, Filled { bytes: in_use, front: 0 });
            }
            if twice > 0 {
                self.held_twice(site, twice, now);
            }
        } else {
            let probability = self.sampler.probability(block.size);
            let worth = Worth::new(block.size, probability);
            self.live.insert(Sample { address: block.address, size: block.size, site });
            self.sites.allocated(site, worth, probability);
            self.sizes.allocated(block.size, worth, probability);
            self.hold(site, worth.bytes, worth.variance);
        }
    }

    /// So many bytes of a block were at two places while `realloc` copied them: that may be the peak.
    fn held_twice(&mut self, site: u32, bytes: u64, now: u64) {
        self.copy(site, bytes as i64);
        self.look(now);
        self.leave_peak();
        self.copy(site, -(bytes as i64));
        self.look(now);
    }

    fn copy(&mut self, site: u32, bytes: i64) {
        self.footprint.add_native(bytes);
        self.sites.change(site, bytes as f64, 0.0);
        self.hold(site, bytes as f64, 0.0);
    }

    /// A block is about to be freed, and `net` as in [`Recorder::allocated`]. An address that is not
    /// in the books is passed over.
    pub fn freed(
        &mut self,
        address: usize,
        net: i64,
        now: u64,
        memory: &mut impl Memory,
    ) -> Option<Freed> {
        if net < 0 {
            self.look_before_a_decrease(net, now, memory);
        }
        if net <= -(LARGE as i64) {
            self.grow_before_a_loss(now, memory);
        }
        let freed = self.take_out(address, memory);
        let more = if freed.is_none() && address != 0 && is_older(net) {
            self.older_block_goes(address, net.unsigned_abs(), now, memory)
        } else {
            0
        };
        if net + more < 0 {
            self.leave_peak();
        }
        if net != 0 {
            self.footprint.correct_native(more);
            self.count(net);
        }
        if freed.is_some() || net != 0 {
            self.look(now);
        }
        freed
    }

    /// Python is about to free a block: of these only small objects are in the books. A larger block
    /// is a native one, and told by [`Recorder::freed`].
    pub fn freed_object(
        &mut self,
        address: usize,
        now: u64,
        memory: &mut impl Memory,
    ) -> Option<Freed> {
        let sample = self.live.get(address)?;
        if self.sites.allocator(sample.site) != Allocator::Pymalloc {
            return None;
        }
        if self.footprint.falls_with_objects() {
            let worth = Worth::new(sample.size, self.sampler.probability(sample.size));
            self.look_before_a_decrease(-(worth.bytes as i64), now, memory);
        }
        self.freed(address, 0, now, memory)
    }

    fn take_out(&mut self, address: usize, memory: &mut impl Memory) -> Option<Freed> {
        if let Some(sample) = self.live.remove(address) {
            memory.unwatch(address);
            self.leave_peak();
            let worth = Worth::new(sample.size, self.sampler.probability(sample.size));
            self.sites.freed(sample.site, worth);
            self.hold(sample.site, -worth.bytes, -worth.variance);
            return Some(Freed { sample, touched: None });
        }
        let block = self.large.remove(address)?;
        memory.unwatch(address);
        self.leave_peak();
        self.moving += block.size - block.touched;
        self.copies.freed(address, block);
        self.sites.freed(block.site, Worth::new(block.touched, 1.0));
        self.sites.untouched(block.site, block.never_touched());
        self.hold(block.site, -(block.touched as f64), 0.0);
        let sample = Sample { address, size: block.size, site: block.site };
        Some(Freed { sample, touched: Some(block.touched) })
    }

    /// A free that was told did not happen: a `realloc` failed, and its block is where it was.
    pub fn undo_free(&mut self, freed: Freed, now: u64, memory: &mut impl Memory) {
        let Freed { sample: Sample { address, size, site }, touched } = freed;
        memory.watch(address);
        let worth = match touched {
            Some(touched) => {
                self.moving -= size - touched;
                self.sites.untouched_again(site, size - touched);
                let block = LargeBlock::new(size, touched, site);
                if let (Allocator::Malloc, Some(line)) =
                    (self.sites.allocator(site), self.sites.line(site))
                {
                    self.copies.stayed(address, block, line);
                }
                self.large.insert(address, block);
                Worth::new(touched, 1.0)
            }
            None => {
                self.live.insert(freed.sample);
                Worth::new(size, self.sampler.probability(size))
            }
        };
        self.sites.undo_free(site, worth);
        self.hold(site, worth.bytes, worth.variance);
        self.look(now);
    }

    /// Native blocks grew or shrank by usable bytes.
    pub fn native(&mut self, bytes: i64, now: u64) {
        if bytes < 0 {
            self.leave_peak();
        }
        self.count(bytes);
        self.look(now);
    }

    /// Adds native bytes; with them goes what a moved block had left untouched.
    fn count(&mut self, net: i64) {
        self.footprint.add_native(net);
        self.moving = 0;
    }

    /// The footprint now, in bytes above the start.
    pub fn bytes(&self) -> i64 {
        self.footprint.bytes() - (self.large.untouched() + self.moving) as i64
    }

    /// What the footprint is made of now. Of allocators that no hook sees it holds the larger of what is in use
    /// and what is resident; here these are two parts.
    pub fn parts(&self) -> Parts {
        let mut parts = self.footprint.parts();
        parts.blocks -= (self.large.untouched() + self.moving) as i64;
        (parts.foreign, parts.foreign_free) = self.foreign.used_and_free();
        parts
    }

    /// The largest of its tables: (address, bytes), of which only a part may be in memory.
    pub fn largest_table(&self) -> (usize, usize) {
        self.live.table()
    }

    /// CPython took an arena or gave one back.
    pub fn arena(&mut self, address: usize, bytes: i64, now: u64, memory: &mut impl Memory) {
        if bytes < 0 {
            self.look_before_a_decrease(bytes, now, memory);
            self.leave_peak();
        }
        self.footprint.add_arena(address, bytes);
        self.look(now);
    }

    /// Anonymous memory was mapped: always noted, since it is rare and at least a page.
    pub fn mapped(
        &mut self,
        block: Block,
        net: i64,
        origin: Origin<'_, impl Frames>,
        now: u64,
        memory: &mut impl Memory,
    ) {
        self.leave_peak_if_below();
        self.count(net);
        self.note(block, origin, now, memory);
        self.footprint.map(block.address, block.size as usize);
        self.look(now);
    }

    /// Addresses are about to be unmapped. Returns whether any was a mapping of this recording.
    pub fn unmapped(
        &mut self,
        start: usize,
        length: usize,
        now: u64,
        memory: &mut impl Memory,
    ) -> bool {
        // A large block that is cut is taken out whole: its remains count as in use.
        let mut cut = self.large.overlapping(start, length);
        cut.push(start);
        self.look_before_a_decrease(-(length as i64), now, memory);
        for address in cut {
            self.take_out(address, memory);
        }
        self.leave_peak();
        self.moving = 0;
        self.unmapped_regions(start, length, now, memory);
        let ours = self.footprint.unmap(start, length);
        self.look(now);
        ours
    }

    /// A poll: the resident set size was read.
    pub fn poll(&mut self, rss: u64, now: u64) {
        self.point(now, Some(rss));
    }

    fn site(&mut self, allocator: Allocator, origin: Origin<'_, impl Frames>) -> u32 {
        // A thread without a line of the user's own works for the line that runs meanwhile.
        let waiting = if origin.recording_thread { None } else { self.running };
        let number = if origin.frames.is_some() {
            self.names.intern(origin.frames, waiting)
        } else {
            self.names.intern_native(origin.library, waiting)
        };
        if origin.recording_thread {
            let &mut Known { line, depth, .. } = self.names.known(number);
            if line.is_some() {
                self.depths.add(depth);
            }
            self.foreign_stack(number);
        }
        let thread = if origin.frames.is_some() { ThreadKind::Python } else { ThreadKind::Native };
        let site = self.site_of(number, allocator, thread);
        if thread == ThreadKind::Native {
            self.sites.waits(site, waiting);
        }
        site
    }

    pub(super) fn site_of(&mut self, number: u32, from: Allocator, thread: ThreadKind) -> u32 {
        let known = self.names.known(number);
        let index = from as usize;
        if known.sites[index] == NO_SITE {
            known.sites[index] = self.sites.add(known.stack, from, thread, known.line);
        }
        known.sites[index]
    }

    /// A site holds more or less.
    pub(super) fn hold(&mut self, site: u32, bytes: f64, variance: f64) {
        self.held_in_all += bytes;
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
    pub(super) fn leave_peak(&mut self) {
        if self.at_peak {
            self.at_peak = false;
            self.sites.mark_peak();
        }
    }

    pub(super) fn leave_peak_if_below(&mut self) {
        if self.bytes() < self.peak {
            self.leave_peak();
        }
    }

    /// Whether what is held now stands for the peak, rather than what was held at the maximum before.
    ///
    /// Objects that go leave holes in their arenas, and the next few bytes make a new maximum of which
    /// nobody holds the most. So of two maxima that are nearly the same, the one with more that is held.
    fn explains_the_peak(&self, footprint: i64) -> bool {
        let (before, held) = self.composed;
        self.held_in_all >= held || footprint - before > before / NEARLY
    }

    /// To be called after every change of the footprint.
    pub(super) fn look(&mut self, now: u64) {
        let footprint = self.bytes();
        if footprint > self.peak || (self.at_peak && footprint == self.peak) {
            self.peak = footprint;
            self.peak_at = now;
            self.peak_running = self.running;
            self.peak_parts = self.parts();
            if self.at_peak || self.explains_the_peak(footprint) {
                self.at_peak = true;
                self.composed = (footprint, self.held_in_all);
            }
        }
        if self.curve.moved(footprint, now) {
            self.point(now, None);
        }
    }

    pub(super) fn point(&mut self, now: u64, rss: Option<u64>) {
        let mut held = self.held(MAX_HELD);
        let footprint = self.bytes();
        // Of sampled objects the footprint counts what is certain (see `Footprint`). What lines hold
        // above it by chance alone is taken from all of them alike.
        let sum: f64 = held.iter().map(|h| h.1).sum();
        let excess = (sum - footprint.max(0) as f64).clamp(0.0, self.footprint.doubt());
        if excess > 0.0 {
            held.iter_mut().for_each(|h| h.1 *= 1.0 - excess / sum);
        }
        self.curve.push(Point { at: now, footprint, rss, held, running: self.running });
    }
}
