//! Allocators that no hook sees: those of Arrow and polars, and of any library with one of its own.
//!
//! Two things are known of them. Their **regions** are seen when they are reserved, and how much of
//! them is resident can be looked up at any time, at 20 ns a page. Their **pools** say to the byte what
//! is in use, but only where Python runs: at a reading between two of its instructions. So
//!
//! - the footprint holds the larger of both growths, as it does for Python's arenas and the objects in
//!   them: what is resident, or what is in use where that fits into pages that were there before;
//! - lines hold what the pool said at the last reading, and since then what its regions have grown by;
//! - growth goes to the line that runs when it is seen, or that ran until just then, and what goes is
//!   taken first from that line's newest, since what a call has used in between is its own. More than all
//!   lines hold is from before the start, as far as a pool had so much then.
//!
//! Between two looks at all pages, regions grow by what the resident set has grown by more than
//! everything else that is known. Large drops are known exactly: before pages are given back they
//! are looked up.

use super::earlier::Earlier;
use super::large::LARGE;
use super::recorder::{Memory, Origin, Recorder};
use super::regions::{OWNERS, Owner, Region, Regions};
use super::sites::Worth;
use super::stacks::Frames;
use crate::profile::{Allocator, ThreadKind};

/// What a pool said: bytes in use now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Whose pool.
    pub owner: Owner,
    /// Bytes in use, since the process began.
    pub bytes: u64,
}

/// What is known of one owner's memory. Signed numbers are above the start.
#[derive(Debug, Default)]
struct Account {
    /// Resident bytes of its regions, and what of them there was at the start.
    resident: u64,
    before: u64,
    /// What its pool had in use at the start, if it has one that can be read.
    pool_before: Option<u64>,
    /// By the last reading.
    in_use: i64,
    /// What of it was not resident when that was last looked up: asked for, and never filled.
    untouched: i64,
    /// `resident` at the last reading.
    resident_then: u64,
    /// By how much the regions have grown since.
    lead: u64,
    /// Who holds `in_use` and `lead`: (site, bytes), the oldest first.
    held: Vec<(u32, u64)>,
    /// What is gone of that which the pool had at the start.
    older_gone: u64,
}

impl Account {
    fn grown(&self) -> i64 {
        self.resident as i64 - self.before as i64
    }

    /// By its pool, where that is known.
    fn used(&self) -> i64 {
        let by_pool = self.in_use - self.untouched + self.lead as i64;
        if self.pool_before.is_some() { by_pool } else { self.grown() }
    }

    fn footprint(&self) -> i64 {
        self.grown().max(self.used())
    }

    /// Takes bytes out of `held`: of this site first, then of an entry of about that size, then of the
    /// newest. Returns what was taken from whom; less than asked where old memory went.
    fn take(&mut self, mut bytes: u64, site: Option<u32>) -> Vec<(u32, u64)> {
        let mut taken = Vec::new();
        let held: u64 = self.held.iter().map(|&(_, held)| held).sum();
        if bytes > held && self.pool_before.is_some_and(|had| had >= self.older_gone + bytes) {
            self.older_gone += bytes;
            return taken;
        }
        while bytes > 0 {
            let own = self.held.iter().rposition(|&(held_by, _)| Some(held_by) == site);
            let alike =
                || self.held.iter().rposition(|&(_, held)| held.abs_diff(bytes) <= bytes / 32);
            let Some(index) = own.or_else(alike).or(self.held.len().checked_sub(1)) else { break };
            let (from, held) = self.held[index];
            let part = bytes.min(held);
            taken.push((from, part));
            bytes -= part;
            if part == held {
                self.held.remove(index);
            } else {
                self.held[index].1 -= part;
            }
        }
        taken
    }
}

/// A look at the resident set beside all regions.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Anonymous resident bytes of the process.
    anonymous: u64,
    /// What is known of them beside the regions.
    known: i64,
    /// Of all regions.
    resident: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    pub(super) regions: Regions,
    /// Whose code it is that reserves them, as far as it was looked up.
    callers: Vec<(usize, Owner)>,
    accounts: [Account; OWNERS],
    look: Option<Look>,
    /// Whose regions grew last.
    growing: usize,
    /// The last stack of the recording thread with a line of the user's own, as `Names` numbers it, and
    /// the last one of the line before.
    pub(super) here: Option<u32>,
    line_before: Option<u32>,
    /// Whether it has come to another line since that was asked.
    turned: bool,
    /// Until then the kernel may still be taking pages that were given back.
    settled_at: u64,
    pub(super) earlier: Earlier,
}

