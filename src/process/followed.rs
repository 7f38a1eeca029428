//! One process that is followed: what was read of it, and what follows from that.

use super::command;
use super::proc_files::{self, Rollup, Stat, Status};
use crate::profile::{Bytes, Child, ChildPoint, Nanos};
use std::time::{Duration, Instant};

/// What a process that was there before must grow by to be shown.
const WORTH_A_ROW: u64 = 1 << 20;

/// A change of the resident set that is worth a look at the pages.
const STEP: u64 = 1 << 20;

/// Pages are looked at as often in any case: a forked process that writes to what it shares with its
/// parent gets pages of its own without a change of its resident set.
const STALE: Duration = Duration::from_millis(500);

/// A process that changes nothing is a while without a look: it waits for as many of these as there were
/// looks in a row that have found nothing, up to the most.
const REST: Nanos = Nanos(5_000_000);
const MOST_RESTS: u64 = 16;

/// The curve of a process is no finer than this part of its age: after thinning it has no more points.
const FINEST: u64 = 500;

/// Without a page fault of the process only others change what it shares, so its pages are looked at so
/// many times as seldom.
const UNCHANGED: u32 = 10;

/// What the last look at a process's pages found.
#[derive(Debug)]
pub(super) struct Pages {
    pub at: Instant,
    pub rss: u64,
    /// The page faults of the process until then.
    faults: u64,
    /// `None` when the kernel does not say more.
    sharing: Option<Sharing>,
    /// The largest proportional set that was read so far.
    peak_pss: u64,
}

/// How a process shares memory with others.
#[derive(Debug, Clone, Copy)]
struct Sharing {
    /// What of its resident set others have as well.
    shared: u64,
    /// What of it was of files then.
    of_files: u64,
    /// What of its resident set is not in its proportional one: the parts of others.
    of_others: u64,
}

/// A descendant.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) pid: u32,
    parent: u32,
    /// With the pid this is its identity.
    pub(super) ticks: u64,
    image: u64,
    forked: bool,
    /// Whether what is read is of its own memory.
    measured: bool,
    command: String,
    /// What it had when the recording began, if it was there: its resident set and its mark.
    before: Option<(Bytes, Bytes)>,
    first_rss: Bytes,
    pub(super) started: Option<Nanos>,
    pub(super) ended: Option<Nanos>,
    pub(super) status: Option<i32>,
    peak_rss: Bytes,
    /// Resident pages of files, as last read.
    of_files: u64,
    pub(super) pages: Option<Pages>,
    pub(super) points: Vec<ChildPoint>,
    /// Its page faults and resident set when it was last read, and how many looks in a row have found
    /// nothing else.
    faults: u64,
    rss: Bytes,
    still: u64,
    /// How often all was read of the program that it runs.
    looks: u32,
    /// When it is to be looked at again.
    due: Nanos,
}

/// Points of a child at most; half of them remain after thinning.
const POINTS: usize = 240;

/// A change that is worth a point, at least.
const SMALLEST_CHANGE: u64 = 64 << 10;

impl Followed {
    /// `started` is `None` for one that was there before.
    pub fn new(pid: u32, stat: &Stat, started: Option<Nanos>) -> Followed {
        let mark = || proc_files::status(pid).and_then(|status| status.mark).unwrap_or(stat.rss);
        let before = started.is_none().then(|| (stat.rss, mark()));
        Followed {
            pid,
            parent: stat.parent,
            ticks: stat.started,
            image: stat.image,
            forked: stat.forked,
            measured: false,
            command: String::new(),
            before,
            first_rss: stat.rss,
            started,
            ended: None,
            status: None,
            peak_rss: Bytes(0),
            of_files: 0,
            pages: None,
            points: Vec::new(),
            faults: stat.faults,
            rss: Bytes(0),
            still: 0,
            looks: 0,
            due: Nanos(0),
        }
    }

    /// Whether it is time to look at it again.
    pub fn is_due(&self, now: Nanos) -> bool {
        now >= self.due
    }

    pub fn lives(&self) -> bool {
        self.ended.is_none()
    }

    pub fn measure(&mut self, now: Nanos) {
        let Some(stat) = proc_files::stat(self.pid).filter(|stat| stat.started == self.ticks)
        else {
            self.ended = Some(now);
            return;
        };
        if stat.zombie {
            self.ended = Some(now);
            self.status = Some(proc_files::exit_status(stat.status));
            return;
        }
        if stat.rss == Bytes(0) {
            // It is about to end: its memory is gone already, and what was read of it stays true.
            return;
        }
        if self.image != stat.image || self.forked != stat.forked {
            // It runs another program now: what was read is of the memory that it gave up.
            (self.image, self.forked) = (stat.image, stat.forked);
            (self.peak_rss, self.pages) = (Bytes(0), None);
            self.points.clear();
            self.command.clear();
            self.looks = 0;
        } else if self.forked && !self.measured {
            self.first_rss = stat.rss;
            self.measured = true;
            return;
        }
        let is_as_it_was = (stat.faults, stat.rss) == (self.faults, self.rss);
        (self.faults, self.rss) = (stat.faults, stat.rss);
        self.still = if is_as_it_was { (self.still + 1).min(MOST_RESTS) } else { 0 };
        let age = now.0.saturating_sub(self.started.unwrap_or_default().0);
        self.due = Nanos(now.0 + (self.still * REST.0).max(age / FINEST));
        if is_as_it_was && self.looks >= 2 {
            return;
        }
        let Some(Status { mark: Some(mark), of_files, .. }) = proc_files::status(self.pid) else {
            return;
        };
        self.of_files = of_files;
        // The first time its arguments may not have been there yet.
        self.looks += 1;
        if self.looks <= 2 {
            let label = command::label(&proc_files::arguments(self.pid), self.forked);
            self.command = label.or_else(|| proc_files::name(self.pid)).unwrap_or_default();
        }
        self.measured = true;
        let mark = match self.before {
            Some((_, before)) if mark <= before => stat.rss,
            _ => mark.max(stat.rss),
        };
        self.peak_rss = self.peak_rss.max(mark);
        self.note(now, stat.rss);
    }

