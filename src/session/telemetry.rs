//! Telling the one who started this process how it goes (`profile::telemetry`), by memory that is there
//! when this process is gone.
//!
//! Every poll writes it, so it is at most [`super::poll::PERIOD`] old, or two where the cell is as young; the poll
//! needs neither the GIL nor anything else that a cell could hold. A process that was not given a segment tells
//! nothing.

use super::own_stack::Runner;
use super::{Live, black_box, limit, live};
use crate::hooks::lock::ForkLock;
use crate::hooks::segment;
use crate::process::{self, Resident};
use crate::profile::telemetry::{CellNow, HOLDERS, Holder, MOMENTS, Moment, Place, Telemetry};
use crate::profile::{Bytes, Nanos, SignedBytes};
use crate::sampling::{Line, keep_extremes};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use segment::Segment;

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
enum Segment {}

#[cfg(not(target_os = "linux"))]
impl Segment {
    fn inherit(_descriptor: i32) -> io::Result<Segment> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn put(&self, _letter: &[u8]) -> bool {
        match *self {}
    }
}

/// Who tells, and what it has told of the cell that runs.
#[derive(Debug)]
pub(super) struct Teller {
    segment: Segment,
    /// Of a forked child it is not: that must not write.
    process: u32,
    cell: Option<(CellNow, Instant)>,
    /// The file of that cell, who runs it, and when it was last looked where.
    file: String,
    runner: Option<Runner>,
    looked: Option<Instant>,
    moments: Vec<Moment>,
    /// What readers call the files of cells.
    labels: HashMap<String, String>,
    told: Option<Told>,
}

/// The last letter.
#[derive(Debug)]
struct Told {
    at: Instant,
    cost: Duration,
    /// The resident set that it told of.
    rss: Bytes,
}

/// Held after the lock of the recording.
pub(super) static TELLER: ForkLock<Option<Teller>> = ForkLock::new(None);

/// Whether there is somebody to tell.
static TELLS: AtomicBool = AtomicBool::new(false);

/// Files of cells that are known by what a reader calls them. When there are more, the older ones are
/// called by their names.
const LABELS: usize = 1000;

/// Letters may take this share of the time: the next waits as many times as long as the last one took.
const PATIENCE: u32 = 300;

/// A change of the resident set, in bytes, that is told at once. Else there is a letter for each such time: what a
/// reader lacks meanwhile looks as before.
const MOVED: u64 = 64 << 10;
const STILL: Duration = Duration::from_millis(100);

/// Between two looks at the line that runs. One takes some copies by the kernel for each frame.
const LINES: Duration = Duration::from_millis(100);

/// From now on everything is told by the segment that was inherited by this number.
///
/// # Errors
/// When there is none, or of another version.
pub fn tell_to(descriptor: i32) -> io::Result<()> {
    let segment = Segment::inherit(descriptor)?;
    *TELLER.lock() = Some(Teller {
        segment,
        process: std::process::id(),
        cell: None,
        file: String::new(),
        runner: None,
        looked: None,
        moments: Vec::with_capacity(2 * MOMENTS),
        labels: HashMap::new(),
        told: None,
    });
    TELLS.store(true, Relaxed);
    Ok(())
}

/// Whether this process tells how it goes.
pub fn tells() -> bool {
    TELLS.load(Relaxed)
}

/// A cell begins, on this thread: the `msg_id` of its request, its file, what a reader calls it, and the
/// display in which it shall be shown.
pub fn begin_cell(message: String, file: String, label: String, display: Option<String>) {
    let started_at = since_1970();
    let resident = super::foreign::read_or_open();
    black_box::cell_begins(resident);
    let mut lock = TELLER.lock();
    let Some(teller) = lock.as_mut().filter(|teller| teller.is_own()) else { return };
    if teller.labels.len() >= LABELS {
        teller.labels.clear();
    }
    teller.labels.insert(file.clone(), label.clone());
    (teller.file, teller.runner, teller.looked) = (file, Runner::this(), None);
    let start_rss = resident.all;
    let cell = CellNow { message, label, started_at, start_rss, display, ..CellNow::default() };
    teller.cell = Some((cell, Instant::now()));
    teller.moments.clear();
    teller.tell(None, resident);
}

/// Has the cell that runs be shown in `display` from now on, if it is that of this request. Returns whether
/// it is.
pub fn show_cell(message: &str, display: Option<String>) -> bool {
    let resident = super::foreign::read_or_open();
    let now = live().as_ref().map(Now::of);
    let mut lock = TELLER.lock();
    let Some(teller) = lock.as_mut().filter(|teller| teller.is_own()) else { return false };
    let cell = teller.cell.as_mut().map(|(cell, _)| cell);
    let Some(cell) = cell.filter(|cell| !cell.ended && cell.message == message) else {
        return false;
    };
    cell.display = display;
    // At once: what the process says next is said after this.
    teller.tell(now, resident);
    true
}

/// What is told, for this process itself.
pub fn told() -> Option<Telemetry> {
    let resident = super::foreign::read_or_open();
    let now = live().as_ref().map(Now::of);
    let lock = TELLER.lock();
    Some(lock.as_ref().filter(|teller| teller.is_own())?.told(now, resident))
}

/// The cell has ended. Of one that ends before the first poll, and that the black box has seen hold nothing,
/// no more is told: its reply says that it has ended.
pub fn end_cell() {
    let nothing = black_box::saw_nothing();
    if nothing && TELLER.lock().as_mut().is_some_and(Teller::ends_early) {
        return black_box::cell_ended(None);
    }
    let resident = super::foreign::read_or_open();
    black_box::cell_ended(Some(resident));
    let now = live().as_ref().map(Now::of);
    let mut lock = TELLER.lock();
    let Some(teller) = lock.as_mut().filter(|teller| teller.is_own()) else { return };
    teller.look(now.as_ref(), resident);
    teller.end();
    teller.tell(now, resident);
}

