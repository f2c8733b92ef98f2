//! What commands print: lines for people, or one JSON object a line.

use crate::exit::Failure;
use clap::Args;
use serde_json::{Map, Value};
use std::io::{self, Write as _};

/// In which form a command prints.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Form {
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

impl Form {
    /// Prints `text`, or `object` as JSON.
    pub(crate) fn print(self, text: &str, object: &Map<String, Value>) -> Result<(), Failure> {
        let line = match self.json {
            true => serde_json::to_string(object).map_err(|why| Failure::output(&why.into()))?,
            false => text.to_owned(),
        };
        print(&line)
    }
}

/// Prints one or more lines at once, and at once: whoever reads them may be waiting.
pub(crate) fn print(lines: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}").and_then(|()| out.flush()).map_err(|why| Failure::output(&why))
}

/// A JSON object of these fields.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Bytes as text; those that are no UTF-8 show as the replacement character.
pub(crate) fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

/// Bytes that a stranger chose, safe to print on a terminal.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|found| if found.is_control() { char::REPLACEMENT_CHARACTER } else { found })
        .collect()
}

/// Rows under their headings, each column as wide as its widest cell. The last is not padded.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        line.trim_end().to_owned()
    };
    let headings = headings.map(str::to_owned);
    let lines: Vec<String> = std::iter::once(&headings).chain(rows).map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(["N", "FENCE"], &rows), "N     FENCE\na     1\nlong");
    }

    #[test]
    fn what_strangers_wrote_cannot_steer_a_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb"), "a\u{fffd}[2Jb");
    }
}
