//! Child processes in a report: who is spoken of, and that the rows add up.

use crate::fixtures::{self, MIB, child, forked, workers};
use crate::rendering::{check, check_png};
use crate::reports::report;
use memprofile::profile::{Bytes, Child, ChildPoint, FileKind, ForkedLine, Nanos, Profile};
use memprofile::render;
use proptest::prelude::*;

#[test]
fn children_that_hold_more_than_the_process_are_in_the_verdict() {
    let report = report(&workers());
    assert_eq!(
        report.verdict.sentence(),
        "Peak 3.00 MiB above the start, nearly all of it held by line 2; 1.00 MiB stay. Two child processes held 810 MiB more at once."
    );
    assert!(!report.tiny);
    assert!(render::line(&report).contains(" · children 817 MiB · "), "{}", render::line(&report));
    assert!(render::alt_text(&report).contains("Two child processes held 810 MiB more at once."));
}

#[test]
fn children_that_hold_less_are_rows_alone() {
    let mut profile = workers();
    profile.totals.peak_footprint = Bytes(900 * MIB);
    let report = report(&profile);
    assert!(!report.verdict.sentence().contains("child"), "{}", report.verdict.sentence());
    assert_eq!(report.children.rows.len(), 3);
}

#[test]
fn one_child_is_spoken_of_as_one() {
    let mut profile = workers();
    profile.children.truncate(2);
    assert!(report(&profile).verdict.sentence().ends_with(" A child process held 400 MiB more."));
}

#[test]
fn the_sum_is_that_of_one_moment() {
    let children = report(&workers()).children;
    assert_eq!((children.peak, children.peak_at), (Bytes(817 * MIB), Nanos(2_000_000_000)));
    assert_eq!(children.curve.last(), Some(&(Nanos(4_000_000_000), 7.0 * MIB as f64)));
    let at = |seconds: f64| {
        let points = children.curve.iter().rev();
        points.skip_while(|point| point.0.seconds() > seconds).map(|p| p.1).next().unwrap()
    };
    let mib = |seconds: f64| at(seconds) / MIB as f64;
    assert_eq!(
        [0.0, 0.15, 0.9, 1.7, 2.2, 3.55, 3.9].map(mib),
        [0.0, 7.0, 23.0, 617.0, 817.0, 27.0, 7.0]
    );
}

#[test]
fn the_rows_add_up_however_many_there_are() {
    for count in [1, 2, 8, 9, 30] {
        let mut profile = workers();
        profile.children = (0..count)
            .map(|i| child(i, "x", &[(0.1 * f64::from(i), 5 + u64::from(i)), (3.4, 2)], None))
            .collect();
        let children = report(&profile).children;
        let rows: u64 = children.rows.iter().map(|row| row.at_peak.0).sum();
        let rest = children.rest.map_or(0, |rest| rest.at_peak.0);
        assert_eq!(Bytes(rows + rest), children.peak, "{count}");
        let shown = children.rows.len() + children.rest.map_or(0, |rest| rest.count);
        assert_eq!(shown, count as usize);
        assert!(children.rows.len() <= 8);
    }
}

#[test]
fn the_table_is_in_every_form() {
    let mut profile = workers();
    profile.children[1].status = Some(-9);
    profile.children[2].command = "sh -c <b>&\u{202E}".to_owned();
    let report = check(&profile, 20);
    check_png(&report);
    let html = render::html(&report).unwrap().replace('\u{A0}', " ");
    assert!(html.contains("sh -c &lt;b&gt;&amp;"), "{html}");
    let text = render::text(&report, 120, false);
    assert!(!render::text(&report, render::USUAL, false).contains("peak PSS"));
    for said in
        ["410 MiB", "420 MiB", "412 MiB", "200 ms to 3.50 s, signal 9", "running", "817 MiB"]
    {
        assert!(text.contains(said) && html.contains(said), "{said}:\n{text}");
    }
    let svg = render::svg(&report).unwrap();
    assert!(svg.contains("Child processes") && svg.contains("stroke-dasharray=\"2 4\""));
}

#[test]
fn without_children_there_is_no_word_of_them() {
    for (name, profile) in fixtures::all() {
        if !profile.children.is_empty() {
            continue;
        }
        let report = report(&profile);
        for form in [
            render::html(&report),
            render::svg(&report),
            Ok(render::text(&report, render::USUAL, false)),
        ] {
            let form = form.unwrap();
            assert!(
                !form.contains("hild process") && !form.contains("dasharray=\"2 4\""),
                "{name}"
            );
        }
    }
}

