//! The answers hold for the fixed profiles: who, how much, and that the parts add up.

use crate::fixtures;
use memprofile::profile::{
    Allocator, Bytes, Estimate, FileKind, NameChange, Names, Profile, SignedBytes,
};
use memprofile::render;
use memprofile::report::lines::all_lines;
use memprofile::report::{EARLIER, Hue, Options, Report, error_words, relative_error};
use proptest::prelude::*;

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
fn a_file_at_the_beginning_of_a_sentence_keeps_its_name() {
    let mut profile = fixtures::exact_small();
    profile.recording.main_file = None;
    let mut advice = |kind, label: &str| {
        (profile.stacks.files[0].kind, profile.stacks.files[0].label) = (kind, label.to_owned());
        report(&profile).verdict.advice.unwrap()
    };
    let said = "load.py:1 keeps 7.00 MiB of the 12.0 MiB that stay.";
    assert_eq!(advice(FileKind::User, "tools/load.py"), said);
    let said = "Cell [3] line 1 keeps 7.00 MiB of the 12.0 MiB that stay.";
    assert_eq!(advice(FileKind::Cell, "cell [3]"), said);
}

#[test]
fn a_cell_that_only_frees_gives_back() {
    let report = report(&fixtures::frees());
    assert_eq!(
        report.verdict.sentence(),
        "Gives back 100 MiB that was in use before; peak 9.40 KiB above the start, 9.40 KiB of its own stay."
    );
    assert!(!report.tiny && report.verdict.advice.is_none());
    assert_eq!(
        render::line(&report),
        "peak 9.40 KiB · stays 9.40 KiB · at the end −100 MiB · 12.0 ms · exact"
    );
    let text = render::text(&report, render::USUAL, false);
    let spark = text.lines().find(|line| line.starts_with("footprint")).unwrap();
    assert!(spark.contains("██▇") && spark.contains("▁▁ 12.0 ms"), "{spark}");
}

#[test]
fn a_cell_that_frees_more_than_it_keeps_says_both() {
    let mut profile = fixtures::exact_small();
    profile.totals.footprint_delta = SignedBytes(-6 << 20);
    assert_eq!(
        report(&profile).verdict.sentence(),
        "Peak 20.0 MiB above the start, 7.00 MiB of it held by line 1; gives back 6.00 MiB at the end, 12.0 MiB of its own stay."
    );
}

#[test]
fn a_cell_that_replaces_says_why_its_peak_is_less_than_what_it_keeps() {
    let report = report(&fixtures::replaces());
    assert_eq!(
        report.verdict.sentence(),
        "Peak 981 KiB above the start while line 2 held 28.6 MiB; 28.6 MiB stay, but 28.5 MiB of older memory was freed or reused: +102 KiB at the end."
    );
    assert_eq!(
        render::line(&report),
        "peak 981 KiB · stays 28.6 MiB · at the end +102 KiB · 400 ms · exact"
    );
    let text = render::text(&report, render::USUAL, false);
    let words = "fit into memory that was there before, or replaced what the cell freed";
    assert!(
        text.contains("less      −27.6 MiB\n") && text.contains(&format!("less: {words}")),
        "{text}"
    );
    assert!(render::html(&report).unwrap().contains(words));
    assert!(parts_add_up(&report));
}

#[test]
fn what_is_in_use_and_nobody_made_is_not_called_nothing() {
    let mut profile = fixtures::exact_small();
    profile.totals.footprint_delta = SignedBytes(30 << 20);
    assert_eq!(
        report(&profile).verdict.sentence(),
        "Peak 20.0 MiB above the start, 7.00 MiB of it held by line 1; +30.0 MiB at the end, only 12.0 MiB of it in blocks that it made."
    );
}

