//! The picture as a PNG, at twice the resolution where there is room, for readers that drop HTML.
//!
//! It is drawn from the same SVG with fonts of our own, so it looks the same on a server
//! without any. A palette makes it small: flat colours with soft edges need few.

use super::canvas::Letters;
use super::svg::{self, Parts};
use super::{chart, theme};
use crate::error::{Error, Result};
use crate::report::Report;
use png::Compression;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// A PNG picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Png {
    /// The file.
    pub bytes: Vec<u8>,
    /// The width to show it at, in CSS pixels: half of its own, or all of it.
    pub width: u32,
    /// The height to show it at, in CSS pixels.
    pub height: u32,
}

/// A notebook carries this in every output.
const LARGEST: usize = 60_000;

/// What is left of a picture by the compression that takes seven times as long.
const PACKED: f64 = 0.94;

/// Two pixels of the picture in a CSS pixel.
pub(super) const TWICE: f32 = super::canvas::UNITS as f32;
/// One.
pub(super) const ONCE: f32 = 1.0;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(include_bytes!("font/DejaVuSans.ttf").to_vec());
    fonts.load_font_data(include_bytes!("font/DejaVuSans-Bold.ttf").to_vec());
    fonts.load_font_data(include_bytes!("font/DejaVuSansMono.ttf").to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    fonts.set_monospace_family("DejaVu Sans Mono");
    Arc::new(fonts)
});

pub(super) fn png(report: &Report, largest: usize) -> Result<Png> {
    let whole = Parts { letters: Letters::Embedded, ..svg::WHOLE };
    let shallow = Parts { levels: 4, children: 2, ..whole };
    let flat = Parts { levels: 2, children: 1, ..whole };
    let coarse = Parts { levels: 0, lines: false, detail: chart::COARSE, children: 0, ..whole };
    let attempts = [
        (whole, TWICE, 256, 1.0),
        (whole, TWICE, 32, 0.75),
        (whole, TWICE, 20, 0.62),
        (shallow, TWICE, 20, 0.6),
        (flat, TWICE, 16, 0.5),
        (whole, ONCE, 32, 0.35),
        (shallow, ONCE, 16, 0.0),
        (coarse, ONCE, 8, 0.0),
    ];
    fitted(largest, &attempts, |parts| svg::picture(report, parts))
}

/// The first of some attempts that needs at most `largest` bytes, or the last: what is in the picture,
/// pixels in a CSS pixel, colours, and how much of the first attempt's size is about left. Each needs less
/// than the one before, and what cannot fit is not tried.
pub(super) fn fitted<P: Copy + PartialEq>(
    largest: usize,
    attempts: &[(P, f32, usize, f64)],
    picture: impl Fn(P) -> Result<(String, (f64, f64))>,
) -> Result<Png> {
    let largest = largest.min(LARGEST);
    let mut first = 0.0;
    let mut drawn: Option<(P, f32, Pixmap, (f64, f64))> = None;
    let mut png = Png { bytes: Vec::new(), width: 0, height: 0 };
    for &(parts, scale, colours, factor) in attempts {
        if first * factor > largest as f64 {
            continue;
        }
        if drawn.as_ref().is_none_or(|&(last, size, ..)| (last, size) != (parts, scale)) {
            let (svg, size) = picture(parts)?;
            drawn = Some((parts, scale, raster(&svg, scale)?, size));
        }
        let Some((_, _, pixels, size)) = &drawn else { continue };
        png.bytes = encode(pixels, colours, Compression::Balanced)?;
        if png.bytes.len() > largest && png.bytes.len() as f64 * PACKED <= largest as f64 {
            png.bytes = encode(pixels, colours, Compression::High)?;
        }
        (png.width, png.height) = (size.0.round() as u32, size.1.round() as u32);
        if png.bytes.len() <= largest {
            break;
        }
        if first == 0.0 {
            first = png.bytes.len() as f64;
        }
    }
    Ok(png)
}

