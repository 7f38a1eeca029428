//! Whatever a frame is: nothing panics, what is drawn is well formed, safe and small enough.

use crate::rendering::check_html;
use memprofile::profile::Bytes;
use memprofile::render;
use memprofile::report::frames::{Advice, Column, Frame};
use proptest::prelude::*;

fn advice(saved: u64) -> Advice {
    Advice {
        dtype: "category".to_owned(),
        before: Bytes(2 * saved),
        after: Bytes(saved),
        code: "df[\"<b>\"] = df[\"<b>\"].astype(\"category\")\ndf = df.copy()".to_owned(),
        price: "a new value must be made a category first".to_owned(),
    }
}

fn column(name: &str, owned: u64, shared: u64) -> Column {
    Column {
        name: name.to_owned(),
        role: "column".to_owned(),
        dtype: "object".to_owned(),
        rows: 1_000_000,
        nulls: Some(3),
        owned: Bytes(owned),
        within: Bytes(0),
        shared: Bytes(shared),
        mapped: Bytes(0),
        parts: vec![("references".to_owned(), Bytes(owned)), ("objects".to_owned(), Bytes(shared))],
        unused: Bytes(0),
        keeps_alive: Bytes(owned + shared),
        is_view: false,
        holders: Vec::new(),
        viewers: Vec::new(),
        unnamed_holder: false,
        advice: vec![advice(owned / 2)],
    }
}

fn frame(columns: Vec<Column>) -> Frame {
    let sum = |of: fn(&Column) -> Bytes| Bytes(columns.iter().map(|column| of(column).0).sum());
    Frame {
        name: "sales".to_owned(),
        kind: "pandas DataFrame".to_owned(),
        owned: sum(|column| column.owned),
        shared: sum(|column| column.shared),
        unused: Bytes(0),
        spare_blocks: 0,
        keeps_alive: Bytes(0),
        saved: Bytes(columns.iter().flat_map(|c| &c.advice).map(|a| a.saved().0).sum()),
        code: columns.iter().flat_map(|c| &c.advice).map(|a| a.code.clone()).collect(),
        advice: Vec::new(),
        columns,
    }
}

fn check(frame: &Frame) {
    let html = render::frame_html(frame).unwrap();
    assert!(html.len() <= 60_000, "{} B of HTML", html.len());
    check_html(&html);
    for width in [60, 80, 200] {
        let text = render::frame_text(frame, width, false);
        // Lines to paste are whole, and a word that is longer than a line has one of its own.
        let fits = |line: &str| {
            line.starts_with("      df")
                || line.chars().count() <= width
                || !line.trim().contains(' ')
        };
        assert!(text.lines().all(fits), "{text}");
        assert!(text.lines().count() <= 120, "{text}");
    }
    assert_eq!(render::frame_line(frame).lines().count(), 1);
}

fn check_all_forms(frame: &Frame) {
    let wanted = render::Wanted { text: Some(80), color: true, html: true, png: true };
    let made = render::frame_bundle(frame, wanted).unwrap();
    let (png, alt) = made.png.unwrap();
    assert!(alt.chars().count() <= 601);
    let html = made.html.unwrap();
    let taken = made.text.unwrap().len() + html.len() + png.bytes.len().div_ceil(3) * 4;
    assert!(taken <= render::OUTPUT, "{taken} B of output");
}

#[test]
fn a_view_is_said_to_be_one_in_the_first_sentence() {
    let mut half = column("price", 0, 40 << 20);
    half.is_view = true;
    half.holders = vec!["big".to_owned()];
    half.advice.clear();
    let mut frame = frame(vec![half]);
    frame.keeps_alive = Bytes(153 << 20);
    check_all_forms(&frame);
    let said = "sales holds a view of big: 0 of its own, keeps 153 MiB alive, in 1,000,000 rows.";
    assert_eq!(frame.sentence(), said);
    check(&frame);
}

#[test]
fn a_small_column_beside_a_view_makes_it_no_less_one() {
    let mut half = column("a", 0, 1_000_000);
    (half.shared, half.is_view, half.holders) = (Bytes(76 << 20), true, vec!["big".to_owned()]);
    let mut view = frame(vec![half.clone(), column("flag", 1000, 0)]);
    view.keeps_alive = Bytes(153 << 20);
    assert!(
        view.sentence().starts_with("sales holds a view of big: 1000 B"),
        "{}",
        view.sentence()
    );
    let mut other = frame(vec![half, column("flag", 2 << 20, 0)]);
    other.keeps_alive = Bytes(153 << 20);
    assert!(other.sentence().starts_with("sales holds 2.00 MiB"), "{}", other.sentence());
}

#[test]
fn what_is_shared_is_in_the_verdict_where_it_is_the_larger_part() {
    let joined = frame(vec![column("name", 300, 103 << 20)]);
    let said = "sales holds 300 B of its own and shares 103 MiB in 1,000,000 rows.";
    assert!(joined.sentence().starts_with(said), "{}", joined.sentence());
    assert!(!joined.facts().contains("more are shared"), "{}", joined.facts());
    let own = frame(vec![column("name", 103 << 20, 300)]);
    assert!(own.sentence().starts_with("sales holds 103 MiB in "), "{}", own.sentence());
    assert!(own.facts().contains("300 B more are shared"), "{}", own.facts());
}

#[test]
fn many_blocks_are_told_with_what_joins_them() {
    let mut frame = frame(vec![column("a", 10 << 20, 1000)]);
    frame.spare_blocks = 9;
    assert!(!frame.facts().contains("fragmented"));
    frame.spare_blocks = 1234;
    let said = "fragmented into 1,234 blocks more than its types need: sales = sales.copy()";
    assert!(frame.facts().contains(said), "{}", frame.facts());
    check_all_forms(&frame);
}

#[test]
fn rows_add_up_to_the_whole() {
    let mut columns: Vec<Column> = (0..40).map(|i| column(&format!("c{i}"), i << 20, i)).collect();
    columns[5].within = Bytes(77 << 20);
    columns[6].within = Bytes(77 << 20);
    let mut frame = frame(columns);
    frame.owned.0 += 77 << 20;
    assert_eq!(frame.within(), Bytes(77 << 20));
    let (shown, others) = frame.largest_columns(10);
    let sum: u64 = shown.iter().chain(&others).map(|column| column.owned.0).sum();
    assert_eq!(sum + frame.within().0, frame.owned.0);
    check(&frame);
}

#[test]
fn hostile_names_and_a_thousand_columns_are_drawn() {
    let name = "<script>alert('x')</script>\u{202E}\u{0}\n数据 \u{1F43C}";
    let wide = frame((0..1000).map(|i| column(name, 1 << (i % 40), 5)).collect());
    check(&wide);
    check_all_forms(&wide);
    check(&frame(Vec::new()));
}

#[test]
fn what_is_no_frame_is_an_error() {
    for text in ["", "{}", "[1]", "{\"name\": 3}"] {
        assert!(Frame::from_json(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_frame_is_drawn(
        columns in proptest::collection::vec(("\\PC{0,40}", 0u64..1 << 50, 0u64..1 << 50, any::<[bool; 3]>()), 0..60),
    ) {
        let columns = columns.into_iter().map(|(name, owned, shared, [view, held, unnamed])| {
            let mut made = column(&name, owned, shared);
            made.is_view = view;
            made.unnamed_holder = unnamed;
            made.holders = if held { vec![name] } else { Vec::new() };
            made
        });
        check(&frame(columns.collect()));
    }
}
