//! The report as plain text: ten to twenty lines with every number that matters.

use super::axis::signed;
use super::columns::{self, Column};
use super::lettering::{clip, printable, unparted};
use super::{children, forked, names, theme};
use crate::profile::{Bytes, Estimate, Nanos};
use crate::report::{EARLIER, Figures, Line, Report, Row, error_words};

/// How many lines of the table are listed before the rest is one row: as many as there is room for.
const LISTED: std::ops::RangeInclusive<usize> = 3..=9;
/// Native threads that held this share of the peak have a line.
const WORTH_A_LINE: f64 = 0.1;
/// Lines of the whole text.
const LONGEST: usize = 20;
/// Columns of the sparkline.
const SPARK: usize = 56;
/// Letters of a line's name.
const NAME: usize = 22;
/// Less room than this would not show a table.
const NARROWEST: usize = 60;

/// The report in so many columns; with `color`, ANSI escapes mark what matters.
pub(super) fn text(report: &Report, width: usize, color: bool) -> String {
    let width = width.max(NARROWEST);
    let wrap = |text: &str| -> Vec<String> {
        let lines = columns::wrap(&unparted(&printable(text)), width);
        lines.iter().map(|line| line.replace('\u{A0}', " ")).collect()
    };
    let pen = Pen { color };
    let verdict = &report.verdict;
    let mut out: Vec<String> = Vec::new();
    let ending = verdict.ending.iter().flat_map(|ending| wrap(ending));
    out.extend(ending.chain(wrap(&verdict.sentence())).map(|line| pen.bold(&line)));
    out.extend(verdict.advice.iter().flat_map(|advice| wrap(advice)));
    // A line breaks between two facts, and not within one.
    let facts = verdict.facts.split(" · ").map(|fact| match fact.chars().count() + 2 <= width {
        true => fact.replace(' ', "\u{A0}"),
        false => fact.to_owned(),
    });
    let facts = facts.collect::<Vec<String>>().join("\u{A0}· ");
    out.extend(wrap(&facts).iter().map(|line| pen.dim(line)));
    if !report.tiny {
        out.extend(sparkline(report, width));
        out.push(String::new());
    }
    let mut below: Vec<String> = Vec::new();
    if !report.children.rows.is_empty() {
        below.push(String::new());
        below.extend(children::text(report, width));
    }
    if !report.forked.rows.is_empty() {
        below.push(String::new());
        below.extend(forked::text(report, width));
    }
    let gaps = gaps(report).map_or_else(Vec::new, |gaps| wrap(&gaps));
    // Of names and lines there are fewer where all of them would make the text longer than it is to be.
    let taken = out.len() + below.len() + gaps.len();
    let lines_of = |listed: usize| match report.tiny {
        true => Vec::new(),
        false => table(report, &pen, width, listed),
    };
    let fewest = lines_of(*LISTED.start()).len();
    let names_of = |listed: usize| -> Vec<String> {
        names::sentence(report, listed).iter().flat_map(|names| wrap(names)).collect()
    };
    let names = (1..=names::LISTED)
        .rev()
        .map(names_of)
        .find(|names| taken + fewest + names.len() <= LONGEST)
        .unwrap_or_else(|| names_of(1));
    let listed = LISTED
        .rev()
        .find(|&listed| taken + names.len() + lines_of(listed).len() <= LONGEST)
        .unwrap_or(*LISTED.start());
    out.extend(lines_of(listed));
    out.extend(below);
    out.extend(names);
    // What is good to know is left out rather than making the text longer.
    if !report.tiny {
        for extra in extras(report, listed) {
            let extra = wrap(&extra);
            if out.len() + extra.len() + gaps.len() <= LONGEST {
                out.extend(extra.iter().map(|line| pen.dim(line)));
            }
        }
    }
    out.extend(gaps.iter().map(|line| pen.dim(line)));
    out.join("\n") + "\n"
}

/// The figures that matter as one line, always in the same order.
pub(super) fn line(report: &Report) -> String {
    let (recording, totals) = (&report.recording, &report.totals);
    let stays = report.verdict.stays;
    let error = match error_words(totals.surviving, report.step()) {
        words if words.is_empty() => words,
        words => format!(" {words}"),
    };
    let mut said = vec![format!("peak {}", totals.peak_footprint), format!("stays {stays}{error}")];
    if report.verdict.end_differs {
        said.push(format!("at the end {}", totals.footprint_delta));
    }
    if report.children.peak.0 > 0 {
        said.push(format!("children {}", report.children.peak));
    }
    said.push(recording.duration.to_string());
    said.push(if recording.exact() {
        "exact".to_owned()
    } else {
        format!("sampled every {}", recording.sample_interval)
    });
    match recording.exception.as_deref() {
        None => {}
        Some("KeyboardInterrupt") => said.push("interrupted".to_owned()),
        Some(name) => said.push(format!("ended with {}", clip(name, 80))),
    }
    printable(&said.join(" · "))
}