/// Growth of the resident set below this is noise of the kernel's counters.
const VISIBLE: u64 = 256 << 10;

/// Nanoseconds that the kernel takes for a byte that is given back, at most.
const NANOS_PER_BYTE: f64 = 0.05;

/// A look at regions of more bytes than this would take too long.
const MOST_LOOKED_AT: usize = 1 << 40;

impl Foreign {
    fn footprint(&self) -> i64 {
        self.accounts.iter().map(Account::footprint).sum()
    }

    /// What is in use, and what is resident beyond that.
    pub(super) fn used_and_free(&self) -> (i64, i64) {
        let others = Owner::ALL.iter().filter(|&&owner| owner != Owner::Earlier);
        let accounts = others.map(|&owner| &self.accounts[owner as usize]);
        accounts.fold((0, 0), |(used, free), account| {
            (used + account.used(), free + account.grown() - account.used())
        })
    }

    /// What regions of an owner have in memory. Of memory from before the start a small growth is none: Python's
    /// last arena goes on being filled (1 MiB at most, and its objects count already), and stacks grow.
    pub(super) fn set_resident(&mut self, owner: Owner, bytes: u64) {
        let account = &mut self.accounts[owner as usize];
        let is_small = owner == Owner::Earlier && bytes < account.before + 2 * LARGE;
        account.resident = if is_small { bytes.min(account.before) } else { bytes };
    }

    pub(super) fn resident_of(&self, owner: Owner) -> u64 {
        self.accounts[owner as usize].resident
    }

    /// By how much the regions of an owner have grown since the start.
    pub(super) fn grown(&self, owner: Owner) -> u64 {
        self.accounts[owner as usize].grown().max(0) as u64
    }

    /// So many bytes went that were resident, and of what was there at the start so many.
    pub(super) fn lose(&mut self, owner: Owner, resident: u64, before: u64) {
        let account = &mut self.accounts[owner as usize];
        account.resident = account.resident.saturating_sub(resident);
        account.before = account.before.saturating_sub(before);
    }

    fn owner_of(&self, caller: usize) -> Option<Owner> {
        self.callers.iter().find(|known| known.0 == caller).map(|known| known.1)
    }

    pub(super) fn resident(&self) -> u64 {
        self.accounts.iter().map(|account| account.resident).sum()
    }
}

fn allocator(owner: usize) -> Allocator {
    match Owner::ALL[owner] {
        Owner::Arrow => Allocator::Arrow,
        Owner::Polars => Allocator::Polars,
        Owner::Other => Allocator::Mmap,
        Owner::Earlier => Allocator::Earlier,
    }
}

impl Recorder {
    /// Before the start: a region that is there, with its resident bytes.
    pub fn found_region(&mut self, region: Region, resident: u64) {
        let account = &mut self.foreign.accounts[region.owner as usize];
        account.resident += resident;
        account.before += resident;
        account.resident_then += resident;
        self.foreign.regions.insert(region);
        let of = |owner: usize| self.foreign.accounts[owner].resident;
        let none = self.foreign.growing == Owner::Earlier as usize;
        let is_larger = none || of(region.owner as usize) >= of(self.foreign.growing);
        if is_larger && region.owner != Owner::Earlier {
            self.foreign.growing = region.owner as usize;
        }
    }

    /// Before the start: what a pool has in use. A pool that is not there yet has nothing.
    pub fn found_pool(&mut self, reading: Reading) {
        self.foreign.accounts[reading.owner as usize].pool_before = Some(reading.bytes);
    }

    /// Addresses were reserved.
    pub fn reserved(&mut self, mut region: Region) {
        self.foreign.regions.cut(region.start, region.length);
        if let Some(owner) = self.foreign.owner_of(region.caller) {
            region = Region { owner, caller: 0, ..region };
        }
        self.foreign.growing = region.owner as usize;
        self.foreign.regions.insert(region);
    }

    /// Code that reserved regions and whose library is not known yet.
    pub fn unknown_callers(&self) -> Vec<usize> {
        let mut callers: Vec<usize> =
            self.foreign.regions.iter().map(|r| r.caller).filter(|&c| c != 0).collect();
        callers.dedup();
        callers
    }

    /// Whose that code is.
    pub fn resolve_caller(&mut self, caller: usize, owner: Owner) {
        self.foreign.regions.resolve(caller, owner);
        self.foreign.callers.push((caller, owner));
        self.foreign.growing = owner as usize;
    }

