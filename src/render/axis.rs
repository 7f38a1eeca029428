//! Scales: from values to places, with ticks at numbers that people like.

use crate::profile::{Bytes, Nanos};

/// A straight scale from values to pixels.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// `from..to` becomes `start..end`; a range of nothing becomes one of 1.
    pub fn new((from, to): (f64, f64), (start, end): (f64, f64)) -> Scale {
        Scale { from, to: if to > from { to } else { from + 1.0 }, start, end }
    }

    /// The place of a value; values outside of the range are at its ends.
    pub fn place(&self, value: f64) -> f64 {
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        let place = self.start + share * (self.end - self.start);
        if place.is_finite() { place } else { self.start }
    }
}

/// Round numbers in `from..=to`, about `count` of them.
fn ticks(from: f64, to: f64, count: f64) -> Vec<f64> {
    let rough = (to - from) / count;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    if !step.is_finite() || step <= 0.0 || !(to / step).is_finite() {
        return vec![0.0];
    }
    let first = (from / step).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last.min(first.saturating_add(40))).map(|i| i as f64 * step).collect()
}

/// A number without a decimal point that says nothing.
fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').replace('-', "−")
}

/// Ticks of an axis of bytes: values and labels, all in one unit.
pub fn byte_ticks(from: f64, to: f64) -> Vec<(f64, String)> {
    let largest = to.abs().max(from.abs());
    let mut unit = (1.0, "B");
    for (size, name) in [(10, "KiB"), (20, "MiB"), (30, "GiB"), (40, "TiB")] {
        let size = 2f64.powi(size);
        if largest >= size {
            unit = (size, name);
        }
    }
    label(ticks(from / unit.0, to / unit.0, 4.4), unit.0, unit.1)
}

/// Ticks of an axis of time from 0: values in nanoseconds and labels, all in one unit.
pub fn time_ticks(duration: Nanos) -> Vec<(f64, String)> {
    let end = duration.0 as f64;
    let mut unit = (1.0, "ns");
    for (size, name) in [(1e3, "µs"), (1e6, "ms"), (1e9, "s"), (60e9, "min"), (3600e9, "h")] {
        // 1.5 minutes are 90 s; 3 and more are minutes.
        if end >= if size > 1e9 { 3.0 * size } else { size } {
            unit = (size, name);
        }
    }
    label(ticks(0.0, end / unit.0, 6.0), unit.0, unit.1)
}

fn label(ticks: Vec<f64>, size: f64, unit: &str) -> Vec<(f64, String)> {
    ticks
        .into_iter()
        .map(|tick| match plain(tick).as_str() {
            "0" | "−0" => (0.0, "0".to_owned()),
            number => (tick * size, format!("{number} {unit}")),
        })
        .collect()
}

/// Bytes that may be negative: `−18.2 MiB`.
pub fn signed(bytes: f64) -> String {
    let size = Bytes::from_f64(bytes.abs());
    if bytes < 0.0 && size.0 > 0 { format!("−{size}") } else { size.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_in_one_unit() {
        let gib = 2f64.powi(30);
        let labels: Vec<String> = byte_ticks(0.0, 1.45 * gib).into_iter().map(|t| t.1).collect();
        assert_eq!(labels, ["0", "0.5 GiB", "1 GiB"]);
        let labels: Vec<String> =
            time_ticks(Nanos(4_200_000_000)).into_iter().map(|t| t.1).collect();
        assert_eq!(labels, ["0", "1 s", "2 s", "3 s", "4 s"]);
    }

    #[test]
    fn no_range_is_too_odd() {
        for (from, to) in [(0.0, 0.0), (-1e300, 1e300), (0.0, f64::MAX), (-5.0, -5.0), (0.0, 1e-9)]
        {
            assert!(byte_ticks(from, to).len() < 60);
        }
        assert!(time_ticks(Nanos(u64::MAX)).len() < 60);
        assert!(Scale::new((0.0, 0.0), (0.0, 10.0)).place(f64::NAN).is_finite());
    }
}
