//! What a page carries for its script, as JSON. Bytes, and nanoseconds since the start.

use super::icicle::tint;
use super::lettering::{clip, printable};
use super::page::Extent;
use super::{text, theme};
use crate::profile::Estimate;
use crate::report::{Figures, HUES, Hue, Line, Node, Report, Row, Table, Timeline, error_words};
use serde_json::{Value, json};

/// Ticks of the collector that can be told apart on the widest page.
const TICKS: u128 = 500;

/// The data of a page, fit to stand inside of a `script` element: without any `<`.
pub(super) fn json(report: &Report, table: &Table, flame: Option<&Node>, extent: Extent) -> String {
    let shown = |text: &str| printable(&clip(text, extent.letters));
    let timeline = &report.timeline;
    let column = |of: fn(&crate::report::Moment) -> f64| -> Vec<f64> {
        timeline.moments.iter().map(|moment| of(moment).round()).collect()
    };
    let held: Vec<Vec<f64>> = (0..timeline.layers.len())
        .map(|layer| timeline.moments.iter().map(|moment| moment.held[layer].round()).collect())
        .collect();
    let runs: Vec<Value> = timeline
        .running
        .iter()
        .map(|run| json!([run.from.0, run.to.0, run.name.as_deref().map(shown), hue(run.hue)]))
        .collect();
    let layers: Vec<Value> = timeline
        .layers
        .iter()
        .map(|layer| json!({ "name": shown(&layer.name), "hue": layer.hue.0 }))
        .collect();
    let value = json!({
        "palette": { "light": palette(theme::of, theme::CARD), "dark": palette(theme::dark, theme::DARK_CARD) },
        "alt": text::alt_text(report),
        "duration": timeline.duration.0,
        "peak": [timeline.peak.0.0, timeline.peak.1],
        "holder": timeline.holder.as_deref().map(shown),
        "moments": {
            "at": timeline.moments.iter().map(|moment| moment.at.0).collect::<Vec<u64>>(),
            "footprint": column(|moment| moment.footprint),
            "resident": column(|moment| moment.resident),
            "held": held,
        },
        "layers": layers,
        "runs": runs,
        "collections": collections(timeline),
        "children": report.children.curve.iter().map(|(at, held)| json!([at.0, held])).collect::<Vec<Value>>(),
        "lanes": lanes(report, extent),
        "groups": table.groups.iter().map(|group| shown(&group.label)).collect::<Vec<String>>(),
        "lines": lines(report, table, extent),
        "rest": rest(report, table, extent),
        "flame": flame.map(|root| node(root, extent)),
        "merged": extent.note(),
    });
    value.to_string().replace('<', "\\u003c")
}

fn shown(text: &str, extent: Extent) -> String {
    printable(&clip(text, extent.letters))
}

/// The lives of child processes: from, to, words, colour.
fn lanes(report: &Report, extent: Extent) -> Vec<Value> {
    let lanes = report.children.lanes.iter();
    lanes
        .map(|lane| {
            let words = format!("{} · {}", lane.name, lane.words.join(" · "));
            json!([lane.from.0, lane.to.0, shown(&words, extent), hue(lane.hue)])
        })
        .collect()
}

/// When the collector ran, those that could not be told apart but once.
fn collections(timeline: &Timeline) -> Vec<u64> {
    let mut at: Vec<u64> = timeline.collections.iter().map(|at| at.0).collect();
    at.sort_unstable();
    at.dedup_by_key(|at| u128::from(*at) * TICKS / u128::from(timeline.duration.0.max(1)));
    at
}

fn hue(hue: Option<Hue>) -> Option<u8> {
    hue.map(|hue| hue.0)
}

/// Of each colour, grey last, its tints by depth: the fill and what reads on it.
fn palette(of: fn(Option<Hue>) -> theme::Ink, card: theme::Ink) -> Vec<Vec<[String; 2]>> {
    let hues = (0..HUES).map(|hue| Some(Hue(hue as u8))).chain([None]);
    hues.map(|hue| {
        let tints = (0..7).map(|depth| of(hue).towards(card, tint(depth)));
        tints.map(|fill| [fill.hex(), fill.label().hex()]).collect()
    })
    .collect()
}

fn figures(row: &mut Value, figures: &Figures, step: f64) {
    let columns: [(&str, Estimate); 5] = [
        ("peak", figures.peak),
        ("stays", figures.surviving),
        ("allocated", figures.allocated),
        ("temporary", figures.temporary),
        ("blocks", figures.count),
    ];
    for (name, figure) in columns {
        row[name] = json!(figure.value.round());
    }
    let touched = super::rows::touched(figures);
    if !touched.is_empty() {
        row["touched"] = json!(touched);
    }
    row["errors"] = json!({
        "peak": error_words(figures.peak, step),
        "stays": error_words(figures.surviving, step),
    });
}

fn lines(report: &Report, table: &Table, extent: Extent) -> Vec<Value> {
    let quiet = |row: &&Row| matches!(row, Row::Quiet { .. });
    let room =
        table.groups.iter().flat_map(|group| &group.rows).filter(quiet).count() <= extent.quiet;
    let row = |group: usize, row: &Row| match row {
        Row::Line(line) => Some(line_with_figures(report, group, line, extent)),
        Row::Quiet { lineno, source, .. } => {
            room.then(|| json!({ "group": group, "line": lineno, "source": shown(source, extent) }))
        }
    };
    let groups = table.groups.iter().enumerate();
    groups.flat_map(|(i, group)| group.rows.iter().filter_map(move |of| row(i, of))).collect()
}

fn line_with_figures(report: &Report, group: usize, line: &Line, extent: Extent) -> Value {
    let mut value = json!({
        "group": group,
        "line": line.key.line,
        "name": shown(&line.name, extent),
        "source": shown(line.source.trim_end(), extent),
        "most": line.most_at_peak,
    });
    // What is not there has no name in the data: the script asks for `undefined`.
    if let Some(hue) = line.hue {
        value["hue"] = json!(hue.0);
    }
    if let Some(words) = report.copies.get(&line.key) {
        value["copies"] = json!(shown(words, extent));
    }
    figures(&mut value, &line.figures, report.step());
    value
}

/// The rows below the lines; the last one is the whole.
fn rest(report: &Report, table: &Table, extent: Extent) -> Vec<Value> {
    let mut rows: Vec<Value> = table
        .rest
        .iter()
        .map(|rest| {
            let mut row = json!({ "label": shown(&rest.label, extent) });
            if let Some(of) = &rest.figures {
                figures(&mut row, of, report.step());
            }
            row["peak"] = json!(rest.peak.round());
            row
        })
        .collect();
    let mut whole = json!({ "label": "in all" });
    figures(&mut whole, &table.total, report.step());
    whole["peak"] = json!(table.peak_footprint.0);
    rows.push(whole);
    rows
}

fn node(of: &Node, extent: Extent) -> Value {
    let children: Vec<Value> = of.children.iter().map(|child| node(child, extent)).collect();
    let [label, detail] = [&of.label, &of.detail].map(|text| shown(text, extent));
    json!([label, detail, of.bytes.round(), hue(of.hue), children])
}
