//! Columns that line up.

use std::fmt::Write as _;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Sets rows in columns two spaces apart, each line indented by `indent`. Cells may not carry
/// colour; `paint` gives it to the finished cell, by row (0 is the header) and column.
pub(crate) fn table(
    indent: usize,
    columns: &[(&str, Align)],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize, String) -> String,
) -> String {
    let header: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for (row, line) in lines.iter().enumerate() {
        let mut text = " ".repeat(indent);
        for (column, cell) in line.iter().enumerate() {
            let gap = " ".repeat(widths[column] - cell.chars().count());
            let last = column + 1 == columns.len();
            // Colour around nothing would keep the end of a line from being trimmed.
            let painted =
                if cell.is_empty() { String::new() } else { paint(row, column, cell.clone()) };
            match columns[column].1 {
                Align::Left if last => text.push_str(&painted),
                Align::Left => write!(text, "{painted}{gap}  ").expect("strings take all"),
                Align::Right => {
                    let end = if last { "" } else { "  " };
                    write!(text, "{gap}{painted}{end}").expect("strings take all");
                }
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["GET /a".to_owned(), "7".to_owned(), "x".to_owned()],
            vec!["GET /long/one".to_owned(), "1,000".to_owned(), "yy".to_owned()],
        ];
        let columns = [("ENDPOINT", Align::Left), ("N", Align::Right), ("WHAT", Align::Left)];
        let plain = |_, _, cell| cell;
        assert_eq!(
            table(1, &columns, &rows, plain),
            " ENDPOINT           N  WHAT\n\
             \u{20}GET /a             7  x\n\
             \u{20}GET /long/one  1,000  yy\n"
        );
    }

    #[test]
    fn a_line_has_no_white_space_behind_it() {
        let rows =
            vec![vec!["a".to_owned(), String::new()], vec!["bbb".to_owned(), "x".to_owned()]];
        let coloured = |_, _, cell: String| format!("\u{1b}[1m{cell}\u{1b}[0m");
        let columns = [("N", Align::Left), ("", Align::Left)];
        let text = table(0, &columns, &rows, coloured);
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
    }
}