fn drawing(error: impl std::fmt::Display) -> Error {
    Error::Drawing { reason: error.to_string() }
}

fn raster(svg: &str, scale: f32) -> Result<Pixmap> {
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        font_family: "DejaVu Sans".to_owned(),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(drawing)?;
    let size = tree.size();
    let (width, height) = ((size.width() * scale).round(), (size.height() * scale).round());
    let mut pixels = Pixmap::new(width as u32, height as u32)
        .ok_or_else(|| drawing("the picture has no size"))?;
    let card = theme::CARD;
    pixels.fill(resvg::tiny_skia::Color::from_rgba8(card.0, card.1, card.2, 255));
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    Ok(pixels)
}

/// A PNG of at most `colours` colours.
fn encode(pixels: &Pixmap, colours: usize, compression: Compression) -> Result<Vec<u8>> {
    let rgb: Vec<[u8; 3]> = pixels.data().chunks_exact(4).map(|p| [p[0], p[1], p[2]]).collect();
    let (palette, indices) = quantise(&rgb, colours);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.concat());
    encoder.set_compression(compression);
    encoder.set_filter(png::Filter::NoFilter);
    let packed;
    let data: &[u8] = if palette.len() <= 16 {
        encoder.set_depth(png::BitDepth::Four);
        packed = indices
            .chunks(pixels.width() as usize)
            .flat_map(|row| row.chunks(2).map(|p| p[0] << 4 | p.get(1).copied().unwrap_or(0)))
            .collect::<Vec<u8>>();
        &packed
    } else {
        encoder.set_depth(png::BitDepth::Eight);
        &indices
    };
    let mut writer = encoder.write_header().map_err(drawing)?;
    writer.write_image_data(data).map_err(drawing)?;
    writer.finish().map_err(drawing)?;
    Ok(bytes)
}

/// A run of pixels this long is a fill, not the soft edge of something.
const FILL: usize = 16;

/// A palette of at most `colours` colours and the index of each pixel in it. The fills come
/// first, so that no box changes its colour; what is left goes to the most frequent soft edges,
/// and the others take the nearest.
fn quantise(rgb: &[[u8; 3]], colours: usize) -> (Vec<[u8; 3]>, Vec<u8>) {
    let mut counts: HashMap<[u8; 3], (usize, usize)> = HashMap::new();
    // Runs of one colour are long: look a colour up only when it changes.
    for run in rgb.chunk_by(|a, b| a == b) {
        let count = counts.entry(run[0]).or_default();
        count.0 += if run.len() >= FILL { run.len() } else { 0 };
        count.1 += run.len();
    }
    let mut ranked: Vec<([u8; 3], (usize, usize))> = counts.into_iter().collect();
    // A fill of some hundred pixels is a box that a reader sees.
    let fill = |count: (usize, usize)| if count.0 >= 400 { count.0 } else { 0 };
    ranked.sort_by(|a, b| fill(b.1).cmp(&fill(a.1)).then(b.1.1.cmp(&a.1.1)).then(a.0.cmp(&b.0)));
    let palette: Vec<[u8; 3]> =
        ranked.iter().take(colours.min(256)).map(|(colour, _)| *colour).collect();
    let nearest = |colour: &[u8; 3]| {
        let distance = |other: &[u8; 3]| -> u32 {
            colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        let best = palette.iter().enumerate().min_by_key(|(_, other)| distance(other));
        best.map_or(0, |(index, _)| index as u8)
    };
    let index: HashMap<[u8; 3], u8> =
        ranked.iter().map(|(colour, _)| (*colour, nearest(colour))).collect();
    let mut indices = Vec::with_capacity(rgb.len());
    for run in rgb.chunk_by(|a, b| a == b) {
        indices.extend(std::iter::repeat_n(index[&run[0]], run.len()));
    }
    (palette, indices)
}