fn gaps(report: &Report) -> Option<String> {
    match report.gaps.as_slice() {
        [] => None,
        [only] => Some(format!("Note: {}", clip(only, 140))),
        [first, more @ ..] => Some(format!("Note: {} (and {} more)", clip(first, 120), more.len())),
    }
}

/// Lines that made copies, what stays resident after it was freed, and who gave the memory.
fn extras(report: &Report, listed: usize) -> Vec<String> {
    let said = report.verdict.advice.as_deref().unwrap_or_default();
    let copies = report.table.lines().filter_map(|line| {
        let words = report.copies.get(&line.key).filter(|words| !said.contains(words.as_str()))?;
        Some(printable(&format!("{}: {words}", line.name)))
    });
    let mut extras: Vec<String> = copies.take(2).collect();
    extras.extend(report.table.lines().filter(|line| line.rank < listed).filter_map(|line| {
        let f = &line.figures;
        let touched = super::rows::touched(f);
        let asked = Bytes::from_f64(f.allocated.value);
        (!touched.is_empty())
            .then(|| printable(&format!("{}: allocated {asked}, {touched}", line.name)))
    }));
    extras.extend(report.ledger.as_ref().and_then(|ledger| ledger.kept.clone()));
    let peak = report.table.peak_footprint.as_f64();
    let native = |label: &str| label.starts_with("native threads") || label == EARLIER;
    let worth = |peak_bytes: f64| peak_bytes > 0.0 && peak_bytes >= WORTH_A_LINE * peak;
    let rest = report.table.rest.iter();
    extras.extend(rest.filter(|rest| native(&rest.label) && worth(rest.peak)).map(|rest| {
        printable(&format!("{}: {} at the peak", rest.label, Bytes::from_f64(rest.peak)))
    }));
    if report.allocators.len() > 1 {
        let parts = report.allocators.iter().map(|(allocator, figures)| {
            format!("{} {}", allocator.name(), Bytes::from_f64(figures.peak.value))
        });
        extras.push(format!("by allocator: {}", parts.collect::<Vec<_>>().join(", ")));
    }
    extras
}

struct Pen {
    color: bool,
}

impl Pen {
    fn bold(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn swatch(&self, line: &Line) -> String {
        let ink = theme::of(line.hue);
        match (self.color, line.hue) {
            (true, Some(_)) => format!("\x1b[38;2;{};{};{}m▌\x1b[0m", ink.0, ink.1, ink.2),
            _ if line.most_at_peak => ">".to_owned(),
            _ => " ".to_owned(),
        }
    }
}

/// The footprint over time as one row of blocks, each the most of its share of the time.
fn sparkline(report: &Report, width: usize) -> Option<String> {
    let timeline = &report.timeline;
    // Memory that was freed shows as a way down: the lowest moment is the floor.
    let footprints = || timeline.moments.iter().map(|moment| moment.footprint);
    let floor = footprints().fold(0.0, f64::min);
    let range = footprints().fold(timeline.peak.1, f64::max) - floor;
    if timeline.moments.is_empty() || range <= 0.0 {
        return None;
    }
    let duration = report.recording.duration.to_string();
    let columns = SPARK.min(width.saturating_sub("footprint  ".len() + duration.chars().count()));
    let mut most = vec![f64::NEG_INFINITY; columns];
    let column = |at: Nanos| {
        let share = at.0 as f64 / timeline.duration.0.max(1) as f64;
        ((share * columns as f64) as usize).min(columns - 1)
    };
    for pair in timeline.moments.windows(2) {
        // Between two moments the footprint is a straight line.
        let (from, to) = (column(pair[0].at), column(pair[1].at));
        for (step, slot) in most[from..=to].iter_mut().enumerate() {
            let share = if to > from { step as f64 / (to - from) as f64 } else { 1.0 };
            let value = pair[0].footprint + share * (pair[1].footprint - pair[0].footprint);
            *slot = slot.max(value);
        }
    }
    for moment in &timeline.moments {
        let slot = &mut most[column(moment.at)];
        *slot = slot.max(moment.footprint);
    }
    // Before the first moment all is as it was at the start, after the last one as it was then.
    let last = timeline.moments.last().map_or(0.0, |moment| moment.footprint);
    let mut known = false;
    for slot in &mut most {
        known |= slot.is_finite();
        if !slot.is_finite() {
            *slot = if known { last } else { 0.0 };
        }
    }
    let blocks: String = most
        .iter()
        .map(|value| match (value - floor) / range {
            share if share > 0.0 => {
                ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((share * 8.0) as usize).min(7)]
            }
            _ => '▁',
        })
        .collect();
    Some(format!("footprint {blocks} {duration}"))
}

