//! Starting and stopping.

use super::ledger::{Beside, Moment, Readings, absent_in_heap, own_resident};
use super::{
    AT_FORK, CALLBACKS, LOCKS, Live, OWN_PEAK, OwnMemory, black_box, children, foreign, forked,
    left, live, poll,
};
use crate::error::{Error, Result};
use crate::hooks::{self, HookGuard, own_bytes};
use crate::process::{self, HighWaterMark, Resident, RssReader};
use crate::profile::{
    Bytes, Collection, Estimate, FileKind, Names, Nanos, Profile, Recording, SignedBytes,
    SourceFile, Totals, VERSION,
};
use crate::report;
use crate::sampling::{Parts, Paths, Reading, Recorder, Settings};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a recording is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What a reader calls it.
    pub title: String,
    /// The file name of the profiled code, if it has one.
    pub main_file: Option<String>,
    /// Record every allocation.
    pub exact: bool,
    /// Whose files are which.
    pub paths: Paths,
    /// The interpreter in words, such as `CPython 3.13.0`.
    pub interpreter: String,
    /// Why there are no Python stacks, when there are none.
    pub no_stacks: Option<String>,
    /// The pools of libraries that are there, with what they hold.
    pub pools: Vec<Reading>,
    /// Asks for a reading of the pools ([`super::read_pools`]), and returns whether this thread may. It
    /// is called inside of hooks, too.
    pub ask: Option<fn() -> bool>,
}

/// What a file of the user's own is called and says.
#[derive(Debug, Clone)]
pub struct Described {
    /// What a reader calls it.
    pub label: String,
    /// Whose it is.
    pub kind: FileKind,
    /// Text of its lines by number.
    pub lines: BTreeMap<u32, String>,
}

/// A running recording. Dropping it takes the hooks off and forgets what was recorded.
#[derive(Debug)]
pub struct Session {
    options: Options,
    hooks: Option<HookGuard>,
    /// The process that it records: a forked child must not stop it.
    process: u32,
    rss: Option<RssReader>,
    mark: HighWaterMark,
    start: Resident,
    /// Of our own, in memory when `start` was read.
    start_own: u64,
    started: Instant,
    started_at: f64,
    more_gaps: Vec<String>,
}

/// Collector runs that are kept; of more the longest are.
const MAX_COLLECTIONS: usize = 256;

/// Room for them: they are thinned when it is full.
pub(super) const ROOM_FOR_COLLECTIONS: usize = 2 * MAX_COLLECTIONS;

/// Whether a recording runs in this process. One that a forked child makes for its parent is none: it
/// gives way, and so does the black box.
pub fn is_recording() -> bool {
    hooks::is_on() && !forked::is_child() && !black_box::is_on()
}

