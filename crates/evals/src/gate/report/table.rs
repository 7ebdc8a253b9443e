//! Tables of plain text that fit a width.

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
    /// The column that gives way where the table is too wide; ends in `…`.
    Cut,
}

const GAP: usize = 2;
/// A column that gives way keeps so much.
const CUT_MIN: usize = 12;

/// Rows under their titles, without a line's end after the last; columns that are empty throughout are left out.
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>], width: usize) -> String {
    let filled: Vec<usize> = (0..columns.len())
        .filter(|at| rows.iter().any(|row| row.get(*at).is_some_and(|cell| !cell.is_empty())))
        .collect();
    let longest = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(columns[at].0.chars().count())
    };
    let mut widths: Vec<usize> = filled.iter().map(|at| longest(*at)).collect();
    let total = widths.iter().sum::<usize>() + GAP * filled.len().saturating_sub(1);
    let mut over = total.saturating_sub(width);
    for (at, wide) in filled.iter().zip(&mut widths).rev() {
        if columns[*at].1 == Align::Cut {
            let given = over.min(wide.saturating_sub(CUT_MIN));
            *wide -= given;
            over -= given;
        }
    }
    let titles: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells = filled.iter().zip(&widths).map(|(at, wide)| {
            let cell = row.get(*at).map_or("", String::as_str);
            match columns[*at].1 {
                Align::Right => format!("{cell:>wide$}"),
                Align::Left | Align::Cut => format!("{:<wide$}", fitted(cell, *wide)),
            }
        });
        let cells: Vec<String> = cells.collect();
        cells.join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let lines: Vec<String> = std::iter::once(&titles).chain(rows).map(line).collect();
    lines.join("\n")
}

fn fitted(cell: &str, wide: usize) -> String {
    match cell.chars().count() <= wide {
        true => cell.to_owned(),
        false => cell.chars().take(wide.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_by_cutting_what_may_be_cut() {
        let columns =
            [("check", Align::Left), ("n", Align::Right), ("empty", Align::Left), ("why", Align::Cut)];
        let row = |check: &str, n: &str, why: &str| vec![check.into(), n.into(), String::new(), why.into()];
        let rows = [row("cost", "12", "a long story that does not fit"), row("exact: floor", "7", "short")];
        let found = table(&columns, &rows, 36);
        assert_eq!(
            found,
            "check          n  why\ncost          12  a long story that…\nexact: floor   7  short"
        );
        assert!(found.lines().all(|line| line.chars().count() <= 36));
    }
}
