//! Corpora as text: an input is a line of hexadecimal digits.

use std::fmt::Write as _;

/// Reads a corpus. An empty line is the empty input.
///
/// # Errors
/// The number, from 1, of the first line that is not hexadecimal.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, usize> {
    (1..).zip(text.lines()).map(|(number, line)| input(line).ok_or(number)).collect()
}

/// Writes a corpus.
#[must_use]
pub fn write(inputs: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for input in inputs {
        for byte in input {
            // A string takes everything.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

fn input(line: &str) -> Option<Vec<u8>> {
    let digits = line.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let inputs = vec![vec![], vec![0, 255, 16], vec![7]];
        assert_eq!(write(&inputs), "\n00ff10\n07\n");
        assert_eq!(read(&write(&inputs)), Ok(inputs));
        assert_eq!(read("00\n0g\n"), Err(2));
        assert_eq!(read("000\n"), Err(1));
    }
}
