//! How it goes while a cell runs.

use crate::profile::{Bytes, Nanos, SignedBytes};

/// A moment of a recording that runs, ready to draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// What runs: `cell [12]`.
    pub title: String,
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
    /// The line that runs: where it is, such as `line 3`, and its text.
    pub line: Option<(String, String)>,
}

impl Live {
    /// The figures in words.
    pub fn sentence(&self) -> String {
        let now = Bytes(self.footprint.0.unsigned_abs());
        let held = if self.footprint.0 < 0 {
            format!("{now} less than at the start")
        } else {
            format!("{now} in use")
        };
        format!("{} is running: {held}, peak {}", self.title, self.peak)
    }

    /// What is good to know besides.
    pub fn facts(&self) -> String {
        let resident = self.rss.map_or(String::new(), |rss| format!(" · resident set {rss}"));
        format!("{} so far{resident}", duration(self.elapsed))
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

    #[test]
    fn it_says_how_it_goes() {
        let mut live = Live {
            title: "cell [3]".to_owned(),
            elapsed: Nanos(4_200_000_000),
            footprint: SignedBytes(3 << 20),
            peak: Bytes(5 << 20),
            ..Live::default()
        };
        assert_eq!(live.sentence(), "cell [3] is running: 3.00 MiB in use, peak 5.00 MiB");
        assert_eq!(live.facts(), "4.2 s so far");
        live.footprint = SignedBytes(-(1 << 20));
        live.rss = Some(Bytes(1 << 30));
        assert!(live.sentence().contains("1.00 MiB less than at the start"));
        assert_eq!(live.facts(), "4.2 s so far · resident set 1.00 GiB");
        assert_eq!(duration(Nanos(187_000_000_000)), "3 min 7 s");
        assert_eq!(duration(Nanos(7_500_000_000_000)), "2 h 5 min");
    }
}