impl Session {
    /// Installs the hooks and starts. With the `python` feature the caller holds the GIL.
    ///
    /// # Errors
    /// [`Error::AlreadyRecording`].
    pub fn start(options: Options) -> Result<Session> {
        black_box::end();
        if live().is_some() && !forked::is_child() {
            return Err(Error::AlreadyRecording);
        }
        let _pause = hooks::reentrancy::Pause::new();
        left::forget();
        forked::start();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = since_1970.as_ref().map_or(1, |d| d.as_nanos() as u64);
        let paths = options.paths.clone();
        let settings = Settings { exact: options.exact, seed, paths, ..Settings::default() };
        hooks::heap::find_arenas();
        hooks::loaded::now();
        let room = foreign::Room::now(&options.pools);
        let mut recorder = Recorder::new(settings);
        foreign::begin(&mut recorder, &room, &options.pools, options.ask);
        OWN_PEAK.store(own_bytes() as u64, Relaxed);
        let rss = RssReader::open();
        hooks::fork::watch(AT_FORK, LOCKS);
        poll::start();
        let mark = HighWaterMark::reset();
        let start = rss.as_ref().and_then(RssReader::read_parts).unwrap_or_default();
        let start_own = own_resident(&recorder);
        let started = Instant::now();
        children::start(started);
        *live() = Some(Live::new(recorder, started, hooks::reentrancy::thread()));
        let hooks = Some(hooks::install(CALLBACKS, hooks::Extent::Everything));
        hooks::set_large(1);
        Ok(Session {
            options,
            hooks,
            process: std::process::id(),
            rss,
            mark,
            start,
            start_own,
            started,
            started_at: since_1970.map_or(0.0, |d| d.as_secs_f64()),
            more_gaps: Vec::new(),
        })
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Nanos {
        Nanos(self.started.elapsed().as_nanos() as u64)
    }

    /// Whose files are which.
    pub fn paths(&self) -> Paths {
        self.options.paths.clone()
    }

    /// Adds what could not be measured: each one sentence.
    pub fn say(&mut self, gaps: Vec<String>) {
        self.more_gaps.extend(gaps);
    }

    /// Takes the hooks off and gives what was recorded. `describe` is called afterwards, once for
    /// each file of the user's own, with the numbers of its lines that allocated.
    ///
    /// # Errors
    /// [`Error::NotRecording`] when it was stopped before, [`Error::OtherProcess`] in a child that
    /// was forked meanwhile.
    pub fn stop(
        &mut self,
        exception: Option<String>,
        mut describe: impl FnMut(&str, &[u32]) -> Option<Described>,
    ) -> Result<Profile> {
        if self.process != std::process::id() {
            return Err(Error::OtherProcess);
        }
        let guard = self.hooks.take().ok_or(Error::NotRecording)?;
        let duration = self.elapsed();
        let coverage = guard.coverage();
        let counted = hooks::counted();
        let saw_python = guard.still_sees_python();
        drop(guard);
        let mark = self.mark.read();
        let end = self.rss.as_ref().and_then(RssReader::read_parts).unwrap_or_default();
        let libraries = hooks::loaded::now();
        let beside_end = Beside { of_files: end.of_files, libraries, ..Beside::now() };
        // Before anything of ours goes: malloc may give back what lies before it.
        let free_at_end = self.rss.is_some().then(hooks::heap::free_in_malloc).flatten();
        let absent = if free_at_end.is_some() { absent_in_heap() } else { 0 };
        let (start_rss, end_rss) = (self.start.all, end.all);
        poll::stop();
        foreign::end();
        let (children, missed_children) = children::finish(duration);
        let (forked, missed_forked) = forked::finish();
        let live = live().take().ok_or(Error::NotRecording)?;
        let Live { at_start, at_peak: beside_peak, largest, .. } = live;
        OWN_PEAK.fetch_max(own_bytes() as u64, Relaxed);
        let Live { mut recorder, own: own_time, mut collections, collection_count, .. } = live;
        keep_longest(&mut collections);
        collections.sort_by_key(|c| c.at);
        recorder.native(counted.untold, duration.0);
        let own = [self.start_own, own_resident(&recorder)];
        let recorded = recorder.finish(duration.0, end_rss.0, &mut OwnMemory);
        let exact = recorded.interval == Bytes(0);
        let [at_peak, surviving, allocated, count] = recorded.sums;
        // What the countdowns used up is the number of bytes requested, sampled or not.
        let requested = (counted.allocated + hooks::requested_small()) as f64;
        let readings = recorded.timeline.points.iter().map(|point| point.rss);
        let peak_rss = mark.or(readings.max()).unwrap_or_default().max(start_rss).max(end_rss);
        let totals = Totals {
            peak_footprint: recorded.peak.0,
            peak_at: recorded.peak.1,
            footprint_delta: recorded.footprint,
            start_rss,
            peak_rss,
            peak_rss_exact: mark.is_some(),
            end_rss,
            allocated: if exact { allocated } else { Estimate::exact(requested) },
            allocation_count: count,
            surviving,
            live_at_peak: at_peak,
            of_files: foreign::of_files(self.start.of_files, end.of_files),
        };
        let rss = [start_rss, peak_rss, end_rss];
        let ledger = self.rss.is_some().then(|| {
            let [at_peak, at_end] = recorded.parts;
            let end = Moment { parts: at_end, beside: beside_end };
            // A last look at blocks may have found the peak to be the end.
            let (peak, beside) = beside_peak;
            let is_end = recorded.peak.0.0 as i64 != peak;
            let footprint = if is_end { end } else { Moment { parts: at_peak, beside } };
            let largest = largest.map_or(footprint, |(_, moment)| moment);
            let start = Moment {
                parts: Parts::default(),
                beside: Beside { of_files: self.start.of_files, ..at_start },
            };
            let written = hooks::loaded::written_since(at_start.libraries);
            Readings {
                rss,
                start,
                peak: [footprint, largest],
                end,
                own,
                free_at_end,
                absent,
                written,
            }
            .ledger()
        });
        let mut gaps = self.gaps(coverage, mark.is_some());
        if !saw_python {
            gaps.push("Python's small objects were not seen to the end: another tool (tracemalloc, as it stopped) took memprofile's allocator hooks off while the code ran. Start and stop it outside of the profiled code.".to_owned());
        }
        gaps.extend(missed_children);
        gaps.extend(missed_forked);
        if recorded.stacks_cut {
            gaps.push("Stacks beyond the first 60,000 are shown by their line alone.".to_owned());
        }
        let recording = Recording {
            title: std::mem::take(&mut self.options.title),
            main_file: self.options.main_file.take(),
            started_at: self.started_at,
            duration,
            // One visit in some is timed and stands for the others: never more than all of the time.
            overhead: Nanos(own_time.all).min(duration),
            sample_interval: recorded.interval,
            poll_period: poll::period(duration),
            own_memory: Bytes(OWN_PEAK.load(Relaxed)),
            interpreter: std::mem::take(&mut self.options.interpreter),
            platform: process::name(),
            exception,
            exact_asked: self.options.exact,
            events: recorded.events,
        };
        let mut profile = Profile {
            format: "memprofile".to_owned(),
            version: VERSION,
            recording,
            totals,
            stacks: recorded.stacks,
            sites: recorded.sites,
            timeline: recorded.timeline,
            collections,
            collection_count,
            gaps,
            ledger,
            sizes: recorded.sizes,
            copies: recorded.copies,
            children,
            forked,
            names: Names::default(),
            keepers: Vec::new(),
        };
        describe_files(&mut profile, &mut describe);
        describe_forked(&mut profile, &mut describe);
        left::keep(recorded.blocks, &profile);
        Ok(profile)
    }

    /// What could not be measured.
    fn gaps(&self, coverage: hooks::Coverage, peak_exact: bool) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut say = |condition: bool, sentence: &str| {
            if condition {
                gaps.push(sentence.to_owned());
            }
        };
        say(
            coverage.native_slots.is_none(),
            "Native memory (numpy, C and Rust libraries) is not seen: this platform has no hooks for malloc, only Linux with glibc has.",
        );
        say(
            cfg!(feature = "python") && !coverage.python,
            "Python's small objects are seen as malloc blocks: Python runs with PYTHONMALLOC=malloc.",
        );
        say(
            self.rss.is_none(),
            "The resident set size is not read on this platform: the report shows the footprint alone.",
        );
        say(
            self.rss.is_some() && !peak_exact,
            "The peak of the resident set is the largest of the readings, one each 10 ms: this system does not let a process reset its own high-water mark.",
        );
        say(
            hooks::panicked(),
            "The recording ended early by a fault of memprofile's own; the figures cover the time before it. Please report it.",
        );
        gaps.extend(self.options.no_stacks.clone());
        gaps.extend(self.more_gaps.iter().cloned());
        gaps
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // A forked child: the recording is its parent's, and `AT_FORK` has switched it off here.
            std::mem::forget(self.hooks.take());
        } else if self.hooks.take().is_some() {
            poll::stop();
            foreign::end();
            children::forget();
            forked::forget();
            live().take();
        }
    }
}