#[test]
fn a_surplus_within_the_sampling_error_is_called_that() {
    let mut profile = fixtures::sampled_large();
    let live = profile.totals.live_at_peak.value as u64;
    let label = |profile: &Profile| report(profile).table.surplus().map(|less| less.label.clone());
    assert_eq!(label(&profile), None);
    profile.totals.peak_footprint = Bytes(live - fixtures::MIB);
    assert_eq!(
        label(&profile).as_deref(),
        Some("the estimates add up to more than the whole, within their error")
    );
    profile.totals.peak_footprint = Bytes(live - 100 * fixtures::MIB);
    assert!(label(&profile).unwrap().starts_with("fit into memory that was there before"));
}

#[test]
fn each_figure_has_the_error_of_its_own() {
    let profile = fixtures::sampled_large();
    let step = profile.recording.sample_interval.as_f64();
    let report = report(&profile);
    let line = report.table.lines().find(|line| line.key.line == 3).unwrap();
    let error = |figure| relative_error(figure, step).unwrap();
    assert_eq!(error_words(line.figures.peak, step), "±2.5%");
    assert_eq!(error_words(line.figures.surviving, step), "±5.5%");
    let rows = all_lines(&profile);
    let row = rows.iter().find(|row| row.lineno == 3).unwrap();
    assert_eq!(row.relative_error, error(line.figures.surviving));
    let text = render::text(&report, render::USUAL, false);
    assert!(text.contains("390 MiB ±2.5%  84.0 MiB ±5.5%   1.20 GiB"), "{text}");
    assert!(report.verdict.facts.contains("(held at the peak ±1.3%, stays ±2.9%)"));
    // What is known better than it is shown has no error to state, what is not known is rough.
    let known = |value, deviation: f64| Estimate { value, variance: deviation * deviation };
    assert_eq!(error_words(known(1e9, 1e6), 0.0), "");
    assert_eq!(error_words(known(1e6, 1e6), 0.0), "rough");
    assert_eq!(relative_error(known(0.0, 1.0), 1.0), None);
}

#[test]
fn the_cost_of_a_short_cell_is_a_time() {
    let facts = |profile| report(&profile).verdict.facts;
    assert!(facts(fixtures::exact_small()).ends_with(" · measuring took 9.00 ms"));
    assert!(facts(fixtures::sampled_large()).ends_with(" · overhead 1.6%"));
}

#[test]
fn one_line_has_its_figures_in_a_fixed_order() {
    for (profile, line) in [
        (fixtures::tiny(), "peak 3.10 KiB · stays 88 B · 12.0 µs · exact"),
        (fixtures::empty(), "peak 0 · stays 0 · 0 ns · exact"),
        (
            fixtures::sampled_large(),
            "peak 1.42 GiB · stays 296 MiB ±2.9% · 4.20 s · sampled every 64.0 KiB",
        ),
        (
            fixtures::failed(),
            "peak 316 MiB · stays 305 MiB · 610 ms · exact · ended with MemoryError",
        ),
    ] {
        assert_eq!(render::line(&report(&profile)), line);
    }
}

