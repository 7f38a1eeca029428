//! Memory from before the start, of which nobody has written to every page: a buffer that an earlier
//! cell made and this one fills.
//!
//! What was in use at the start is the start's. So only mappings are kept in mind that had at least
//! [`LARGE`] bytes of room then, as regions (see `regions`) with what of them was resident; from twice as much
//! growth on they count by it, and the line that ran has done it. They are looked at when the resident set has
//! grown by more than everything else that is known, before something of them goes, and at the end.
//!
//! A block from before that goes gives back what of it was in use, not what was asked for.

use super::large::LARGE;
use super::recorder::{Memory, Recorder};
use super::regions::{Owner, Region};

/// What was resident of a mapping at the start.
#[derive(Debug)]
struct Before {
    start: usize,
    length: usize,
    resident: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    before: Vec<Before>,
    /// The anonymous resident bytes of the process when all was last looked at, and what was known of them
    /// beside this memory.
    look: Option<(u64, i64)>,
    /// When the recording thread last came to another line and this was asked for: by the recording's clock,
    /// and by the thread's own.
    turned: (u64, u64),
}

impl Earlier {
    /// What a range held at the start, of mappings as they were then: at least, and at most, so many bytes. It
    /// does not hold it any longer.
    fn give_up(&mut self, start: usize, length: usize, least: u64, most: u64) -> u64 {
        let end = start.saturating_add(length);
        let mut given = 0;
        let parts = self.before.iter_mut().filter_map(|before| {
            let (from, to) = (before.start.max(start), (before.start + before.length).min(end));
            // Which of its pages these were is not known.
            let share =
                to.checked_sub(from).filter(|&bytes| bytes > 0)? as f64 / before.length as f64;
            Some((before, share))
        });
        for (before, share) in parts {
            let share = (before.resident as f64 * share) as u64;
            let part = share.max(least.saturating_sub(given)).min(before.resident);
            before.resident -= part;
            given += part;
        }
        given.clamp(least, most)
    }
}

/// Growth beyond all that is known which is worth a look.
const WORTH_A_LOOK: i64 = LARGE as i64 / 2;

/// Lines that take turns faster than so many nanoseconds share a question.
const BETWEEN_QUESTIONS: u64 = 500_000;

/// A free may tell so much that went before it.
const UNTOLD: u64 = 64 << 10;

/// Whether a block that is not in the books is from before the start, if its free tells so many bytes: of
/// those that came since, the books have all that are large.
pub(super) fn is_older(net: i64) -> bool {
    net <= -((LARGE + UNTOLD) as i64)
}

impl Recorder {
    /// Before the start: a mapping that is there, of which so many bytes are resident. One without room is
    /// of no interest, and one that an allocator has reserved is known already.
    pub fn found_mapping(&mut self, start: usize, length: usize, resident: u64) {
        let has_room = length as u64 >= resident + LARGE;
        if has_room && self.foreign.regions.within(start, length).is_empty() {
            self.foreign.earlier.before.push(Before { start, length, resident });
            let region = Region { start, length, owner: Owner::Earlier, caller: 0 };
            self.found_region(region, resident);
        }
    }

    /// Whether a look at memory from before is due: the process has so many anonymous resident bytes.
    pub(super) fn earlier_is_due(&self, anonymous: u64) -> bool {
        let Some((then, known)) = self.foreign.earlier.look else { return true };
        let beside = self.known_beside_earlier() - known;
        anonymous as i64 - then as i64 - beside >= WORTH_A_LOOK
    }

    /// It was looked at when there were so many.
    pub(super) fn earlier_looked_at(&mut self, anonymous: u64) {
        self.foreign.earlier.look = Some((anonymous, self.known_beside_earlier()));
    }

    fn known_beside_earlier(&self) -> i64 {
        let regions = self.foreign.resident() - self.foreign.resident_of(Owner::Earlier);
        self.known_beside() + regions as i64
    }

