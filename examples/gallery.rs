//! Draws every kind of report from fixed profiles, on one page for people to look at:
//! `make gallery`, or `cargo run --example gallery -- FOLDER`.

#[path = "../tests/rust/fixtures.rs"]
mod fixtures;

use memprofile::render;
use memprofile::report::{Options, Report};
use std::fmt::Write as _;
use std::time::Instant;

/// The page: its head, up to the reports. The buttons change the paper, not the cards.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>memprofile: every kind of report</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>
body { margin: 0 auto; padding: 16px; max-width: 900px; font: 15px/1.5 system-ui, sans-serif;
       background: #fff; color: #1b1f24 }
body.dark { background: #111; color: #eee }
body.narrow { max-width: 420px }
h1 { font-size: 22px } h2 { font-size: 17px; margin: 48px 0 4px }
h2 + p { margin: 0 0 8px; font-size: 13px; opacity: .8 }
nav { font-size: 13px }
nav a, h2 + p a { margin-right: 8px } a { color: inherit }
pre.plain { overflow-x: auto; font: 12px/1.35 monospace; padding: 8px; border: 1px solid #8888 }
</style></head><body><h1>Every kind of report</h1>
<p><button onclick="document.body.classList.toggle('dark')">light / dark</button>
<button onclick="document.body.classList.toggle('narrow')">wide / narrow</button></p>
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or("gallery".to_owned()));
    std::fs::create_dir_all(&out)?;
    let (mut links, mut body) = (String::new(), String::new());
    for (name, profile) in fixtures::all() {
        let begin = Instant::now();
        let report = Report::new(&profile, &Options::default());
        let text = render::text(&report, render::USUAL, false);
        let html = render::html(&report)?;
        let png = render::png(&report, usize::MAX)?;
        let took = begin.elapsed();
        let page = render::page(&Report::unfolded(&profile, &Options::default()))?;
        let sizes = format!(
            "html {} kB, png {} kB, page {} kB, {} ms",
            html.len().div_ceil(1000),
            png.bytes.len().div_ceil(1000),
            page.len().div_ceil(1000),
            took.as_millis()
        );
        println!("{name:<16} {sizes}");
        let words = name.replace('_', " ");
        write!(links, "<a href=\"#{name}\">{words}</a>")?;
        let plain = text.replace('&', "&amp;").replace('<', "&lt;");
        write!(
            body,
            "<h2 id=\"{name}\">{words}</h2><p><a href=\"{name}.html\">page</a><a href=\"{name}.svg\">svg</a>\
             <a href=\"{name}.png\">png</a>{sizes}</p>\n{html}\n<details><summary>as text</summary>\
             <pre class=\"plain\">{plain}</pre></details><details><summary>as a picture</summary>\
             <img src=\"{name}.png\" width=\"{}\" alt=\"\" style=\"max-width:100%\"></details>\n",
            png.width
        )?;
        std::fs::write(out.join(format!("{name}.html")), page)?;
        std::fs::write(out.join(format!("{name}.svg")), render::svg(&report)?)?;
        std::fs::write(out.join(format!("{name}.png")), png.bytes)?;
        std::fs::write(out.join(format!("{name}.json")), profile.to_json())?;
    }
    std::fs::write(
        out.join("index.html"),
        format!("{HEAD}<nav>{links}</nav>{body}</body></html>\n"),
    )?;
    Ok(())
}