#[test]
fn the_verdict_calls_no_line_the_largest_part_when_slack_holds_more() {
    let sentence = report(&fixtures::exact_small()).verdict.sentence();
    assert!(sentence.contains("above the start, 7.00 MiB of it held by line 1;"), "{sentence}");
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
fn a_line_of_a_function_says_which_line_called_it() {
    let icicle = report(&fixtures::sampled_large()).icicle.unwrap();
    let detail = |label: &str| {
        icicle.children.iter().find(|node| node.label == label).map(|node| node.detail.as_str())
    };
    assert!(
        detail("line 7").unwrap().starts_with("called from line 9 · wide = frame.pivot_table(")
    );
    assert_eq!(detail("line 3"), Some("df = pd.read_csv(path)"));
    // Called by many lines: none of them is the one.
    let icicle = report(&fixtures::many_lines()).icicle.unwrap();
    let line = icicle.children.iter().find(|node| node.label == "helpers.py:12").unwrap();
    assert!(!line.detail.contains("called from"), "{}", line.detail);
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
    let text = render::text(&report(&fixtures::exact_small()), render::USUAL, false);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        lines[0],
        "Peak 20.0 MiB above the start, 7.00 MiB of it held by line 1; 12.0 MiB stay."
    );
    assert_eq!(lines[1], "Line 1 keeps 7.00 MiB of the 12.0 MiB that stay.");
    assert!(lines[4].starts_with("footprint ▁") && lines[4].ends_with(" 84.0 ms"), "{}", lines[4]);
    let table = [
        "            at the peak     stays  allocated  blocks  source",
        "> line 1       7.00 MiB  7.00 MiB   9.00 MiB  50,021  rows = [str(i) * 20 for i…",
        "  line 2       5.00 MiB  5.00 MiB   5.00 MiB       1  text = \"\\n\".join(rows)",
        "  the rest     8.00 MiB",
        "  in all       20.0 MiB  12.0 MiB   14.0 MiB  50,022",
        "Names that grew: rows +7.00 MiB (list, new), text +4.75 MiB (str), old_rows",
        "−2.00 MiB (list, gone), 1 more; not compared, since too much hangs on it:",
        "everything",
        "by allocator: pymalloc 7.00 MiB, malloc 5.00 MiB",
    ];
    assert_eq!(lines[6..], table);
}

#[test]
fn the_sentence_of_names_has_those_that_changed_most() {
    let mut profile = fixtures::exact_small();
    let mut changed = Vec::new();
    for megabytes in 1..=4 {
        let grown = Some(Bytes(megabytes << 20));
        changed.push(NameChange { name: format!("new{megabytes}"), after: grown, ..gone(0) });
    }
    changed.push(gone(200 << 20));
    profile.names = Names::new(changed, Vec::new());
    let text = render::text(&report(&profile), 200, false);
    let said = text.lines().find(|line| line.starts_with("Names that grew")).unwrap();
    assert!(said.contains("big −200 MiB (list, gone), 1 more") && !said.contains("new1"), "{said}");
}

fn gone(bytes: u64) -> NameChange {
    let before = (bytes > 0).then_some(Bytes(bytes));
    NameChange { name: "big".into(), kind: "list".into(), before, after: None, at_least: false }
}

#[test]
fn the_icicle_says_two_sizes_only_where_they_differ_to_the_eye() {
    let mut profile = fixtures::exact_small();
    let whole = report(&profile).table.total.peak.value as u64;
    let mut detail = |peak| {
        profile.totals.peak_footprint = Bytes(peak);
        report(&profile).icicle.unwrap().detail
    };
    assert_eq!(detail(whole - 100), "");
    assert_eq!(detail(whole - (1 << 20)), "in 11.0 MiB of new memory");
}

#[test]
fn many_lines_and_names_that_grew_make_no_text_longer() {
    let all = fixtures::all().into_iter().map(|(_, profile)| profile);
    // Tables of child processes come beside that.
    for mut profile in all.filter(|profile| profile.children.is_empty()) {
        let name = |n: u64| NameChange {
            name: format!("a_name_that_is_quite_long_{n}"),
            kind: "package.module.AClassWithALongName".to_owned(),
            before: None,
            after: Some(Bytes((100 << 20) - n)),
            at_least: true,
        };
        profile.names.changed = (0..40).map(name).collect();
        profile.names.not_compared = (0..40).map(|n| format!("another_name_{n}")).collect();
        for number in 0..30 {
            profile.gaps.push(format!("gap {number}: {}", "some words ".repeat(20)));
        }
        let report = report(&profile);
        let text = render::text(&report, render::USUAL, false);
        assert!(text.lines().count() <= 20, "{} lines:\n{text}", text.lines().count());
        let is_listed =
            |name: &str| text.lines().any(|line| line[2.min(line.len())..].starts_with(name));
        let listed = report.table.lines().filter(|line| is_listed(&line.name)).count();
        assert!(report.tiny || listed >= 3.min(report.table.lines().count()), "{text}");
        assert!(report.tiny || text.contains("Names that grew: a_name_that"), "{text}");
    }
}

