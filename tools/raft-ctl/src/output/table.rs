//! Tables: a header and rows, in columns as wide as they need.

use anstyle::Style;
use comfy_table::{CellAlignment, presets};

/// To which side a column leans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column.
pub(crate) type Column = (&'static str, Align);

/// A header and rows of cells.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<(Vec<String>, Option<Style>)>,
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more row; the style holds for all of it.
    pub(crate) fn row(&mut self, cells: Vec<String>, style: Option<Style>) {
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push((cells, style));
    }

    /// How many columns of letters the longest line takes.
    pub(crate) fn width(&self) -> usize {
        self.lines().iter().map(|line| super::columns(line)).max().unwrap_or(0)
    }

    /// The lines, without blanks at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(self.columns.iter().map(|(name, _)| *name));
        for (cells, _) in &self.rows {
            table.add_row(cells.iter().map(|cell| one_line(cell)));
        }
        for (column, (_, align)) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((0, 2));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
        let styles = std::iter::once(Some(super::BOLD)).chain(self.rows.iter().map(|row| row.1));
        let rendered = table.to_string();
        rendered
            .lines()
            .map(str::trim_end)
            .zip(styles)
            .map(|(line, style)| match style {
                Some(style) => super::styled(style, line),
                None => line.to_owned(),
            })
            .collect()
    }
}

/// A cell never breaks a row in two.
fn one_line(cell: &str) -> String {
    cell.replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_and_lines_end_where_text_ends() {
        let mut table = Table::new(&[("NODE", Align::Left), ("MATCH", Align::Right)]);
        table.row(vec!["1".to_owned(), "883,410".to_owned()], None);
        table.row(vec!["two\nlines".to_owned(), "-".to_owned()], None);
        let lines = table.lines();
        let plain: Vec<String> =
            lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(plain, ["NODE         MATCH", "1          883,410", "two lines        -"]);
    }
}