    /// The regions for a look without the lock, and what is to be told with its result: those from before
    /// the start only if they seem to have grown, where the anonymous resident bytes of the process are given.
    /// `None` where they are too large for that.
    pub fn regions(&self, anonymous: Option<u64>) -> Option<(u64, Vec<Region>)> {
        let all = anonymous.is_none_or(|anonymous| self.earlier_is_due(anonymous));
        let regions = self.foreign.regions.iter().filter(|r| all || r.owner != Owner::Earlier);
        let regions: Vec<Region> = regions.copied().collect();
        let bytes = regions.iter().fold(0usize, |sum, r| sum.saturating_add(r.length));
        (bytes <= MOST_LOOKED_AT).then_some((self.foreign.regions.losses(), regions))
    }

    /// What such a look has found: (region, resident bytes), and the anonymous resident bytes of the
    /// process, where they are known.
    pub fn regions_looked_at(
        &mut self,
        losses: u64,
        found: &[(Region, u64)],
        anonymous: Option<u64>,
        now: u64,
    ) {
        // A region that came meanwhile has nothing resident yet; what went would be counted again.
        if losses != self.foreign.regions.losses() {
            return;
        }
        let mut sums = [0; OWNERS];
        for (region, resident) in found {
            sums[region.owner as usize] += resident;
        }
        let earlier = found.iter().any(|(region, _)| region.owner == Owner::Earlier);
        if !earlier {
            sums[Owner::Earlier as usize] = self.foreign.resident_of(Owner::Earlier);
        }
        let less = sums.iter().zip(&self.foreign.accounts).any(|(&sum, a)| sum < a.resident);
        self.before_change(less);
        for (owner, sum) in sums.into_iter().enumerate() {
            let account = &mut self.foreign.accounts[owner];
            if sum > account.resident && owner != Owner::Earlier as usize {
                self.foreign.growing = owner;
            }
            self.foreign.set_resident(Owner::ALL[owner], sum);
            let account = &mut self.foreign.accounts[owner];
            let in_use = account.pool_before.map_or(0, |before| before as i64 + account.in_use);
            account.untouched = if account.pool_before.is_some() {
                (in_use + account.lead as i64 - sum as i64).clamp(0, account.in_use.max(0))
            } else {
                0
            };
        }
        if let Some(anonymous) = anonymous {
            self.regions_known(anonymous);
            if earlier {
                self.earlier_looked_at(anonymous);
            }
        }
        self.follow_regions(now);
    }

    /// By how much the process has grown since the last look, with so many anonymous resident bytes, beyond all
    /// that is known of it.
    pub(super) fn unexplained(&self, anonymous: u64) -> i64 {
        let Some(look) = self.foreign.look else { return 0 };
        let known = self.known_beside() - look.known;
        let resident = self.foreign.resident() as i64 - look.resident as i64;
        anonymous as i64 - look.anonymous as i64 - known - resident
    }

    /// What all regions hold is known now, while the process has so many anonymous resident bytes: growth is counted
    /// from here.
    pub fn regions_known(&mut self, anonymous: u64) {
        let (known, resident) = (self.known_beside(), self.foreign.resident());
        self.foreign.look = Some(Look { anonymous, known, resident });
        self.footprint.begin_most();
    }

    /// The anonymous resident set of the process was read. Where it has grown by what nothing else explains,
    /// regions have, or something that nobody sees: the stack of a thread, what a huge page holds beside a block,
    /// our own tables. So they are looked at, and it is taken for theirs only where that would cost too much.
    pub fn anonymous(&mut self, anonymous: u64, now: u64, memory: &mut impl Memory) {
        let Some(look) = self.foreign.look else { return self.regions_known(anonymous) };
        // A large block may have been filled since it was last looked up, and what was freed may be resident.
        let known = self.footprint.most_of_the_kernel().max(self.known_beside());
        let resident = look.resident as i64 + anonymous as i64 - look.anonymous as i64;
        let growth = resident - (known - look.known) - self.foreign.resident() as i64;
        // Where only memory from before can have grown, it is looked at.
        let grow = growth > VISIBLE as i64 && self.foreign.growing != Owner::Earlier as usize;
        if !grow || now < self.foreign.settled_at {
            return;
        }
        if self.looks.took_less_than_half(now)
            && let Some((losses, regions)) = self.regions(Some(anonymous))
        {
            let look = |region: Region| {
                let range = (region.start, region.length as u64);
                (region, self.looks.resident(range, memory))
            };
            let found: Vec<(Region, u64)> = regions.into_iter().map(look).collect();
            let anonymous = memory.anonymous().or(Some(anonymous));
            self.regions_looked_at(losses, &found, anonymous, now);
        } else {
            self.leave_peak_if_below();
            self.foreign.accounts[self.foreign.growing].resident += growth as u64;
            self.follow_regions(now);
        }
    }