#[test]
fn texts_are_short_and_one_line_is_one_line() {
    for (name, profile) in fixtures::all() {
        let report = report(&profile);
        let lines = render::text(&report, render::USUAL, false).lines().count();
        // With tables of child processes and of lines in them it is a little longer.
        assert!(
            lines <= if report.forked.rows.is_empty() { 20 } else { 22 },
            "{name}: {lines} lines"
        );
        assert_eq!(render::line(&report).lines().count(), 1, "{name}");
        assert!(!render::text(&report, render::USUAL, false).contains('\u{1b}'), "{name}");
    }
    let tiny = render::text(&report(&fixtures::tiny()), render::USUAL, false);
    assert!(
        tiny.starts_with(
            "Nothing worth a plot: 3.10 KiB above the start at the peak; 88 B stay.\n"
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_more_stays_than_there_was_at_the_peak_unless_older_memory_went(
        peak in 0u64..1 << 30,
        below in 0i64..1 << 30,
        surviving in 0u64..1 << 30,
        spread in 0.0f64..1e8,
        interval in prop_oneof![Just(0u64), 1u64..1 << 22],
    ) {
        let mut profile = fixtures::exact_small();
        let variance = if interval > 0 { spread * spread } else { 0.0 };
        profile.recording.sample_interval = Bytes(interval);
        profile.totals.peak_footprint = Bytes(peak);
        // The end is a moment, too.
        profile.totals.footprint_delta = SignedBytes(peak as i64 - below);
        profile.totals.surviving = Estimate { value: surviving as f64, variance };
        let verdict = report(&profile).verdict;
        let sentence = verdict.sentence();
        let older = ["older memory", "ives back"].iter().any(|words| sentence.contains(words));
        prop_assert!(older || verdict.stays.0 <= peak, "{}", sentence);
        let said = match verdict.stays.0 {
            0 => "nothing".to_owned(),
            1 => "1 B".to_owned(),
            _ => verdict.stays.to_string(),
        };
        let unexplained = sentence.contains("in blocks that it made");
        prop_assert!(unexplained || sentence.contains(&said), "{}: {}", said, sentence);
        let advice = verdict.advice.unwrap_or_default();
        if advice.contains("keeps") && !advice.contains("all that stays") {
            prop_assert!(advice.contains(&format!(" of the {said} that stay")), "{}: {}", said, advice);
        }
    }
}

#[test]
fn what_stays_of_a_sampled_cell_is_what_is_known_exactly_within_the_error_of_the_estimate() {
    let mut profile = fixtures::exact_small();
    profile.recording.sample_interval = Bytes(1 << 20);
    profile.totals.peak_footprint = Bytes(100 << 20);
    profile.totals.footprint_delta = SignedBytes(99 << 20);
    profile.totals.surviving = Estimate { value: f64::from(103 << 20), variance: 1e13 };
    let verdict = report(&profile).verdict;
    assert_eq!(verdict.stays, Bytes(99 << 20));
    assert!(verdict.sentence().ends_with("; 99.0 MiB stay."), "{}", verdict.sentence());
}

#[test]
fn memory_from_before_that_no_line_was_seen_to_fill_is_no_native_threads() {
    let mut b = fixtures::Builder::cell("cell [3]", "old.fill(1)", 1.0);
    b.site(None, Allocator::Earlier, [90 << 20, 90 << 20, 90 << 20, 0]);
    let profile = b.finish(0.5, 0);
    let report = report(&profile);
    let labels: Vec<&str> = report.table.rest.iter().map(|rest| rest.label.as_str()).collect();
    assert_eq!(labels, [EARLIER]);
    let text = render::text(&report, render::USUAL, false);
    assert!(
        text.contains("written to while no line") && !text.contains("native threads"),
        "{text}"
    );
    assert!(parts_add_up(&report));
}
