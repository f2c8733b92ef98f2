//! Traces of the code that must be behaviours of the specification: `crates/core/tests/replay.rs` draws
//! inputs and writes down what the code shows after each, and TLC looks for them in `spec/Trace.tla`.
//! It does the same with bugs planted in the code; of each of those TLC must miss a trace.

use super::runs::Run;
use crate::tree;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

/// The traces of the code as it is, or with a bug.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    /// The bug, or [`AS_IT_IS`].
    of: String,
    /// Of each trace: the steps that it has, and those that TLC found.
    lengths: Vec<(usize, usize)>,
}

/// What the test calls the code without a bug.
const AS_IT_IS: &str = "as-it-is";

/// Records traces, and has TLC look for them.
pub(super) fn look_for(
    run: &Run,
    base: &str,
    jar: &Path,
    directory: &Path,
) -> io::Result<Vec<Traces>> {
    fs::create_dir_all(directory)?;
    for module in ["Lease.tla", "Trace.tla"] {
        fs::copy(tree::root().join("spec").join(module), directory.join(module))?;
    }
    fs::write(directory.join("Trace.cfg"), run.config(base).map_err(io::Error::other)?)?;
    record(directory)?;
    let index = fs::read_to_string(directory.join("index.txt"))?;
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1", "-XX:TieredStopAtLevel=1"]);
    java.arg("-Xmx1g").arg("-cp").arg(jar).arg("tlc2.TLC");
    java.args(["-workers", "1", "-deadlock", "-cleanup", "-nowarning", "Trace"]);
    let output = java.current_dir(directory).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    fs::write(directory.join(super::OUTPUT), said.as_bytes())?;
    if !output.status.success() {
        let file = directory.join(super::OUTPUT);
        return Err(io::Error::other(format!("TLC failed; see {}", file.display())));
    }
    read(&index, &said).ok_or_else(|| io::Error::other("not a list of traces"))
}

/// Has the code write its traces down.
fn record(directory: &Path) -> io::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut test = Command::new(cargo);
    test.args(["test", "--quiet", "--locked", "-p", "tlease-core", "--features", "mutants"]);
    test.args(["--test", "replay", "--", "--ignored", "--exact"]);
    test.arg("traces_of_the_code_are_written_down");
    test.env("TLEASE_TRACES", directory).env("RUST_BACKTRACE", "0");
    let output = test.current_dir(tree::root()).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    Err(io::Error::other(said.concat()))
}

/// Puts together what the test recorded and how far TLC came.
fn read(index: &str, said: &str) -> Option<Vec<Traces>> {
    let mut reached: BTreeMap<usize, usize> = BTreeMap::new();
    for line in said.lines() {
        let Some(line) = line.strip_prefix("<<\"reached\", ") else { continue };
        let (trace, at) = line.strip_suffix(">>")?.split_once(", ")?;
        let at: usize = at.parse().ok()?;
        let farthest = reached.entry(trace.parse().ok()?).or_default();
        *farthest = at.max(*farthest);
    }
    let mut number = 0_usize;
    let traces = index.lines().map(|line| {
        let mut words = line.split(' ');
        let of = words.next()?.to_owned();
        let lengths = words.filter(|word| !word.is_empty()).map(|length| {
            number = number.saturating_add(1);
            Some((length.parse().ok()?, reached.get(&number).copied().unwrap_or(0)))
        });
        Some(Traces { lengths: lengths.collect::<Option<_>>()?, of })
    });
    traces.collect()
}

impl Traces {
    /// What TLC found of them.
    ///
    /// # Errors
    /// If that is not what it must.
    pub(super) fn verdict(&self) -> Result<String, String> {
        let Self { of, lengths } = self;
        let steps: usize = lengths.iter().map(|(steps, _)| steps).sum();
        let lost = lengths.iter().position(|(steps, found)| found < steps);
        let count = lengths.len();
        match (of == AS_IT_IS, lost) {
            (true, None) if count > 0 => {
                Ok(format!("{count} traces of the code, {steps} steps: all in the specification"))
            }
            (true, None) => Err("the code left no trace".to_owned()),
            (true, Some(trace)) => Err(format!(
                "trace {} of the code is not in the specification after its step {}",
                trace.saturating_add(1),
                lengths[trace].1
            )),
            (false, Some(_)) => {
                let lost = lengths.iter().filter(|(steps, found)| found < steps).count();
                Ok(format!("{of}: {lost} of {count} traces are not in the specification"))
            }
            (false, None) => Err(format!("{of} is planted in the code, and goes unnoticed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
Starting...
<<\"reached\", 1, 1>>
<<\"reached\", 2, 1>>
<<\"reached\", 1, 2>>
<<\"reached\", 2, 2>>
<<\"reached\", 3, 1>>
Finished
";

    #[test]
    fn a_trace_of_the_code_must_be_found_to_its_end() {
        let traces = read("as-it-is 2 2\n", SAID).unwrap();
        assert!(traces[0].verdict().is_ok(), "{traces:?}");
        let traces = read("as-it-is 2 3\n", SAID).unwrap();
        let said = traces[0].verdict().unwrap_err();
        assert!(said.contains("trace 2 ") && said.ends_with("step 2"), "{said}");
        assert!(read("as-it-is \n", SAID).unwrap()[0].verdict().is_err(), "none at all");
    }

    #[test]
    fn of_a_bug_one_trace_must_be_missed() {
        let traces = read("as-it-is 2\nBug 2 2\nOther 2 1\n", SAID).unwrap();
        assert!(traces[1].verdict().is_ok(), "{traces:?}");
        let traces = read("as-it-is 2\nBug 2 1\n", SAID).unwrap();
        assert!(traces[1].verdict().is_err(), "{traces:?}");
    }
}
