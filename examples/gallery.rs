//! Draws every fixture to HTML, PNG, SVG and text: `cargo run --example gallery -- OUTDIR`.

#[path = "../tests/rust/fixtures.rs"]
mod fixtures;

use memprofile::render;
use memprofile::report::{Options, Report};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or("gallery".to_owned()));
    std::fs::create_dir_all(&out)?;
    for (name, profile) in fixtures::all() {
        let begin = Instant::now();
        let report = Report::new(&profile, &Options::default());
        let reported = begin.elapsed();
        let text = render::text(&report, false);
        let html = render::html(&report)?;
        let written = begin.elapsed() - reported;
        let png = render::png(&report, usize::MAX)?;
        let all = begin.elapsed();
        let (html_size, png_size) = (html.len(), png.bytes.len());
        println!(
            "{name:<14} html {html_size:>6} B  png {png_size:>6} B  {}x{}  report {reported:.1?} + html {written:.1?} = with png {all:.1?}",
            png.width, png.height
        );
        println!("{text}\n{}\n", render::line(&report));
        std::fs::write(out.join(format!("{name}.txt")), render::text(&report, true))?;
        for (theme, paper) in [("light", "#fff"), ("dark", "#111")] {
            let page = format!(
                "<!DOCTYPE html><meta charset=utf-8><body style=\"background:{paper};color:#888;margin:12px\">{html}"
            );
            std::fs::write(out.join(format!("{name}-{theme}.html")), page)?;
        }
        std::fs::write(out.join(format!("{name}-page.html")), render::page(&report)?)?;
        std::fs::write(out.join(format!("{name}.svg")), render::svg(&report)?)?;
        std::fs::write(out.join(format!("{name}.png")), png.bytes)?;
    }
    Ok(())
}