fn table(report: &Report, pen: &Pen, width: usize, listed: usize) -> Vec<String> {
    // The largest few, shown in reading order.
    let lines: Vec<&Line> = report.table.lines().filter(|line| line.rank < listed).collect();
    let step = report.step();
    // Errors stand in a column of their own width, so that figures stay one below the other.
    let errors = |of: fn(&Figures) -> Estimate| {
        let all = lines.iter().map(|line| line.figures).chain([report.table.total]);
        all.map(|figures| error_words(of(&figures), step).chars().count()).max().unwrap_or(0)
    };
    let wide = [errors(|f| f.peak), errors(|f| f.surviving)];
    let with = |figure: String, error: String, wide: usize| match wide {
        0 => figure,
        wide => format!("{figure} {error:<wide$}"),
    };
    let cells = |name: &str, peak: String, error: String, f: &Figures, source: &str| {
        let size = |figure: Estimate| Bytes::from_f64(figure.value).to_string();
        vec![
            name.to_owned(),
            with(peak, error, wide[0]),
            with(size(f.surviving), error_words(f.surviving, step), wide[1]),
            size(f.allocated),
            size(f.temporary),
            count(f.count.value),
            printable(source.trim()),
        ]
    };
    let mut rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let f = &line.figures;
            let peak = Bytes::from_f64(f.peak.value).to_string();
            cells(&printable(&line.name), peak, error_words(f.peak, step), f, &line.source)
        })
        .collect();
    let shown: f64 = lines.iter().map(|line| line.figures.peak.value).sum();
    let surplus = report.table.surplus();
    let rest = report.table.peak_footprint.as_f64() - shown - surplus.map_or(0.0, |less| less.peak);
    let mut part = |name: &str, bytes: f64| {
        rows.push(vec![name.to_owned(), with(signed(bytes), String::new(), wide[0])]);
    };
    if rest.abs() >= 1.0 {
        part("the rest", rest);
    }
    if let Some(less) = surplus {
        part("less", less.peak);
    }
    let parts = rows.len();
    let peak = report.table.peak_footprint.to_string();
    rows.push(cells("in all", peak, String::new(), &report.table.total, ""));
    let columns = [
        Column::words("", NAME),
        Column::figures("at the peak"),
        Column::figures("stays"),
        Column::figures("allocated"),
        Column::optional("temporary", 2),
        Column::optional("blocks", 1),
        Column::rest("source", 24),
    ];
    let mut out: Vec<String> = columns::lines(&columns, &rows, width.saturating_sub(2))
        .into_iter()
        .enumerate()
        .map(|(at, text)| match at.checked_sub(1).map(|at| (at, lines.get(at))) {
            Some((_, Some(line))) => {
                let text = if line.most_at_peak { pen.bold(&text) } else { text };
                format!("{} {text}", pen.swatch(line))
            }
            Some((at, None)) if at >= parts => format!("  {text}"),
            _ => pen.dim(&format!("  {text}")),
        })
        .collect();
    if let Some(less) = surplus {
        let words = columns::wrap(&format!("less: {}", less.label), width);
        out.extend(words.iter().map(|line| pen.dim(line)));
    }
    out
}

/// A count with separators: `6,210,332`; large ones as `1.24e12`.
pub(super) fn count(value: f64) -> String {
    if value >= 1e12 {
        return format!("{value:.2e}");
    }
    crate::report::frames::separated(value.round_ties_even().max(0.0) as u64)
}

/// What a reader who does not see the picture should know of it.
pub(super) fn alt_text(report: &Report) -> String {
    let mut said = format!("{}: {}", report.recording.title, report.verdict.sentence());
    if let Some(advice) = &report.verdict.advice {
        said.push(' ');
        said.push_str(advice);
    }
    if !report.tiny && report.timeline.peak.1 > 0.0 {
        let (at, bytes) = report.timeline.peak;
        said.push_str(&format!(
            " The footprint over {} reaches {} at {at}.",
            report.recording.duration,
            Bytes::from_f64(bytes)
        ));
        let mut held: Vec<&Line> =
            report.table.lines().filter(|line| line.figures.peak.value >= 1.0).collect();
        held.sort_by(|a, b| b.figures.peak.value.total_cmp(&a.figures.peak.value));
        let held: Vec<String> = held
            .iter()
            .take(4)
            .map(|line| format!("{} {}", line.name, Bytes::from_f64(line.figures.peak.value)))
            .collect();
        if !held.is_empty() {
            said.push_str(&format!(" At that moment: {}.", held.join(", ")));
        }
    }
    clip(&printable(&said), 600)
}

/// Whether a row is one that a reader may skip.
pub(super) fn is_quiet(row: &Row) -> bool {
    matches!(row, Row::Quiet { .. })
}