    /// How many bytes of a range are resident, where it is of a region or a large block.
    pub fn going_back(
        &mut self,
        start: usize,
        length: usize,
        now: u64,
        memory: &mut impl Memory,
    ) -> u64 {
        let of_a_region = !self.foreign.regions.within(start, length).is_empty();
        if of_a_region {
            self.grow_before_a_loss(now, memory);
        }
        if !of_a_region && self.large.overlapping(start, length).is_empty() {
            return 0;
        }
        let resident = memory.resident(start, length as u64);
        self.look_before_a_decrease(-(resident as i64), now, memory);
        resident
    }

    /// They were given back, and the addresses kept.
    pub fn gone_back(
        &mut self,
        start: usize,
        length: usize,
        resident: u64,
        now: u64,
        memory: &mut impl Memory,
    ) {
        self.before_change(true);
        let mut of_regions = 0;
        for part in self.foreign.regions.within(start, length) {
            // Others may have written to it since: as a whole not more went than was there.
            let share = resident as f64 * (part.length as f64 / length as f64);
            match part.owner {
                Owner::Earlier => self.lose_earlier(part.start, part.length, share as u64),
                owner => self.foreign.lose(owner, share as u64, 0),
            }
            of_regions += share as u64;
        }
        if of_regions > 0 {
            self.foreign.regions.lost();
        }
        for address in self.large.overlapping(start, length) {
            self.given_back_of_block(address, memory);
        }
        self.follow_regions(now);
    }

    fn given_back_of_block(&mut self, address: usize, memory: &mut impl Memory) {
        let Some(size) = self.large.size(address) else { return };
        let resident = memory.resident(address, size);
        if let Some((site, bytes)) = self.large.given_back(address, resident) {
            self.sites.freed(site, Worth::new(bytes, 1.0));
            self.hold(site, -(bytes as f64), 0.0);
        }
    }

    /// What regions have grown by until now may be the peak.
    pub(super) fn grow_before_a_loss(&mut self, now: u64, memory: &mut impl Memory) {
        if self.foreign.regions.is_empty() {
            return;
        }
        if let Some(anonymous) = memory.anonymous() {
            self.look_at_earlier(anonymous, now, memory);
            self.anonymous(anonymous, now, memory);
        }
    }

    /// Addresses are about to be unmapped, and some may be of a region.
    pub(super) fn unmapped_regions(
        &mut self,
        start: usize,
        length: usize,
        now: u64,
        memory: &mut impl Memory,
    ) {
        let parts = self.foreign.regions.within(start, length);
        if parts.is_empty() {
            return;
        }
        self.grow_before_a_loss(now, memory);
        self.before_change(true);
        for part in &parts {
            let resident = memory.resident(part.start, part.length as u64);
            match part.owner {
                Owner::Earlier => self.lose_earlier(part.start, part.length, resident),
                owner => self.foreign.lose(owner, resident, 0),
            }
            let takes = (resident as f64 * NANOS_PER_BYTE) as u64;
            self.foreign.settled_at = self.foreign.settled_at.max(now + takes);
        }
        self.foreign.regions.cut(start, length);
        self.follow_regions(now);
    }

    /// The recording thread is at this stack.
    pub(super) fn foreign_stack(&mut self, number: u32) {
        let Some(line) = self.names.known(number).line else { return };
        if let Some(last) = self.foreign.here
            && self.names.known(last).line != Some(line)
        {
            self.foreign.line_before = Some(last);
            self.foreign.turned = true;
        }
        self.foreign.here = Some(number);
    }

    /// Whether there is a pool that has something to say.
    pub fn has_pools(&self) -> bool {
        self.foreign.accounts.iter().any(|account| account.pool_before.is_some())
    }

    /// Whether the recording thread has come to another line since this was last asked.
    pub fn has_turned(&mut self) -> bool {
        std::mem::replace(&mut self.foreign.turned, false)
    }

    /// Pools were read. `origin` is where the recording thread is now, if it is in the user's code.
    pub fn read_pools(
        &mut self,
        readings: &[Reading],
        origin: Option<Origin<'_, impl Frames>>,
        now: u64,
    ) {
        if let Some(origin) = origin.filter(|origin| origin.recording_thread) {
            let number = self.names.intern(origin.frames, None);
            self.foreign_stack(number);
        }
        self.take_readings(readings, self.foreign.here, now);
    }

