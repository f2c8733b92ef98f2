//! One command of the gate: run, shown line by line, and timed.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command of cargo, with what is said of it.
#[derive(Debug, Clone)]
pub(crate) struct Cargo {
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Cargo {
    /// `cargo` with arguments separated by blanks.
    pub(crate) fn new(arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { arguments, environment: Vec::new() }
    }

    /// With one more argument, blanks and all.
    pub(crate) fn and(mut self, path: &Path) -> Self {
        self.arguments.push(path.to_string_lossy().into_owned());
        self
    }

    pub(crate) fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.environment.push((variable, value.to_owned()));
        self
    }

    /// Runs it and hands every line of its standard output to `line`; its messages go to ours.
    ///
    /// Returns how long it took, and whether it succeeded.
    pub(crate) fn run(&self, mut line: impl FnMut(&str)) -> (Duration, bool) {
        let begin = now();
        let child = self.command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().and_then(
            |mut child| {
                let output = child.stdout.take().expect("piped above");
                for bytes in BufReader::new(output).split(b'\n') {
                    line(String::from_utf8_lossy(&bytes?).trim_end());
                }
                child.wait()
            },
        );
        match child {
            Ok(status) => (begin.elapsed(), status.success()),
            Err(error) => {
                eprintln!("cannot run `{self}`: {error}");
                (begin.elapsed(), false)
            }
        }
    }

    /// What it prints to its standard output, or nothing when it fails.
    pub(crate) fn output(&self) -> Option<String> {
        let output = self.command().stdin(Stdio::null()).stderr(Stdio::inherit()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn command(&self) -> Command {
        // Set by the cargo that runs us: the one of the pinned toolchain.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.args(&self.arguments).current_dir(crate::tree::root());
        for (variable, value) in &self.environment {
            command.env(variable, value);
        }
        command
    }
}

/// As one would type it.
impl fmt::Display for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (variable, value) in &self.environment {
            write!(f, "{variable}={} ", quoted(value))?;
        }
        f.write_str("cargo")?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// A word as a shell takes it literally.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:".contains(c);
    if word.chars().all(is_plain) { word.into() } else { format!("'{word}'").into() }
}

/// The moment, for the times in the summary.
#[expect(clippy::disallowed_methods, reason = "how long a job took is for people to read")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_one_would_type_it() {
        let cargo = Cargo::new("bench --bench * -- --x").with("A", "-D warnings").with("B", "1");
        assert_eq!(cargo.to_string(), "A='-D warnings' B=1 cargo bench --bench '*' -- --x");
    }
}