fn describe_files(
    profile: &mut Profile,
    describe: &mut impl FnMut(&str, &[u32]) -> Option<Described>,
) {
    let mut lines: Vec<Vec<u32>> = vec![Vec::new(); profile.stacks.files.len()];
    for frame in &profile.stacks.frame_table {
        lines[frame.file.0 as usize].push(frame.line);
    }
    for (file, mut lines) in profile.stacks.files.iter_mut().zip(lines) {
        if file.kind != FileKind::User {
            continue;
        }
        lines.sort_unstable();
        lines.dedup();
        describe_file(file, &lines, describe);
    }
    // The cell itself is shown even if none of its lines allocated anything.
    if let Some(name) = &profile.recording.main_file
        && !profile.stacks.files.iter().any(|f| &f.name == name)
    {
        let mut file = SourceFile {
            name: name.clone(),
            label: name.clone(),
            kind: FileKind::User,
            lines: BTreeMap::new(),
        };
        describe_file(&mut file, &[], describe);
        profile.stacks.files.push(file);
    }
}

/// Of the files that forked children told of, those that are the user's own.
fn describe_forked(
    profile: &mut Profile,
    describe: &mut impl FnMut(&str, &[u32]) -> Option<Described>,
) {
    let mut files: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for line in profile.forked.iter().flat_map(|child| &child.lines) {
        files.entry(line.file.clone()).or_default().push(line.line);
    }
    let described: BTreeMap<String, Described> = files
        .into_iter()
        .filter_map(|(file, mut numbers)| {
            numbers.sort_unstable();
            numbers.dedup();
            describe(&file, &numbers).map(|described| (file, described))
        })
        .collect();
    for line in profile.forked.iter_mut().flat_map(|child| &mut child.lines) {
        let Some(described) = described.get(&line.file) else { continue };
        line.label.clone_from(&described.label);
        line.kind = Some(described.kind);
        let source = described.lines.get(&line.line);
        line.source = source.map(|text| text.trim().to_owned()).unwrap_or_default();
    }
}