    /// What of this resident set the recording answers for.
    fn private(&self, rss: Bytes) -> Bytes {
        let shared = match (&self.pages, self.before) {
            (_, Some((before, _))) => before.0,
            // Pages of files that came since, as of libraries, are taken for shared until they are
            // looked at.
            (Some(Pages { sharing: Some(sharing), .. }), None) => {
                sharing.shared + self.of_files.saturating_sub(sharing.of_files)
            }
            // A copy of its parent has nothing of its own at first.
            _ if self.forked => self.first_rss.0,
            _ => self.of_files,
        };
        Bytes(rss.0.saturating_sub(shared))
    }

    fn note(&mut self, at: Nanos, rss: Bytes) {
        let point = ChildPoint { at, rss, private: self.private(rss) };
        if let Some(last) = self.points.last_mut() {
            let worth = (self.peak_rss.0 / 256).max(SMALLEST_CHANGE);
            let moved = last.rss.0.abs_diff(rss.0).max(last.private.0.abs_diff(point.private.0));
            if last.at == at {
                *last = point;
                return;
            }
            if moved < worth {
                return;
            }
        }
        self.points.push(point);
        if self.points.len() >= POINTS {
            // Of two neighbours the higher one stays, so that the peak does.
            let higher = |pair: &[ChildPoint]| pair.iter().copied().max_by_key(|p| p.private);
            self.points = self.points.chunks(2).filter_map(higher).collect();
        }
    }

    pub fn wants_pages(&self, now: Instant) -> bool {
        let rss = self.points.last().map_or(0, |point| point.rss.0);
        self.pages.as_ref().is_none_or(|pages| {
            let stale = if pages.faults == self.faults { STALE * UNCHANGED } else { STALE };
            rss >= pages.rss + STEP.max(pages.rss / 16) || now.duration_since(pages.at) >= stale
        })
    }

    pub fn look_at_pages(&mut self, at: Nanos) {
        let found = proc_files::rollup(self.pid);
        let rss = found
            .map_or_else(|| self.points.last().map_or(0, |point| point.rss.0), |rollup| rollup.rss);
        let sharing = found.map(|Rollup { rss, pss, private }| Sharing {
            shared: rss.saturating_sub(private),
            of_files: self.of_files,
            of_others: rss.saturating_sub(pss),
        });
        let before = self.pages.as_ref().map_or(0, |pages| pages.peak_pss);
        let peak_pss = before.max(found.map_or(0, |rollup| rollup.pss));
        let faults = self.faults;
        self.pages = Some(Pages { at: Instant::now(), rss, faults, sharing, peak_pss });
        if found.is_some() {
            self.peak_rss = self.peak_rss.max(Bytes(rss));
            self.note(at, Bytes(rss));
        }
    }

    /// As read, or, at the peak of the resident set, with what others had when that was last known.
    fn peak_pss(&self) -> Option<Bytes> {
        let pages = self.pages.as_ref()?;
        let at_peak = self.peak_rss.0.saturating_sub(pages.sharing?.of_others);
        Some(Bytes(pages.peak_pss.max(at_peak)))
    }

    /// Whether its memory was ever measured, or need not be.
    pub fn was_seen(&self) -> bool {
        self.before.is_some() || !self.points.is_empty()
    }

    pub fn is_worth_a_row(&self) -> bool {
        let grown = |(rss, _): (Bytes, Bytes)| self.peak_rss.0 >= rss.0 + WORTH_A_ROW;
        !self.points.is_empty() && self.before.is_none_or(grown)
    }

    pub fn into_child(mut self, duration: Nanos) -> Child {
        let peak_pss = self.peak_pss();
        for point in &mut self.points {
            point.at = point.at.min(duration);
        }
        Child {
            pid: self.pid,
            parent: self.parent,
            command: self.command,
            started: self.started,
            ended: self.ended.map(|at| at.min(duration)),
            status: self.status,
            start_rss: self.before.map_or(Bytes(0), |(rss, _)| rss),
            peak_rss: self.peak_rss,
            peak_pss,
            peak_private: self.points.iter().map(|point| point.private).max().unwrap_or_default(),
            points: self.points,
        }
    }
}
