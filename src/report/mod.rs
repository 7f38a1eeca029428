//! Answers to the questions that a reader has of a profile, ready to draw and without any ink.
//!
//! How much was it at most, who held it, what stays, when did it happen, and how well is that
//! known: each has its place in a [`Report`]. Every share adds up to its whole.

mod children;
mod copies;
mod death;
mod diff;
mod flame;
mod forked;
pub mod frames;
mod hues;
mod ledger;
pub mod lines;
mod listing;
mod live;
mod names;
mod native_threads;
pub mod sizes;
mod tally;
mod timeline;
mod verdict;

pub use children::{ChildRow, Children, Lane, OtherChildren};
pub use death::{Death, Stand};
pub use diff::{Change, Diff, DiffRow, signed};
pub use flame::{Kind, Node};
pub use forked::{Forked, ForkedRow};
pub use hues::{HUES, Hue};
pub use ledger::{Ledger, LedgerRow};
pub use lines::{Group, Line, Rest, Row, Table};
pub use listing::{Listing, Ring, Section, Stop};
pub use live::{AFTER as LIVE_AFTER, Live};
pub use names::{NameRow, Names};
pub use native_threads::EARLIER;
pub use sizes::SizeRow;
pub use tally::Figures;
pub use timeline::{Layer, Moment, Run, Timeline, held_by_line};
pub use verdict::Verdict;

use crate::profile::{Allocator, Estimate, LineKey, Profile, Recording, Totals};

/// What the reader asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many lines are shown by themselves; the others are one row.
    pub top: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { top: 20 }
    }
}

/// The answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was recorded, where and how.
    pub recording: Recording,
    /// The whole-process figures.
    pub totals: Totals,
    /// The answer in a sentence or two.
    pub verdict: Verdict,
    /// Whether there is nothing worth a plot.
    pub tiny: bool,
    /// What each line cost.
    pub table: Table,
    /// Memory over time.
    pub timeline: Timeline,
    /// Who held it at the peak; `None` when nobody held anything.
    pub icicle: Option<Node>,
    /// By allocator, in the order of [`Allocator`]; only those that were asked.
    pub allocators: Vec<(Allocator, Figures)>,
    /// The cyclic garbage collector.
    pub collector: Collector,
    /// What could not be measured, each as one sentence.
    pub gaps: Vec<String>,
    /// Where the growth of the resident set went.
    pub ledger: Option<Ledger>,
    /// By the size of blocks, smallest first; the rows add up to the allocators.
    pub sizes: Vec<SizeRow>,
    /// Of a line, what temporaries it made on the way to its result, in words.
    pub copies: std::collections::BTreeMap<LineKey, String>,
    /// Child processes.
    pub children: Children,
    /// What lines did in processes that were forked.
    pub forked: Forked,
    /// Names of the notebook that hold more or less than before.
    pub names: Names,
}

/// What the cyclic garbage collector did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collector {
    /// How many runs there were.
    pub runs: u64,
    /// Whether the figures below leave out the shortest runs.
    pub partial: bool,
    /// Time that it took, in nanoseconds.
    pub nanos: u64,
    /// Objects that it freed.
    pub collected: u64,
    /// Garbage that it could not free.
    pub uncollectable: u64,
}

impl Report {
    /// Answers for one profile.
    pub fn new(profile: &Profile, options: &Options) -> Report {
        Report::with(profile, options, flame::SMALL)
    }

    /// The same with the whole call tree, for a picture that can be zoomed.
    pub fn unfolded(profile: &Profile, options: &Options) -> Report {
        Report::with(profile, options, flame::UNFOLDED)
    }

    fn with(profile: &Profile, options: &Options, extent: flame::Extent) -> Report {
        let tally = tally::Tally::new(profile);
        let names = tally::Names::new(profile);
        let hues = hues::assign(profile, &tally, &names);
        let children = children::children(profile, &names, &hues);
        Report {
            recording: profile.recording.clone(),
            totals: profile.totals.clone(),
            verdict: verdict::verdict(profile, &tally, &names, &children),
            tiny: verdict::is_tiny(profile),
            table: Table::new(profile, &tally, &names, &hues, options.top.max(1)),
            timeline: timeline::timeline(profile, &tally, &names, &hues),
            icicle: flame::icicle(profile, &tally, &names, &hues, extent),
            allocators: sizes::by_allocator(profile),
            collector: collector(profile),
            gaps: profile.gaps.clone(),
            ledger: ledger::ledger(profile),
            sizes: sizes::by_size(profile),
            copies: copies::words(profile, &tally),
            children,
            forked: forked::forked(profile),
            names: names::names(profile),
        }
    }

    /// The weight of one sample, for [`error_words`]; 0 when every allocation was recorded.
    pub fn step(&self) -> f64 {
        self.recording.sample_interval.as_f64()
    }

    /// Time spent in our own code, such as `1.6%`; `None` where it cannot be told.
    pub fn overhead(&self) -> Option<String> {
        verdict::overhead(self.recording.overhead, self.recording.duration)
            .and_then(verdict::percent)
    }
}

/// Half the width of the 95% interval as a share of the figure; 0 when every allocation was
/// recorded (`step`, the sample interval, is 0), `None` where there is no figure.
pub fn relative_error(figure: Estimate, step: f64) -> Option<f64> {
    let share = figure.margin(step) / figure.value;
    (figure.value > 0.0 && share.is_finite()).then(|| share.max(0.0))
}

/// An error below this says nothing that the three digits of a figure do not.
const WORTH_SAYING: f64 = 0.005;

/// `±1.4%`, `±23%`, or `rough` where the error may be as large as the figure; empty below half
/// a percent.
pub fn error_words(figure: Estimate, step: f64) -> String {
    match relative_error(figure, step) {
        Some(share) if share >= WORTH_SAYING => {
            verdict::percent(share).map_or_else(|| "rough".to_owned(), |p| format!("±{p}"))
        }
        _ => String::new(),
    }
}

fn collector(profile: &Profile) -> Collector {
    let known = profile.collections.len() as u64;
    let mut sum = Collector {
        runs: profile.collection_count.max(known),
        partial: profile.collection_count > known,
        ..Collector::default()
    };
    for run in &profile.collections {
        sum.nanos = sum.nanos.saturating_add(run.duration.0);
        sum.collected = sum.collected.saturating_add(run.collected);
        sum.uncollectable = sum.uncollectable.saturating_add(run.uncollectable);
    }
    sum
}
