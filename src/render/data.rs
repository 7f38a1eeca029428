//! What a page carries for its script, as JSON. Bytes, and nanoseconds since the start.

use super::icicle::tint;
use super::lettering::{clip, printable};
use super::{text, theme};
use crate::profile::Estimate;
use crate::report::{Figures, HUES, Hue, Line, Node, Report, Row, error_words};
use serde_json::{Value, json};

/// Letters of a line of source and of a name at most.
const LETTERS: usize = 1000;

/// The data of a page, fit to stand inside of a `script` element: without any `<`.
pub fn json(report: &Report) -> String {
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
        "collections": timeline.collections.iter().map(|at| at.0).collect::<Vec<u64>>(),
        "children": report.children.curve.iter().map(|(at, held)| json!([at.0, held])).collect::<Vec<Value>>(),
        "groups": report.table.groups.iter().map(|group| shown(&group.label)).collect::<Vec<String>>(),
        "lines": lines(report),
        "rest": rest(report),
        "flame": report.icicle.as_ref().map(node),
    });
    value.to_string().replace('<', "\\u003c")
}

fn shown(text: &str) -> String {
    printable(&clip(text, LETTERS))
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
    row["errors"] = json!({
        "peak": error_words(figures.peak, step),
        "stays": error_words(figures.surviving, step),
    });
}

fn lines(report: &Report) -> Vec<Value> {
    let row = |group: usize, row: &Row| match row {
        Row::Line(line) => line_with_figures(report, group, line),
        Row::Quiet { lineno, source, .. } => {
            json!({ "group": group, "line": lineno, "source": shown(source) })
        }
    };
    let groups = report.table.groups.iter().enumerate();
    groups.flat_map(|(i, group)| group.rows.iter().map(move |of| row(i, of))).collect()
}

fn line_with_figures(report: &Report, group: usize, line: &Line) -> Value {
    let mut value = json!({
        "group": group,
        "line": line.key.line,
        "name": shown(&line.name),
        "source": shown(line.source.trim_end()),
        "most": line.most_at_peak,
    });
    // What is not there has no name in the data: the script asks for `undefined`.
    if let Some(hue) = line.hue {
        value["hue"] = json!(hue.0);
    }
    if let Some(words) = report.copies.get(&line.key) {
        value["copies"] = json!(shown(words));
    }
    figures(&mut value, &line.figures, report.step());
    value
}

/// The rows below the lines; the last one is the whole.
fn rest(report: &Report) -> Vec<Value> {
    let table = &report.table;
    let mut rows: Vec<Value> = table
        .rest
        .iter()
        .map(|rest| {
            let mut row = json!({ "label": shown(&rest.label) });
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

fn node(of: &Node) -> Value {
    let children: Vec<Value> = of.children.iter().map(node).collect();
    json!([shown(&of.label), shown(&of.detail), of.bytes.round(), hue(of.hue), children])
}