/// Called by the poll.
pub(super) fn tell(resident: Resident) {
    if !tells() {
        return;
    }
    let due = TELLER.lock().as_ref().is_some_and(|teller| teller.is_due(resident));
    let now = live().as_ref().map(|live| if due { Now::of(live) } else { Now::in_short(live) });
    let mut lock = TELLER.lock();
    let Some(teller) = lock.as_mut().filter(|teller| teller.is_own()) else { return };
    teller.look(now.as_ref(), resident);
    teller.see_line();
    if due {
        teller.tell(now, resident);
    }
}

/// What a recording knows at a moment.
struct Now {
    footprint: i64,
    peak: i64,
    line: Option<Place>,
    holders: Vec<Holder>,
}

impl Now {
    fn of(live: &Live) -> Now {
        let holder = |(line, bytes)| Holder { place: place(line), bytes: Bytes::from_f64(bytes) };
        let holders = live.recorder.holders(HOLDERS).into_iter().map(holder).collect();
        Now { holders, ..Now::in_short(live) }
    }

    /// Without those who hold it: for a moment that is kept and not yet told.
    fn in_short(live: &Live) -> Now {
        let recorder = &live.recorder;
        Now {
            footprint: recorder.bytes() - live.base,
            peak: recorder.peak() - live.base,
            line: recorder.running().map(place),
            holders: Vec::new(),
        }
    }
}

/// A line without its label.
fn place(line: Line<'_>) -> Place {
    Place {
        file: line.file.to_owned(),
        label: String::new(),
        line: line.number,
        function: line.function.to_owned(),
    }
}

/// In a forked child, which tells nobody.
pub(super) fn in_child() {
    TELLS.store(false, Relaxed);
}

fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

impl Teller {
    fn is_own(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether a letter is to be written: there is something new in it, and the last one's cost is paid.
    fn is_due(&self, resident: Resident) -> bool {
        self.told.as_ref().is_none_or(|told| {
            let passed = told.at.elapsed();
            let moved = resident.all.0.abs_diff(told.rss.0) >= MOVED;
            // The first of a cell that a poll has seen says which line runs.
            let is_first = self.moments.is_empty();
            passed >= told.cost * PATIENCE && (moved || is_first || passed >= STILL)
        })
    }

    fn end(&mut self) {
        if let Some((cell, _)) = &mut self.cell {
            cell.ended = true;
            cell.running = None;
        }
        self.runner = None;
    }

    /// Ends a cell that no poll has seen; whether it is one.
    fn ends_early(&mut self) -> bool {
        let early = self.is_own() && self.moments.is_empty();
        if early {
            self.end();
        }
        early
    }

    /// A moment.
    fn look(&mut self, now: Option<&Now>, resident: Resident) {
        let Some((cell, began)) = self.cell.as_mut().filter(|(cell, _)| !cell.ended) else {
            return;
        };
        cell.elapsed = Nanos(began.elapsed().as_nanos() as u64);
        if let Some(now) = now {
            cell.footprint = SignedBytes(now.footprint);
            cell.peak = Bytes(now.peak.max(0) as u64);
            cell.line.clone_from(&now.line);
            cell.line.iter_mut().for_each(|line| label(&self.labels, line));
        }
        let moment = Moment { at: cell.elapsed, footprint: cell.footprint, rss: resident.all };
        self.moments.push(moment);
        if self.moments.len() >= MOMENTS {
            // The newer half stays as it is; of the older one, what stands out.
            let newer = self.moments.split_off(MOMENTS / 2);
            let older = std::mem::take(&mut self.moments);
            self.moments = keep_extremes(older, |moment| moment.footprint.0);
            self.moments.extend(newer);
        }
    }

    /// Which line runs.
    fn see_line(&mut self) {
        let Some((cell, _)) = self.cell.as_mut().filter(|(cell, _)| !cell.ended) else { return };
        if self.looked.is_some_and(|at| at.elapsed() < LINES) {
            return;
        }
        self.looked = Some(Instant::now());
        let line = self.runner.and_then(|runner| runner.line_in(&self.file));
        cell.running = line.map(|(function, line)| {
            let mut place = Place { file: self.file.clone(), line, function, ..Place::default() };
            label(&self.labels, &mut place);
            place
        });
    }

    fn tell(&mut self, now: Option<Now>, resident: Resident) {
        let (began, working) = (Instant::now(), process::thread_time());
        self.segment.put(&self.told(now, resident).into_letter(segment::ROOM));
        let cost = process::cost_since(working);
        self.told = Some(Told { at: began, cost, rss: resident.all });
    }

    fn told(&self, now: Option<Now>, resident: Resident) -> Telemetry {
        let mut holders = now.map(|now| now.holders).unwrap_or_default();
        holders.iter_mut().for_each(|holder| label(&self.labels, &mut holder.place));
        Telemetry {
            process: self.process,
            written_at: since_1970(),
            rss: resident.all,
            anonymous: resident.anonymous(),
            cell: self.cell.as_ref().map(|(cell, _)| cell.clone()),
            limit: limit::told(),
            holders,
            moments: self.moments.clone(),
        }
    }
}

/// What a reader calls the file of a line.
fn label(labels: &HashMap<String, String>, place: &mut Place) {
    place.label = match labels.get(&place.file) {
        Some(label) => label.clone(),
        None => place.file.rsplit('/').next().unwrap_or_default().to_owned(),
    };
}
