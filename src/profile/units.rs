//! Quantities that cannot be mixed up: bytes and nanoseconds, with the one way in
//! which they are shown (three significant digits; KiB, MiB, GiB of 1024).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number of bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// A difference of two numbers of bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SignedBytes(pub i64);

/// A duration, or a moment counted from the start of the recording, in nanoseconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Bytes {
    /// The number for arithmetic of estimates.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// Rounds an estimate to whole bytes; below zero is zero.
    pub fn from_f64(bytes: f64) -> Bytes {
        Bytes(bytes.round().max(0.0) as u64)
    }
}

impl Nanos {
    /// As seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 * 1e-9
    }
}

/// Three significant digits, without a decimal point that says nothing.
fn three_digits(value: f64) -> String {
    let digits = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

impl fmt::Display for Bytes {
    /// `0`, `312 B`, `4.00 KiB`, `18.2 MiB`, `1.45 GiB`; honours width and alignment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            0 => "0".to_owned(),
            bytes if bytes < 1024 => format!("{bytes} B"),
            bytes => {
                let mut value = bytes as f64 / 1024.0;
                let mut unit = "KiB";
                for larger in ["MiB", "GiB", "TiB"] {
                    // 1023.5 KiB would round to "1024 KiB": say "1.00 MiB".
                    if value < 1023.5 {
                        break;
                    }
                    value /= 1024.0;
                    unit = larger;
                }
                format!("{} {unit}", three_digits(value))
            }
        };
        f.pad(&text)
    }
}

impl fmt::Display for SignedBytes {
    /// As [`Bytes`], with a sign: `+3.10 KiB`, `−18.2 MiB` (U+2212), `0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = Bytes(self.0.unsigned_abs());
        f.pad(&match self.0 {
            0 => "0".to_owned(),
            n if n > 0 => format!("+{size}"),
            _ => format!("−{size}"),
        })
    }
}

impl fmt::Display for Nanos {
    /// `830 ns`, `14.0 µs`, `3.20 ms`, `4.20 s`, `2 min 05 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0 as f64;
        f.pad(&match self.0 {
            0..1_000 => format!("{} ns", self.0),
            1_000..1_000_000 => format!("{} µs", three_digits(ns / 1e3)),
            1_000_000..1_000_000_000 => format!("{} ms", three_digits(ns / 1e6)),
            1_000_000_000..60_000_000_000 => format!("{} s", three_digits(ns / 1e9)),
            _ => {
                let seconds = (ns / 1e9).round() as u64;
                format!("{} min {:02} s", seconds / 60, seconds % 60)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_show_three_significant_digits() {
        let shown = [
            (0, "0"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_240, "10.0 KiB"),
            (1_048_575, "1.00 MiB"),
            (999 << 20, "999 MiB"),
            (1023 << 20, "1023 MiB"),
            (3 << 29, "1.50 GiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (bytes, text) in shown {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>9}", Bytes(4096)), " 4.00 KiB");
    }

    #[test]
    fn signed_bytes_always_show_their_sign() {
        assert_eq!(SignedBytes(4096).to_string(), "+4.00 KiB");
        assert_eq!(SignedBytes(-4096).to_string(), "−4.00 KiB");
        assert_eq!(SignedBytes(i64::MIN).to_string(), "−8388608 TiB");
    }

    #[test]
    fn durations_choose_their_unit() {
        let shown = [
            (0, "0 ns"),
            (999, "999 ns"),
            (14_000, "14.0 µs"),
            (3_200_000, "3.20 ms"),
            (4_200_000_000, "4.20 s"),
            (125_000_000_000, "2 min 05 s"),
        ];
        for (ns, text) in shown {
            assert_eq!(Nanos(ns).to_string(), text);
        }
    }
}
