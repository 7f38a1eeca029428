//! The processes that descend from this one, followed while a recording runs.
//!
//! A new one is found by its number: the kernel gives pids in order and says the last one, so where
//! nothing was started one small file is read, and else each new number is asked for its parent.
//! A number that belongs to no descendant is not asked again.
//!
//! Two things would be read wrongly. Between `vfork` and `exec` a process still runs in the memory of
//! its parent, so what was forked is first measured at the second look. And what was read before an
//! `exec` is of another program's memory: it is forgotten then.

use super::followed::Followed;
use super::proc_files::{self, Stat};
use super::{cost_since, thread_time};
use crate::profile::{Bytes, Child, Nanos};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// A child that this process has waited for, as the kernel accounts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its process id.
    pub pid: u32,
    /// As wait(2) gives it.
    pub status: i32,
    /// Not less than its largest resident set size. It may be more: the memory in which it ran before
    /// it executed a program, its parent's, counts as its own.
    pub largest: Bytes,
}

/// See the module.
#[derive(Debug)]
pub struct Children {
    own: u32,
    start: Instant,
    /// When the recording began, in ticks of the system's clock.
    start_ticks: u64,
    /// The last pid that was given when processes were last looked for.
    last_pid: Option<u32>,
    /// Numbers without a process, and how often they were looked at: the kernel gives a number before
    /// it copies the parent, which takes its time.
    unborn: Vec<(u32, u32)>,
    faults: u64,
    followed: Vec<Followed>,
    looks: Pace,
    scans: Pace,
    rollups: Pace,
    missed: u64,
    largest_missed: Bytes,
}

/// Work of one kind may take this share of the time: it waits as many times as long as it took last.
const PATIENCE: u32 = 500;

/// The same for the first look at the pages of a process: without it nobody knows what it shares.
const CURIOSITY: u32 = 50;

/// When work of one kind is due. What a piece of it costs is about the least that one took lately, in the
/// thread's own time: others have the processor meanwhile, and what the host of a virtual machine takes
/// is told of no clock.
#[derive(Debug, Default)]
struct Pace {
    piece: Option<Duration>,
    /// When the last one ended, and what it cost.
    last: Option<(Instant, Duration)>,
}

impl Pace {
    fn is_due(&self, now: Instant, patience: u32) -> bool {
        self.last.is_none_or(|(end, cost)| now.duration_since(end) >= cost * patience)
    }

    /// So many pieces are done; they began at this moment of the thread's own time.
    fn done(&mut self, began: u64, pieces: usize) {
        let pieces = pieces.max(1) as u32;
        let piece = cost_since(began) / pieces;
        let least = self.piece.map_or(piece, |least| piece.min(least + least / 16));
        self.piece = Some(least);
        self.last = Some((Instant::now(), least * pieces));
    }
}

/// More new numbers than these are not asked one by one.
const MANY: u32 = 64;

/// So many looks a number is given to get its process; it is asked at each power of two of them.
const PATIENT_LOOKS: u32 = 64;

/// Processes that are followed, at most.
const MOST: usize = 1000;

/// Time for a last look at pages that were never looked at.
const LAST: Duration = Duration::from_millis(50);

impl Children {
    /// Begins to look for descendants of this process. With `any` it has children already, and they
    /// are looked for among all processes, which takes a millisecond or more.
    pub fn follow(start: Instant, any: bool) -> Children {
        let own = std::process::id();
        let mut children = Children {
            own,
            start,
            start_ticks: proc_files::ticks_now().unwrap_or(0),
            last_pid: proc_files::last_pid(),
            unborn: Vec::new(),
            faults: proc_files::stat(own).map_or(0, |stat| stat.faults_of_children),
            followed: Vec::new(),
            looks: Pace::default(),
            scans: Pace::default(),
            rollups: Pace::default(),
            missed: 0,
            largest_missed: Bytes(0),
        };
        if any {
            children.adopt(everybody(), true);
        }
        children
    }

    /// Looks for new ones and measures those that are due.
    pub fn look(&mut self) {
        let began = Instant::now();
        self.find(began, false);
        let began = Instant::now();
        let at = self.now();
        let due = self.followed.iter().filter(|child| child.lives() && child.is_due(at)).count();
        if due > 0 && self.looks.is_due(began, PATIENCE) {
            let working = thread_time();
            self.measure(began, false);
            self.looks.done(working, due);
            self.look_at_pages(Instant::now());
        }
    }

    /// This process has waited for a child of its own.
    pub fn ended(&mut self, ended: Ended) {
        let now = self.now();
        match self.followed.iter_mut().rev().find(|child| child.pid == ended.pid) {
            Some(child) => {
                child.status = Some(proc_files::exit_status(ended.status));
                child.ended.get_or_insert(now);
                if child.was_seen() {
                    return;
                }
            }
            None => self.missed += 1,
        }
        self.largest_missed = self.largest_missed.max(ended.largest);
    }

    /// The last look, and what was found; no time in it is later than `duration`. The second part says
    /// what was missed, as a sentence; `largest` is the mark of the largest child that this process has
    /// ever waited for.
    pub fn finish(mut self, duration: Nanos, largest: Bytes) -> (Vec<Child>, Option<String>) {
        let began = Instant::now();
        self.find(began, true);
        // What was forked lately is measured at the second look.
        for _ in 0..2 {
            self.measure(Instant::now(), true);
        }
        let at = self.now();
        for child in self.followed.iter_mut().filter(|c| c.lives() && c.pages.is_none()) {
            if began.elapsed() < LAST {
                child.look_at_pages(at);
            }
        }
        let gap = self.gap(largest);
        let rows = self.followed.into_iter().filter(Followed::is_worth_a_row);
        (rows.map(|child| child.into_child(duration)).collect(), gap)
    }

