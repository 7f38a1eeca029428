//! The report as plain text: ten to twenty lines with every number that matters.

use super::axis::signed;
use super::lettering::{clip, printable};
use super::{children, forked, theme};
use crate::profile::{Bytes, Nanos};
use crate::report::{Figures, Line, Report, Row, error_words};

/// How many lines of the table are listed before the rest is one row.
const LISTED: usize = 9;
/// Native threads that held this share of the peak have a line.
const WORTH_A_LINE: f64 = 0.1;
/// Lines of the whole text.
const LONGEST: usize = 20;
/// Columns of the sparkline.
const SPARK: usize = 56;

/// The report; with `color`, ANSI escapes mark what matters.
pub(super) fn text(report: &Report, color: bool) -> String {
    let pen = Pen { color };
    let verdict = &report.verdict;
    let mut out: Vec<String> = Vec::new();
    out.extend(verdict.ending.as_deref().map(|ending| pen.bold(&printable(ending))));
    out.push(pen.bold(&printable(&verdict.sentence())));
    out.extend(verdict.advice.as_deref().map(printable));
    out.push(pen.dim(&verdict.facts));
    if !report.tiny {
        out.extend(sparkline(report));
        out.push(String::new());
        out.extend(table(report, &pen));
    }
    if !report.children.rows.is_empty() {
        out.push(String::new());
        out.extend(children::text(report));
    }
    if !report.forked.rows.is_empty() {
        out.push(String::new());
        out.extend(forked::text(report));
    }
    let gaps = gaps(report);
    // What is good to know is left out rather than making the text longer.
    let room = LONGEST.saturating_sub(out.len() + usize::from(gaps.is_some()));
    if !report.tiny {
        out.extend(extras(report).into_iter().take(room).map(|extra| pen.dim(&extra)));
    }
    if let Some(gaps) = gaps {
        out.push(pen.dim(&printable(&gaps)));
    }
    out.join("\n") + "\n"
}

/// The figures that matter as one line, always in the same order.
pub(super) fn line(report: &Report) -> String {
    let (recording, totals) = (&report.recording, &report.totals);
    let stays = Bytes::from_f64(totals.surviving.value);
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
fn extras(report: &Report) -> Vec<String> {
    let said = report.verdict.advice.as_deref().unwrap_or_default();
    let copies = report.table.lines().filter_map(|line| {
        let words = report.copies.get(&line.key).filter(|words| !said.contains(words.as_str()))?;
        Some(printable(&format!("{}: {words}", line.name)))
    });
    let mut extras: Vec<String> = copies.take(2).collect();
    extras.extend(report.ledger.as_ref().and_then(|ledger| ledger.kept.clone()));
    let peak = report.table.peak_footprint.as_f64();
    let native = |label: &str| label.starts_with("native threads");
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
fn sparkline(report: &Report) -> Option<String> {
    let timeline = &report.timeline;
    // Memory that was freed shows as a way down: the lowest moment is the floor.
    let footprints = || timeline.moments.iter().map(|moment| moment.footprint);
    let floor = footprints().fold(0.0, f64::min);
    let range = footprints().fold(timeline.peak.1, f64::max) - floor;
    if timeline.moments.is_empty() || range <= 0.0 {
        return None;
    }
    let mut most = [f64::NEG_INFINITY; SPARK];
    let column = |at: Nanos| {
        let share = at.0 as f64 / timeline.duration.0.max(1) as f64;
        ((share * SPARK as f64) as usize).min(SPARK - 1)
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
    Some(format!("footprint {blocks} {}", report.recording.duration))
}

fn table(report: &Report, pen: &Pen) -> Vec<String> {
    let sampled = !report.recording.exact();
    let mut lines: Vec<&Line> = report.table.lines().collect();
    // The largest few, shown in reading order.
    let mut ranked: Vec<usize> = (0..lines.len()).collect();
    let weight = |line: &Line| line.figures.peak.value.max(line.figures.surviving.value);
    ranked.sort_by(|a, b| {
        let order = weight(lines[*b]).total_cmp(&weight(lines[*a]));
        order.then(lines[*b].figures.allocated.value.total_cmp(&lines[*a].figures.allocated.value))
    });
    ranked.truncate(LISTED);
    ranked.sort_unstable();
    lines = ranked.into_iter().map(|i| lines[i]).collect();

    let names: Vec<String> = lines.iter().map(|line| clip(&printable(&line.name), 22)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(10);
    let row = |name: &str, peak: String, figures: &Figures, peak_error: String| {
        let size = |value: f64| Bytes::from_f64(value).to_string();
        let error = |words: String| if sampled { format!("{words:<7}") } else { String::new() };
        format!(
            "{name:<wide$} {peak:>11} {}{:>10} {}{:>10} {:>10} {:>9}",
            error(peak_error),
            size(figures.surviving.value),
            error(error_words(figures.surviving, report.step())),
            size(figures.allocated.value),
            size(figures.temporary.value),
            count(figures.count.value),
        )
    };
    let gap = if sampled { format!("{:<7}", "") } else { String::new() };
    let mut rows = vec![pen.dim(&format!(
        "  {:<wide$} {:>11} {gap}{:>10} {gap}{:>10} {:>10} {:>9}  source",
        "", "at the peak", "stays", "allocated", "temporary", "blocks"
    ))];
    for (line, name) in lines.iter().zip(&names) {
        let f = &line.figures;
        let peak = Bytes::from_f64(f.peak.value).to_string();
        let source = clip(&printable(line.source.trim()), 48);
        let text = row(name, peak, f, error_words(f.peak, report.step()));
        let text = format!("{text}  {source}");
        let text = if line.most_at_peak { pen.bold(&text) } else { text };
        rows.push(format!("{} {text}", pen.swatch(line)));
    }
    let listed: f64 = lines.iter().map(|line| line.figures.peak.value).sum();
    let surplus = report.table.surplus();
    let rest =
        report.table.peak_footprint.as_f64() - listed - surplus.map_or(0.0, |less| less.peak);
    if rest.abs() >= 1.0 {
        rows.push(pen.dim(&format!("  {:<wide$} {:>11}", "the rest", signed(rest))));
    }
    if let Some(less) = surplus {
        let size = signed(less.peak);
        rows.push(pen.dim(&format!("  {:<wide$} {size:>11}  {}", "less", less.label)));
    }
    let peak = report.table.peak_footprint.to_string();
    rows.push(format!("  {}", row("in all", peak, &report.table.total, String::new())));
    rows
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
