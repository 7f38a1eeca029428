//! The curves of an SVG in fewer bytes.
//!
//! plotters writes every point of a curve with both of its coordinates, and every stroke as an
//! element of its own. A path says the same by the distance from each point to the next, in about a
//! third of the bytes, and takes all strokes of one style that follow each other. An output that a
//! notebook keeps is worth that.

use std::fmt::Write;

/// Replaces each `polyline` and `polygon` by a `path` that draws the same; neighbouring polylines
/// with the same attributes become one path. Everything else stays as it is.
///
/// A `<` inside of a text is written `&lt;`, so none of the patterns is ever in a text.
pub fn condense(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len());
    // The attributes of the strokes that the path at the end of `out` holds.
    let mut open: Option<&str> = None;
    let mut rest = svg;
    while let Some((before, shape)) = next_shape(rest) {
        if !before.trim().is_empty() {
            end(&mut out, &mut open);
            out.push_str(before);
        }
        if shape.closed || open != Some(shape.attributes) {
            end(&mut out, &mut open);
            out.push_str("<path");
            out.push_str(shape.attributes);
            out.push_str("d=\"");
        }
        write_points(&mut out, shape.points);
        if shape.closed {
            out.push_str("z\"/>\n");
        } else {
            open = Some(shape.attributes);
        }
        rest = shape.behind;
    }
    end(&mut out, &mut open);
    out.push_str(rest);
    out
}

fn end(out: &mut String, open: &mut Option<&str>) {
    if open.take().is_some() {
        out.push_str("\"/>\n");
    }
}

struct Shape<'a> {
    /// What stands between the element's name and its points, with the spaces around it.
    attributes: &'a str,
    points: &'a str,
    /// Whether its end is joined to its beginning.
    closed: bool,
    /// The text after it.
    behind: &'a str,
}

/// The first polyline or polygon whose points are its last attribute, and what stands before it.
fn next_shape(svg: &str) -> Option<(&str, Shape<'_>)> {
    let mut from = 0;
    loop {
        let start = from + svg[from..].find("<poly")?;
        let shape = &svg[start..];
        let closed = shape.starts_with("<polygon ");
        let name = if closed { "<polygon" } else { "<polyline" };
        from = start + 1;
        let Some((attributes, behind)) =
            shape.strip_prefix(name).and_then(|text| text.split_once("points=\""))
        else {
            continue;
        };
        if attributes.contains('>') {
            continue;
        }
        if let Some((points, behind)) = behind.split_once("\"/>") {
            return Some((&svg[..start], Shape { attributes, points, closed, behind }));
        }
    }
}

fn write_points(out: &mut String, points: &str) {
    let mut last: Option<(i64, i64)> = None;
    let mut command = ' ';
    for point in points.split_whitespace() {
        let Some((x, y)) =
            point.split_once(',').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)))
        else {
            continue;
        };
        let (from, first) = (last.unwrap_or((0, 0)), last.is_none());
        last = Some((x, y));
        let (dx, dy): (i64, i64) = (x - from.0, y - from.1);
        let (next, values): (char, &[i64]) = match (first, dx, dy) {
            (true, ..) => ('M', &[dx, dy]),
            (_, 0, 0) => continue,
            (_, 0, _) => ('v', &[dy]),
            (_, _, 0) => ('h', &[dx]),
            _ => ('l', &[dx, dy]),
        };
        let mut separate = next == command;
        if !separate {
            out.push(next);
        }
        for value in values {
            // A minus sign separates by itself.
            if separate && *value >= 0 {
                out.push(' ');
            }
            let _infallible = write!(out, "{value}");
            separate = true;
        }
        command = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The points that a path visits.
    fn visited(path: &str) -> Vec<(i64, i64)> {
        let mut spaced = String::new();
        for c in path.chars() {
            match c {
                '-' => spaced.push_str(" -"),
                'M' | 'l' | 'h' | 'v' | 'z' => spaced.push_str(&format!(" {c} ")),
                _ => spaced.push(c),
            }
        }
        let (mut points, mut command) = (Vec::new(), String::new());
        let mut at = (0, 0);
        let mut tokens = spaced.split_whitespace().peekable();
        while let Some(token) = tokens.next() {
            if token.parse::<i64>().is_err() {
                command = token.to_owned();
                continue;
            }
            let value: i64 = token.parse().unwrap();
            let mut second = || tokens.next().unwrap().parse::<i64>().unwrap();
            at = match command.as_str() {
                "M" => (value, second()),
                "l" => (at.0 + value, at.1 + second()),
                "h" => (at.0 + value, at.1),
                _ => (at.0, at.1 + value),
            };
            points.push(at);
        }
        points
    }

    proptest! {
        #[test]
        fn a_path_visits_the_same_points(
            points in proptest::collection::vec((-50i64..50, -50i64..50), 2..40)
        ) {
            let text: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
            let svg = format!("<polygon fill=\"#123456\" points=\"{}\"/>", text.join(" "));
            let path = condense(&svg);
            let mut expected = points;
            expected.dedup();
            let d = path.split("d=\"").nth(1).unwrap();
            prop_assert_eq!(visited(d.split('"').next().unwrap()), expected);
        }
    }

    #[test]
    fn strokes_of_one_style_become_one_path() {
        let svg = "<svg>\n<polyline stroke=\"#111\" points=\"1,2 1,5\"/>\n\
                   <polyline stroke=\"#111\" points=\"4,2 4,5 9,1\"/>\n\
                   <polyline stroke=\"#222\" points=\"4,2 4,5\"/>\n\
                   <text>&lt;polyline</text>\n</svg>\n";
        assert_eq!(
            condense(svg),
            "<svg>\n<path stroke=\"#111\" d=\"M1 2v3M4 2v3l5-4\"/>\n\
             <path stroke=\"#222\" d=\"M4 2v3\"/>\n\n<text>&lt;polyline</text>\n</svg>\n"
        );
    }

    #[test]
    fn what_is_no_shape_stays() {
        for svg in ["", "<polyline", "<polygon points=\"1,2", "<polyline a=\"b\"/><rect/>"] {
            assert_eq!(condense(svg), svg);
        }
    }
}
