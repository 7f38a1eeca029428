//! The colours.
//!
//! Six colours for lines and greys for the rest, on one opaque light card that reads well on
//! light and on dark pages. The six stay apart under protanopia, deuteranopia and tritanopia,
//! and each carries black or white text with a contrast of at least 4.5:1 (WCAG 2.2, 1.4.3);
//! the tests below compute both.

use crate::report::Hue;

/// An opaque sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ink(pub u8, pub u8, pub u8);

/// The card.
pub const CARD: Ink = Ink(0xFF, 0xFF, 0xFF);
/// Text.
pub const TEXT: Ink = Ink(0x1B, 0x1F, 0x24);
/// Text that matters less.
pub const QUIET: Ink = Ink(0x57, 0x60, 0x6A);
/// Rules and grid.
pub const RULE: Ink = Ink(0xE3, 0xE6, 0xEA);
/// The border of the card.
pub const BORDER: Ink = Ink(0xD0, 0xD7, 0xDE);
/// The row that held most at the peak.
pub const MARKED: Ink = Ink(0xFB, 0xF1, 0xEF);
/// What is no line's own.
pub const GREY: Ink = Ink(0xD3, 0xD8, 0xDE);
/// The resident set size, and nothing else: its strokes are dashed by this colour.
pub const RESIDENT: Ink = Ink(0x3B, 0x43, 0x4C);

/// The private memory of child processes, and nothing else: its strokes are dotted by this colour.
pub const CHILDREN: Ink = Ink(0x24, 0x2A, 0x31);

const HUES: [Ink; crate::report::HUES] = [
    Ink(0xA3, 0x2F, 0x3A),
    Ink(0x34, 0x63, 0xAB),
    Ink(0x44, 0xA9, 0xE3),
    Ink(0xFD, 0xB9, 0x39),
    Ink(0x5A, 0x94, 0x70),
    Ink(0x56, 0x1B, 0x6E),
];

/// The colour of a line; grey without a hue.
pub fn of(hue: Option<Hue>) -> Ink {
    hue.and_then(|hue| HUES.get(usize::from(hue.0))).copied().unwrap_or(GREY)
}

/// The card of a dark page.
pub const DARK_CARD: Ink = Ink(0x16, 0x1B, 0x22);

/// The colour of a line on a dark page: lighter, so that it stands out from the card.
pub fn dark(hue: Option<Hue>) -> Ink {
    match hue {
        Some(_) => of(hue).lighter(0.27),
        None => Ink(0x3D, 0x44, 0x4D),
    }
}

impl Ink {
    /// As `#rrggbb`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// Towards the card: `share` 0 leaves it, 1 makes it the card's colour.
    pub fn lighter(self, share: f64) -> Ink {
        self.towards(CARD, share)
    }

    /// Towards another colour: `share` 0 leaves it, 1 makes it the other.
    pub fn towards(self, other: Ink, share: f64) -> Ink {
        let mix = |from: u8, to: u8| {
            (f64::from(from) + share * (f64::from(to) - f64::from(from))).round() as u8
        };
        Ink(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// The text colour that reads better on it: white or pure black, because only that pair
    /// leaves no colour between them (at worst √21 = 4.58:1).
    pub fn label(self) -> Ink {
        let black = Ink(0, 0, 0);
        if contrast(self, CARD) >= contrast(self, black) { CARD } else { black }
    }

    fn linear(self) -> [f64; 3] {
        [self.0, self.1, self.2].map(|channel| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }
}

/// The WCAG 2 contrast ratio of two colours, 1 to 21.
pub fn contrast(a: Ink, b: Ink) -> f64 {
    let luminance = |ink: Ink| {
        let [r, g, b] = ink.linear();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_on_everything_that_carries_it() {
        for paper in [CARD, MARKED, GREY] {
            assert!(contrast(TEXT, paper) >= 7.0, "{paper:?}");
        }
        for paper in [CARD, MARKED] {
            assert!(contrast(QUIET, paper) >= 4.5, "{paper:?}");
        }
        let hues = || (0..crate::report::HUES).map(|hue| Some(Hue(hue as u8))).chain([None]);
        for step in 0..=9 {
            let tint = super::super::icicle::tint(step);
            for base in hues() {
                for fill in [of(base).lighter(tint), dark(base).towards(DARK_CARD, tint)] {
                    assert!(contrast(fill, fill.label()) >= 4.5, "{base:?} at depth {step}");
                }
            }
        }
        // What carries meaning by its colour stands out from a dark card (WCAG 2.2, 1.4.11).
        for base in hues().take(crate::report::HUES) {
            assert!(contrast(dark(base), DARK_CARD) >= 3.0, "{base:?}");
        }
    }

    /// Linear sRGB as seen with a missing cone type, after Machado, Oliveira and Fernandes,
    /// IEEE TVCG 15 (2009) 1291-1298, severity 1.
    const SIGHTS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ];

    fn oklab(linear: [f64; 3]) -> [f64; 3] {
        let dot = |m: [f64; 3], v: [f64; 3]| m[0] * v[0] + m[1] * v[1] + m[2] * v[2];
        let lms = [
            dot([0.412_221, 0.536_333, 0.051_446], linear),
            dot([0.211_903, 0.680_700, 0.107_397], linear),
            dot([0.088_302, 0.281_719, 0.629_979], linear),
        ]
        .map(f64::cbrt);
        [
            dot([0.210_454, 0.793_618, -0.004_072], lms),
            dot([1.977_998, -2.428_592, 0.450_594], lms),
            dot([0.025_904, 0.782_772, -0.808_676], lms),
        ]
    }

    #[test]
    fn the_six_and_grey_stay_apart_for_every_kind_of_sight() {
        let hues = || (0..crate::report::HUES).map(|hue| Some(Hue(hue as u8))).chain([None]);
        // Lighter colours are nearer to each other.
        for (inks, apart) in [
            (hues().map(of).collect::<Vec<Ink>>(), 0.1),
            (hues().map(dark).collect::<Vec<Ink>>(), 0.08),
        ] {
            for sight in SIGHTS {
                let seen =
                    |ink: Ink| {
                        let rgb = ink.linear();
                        oklab(sight.map(|row| {
                            (0..3).map(|i| row[i] * rgb[i]).sum::<f64>().clamp(0.0, 1.0)
                        }))
                    };
                for (i, a) in inks.iter().enumerate() {
                    for b in &inks[..i] {
                        let (x, y) = (seen(*a), seen(*b));
                        let squares = x.iter().zip(y).map(|(x, y)| (x - y).powi(2));
                        let distance = squares.sum::<f64>().sqrt();
                        // 0.02 is just noticeable in OKLab.
                        assert!(distance >= apart, "{a:?} and {b:?} are {distance:.3} apart");
                    }
                }
            }
        }
    }
}
