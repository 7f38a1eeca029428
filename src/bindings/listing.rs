//! Listings for Python: what is to be said comes from there, how it is drawn from here.

use crate::render;
use crate::report::{Listing, Ring, Section, Stop};
use pyo3::prelude::*;

/// A section as Python gives it: title, columns, how many are words, rows, note.
type RawSection = (String, Vec<String>, usize, Vec<Vec<String>>, String);

/// Tables and ways, as text and HTML.
#[pyclass(name = "Listing", module = "memprofile._native", frozen)]
pub(super) struct PyListing(Listing);

#[pymethods]
impl PyListing {
    #[new]
    #[pyo3(signature = (headline, facts, sections, ways=Vec::new(), rings=Vec::new()))]
    fn new(
        headline: String,
        facts: String,
        sections: Vec<RawSection>,
        ways: Vec<Vec<(String, String)>>,
        rings: Vec<(String, Vec<(String, String)>)>,
    ) -> PyListing {
        let section = |(title, columns, words, rows, note): RawSection| {
            let width = columns.len();
            let fitting = |mut row: Vec<String>| {
                row.resize(width, String::new());
                row
            };
            Section { title, columns, words, rows: rows.into_iter().map(fitting).collect(), note }
        };
        let stop = |(by, what)| Stop { by, what };
        PyListing(Listing {
            headline,
            facts,
            sections: sections.into_iter().map(section).collect(),
            ways: ways.into_iter().map(|way| way.into_iter().map(stop).collect()).collect(),
            rings: rings
                .into_iter()
                .map(|(caption, stops)| Ring {
                    caption,
                    stops: stops.into_iter().map(stop).collect(),
                })
                .collect(),
        })
    }

    fn to_text(&self) -> String {
        render::listing_text(&self.0)
    }

    fn to_html(&self) -> PyResult<String> {
        Ok(render::listing_html(&self.0)?)
    }

    /// The ways alone, or the rings where there are no ways, as SVG.
    fn to_svg(&self) -> PyResult<String> {
        if self.0.ways.is_empty() {
            return Ok(render::rings_svg(&self.0.rings)?);
        }
        Ok(render::ways_svg(&self.0.ways)?)
    }
}
