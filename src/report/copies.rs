//! Copies: a line whose temporaries are a multiple of its result.
//!
//! Said only of what was seen: blocks of 1 MiB or more that were live at once, in use, and freed by the
//! line itself. What it could do without them depends on the program, so that is not said.

use super::tally::Tally;
use crate::profile::{Bytes, Copies, LineKey, Profile};
use std::collections::BTreeMap;

/// Temporaries below this share of the peak are no matter.
const WORTH_SAYING: f64 = 0.05;
/// Temporaries of this share of the result are worth their words: a copy.
const A_COPY: f64 = 0.95;
/// Beyond this multiple the result is small, and its multiple says little.
const SMALL_RESULT: f64 = 20.0;
/// A multiple this near to a whole number is called that.
const NEARLY_WHOLE: f64 = 0.03;

/// What there is to say, by line: `3 temporaries of 200 MiB at once; the line’s peak is 4× its result`.
pub(super) fn words(profile: &Profile, tally: &Tally) -> BTreeMap<LineKey, String> {
    let peak = profile.totals.peak_footprint.as_f64();
    profile
        .copies
        .iter()
        .filter(|copies| tally.lines.contains_key(&copies.line))
        .filter(|copies| copies.temporary.as_f64() >= WORTH_SAYING * peak)
        .filter_map(|copies| sentence(copies).map(|words| (copies.line, words)))
        .collect()
}

fn sentence(copies: &Copies) -> Option<String> {
    let Copies { temporaries, temporary, result, most: peak, sizes: (least, most), .. } = *copies;
    if temporaries == 0 || temporary.as_f64() < A_COPY * result.as_f64() {
        return None;
    }
    let mean = Bytes(temporary.0 / u64::from(temporaries));
    let made = match (temporaries, least.to_string() == most.to_string()) {
        (1, _) => format!("1 temporary of {temporary}"),
        (n, true) => format!("{n} temporaries of {mean} at once"),
        (n, false) => format!("{n} temporaries at once, {temporary} in all"),
    };
    let multiple = peak.as_f64() / result.as_f64();
    Some(if multiple.is_finite() && multiple <= SMALL_RESULT {
        format!("{made}; the line’s peak is {} its result", times(multiple))
    } else {
        made
    })
}

/// `4×`, `2.6×`.
fn times(multiple: f64) -> String {
    let whole = multiple.round();
    if (multiple - whole).abs() <= NEARLY_WHOLE * whole {
        format!("{whole:.0}×")
    } else {
        format!("{multiple:.1}×")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::FileId;

    const MIB: u64 = 1 << 20;

    fn said(temporaries: u32, temporary: u64, sizes: (u64, u64), result: u64) -> Option<String> {
        sentence(&Copies {
            line: LineKey { file: FileId(0), line: 1 },
            temporaries,
            temporary: Bytes(temporary * MIB),
            sizes: (Bytes(sizes.0 * MIB), Bytes(sizes.1 * MIB)),
            result: Bytes(result * MIB),
            most: Bytes((temporary + result) * MIB),
        })
    }

    #[test]
    fn temporaries_are_held_against_the_result() {
        let expected = "3 temporaries of 200 MiB at once; the line’s peak is 4× its result";
        assert_eq!(said(3, 600, (200, 200), 200).as_deref(), Some(expected));
        let expected = "2 temporaries at once, 320 MiB in all; the line’s peak is 2.6× its result";
        assert_eq!(said(2, 320, (110, 210), 200).as_deref(), Some(expected));
        let expected = "1 temporary of 200 MiB; the line’s peak is 2× its result";
        assert_eq!(said(1, 200, (200, 200), 200).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_less_than_a_copy_is_not_said() {
        assert_eq!(said(1, 100, (100, 100), 200), None);
        assert_eq!(said(0, 0, (0, 0), 0), None);
    }

    #[test]
    fn a_small_result_has_no_multiple() {
        assert_eq!(said(1, 200, (200, 200), 0).as_deref(), Some("1 temporary of 200 MiB"));
        assert_eq!(
            said(2, 400, (200, 200), 1).as_deref(),
            Some("2 temporaries of 200 MiB at once")
        );
    }
}