#[test]
fn a_file_from_before_has_no_children_and_one_in_disorder_is_refused() {
    let mut profile = workers();
    let text = profile.to_json();
    assert_eq!(Profile::from_json(&text).unwrap(), profile);
    let before = text.replacen("\"children\":", "\"unknown\":", 1);
    assert!(Profile::from_json(&before).unwrap().children.is_empty());
    profile.children[1].points.reverse();
    let error = Profile::from_json(&profile.to_json()).unwrap_err().to_string();
    assert!(error.contains("child process 101"), "{error}");
}

#[test]
fn a_line_of_several_processes_is_one_row_with_the_most_that_one_held() {
    let profile = fixtures::forked_workers();
    let report = report(&profile);
    let rows: Vec<_> = report
        .forked
        .rows
        .iter()
        .map(|row| (row.place.as_str(), row.processes, row.peak.0 / MIB, row.allocated.0 / MIB))
        .collect();
    // Line 9 is worth no row of its own.
    assert_eq!(rows, [("helpers.py:7", 2, 200, 800), ("helpers.py:8", 1, 0, 90)]);
    assert_eq!((report.forked.others, report.forked.processes), (1, 2));
    let html = render::html(&report).expect("it renders");
    assert!(html.contains("&lt;step 7&gt;") && html.contains("1 line more with less"));
    check(&profile, 20);
}

#[test]
fn the_life_of_a_child_is_drawn_in_the_colour_of_the_line_that_held_most_in_it() {
    let mut profile = fixtures::forked_workers();
    let cell = profile.recording.main_file.clone().unwrap();
    let line = &mut profile.forked[0].lines[0];
    (line.file, line.kind, line.line) = (cell, Some(FileKind::Cell), 2);
    let report = report(&profile);
    let of_line = report.table.lines().find(|line| line.key.line == 2).unwrap().hue;
    assert!(of_line.is_some());
    let lanes: Vec<_> = report
        .children
        .lanes
        .iter()
        .map(|lane| (lane.name.as_str(), lane.words.join(", "), lane.hue))
        .collect();
    // What tracks them holds next to nothing.
    assert_eq!(
        lanes,
        [
            ("101", "line 2, 200 MiB".to_owned(), of_line),
            ("102", "helpers.py:7, 150 MiB, signal 9".to_owned(), None)
        ]
    );
    let svg = render::svg(&report).unwrap();
    assert!(svg.contains("101 · line 2 · 200 MiB") && svg.contains("Lines in forked processes"));
    let page = render::page(&report).unwrap();
    assert!(page.contains("\"102 · helpers.py:7 · 150 MiB · signal 9\""));
}

prop_compose! {
    fn any_forked_line()(
        (file, label, source, function) in (".{0,40}", ".{0,40}", ".{0,200}", ".{0,40}"),
        line in any::<u32>(),
        figures in prop::array::uniform4(any::<u64>()),
    ) -> ForkedLine {
        let [peak, surviving, allocated] = [0, 1, 2].map(|i| Bytes(figures[i]));
        ForkedLine { file, label, kind: None, line, function, source, peak, surviving, allocated, count: figures[3] }
    }
}

prop_compose! {
    fn any_child()(
        (pid, command) in (any::<u32>(), ".{0,80}"),
        started in proptest::option::of(any::<u64>()),
        ended in proptest::option::of(any::<u64>()),
        status in proptest::option::of(any::<i32>()),
        sizes in prop::array::uniform3(any::<u64>()),
        mut points in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..40),
    ) -> Child {
        points.sort_unstable();
        Child {
            pid,
            parent: pid,
            command,
            started: started.map(Nanos),
            ended: ended.map(Nanos),
            status,
            start_rss: Bytes(sizes[0]),
            peak_rss: Bytes(sizes[1]),
            peak_pss: started.map(Bytes),
            peak_private: Bytes(sizes[2]),
            points: points
                .into_iter()
                .map(|(at, rss, private)| ChildPoint { at: Nanos(at), rss: Bytes(rss), private: Bytes(private) })
                .collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_children_render(
        children in prop::collection::vec(any_child(), 0..40),
        lines in prop::collection::vec(prop::collection::vec(any_forked_line(), 0..20), 0..4),
        duration in any::<u64>(),
    ) {
        let mut profile = workers();
        profile.children = children;
        profile.forked = lines.into_iter().map(|lines| forked(1, lines)).collect();
        profile.recording.duration = Nanos(duration);
        check(&profile, 20);
    }
}