fn describe_file(
    file: &mut SourceFile,
    lines: &[u32],
    describe: &mut impl FnMut(&str, &[u32]) -> Option<Described>,
) {
    if let Some(described) = describe(&file.name, lines) {
        file.label = described.label;
        file.kind = described.kind;
        file.lines = described.lines;
    }
}

/// So many runs of the collector are timed, however close they follow each other.
const TIMED: u64 = 1000;

/// More are timed where they come no closer than so many nanoseconds on average.
const SPACING: u64 = 4_000_000;

/// The cyclic garbage collector begins (`None`) or has ended a run of a generation:
/// (generation, collected, uncollectable).
pub fn collection(ended: Option<(u8, u64, u64)>) {
    let mut lock = live();
    let Some(live) = lock.as_mut() else { return };
    let now = live.nanos(Instant::now());
    live.now = now;
    let Some((generation, collected, uncollectable)) = ended else {
        live.collecting_since = Some(now);
        return;
    };
    let Some(since) = live.collecting_since.take() else { return };
    live.collection_count += 1;
    live.collections.push(Collection {
        at: Nanos(since),
        duration: Nanos(now - since),
        generation,
        collected,
        uncollectable,
    });
    if live.collections.len() == ROOM_FOR_COLLECTIONS {
        keep_longest(&mut live.collections);
    }
}

/// Whether there were so many runs that no more are to be told one by one.
pub fn enough_collections() -> bool {
    live().as_ref().is_some_and(|live| {
        live.collection_count >= TIMED && live.now / live.collection_count < SPACING
    })
}

/// How many runs of the collector there were in all, told one by one or not.
pub fn collections(runs: u64) {
    if let Some(live) = live().as_mut() {
        live.collection_count = live.collection_count.max(runs);
    }
}

/// Leaves the longest [`MAX_COLLECTIONS`], in no order.
fn keep_longest(collections: &mut Vec<Collection>) {
    if collections.len() > MAX_COLLECTIONS {
        collections.select_nth_unstable_by_key(MAX_COLLECTIONS, |c| std::cmp::Reverse(c.duration));
        collections.truncate(MAX_COLLECTIONS);
    }
}

/// How the recording that is on goes; the caller adds what runs. `None` without one.
pub fn now() -> Option<report::Live> {
    let lock = live();
    let live = lock.as_ref()?;
    let (curve, rss) = live.recorder.curve();
    Some(report::Live {
        title: String::new(),
        elapsed: Nanos(live.nanos(Instant::now())),
        footprint: SignedBytes(live.recorder.bytes()),
        peak: Bytes(live.recorder.peak().max(0) as u64),
        rss: rss.map(Bytes),
        curve: curve.into_iter().map(|(at, held)| (Nanos(at), SignedBytes(held))).collect(),
        ..report::Live::default()
    })
}
