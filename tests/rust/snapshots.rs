//! What the fixed profiles look like, word for word: whoever changes a drawing sees what else moved.
//!
//! `make snapshots` renews the files below `snapshots/`; read their diff before you commit it.

use crate::fixtures;
use crate::reports::report;
use memprofile::render;

/// Those that are kept as HTML and SVG too: one for each part that a report may have.
const DRAWN: [&str; 7] =
    ["tiny", "exact_small", "sampled_large", "failed", "forked_workers", "threads", "unicode"];

/// The fragment with a line for each tag, and without its pictures, which the SVG repeats.
fn legible(html: &str) -> String {
    let mut parts = html.split("data:image/svg+xml;base64,");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, behind) = part.split_once('"').expect("an attribute ends");
        out.push_str("(a picture)\"");
        out.push_str(behind);
    }
    out.replace("><", ">\n<")
}

#[test]
fn reports_look_as_they_did() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, profile) in fixtures::all() {
            let report = report(&profile);
            insta::assert_snapshot!(
                format!("{name}.text"),
                render::text(&report, render::USUAL, false)
            );
            if DRAWN.contains(&name) {
                insta::assert_snapshot!(
                    format!("{name}.html"),
                    legible(&render::html(&report).unwrap())
                );
                insta::assert_snapshot!(format!("{name}.svg"), render::svg(&report).unwrap());
            }
        }
    });
}
