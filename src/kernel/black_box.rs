//! What the process told of itself before it was gone, in the words of the report.

use crate::profile::Nanos;
use crate::profile::telemetry::{Telemetry, Whose};
use crate::report::{Death, Stand};

/// Adds what is known of the request's cell, whose source is `code`. What was told of another cell is
/// of no use.
pub fn add(death: &mut Death, told: &Telemetry, request: &str, code: &str) {
    let Some(cell) = told.cell.as_ref().filter(|cell| cell.message == request && !cell.ended)
    else {
        return;
    };
    let line = cell.running.as_ref().or(cell.line.as_ref());
    death.places = line.iter().map(|line| Stand::of(line, cell, code)).collect();
    if death.curve.is_empty() {
        // It was gone before we looked.
        death.curve.push((Nanos(0), told.rss));
    }
    death.holders = (told.holders.iter())
        .filter(|holder| holder.bytes.0 > 0)
        .map(|holder| (Stand::of(&holder.place, cell, code).words(), holder.bytes))
        .collect();
    if death.limit.is_none()
        && let Some(limit) = told.limit
    {
        let name = match limit.whose {
            Whose::User => "limit",
            Whose::Machine => "limit near the machine's memory",
            Whose::ControlGroup => "limit near that of the control group",
        };
        death.limit = Some((name.to_owned(), limit.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Bytes;
    use crate::profile::telemetry::{CellNow, Holder, Place};

    fn told() -> Telemetry {
        let place = |label: &str, line| Place {
            file: String::new(),
            label: label.to_owned(),
            line,
            function: "<module>".to_owned(),
        };
        let cell = CellNow {
            message: "m".to_owned(),
            label: "cell [3]".to_owned(),
            line: Some(place("cell [3]", 2)),
            ..CellNow::default()
        };
        let holder = |place, bytes| Holder { place, bytes: Bytes(bytes) };
        Telemetry {
            rss: Bytes(7),
            cell: Some(cell),
            holders: vec![
                holder(place("cell [3]", 1), 9),
                holder(place("load.py", 7), 5),
                holder(place("cell [3]", 2), 0),
            ],
            ..Telemetry::default()
        }
    }

    #[test]
    fn lines_of_the_cell_have_their_source() {
        let mut death = Death::default();
        add(&mut death, &told(), "m", "a = 1\n  b = 2");
        assert_eq!(
            death.places,
            [Stand { label: "line 2".to_owned(), source: "b = 2".to_owned() }]
        );
        assert_eq!(death.curve, [(Nanos(0), Bytes(7))]);
        let expected = [("line 1: a = 1", 9), ("load.py, line 7", 5)];
        assert_eq!(death.holders, expected.map(|(line, bytes)| (line.to_owned(), Bytes(bytes))));
    }

    #[test]
    fn the_line_that_ran_goes_before_the_one_that_allocated_last() {
        let mut told = told();
        let first = Place {
            line: 1,
            ..told.cell.iter().flat_map(|c| c.line.clone()).next().expect("a line")
        };
        told.cell.iter_mut().for_each(|cell| cell.running = Some(first.clone()));
        let mut death = Death::default();
        add(&mut death, &told, "m", "a = 1\n  b = 2");
        assert_eq!(death.places[0].source, "a = 1");
    }

    #[test]
    fn what_was_told_of_another_cell_is_not_this_ones() {
        let changes: [fn(&mut Telemetry); 2] =
            [|t| t.cell = None, |t| t.cell.iter_mut().for_each(|cell| cell.ended = true)];
        for change in changes {
            let mut told = told();
            change(&mut told);
            let mut death = Death::default();
            add(&mut death, &told, "m", "");
            assert_eq!(death, Death::default());
        }
        let mut death = Death::default();
        add(&mut death, &told(), "n", "");
        assert_eq!(death, Death::default());
    }
}
