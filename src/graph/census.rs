//! Objects counted by something that they share.

/// One group of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What they share.
    pub name: String,
    /// How many they are.
    pub count: u64,
    /// Their shallow sizes together.
    pub bytes: u64,
}

/// Adds objects up by group, the largest first. `group` names the group of a row by a number, `name` the number.
pub fn census(
    bytes: &[u64],
    groups: usize,
    group: impl Fn(usize) -> usize,
    name: impl Fn(usize) -> String,
) -> Vec<Row> {
    let mut sums = vec![(0_u64, 0_u64); groups];
    for (row, &bytes) in bytes.iter().enumerate() {
        let sum = &mut sums[group(row)];
        sum.0 += 1;
        sum.1 += bytes;
    }
    let mut rows: Vec<Row> = sums
        .into_iter()
        .enumerate()
        .filter(|(_, (count, _))| *count > 0)
        .map(|(at, (count, bytes))| Row { name: name(at), count, bytes })
        .collect();
    rows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_add_up_and_the_largest_is_first() {
        let bytes = [10, 20, 30, 5];
        let rows = census(&bytes, 3, |row| row % 2, |at| format!("g{at}"));
        let row = |name: &str, count, bytes| Row { name: name.into(), count, bytes };
        assert_eq!(rows, [row("g0", 2, 40), row("g1", 2, 25)]);
    }
}