    /// Before something goes: what memory from before has grown by may be the peak.
    pub(super) fn look_at_earlier(&mut self, anonymous: u64, now: u64, memory: &mut impl Memory) {
        if !self.looks.are_affordable(now) || !self.foreign.regions.has(Owner::Earlier) {
            return;
        }
        if !self.earlier_is_due(anonymous) {
            return;
        }
        let regions = self.foreign.regions.iter().filter(|r| r.owner == Owner::Earlier);
        let ranges: Vec<(usize, u64)> = regions.map(|r| (r.start, r.length as u64)).collect();
        let sum = ranges.into_iter().map(|range| self.looks.resident(range, memory)).sum();
        self.leave_peak_if_below();
        self.foreign.set_resident(Owner::Earlier, sum);
        self.earlier_looked_at(anonymous);
        self.follow_regions(now);
    }

    /// The recording thread has come to another line from this stack: what has grown until now is that one's.
    pub(super) fn line_before_may_have_filled(
        &mut self,
        stack: Option<u32>,
        now: u64,
        memory: &mut impl Memory,
    ) {
        if self.foreign.earlier.before.is_empty() {
            return;
        }
        // A thread's own clock costs a call of the kernel, and gains nothing on the other.
        let (turned, turned_own) = self.foreign.earlier.turned;
        if now < turned + BETWEEN_QUESTIONS {
            return;
        }
        let clock = memory.clock();
        if clock < turned_own + BETWEEN_QUESTIONS {
            return;
        }
        self.foreign.earlier.turned = (now, clock);
        if let Some(anonymous) = memory.anonymous() {
            let here = std::mem::replace(&mut self.foreign.here, stack);
            self.look_at_earlier(anonymous, now, memory);
            self.foreign.here = here;
        }
    }

    /// A range of a region from before is given back, of which so many bytes are resident. What the range held
    /// at the start is less than was there; what it has grown by since goes with its lines.
    pub(super) fn lose_earlier(&mut self, start: usize, length: usize, resident: u64) {
        let held = self.give_up_earlier(start, length, resident);
        self.footprint.correct_native(-(held as i64));
    }

    /// Memory from before loses a range, of which so many bytes are resident. Returns what of them it held at the
    /// start: no more can have come since than was seen to.
    fn give_up_earlier(&mut self, start: usize, length: usize, resident: u64) -> u64 {
        let grown = self.foreign.grown(Owner::Earlier);
        let least = resident.saturating_sub(grown);
        let held = self.foreign.earlier.give_up(start, length, least, resident);
        self.foreign.lose(Owner::Earlier, resident, held);
        held
    }

    /// A native block from before goes. Returns what of it was never in use, or is taken off here: its free
    /// gives back that much less than its size.
    pub(super) fn older_block_goes(
        &mut self,
        address: usize,
        size: u64,
        now: u64,
        memory: &mut impl Memory,
    ) -> i64 {
        let resident = memory.resident(address, size).min(size);
        let parts = self.foreign.regions.within(address, size as usize);
        if parts.iter().all(|part| part.owner != Owner::Earlier) {
            return (size - resident) as i64;
        }
        self.leave_peak();
        self.lose_earlier(address, size as usize, resident);
        self.foreign.regions.cut(address, size as usize);
        self.follow_regions(now);
        size as i64
    }

    /// A new block or mapping lies where memory from before was: its pages are its own. So they are where an
    /// allocator was thought to have reserved them, which then has no longer.
    pub(super) fn replace_regions(
        &mut self,
        start: usize,
        length: usize,
        memory: &mut impl Memory,
    ) {
        let parts = self.foreign.regions.within(start, length);
        for part in parts {
            let resident = memory.resident(part.start, part.length as u64);
            match part.owner {
                Owner::Earlier => _ = self.give_up_earlier(part.start, part.length, resident),
                owner => self.foreign.lose(owner, resident, resident),
            }
            self.foreign.regions.cut(part.start, part.length);
        }
    }
}
