//! The answers hold for the fixed profiles: who, how much, and that the parts add up.

use crate::fixtures;
use memprofile::profile::{Bytes, Profile, SignedBytes};
use memprofile::render;
use memprofile::report::lines::all_lines;
use memprofile::report::{Hue, Options, Report};

pub fn report(profile: &Profile) -> Report {
    Report::new(profile, &Options::default())
}

/// The column "at the peak" adds up to the peak footprint.
pub fn parts_add_up(report: &Report) -> bool {
    let lines: f64 = report.table.lines().map(|line| line.figures.peak.value).sum();
    let rest: f64 = report.table.rest.iter().map(|rest| rest.peak).sum();
    let whole = report.table.peak_footprint.as_f64();
    // Parts of either sign may cancel: what rounding does depends on their sizes, not their sum.
    let sizes: f64 = report.table.rest.iter().map(|rest| rest.peak.abs()).sum();
    (lines + rest - whole).abs() <= 1.0 + 1e-9 * (lines.abs() + sizes + whole)
}

#[test]
fn the_parts_add_up_whatever_top_is() {
    for (name, profile) in fixtures::all() {
        for top in [0, 1, 3, 20, 500] {
            assert!(parts_add_up(&Report::new(&profile, &Options { top })), "{name} top {top}");
        }
    }
}

#[test]
fn the_verdict_names_the_line_that_held_most_and_what_it_kept() {
    let report = report(&fixtures::sampled_large());
    assert_eq!(
        report.verdict.sentence(),
        "Peak 1.42 GiB above the start, most of it held by line 7; 296 MiB stay."
    );
    assert_eq!(
        report.verdict.advice.as_deref(),
        Some("Line 7 held 912 MiB at the peak and kept nothing.")
    );
    let first = report.table.lines().find(|line| line.most_at_peak).unwrap();
    assert_eq!((first.name.as_str(), first.hue), ("line 7", Some(Hue(0))));
}

#[test]
fn the_verdict_calls_no_line_the_largest_part_when_slack_holds_more() {
    let mut profile = fixtures::sampled_large();
    profile.totals.peak_footprint = Bytes(8 << 30);
    let sentence = report(&profile).verdict.sentence();
    assert_eq!(
        sentence,
        "Peak 8.00 GiB above the start, 912 MiB of it held by line 7; 296 MiB stay."
    );
}

#[test]
fn a_small_cell_that_freed_much_says_so() {
    let mut profile = fixtures::tiny();
    assert_eq!(report(&profile).verdict.advice, None);
    profile.totals.footprint_delta = SignedBytes(-100 << 20);
    assert_eq!(
        report(&profile).verdict.advice.as_deref(),
        Some("At the end the process used 100 MiB less than before: older memory was freed.")
    );
}

#[test]
fn a_line_has_one_colour_everywhere() {
    for (name, profile) in fixtures::all() {
        let report = report(&profile);
        let of =
            |name: &str| report.table.lines().find(|line| line.name == name).and_then(|l| l.hue);
        for layer in &report.timeline.layers {
            assert_eq!(of(&layer.name), Some(layer.hue), "{name}");
        }
        for node in report.icicle.iter().flat_map(|root| &root.children) {
            assert!(node.hue.is_none() || node.hue == of(&node.label), "{name}: {}", node.label);
        }
        let mut hues: Vec<Hue> = report.table.lines().filter_map(|line| line.hue).collect();
        hues.sort_unstable();
        hues.dedup();
        assert_eq!(hues.len(), report.table.lines().filter(|line| line.hue.is_some()).count());
    }
}

#[test]
fn the_icicle_leaves_the_machinery_out_and_is_never_larger_than_its_parent() {
    fn check(node: &memprofile::report::Node) {
        let below: f64 = node.children.iter().map(|child| child.bytes).sum();
        assert!(below <= node.bytes * (1.0 + 1e-9) + 1.0, "{}", node.label);
        assert!(!node.label.contains("run_code") && !node.detail.contains("IPython"));
        node.children.iter().for_each(check);
    }
    for (_, profile) in fixtures::all() {
        report(&profile).icicle.iter().for_each(check);
    }
}

#[test]
fn a_failed_and_an_interrupted_cell_say_so() {
    let failed = report(&fixtures::failed()).verdict.ending.unwrap();
    assert_eq!(failed, "Ended with MemoryError after 610 ms; the figures go up to there.");
    let interrupted = report(&fixtures::unicode()).verdict.ending.unwrap();
    assert_eq!(interrupted, "Interrupted after 900 ms; the figures go up to there.");
}

#[test]
fn all_lines_are_unmerged_and_in_reading_order() {
    let lines = all_lines(&fixtures::many_lines());
    assert_eq!(lines.len(), 102);
    assert_eq!((lines[0].lineno, lines[0].function.as_str()), (3, "<module>"));
    let last = lines.last().unwrap();
    assert_eq!((last.lineno, last.surviving), (30, Bytes(690 << 20)));
    assert_eq!(last.source, "cache[key] = frame.copy()");
    assert_eq!(last.relative_error, 0.0);
    let sampled = all_lines(&fixtures::sampled_large());
    assert!(sampled.iter().all(|line| line.relative_error > 0.0));
}

#[test]
fn the_text_of_a_small_cell() {
    let text = render::text(&report(&fixtures::exact_small()), false);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines[0],
        "Peak 20.0 MiB above the start, 7.00 MiB of it held by line 1; 12.0 MiB stay."
    );
    assert_eq!(lines[1], "Line 1 keeps 7.00 MiB of the 12.0 MiB that stay.");
    assert!(lines[3].starts_with("footprint ▁") && lines[3].ends_with(" 84.0 ms"), "{}", lines[3]);
    let table = [
        "             at the peak      stays  allocated  temporary    blocks  source",
        "> line 1        7.00 MiB   7.00 MiB   9.00 MiB   2.00 MiB    50,021  rows = [str(i) * 20 for i in range(50_000)]",
        "  line 2        5.00 MiB   5.00 MiB   5.00 MiB          0         1  text = \"\\n\".join(rows)",
        "  the rest      8.00 MiB",
        "  in all        20.0 MiB   12.0 MiB   14.0 MiB   2.00 MiB    50,022",
    ];
    assert_eq!(lines[5..], table);
}

#[test]
fn texts_are_short_and_one_line_is_one_line() {
    for (name, profile) in fixtures::all() {
        let report = report(&profile);
        let lines = render::text(&report, false).lines().count();
        assert!(lines <= 20, "{name}: {lines} lines");
        assert_eq!(render::line(&report).lines().count(), 1, "{name}");
        assert!(!render::text(&report, false).contains('\u{1b}'), "{name}");
    }
    let tiny = render::text(&report(&fixtures::tiny()), false);
    assert!(
        tiny.starts_with(
            "Nothing worth a plot: 3.10 KiB above the start at the peak; 88 B stay.\n"
        )
    );
}