    /// The same just after the recording thread came to another line: it was the line before that has
    /// done it.
    pub fn read_pools_of_line_before(&mut self, readings: &[Reading], now: u64) {
        self.take_readings(readings, self.foreign.line_before.or(self.foreign.here), now);
    }

    fn take_readings(&mut self, readings: &[Reading], stack: Option<u32>, now: u64) {
        for &Reading { owner, bytes } in readings {
            let owner = owner as usize;
            let account = &mut self.foreign.accounts[owner];
            let before = *account.pool_before.get_or_insert(0);
            let in_use = bytes as i64 - before as i64;
            let change = in_use - account.in_use - account.lead as i64;
            if change == 0 && account.lead == 0 {
                account.resident_then = account.resident;
                continue;
            }
            self.before_change(change < 0);
            let account = &mut self.foreign.accounts[owner];
            account.in_use = in_use;
            account.untouched = account.untouched.min(in_use.max(0));
            account.lead = 0;
            account.resident_then = account.resident;
            self.give(owner, change, stack);
        }
        self.settle_foreign(now);
    }

    /// Lines follow what the regions have done since the last reading.
    pub(super) fn follow_regions(&mut self, now: u64) {
        for owner in 0..OWNERS {
            let account = &mut self.foreign.accounts[owner];
            let from =
                if account.pool_before.is_some() { account.resident_then } else { account.before };
            let lead = account.resident.saturating_sub(from);
            let change = lead as i64 - account.lead as i64;
            account.lead = lead;
            self.give(owner, change, self.foreign.here);
        }
        self.settle_foreign(now);
    }

    /// Bytes more or fewer for a stack.
    fn give(&mut self, owner: usize, change: i64, stack: Option<u32>) {
        if change == 0 {
            return;
        }
        let number = stack.unwrap_or_else(|| self.names.intern(None::<&NoFrames>, None));
        let thread = if stack.is_some() { ThreadKind::Python } else { ThreadKind::Native };
        let site = self.site_of(number, allocator(owner), thread);
        let bytes = change.unsigned_abs();
        let held = &mut self.foreign.accounts[owner].held;
        if change > 0 {
            match held.last_mut().filter(|(last, _)| *last == site) {
                Some((_, sum)) => *sum += bytes,
                None => held.push((site, bytes)),
            }
            self.sites.change(site, bytes as f64, 0.0);
            self.hold(site, bytes as f64, 0.0);
            return;
        }
        for (from, part) in self.foreign.accounts[owner].take(bytes, Some(site)) {
            self.sites.freed(from, Worth::new(part, 1.0));
            self.hold(from, -(part as f64), 0.0);
        }
    }

    /// What is known to be taken from the kernel, and used, beside the regions.
    pub(super) fn known_beside(&self) -> i64 {
        self.footprint.of_the_kernel() - (self.large.untouched() + self.moving) as i64
    }

    /// At the end: every region is looked at once more.
    pub(super) fn measure_regions(&mut self, now: u64, memory: &mut impl Memory) {
        if let Some((losses, regions)) = self.regions(None) {
            let look =
                |region: Region| (region, memory.resident(region.start, region.length as u64));
            let found: Vec<(Region, u64)> = regions.into_iter().map(look).collect();
            // Pools were read just now: what is found above the estimate is no growth since then.
            let mut sums = [0; OWNERS];
            found.iter().for_each(|(region, bytes)| sums[region.owner as usize] += bytes);
            for (account, sum) in self.foreign.accounts.iter_mut().zip(sums) {
                account.resident_then = sum.saturating_sub(account.lead);
            }
            self.regions_looked_at(losses, &found, None, now);
        }
    }

    fn before_change(&mut self, decrease: bool) {
        if decrease {
            self.leave_peak();
        } else {
            self.leave_peak_if_below();
        }
    }

    fn settle_foreign(&mut self, now: u64) {
        let earlier = self.foreign.accounts[Owner::Earlier as usize].footprint();
        self.footprint.set_earlier(earlier);
        self.footprint.set_foreign(self.foreign.footprint() - earlier);
        self.look(now);
    }
}

/// A thread without Python.
enum NoFrames {}

impl Frames for NoFrames {
    fn keys(&self) -> impl DoubleEndedIterator<Item = u64> {
        std::iter::empty()
    }
    fn place(&self, _index: usize) -> super::Place {
        match *self {}
    }
    fn gap(&self) -> Option<usize> {
        match *self {}
    }
}
