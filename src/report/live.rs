//! How it goes while a cell runs.

use super::Stand;
use crate::profile::telemetry::Telemetry;
use crate::profile::{Bytes, Nanos, SignedBytes};

/// A cell that nobody asked to see, or whose process cannot show it, is shown after so long.
pub const AFTER: Nanos = Nanos(1_000_000_000);
/// How many lines that hold memory are shown.
const HOLDERS: usize = 3;

/// A moment of a recording that runs, ready to draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// What runs: `cell [12]`.
    pub title: String,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether the kernel was shut down before it could end.
    pub cut_short: bool,
    /// For how long.
    pub elapsed: Nanos,
    /// In use above the start.
    pub footprint: SignedBytes,
    /// The most of it.
    pub peak: Bytes,
    /// Resident set size; `None` where it is not known.
    pub rss: Option<Bytes>,
    /// The footprint over time, in order.
    pub curve: Vec<(Nanos, SignedBytes)>,
    /// The line that runs: where it is, such as `at line 3`, and its text.
    pub line: Option<(String, String)>,
    /// Lines that hold most, the largest first; `None` where they are not known yet.
    pub holders: Option<Vec<(String, Bytes)>>,
}

impl Live {
    /// What a process has told of its cell, whose source is `code`. `None` where it shall not be shown, or
    /// not yet.
    pub fn told(told: &Telemetry, code: &str) -> Option<Live> {
        let cell = told.cell.as_ref().filter(|cell| cell.elapsed >= AFTER)?;
        cell.display.as_ref()?;
        let stand = |place| Stand::of(place, cell, code);
        let at = |Stand { label, source }| (format!("at {label}"), source);
        let last = |Stand { label, source }| (format!("{label} allocated last"), source);
        let runs = cell.running.as_ref().map(stand).map(at);
        let line = runs.or_else(|| cell.line.as_ref().map(stand).map(last));
        let line = line.filter(|_| !cell.ended);
        let holders = told.holders.iter().filter(|holder| holder.bytes.0 > 0).take(HOLDERS);
        Some(Live {
            title: cell.label.clone(),
            ended: cell.ended,
            cut_short: false,
            elapsed: cell.elapsed,
            footprint: cell.footprint,
            peak: cell.peak,
            rss: Some(told.rss),
            curve: told.moments.iter().map(|moment| (moment.at, moment.footprint)).collect(),
            line,
            holders: Some(
                holders.map(|h| (Stand::of(&h.place, cell, code).words(), h.bytes)).collect(),
            ),
        })
    }

    /// Whether there is more to come.
    pub fn goes_on(&self) -> bool {
        !self.ended && !self.cut_short
    }

    /// The figures in words. They are true also where they are the last ones, of a cell that went with its
    /// kernel while nobody listened.
    pub fn sentence(&self) -> String {
        let Live { title, peak, .. } = self;
        let now = Bytes(self.footprint.0.unsigned_abs());
        let (elapsed, less) = (duration(self.elapsed), self.footprint.0 < 0);
        if self.cut_short {
            return format!("{title} was cut short after {elapsed}, with its kernel: peak {peak}");
        }
        if self.ended {
            let stay = if less { format!("{now} less than before") } else { format!("{now} stay") };
            return format!("{title} ran for {elapsed}: peak {peak}, {stay}");
        }
        let held =
            if less { format!("{now} less than at the start") } else { format!("{now} in use") };
        format!("{title} after {elapsed}: {held}, peak {peak}")
    }

    /// What is good to know besides.
    pub fn facts(&self) -> String {
        let next = self
            .ended
            .then(|| "%%memprofile as its first line shows which lines held the peak".to_owned());
        let resident = self.rss.map(|rss| format!("resident set {rss}"));
        let facts: Vec<String> = next.into_iter().chain(resident).collect();
        facts.join(" · ")
    }
}

/// `4.2 s`, `3 min 7 s`, `2 h 5 min`.
fn duration(time: Nanos) -> String {
    let seconds = time.0 / 1_000_000_000;
    match seconds {
        0..60 => format!("{:.1} s", time.seconds()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::telemetry::{CellNow, Holder, Place};

    #[test]
    fn it_says_how_it_goes() {
        let mut live = Live {
            title: "cell [3]".to_owned(),
            elapsed: Nanos(4_200_000_000),
            footprint: SignedBytes(3 << 20),
            peak: Bytes(5 << 20),
            ..Live::default()
        };
        assert_eq!(live.sentence(), "cell [3] after 4.2 s: 3.00 MiB in use, peak 5.00 MiB");
        assert_eq!(live.facts(), "");
        live.footprint = SignedBytes(-(1 << 20));
        live.rss = Some(Bytes(1 << 30));
        assert!(live.sentence().contains("1.00 MiB less than at the start"));
        assert_eq!(live.facts(), "resident set 1.00 GiB");
        live.cut_short = true;
        let cut = "cell [3] was cut short after 4.2 s, with its kernel: peak 5.00 MiB";
        assert_eq!((live.sentence().as_str(), live.goes_on()), (cut, false));
        live.cut_short = false;
        live.ended = true;
        live.footprint = SignedBytes(1 << 20);
        assert_eq!(live.sentence(), "cell [3] ran for 4.2 s: peak 5.00 MiB, 1.00 MiB stay");
        assert!(live.facts().contains("%%memprofile"));
        assert_eq!(duration(Nanos(187_000_000_000)), "3 min 7 s");
        assert_eq!(duration(Nanos(7_500_000_000_000)), "2 h 5 min");
    }

    #[test]
    fn what_is_told_is_shown_when_it_was_asked_for_and_takes_long() {
        let place = |line| Place { label: "cell [3]".to_owned(), line, ..Place::default() };
        let mut told = Telemetry {
            cell: Some(CellNow {
                label: "cell [3]".to_owned(),
                elapsed: AFTER,
                line: Some(place(2)),
                display: Some("d".to_owned()),
                ..CellNow::default()
            }),
            holders: vec![Holder { place: place(1), bytes: Bytes(7) }],
            ..Telemetry::default()
        };
        let live = Live::told(&told, "a = 1\nb = 2").expect("it is to be shown");
        assert_eq!(live.line, Some(("line 2 allocated last".to_owned(), "b = 2".to_owned())));
        let mut runs = told.clone();
        runs.cell.iter_mut().for_each(|cell| cell.running = Some(place(1)));
        let live = Live::told(&runs, "a = 1\nb = 2").expect("it is to be shown");
        assert_eq!(live.line, Some(("at line 1".to_owned(), "a = 1".to_owned())));
        assert_eq!(live.holders, Some(vec![("line 1: a = 1".to_owned(), Bytes(7))]));
        let changes: [fn(&mut CellNow); 2] = [|c| c.display = None, |c| c.elapsed.0 -= 1];
        for change in changes {
            let mut told = told.clone();
            told.cell.iter_mut().for_each(change);
            assert_eq!(Live::told(&told, ""), None);
        }
        told.cell = None;
        assert_eq!(Live::told(&told, ""), None);
    }
}
