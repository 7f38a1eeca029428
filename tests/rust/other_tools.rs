//! Comparisons, and what other tools read: every byte is somewhere, and no name breaks a format.

use crate::fixtures;
use memprofile::profile::{Bytes, Profile};
use memprofile::render;
use memprofile::report::{Diff, Options, Report};
use serde_json::Value;

fn parsed(profile: &Profile) -> Value {
    serde_json::from_str(&render::speedscope(profile)).unwrap()
}

/// What the weights add up to, by profile.
fn sums(file: &Value) -> Vec<u64> {
    let profiles = file["profiles"].as_array().unwrap();
    let weights = |profile: &Value| -> u64 {
        profile["weights"].as_array().unwrap().iter().map(|w| w.as_u64().unwrap()).sum()
    };
    profiles.iter().map(weights).collect()
}

#[test]
fn speedscope_gets_every_byte() {
    for (name, profile) in fixtures::all() {
        let file = parsed(&profile);
        let totals = &profile.totals;
        let peak = totals.peak_footprint.0.max(totals.live_at_peak.value as u64);
        let expected = [peak, totals.surviving.value as u64, totals.allocated.value as u64];
        assert_eq!(sums(&file), expected, "{name}");
        let frames = file["shared"]["frames"].as_array().unwrap();
        for profile in file["profiles"].as_array().unwrap() {
            let samples = profile["samples"].as_array().unwrap();
            assert_eq!(samples.len(), profile["weights"].as_array().unwrap().len());
            let ids = samples.iter().flat_map(|sample| sample.as_array().unwrap());
            assert!(ids.into_iter().all(|id| (id.as_u64().unwrap() as usize) < frames.len()));
        }
    }
}

#[test]
fn stacks_begin_with_the_users_line_and_not_with_the_machinery() {
    let file = parsed(&fixtures::sampled_large());
    let frames = file["shared"]["frames"].as_array().unwrap();
    assert!(!frames.iter().any(|frame| frame["name"] == "run_code"));
    let first = &file["profiles"][0]["samples"][0][0];
    let frame = &frames[first.as_u64().unwrap() as usize];
    assert_eq!((&frame["name"], &frame["file"]), (&"<module>".into(), &"cell [12]".into()));
}

#[test]
fn collapsed_stacks_are_a_line_each_and_add_up_to_the_peak() {
    for (name, profile) in fixtures::all() {
        let text = render::collapsed(&profile);
        let sum: u64 = text
            .lines()
            .map(|line| {
                line.rsplit_once(' ').expect("a weight").1.parse::<u64>().expect("a number")
            })
            .sum();
        let peak = profile.totals.peak_footprint.0.max(profile.totals.live_at_peak.value as u64);
        assert_eq!(sum, peak, "{name}");
    }
    let text = render::collapsed(&fixtures::threads());
    assert!(text.contains("native threads;polars 325058560\n"), "{text}");
}

/// The pivot again, a line lower, with a third more at its peak.
fn grown() -> (Profile, Profile) {
    let before = fixtures::sampled_large();
    let mut after = before.clone();
    let file = &mut after.stacks.files[0];
    file.lines = file.lines.iter().map(|(line, text)| (line + 1, text.clone())).collect();
    for frame in after.stacks.frame_table.iter_mut().filter(|frame| frame.file.0 == 0) {
        frame.line += 1;
    }
    let line = |profile: &Profile, site: &memprofile::profile::Site| {
        site.stack.and_then(|stack| profile.stacks.user_line(stack)).map(|frame| frame.line)
    };
    let lines: Vec<_> = after.sites.iter().map(|site| line(&after, site)).collect();
    let mut more = 0.0;
    for (site, _) in after.sites.iter_mut().zip(lines).filter(|(_, line)| *line == Some(8)) {
        more += site.peak.value / 3.0;
        site.peak.value *= 4.0 / 3.0;
    }
    after.totals.peak_footprint = Bytes(after.totals.peak_footprint.0 + more as u64);
    (before, after)
}

#[test]
fn a_comparison_finds_the_line_that_grew_although_it_moved() {
    let (before, after) = grown();
    let diff = Diff::new(&before, &after);
    assert_eq!(
        diff.sentence(),
        "Peak grew by 304 MiB (1.42 GiB → 1.72 GiB), most of it at line 7 → 8; as much stays."
    );
    assert_eq!(diff.lines[0].name, "line 7 → 8");
    assert!(!diff.lines[0].peak.within_error());
    let back = Diff::new(&after, &before);
    assert!(back.sentence().starts_with("Peak shrank by 304 MiB"), "{}", back.sentence());
    assert_eq!(
        Diff::new(&before, &before).sentence(),
        "Peak as before (1.42 GiB → 1.42 GiB); as much stays."
    );
}

#[test]
fn comparisons_add_up_whatever_is_compared() {
    let all = fixtures::all();
    for (name, before) in &all {
        for (other, after) in &all {
            let diff = Diff::new(before, after);
            for top in [1, 3, 1000] {
                let rows = diff.rows(top);
                let sum: f64 = rows.iter().map(|row| row.peak.grown()).sum();
                assert!((sum - diff.total.peak.grown()).abs() < 2.0, "{name} {other} {top}");
                let sum: f64 = rows.iter().map(|row| row.surviving.grown()).sum();
                assert!((sum - diff.total.surviving.grown()).abs() < 2.0, "{name} {other} {top}");
            }
            assert!(render::diff_html(&diff, usize::MAX).len() <= 100_000, "{name} {other}");
        }
    }
    let (before, after) = grown();
    insta::assert_snapshot!("diff", render::diff_text(&Diff::new(&before, &after), 10, 120));
    let html = render::diff_html(&Diff::new(&fixtures::tiny(), &fixtures::unicode()), 10);
    crate::rendering::check_html(&html);
    assert!(html.contains("(new)") && html.contains("(before only)"), "{html}");
}

/// The JSON that a page carries.
fn carried(page: &str) -> &str {
    let (_, behind) = page.split_once("id=\"data\">").unwrap();
    behind.split_once("</script>").unwrap().0
}

#[test]
fn no_name_ends_the_script_of_a_page() {
    let mut profile = fixtures::unicode();
    profile.stacks.files[0].lines.insert(1, "x = '</script><script>alert(1)</script><!--'".into());
    profile.recording.title = "</title><script>".to_owned();
    let page = render::page(&Report::unfolded(&profile, &Options::default())).unwrap();
    // The data and the script itself.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    let data: Value = serde_json::from_str(carried(&page)).unwrap();
    assert_eq!(data["lines"][0]["source"], "x = '</script><script>alert(1)</script><!--'");
    assert!(!page.contains('\u{202E}'));
}

#[test]
fn a_page_has_the_whole_tree_and_the_fragment_its_upper_part() {
    fn depth(node: &Value) -> usize {
        1 + node[4].as_array().unwrap().iter().map(depth).max().unwrap_or(0)
    }
    let profile = fixtures::big();
    let of = |report: &Report| {
        let page = render::page(report).unwrap();
        let data: Value = serde_json::from_str(carried(&page)).unwrap();
        depth(&data["flame"])
    };
    let (folded, whole) = (
        of(&Report::new(&profile, &Options::default())),
        of(&Report::unfolded(&profile, &Options::default())),
    );
    assert!(folded <= 8 && whole > folded, "{folded} {whole}");
}