    fn gap(&self, largest: Bytes) -> Option<String> {
        let Some(Stat { faults_of_children: faults, .. }) = proc_files::stat(self.own) else {
            return Some("Child processes are not seen: this system has no /proc.".to_owned());
        };
        let unseen = self.followed.iter().filter(|child| !child.was_seen()).count() as u64;
        let any_started = self.followed.iter().any(|child| child.started.is_some());
        let (who, they, whose) = match self.missed + unseen {
            // It was waited for where nobody told of it.
            0 if faults > self.faults && !any_started => {
                ("At least one child process".to_owned(), "it", "its")
            }
            0 => return None,
            1 => ("A child process".to_owned(), "it", "its"),
            n => (format!("{n} child processes"), "they", "their largest"),
        };
        let largest = if self.largest_missed.0 > 0 { self.largest_missed } else { largest };
        let size = match largest.0 {
            0 => String::new(),
            _ => format!("; {whose} resident set was at most {largest}"),
        };
        Some(format!("{who} ended before {they} could be looked at, which takes some 20 ms{size}."))
    }

    fn now(&self) -> Nanos {
        Nanos(self.start.elapsed().as_nanos() as u64)
    }

    /// Looks for new descendants; `whatever` it costs.
    fn find(&mut self, began: Instant, whatever: bool) {
        let last = proc_files::last_pid();
        let before = std::mem::replace(&mut self.last_pid, last);
        let new = match (before, last) {
            (Some(before), Some(last)) if last == before => return self.ask([]),
            (Some(before), Some(last)) if last > before => Some(before + 1..=last),
            // Numbers begin again, or the kernel does not tell them.
            _ => None,
        };
        match new {
            Some(new) if new.end() - new.start() < MANY => self.ask(new),
            _ if whatever || self.scans.is_due(began, PATIENCE) => {
                let working = thread_time();
                let everybody = everybody();
                let count = everybody.len();
                self.adopt(everybody, false);
                self.scans.done(working, count);
            }
            // Later: the numbers in between are not forgotten.
            _ => self.last_pid = before,
        }
    }

    /// Asks these numbers for their parents, and those that had no process when they were asked.
    fn ask(&mut self, new: impl IntoIterator<Item = u32>) {
        let mut stats = Vec::new();
        let mut unborn = std::mem::take(&mut self.unborn);
        unborn.extend(new.into_iter().map(|pid| (pid, 0)));
        unborn.retain_mut(|(pid, looks)| {
            *looks += 1;
            let found = if looks.is_power_of_two() { proc_files::stat(*pid) } else { None };
            let missing = found.is_none();
            stats.extend(found.map(|stat| (*pid, stat)));
            missing && *looks < PATIENT_LOOKS
        });
        self.unborn = unborn;
        self.adopt(stats, false);
    }

    /// Follows those of these processes that descend from this one or from a followed one; `before`:
    /// the recording begins just now.
    fn adopt(&mut self, mut stats: Vec<(u32, Stat)>, before: bool) {
        let living = self.followed.iter().filter(|child| child.lives());
        let mut family: HashSet<u32> = living.map(|child| child.pid).chain([self.own]).collect();
        // Those that have ended stay visible until their parents have asked how.
        let known: HashSet<(u32, u64)> = self.followed.iter().map(|c| (c.pid, c.ticks)).collect();
        stats.retain(|(pid, stat)| !known.contains(&(*pid, stat.started)));
        loop {
            let (found, others): (Vec<_>, Vec<_>) =
                stats.into_iter().partition(|(_, stat)| family.contains(&stat.parent));
            if found.is_empty() {
                return;
            }
            for (pid, stat) in found {
                // One of the other threads of a process has a number, too.
                if proc_files::status(pid).is_some_and(|status| status.process == pid)
                    && self.followed.len() < MOST
                {
                    family.insert(pid);
                    let before = before || stat.started < self.start_ticks;
                    let since = stat.started.saturating_sub(self.start_ticks);
                    let started = Nanos(since * (1_000_000_000 / proc_files::TICKS));
                    let started = (!before).then(|| started.min(self.now()));
                    self.followed.push(Followed::new(pid, &stat, started));
                }
            }
            stats = others;
        }
    }

    /// Those that are due, or `all`.
    fn measure(&mut self, began: Instant, all: bool) {
        let now = Nanos(began.duration_since(self.start).as_nanos() as u64);
        let living = self.followed.iter_mut().filter(|child| child.lives());
        for child in living.filter(|child| all || child.is_due(now)) {
            child.measure(now);
        }
    }

    /// Looks at the pages of the one whose last look is longest ago, as far as that may take time.
    fn look_at_pages(&mut self, now: Instant) {
        let at = self.now();
        let wanting = self.followed.iter_mut().filter(|child| child.lives());
        let longest_ago = wanting
            .filter(|child| !child.points.is_empty() && child.wants_pages(now))
            .min_by_key(|child| child.pages.as_ref().map(|pages| pages.at));
        let Some(child) = longest_ago else { return };
        let patience = if child.pages.is_none() { CURIOSITY } else { PATIENCE };
        if self.rollups.is_due(now, patience) {
            let working = thread_time();
            child.look_at_pages(at);
            let size = child.pages.as_ref().map_or(0, |pages| pages.rss);
            self.rollups.done(working, 1 + (size >> 20) as usize);
        }
    }
}

fn everybody() -> Vec<(u32, Stat)> {
    let pids = proc_files::pids().into_iter();
    pids.filter_map(|pid| Some((pid, proc_files::stat(pid)?))).collect()
}
