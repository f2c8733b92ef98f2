//! `cargo xtask test`: everything that must pass before a change lands.
//!
//! Jobs run one after the other, cheapest first, and the first failure ends the run with the command
//! that repeats it. They share one target directory and set no flags for the compiler: each change of
//! those would compile the world again.

mod jobs;
mod transcript;

use crate::job::now;
use crate::setup;
use crate::sgx::Stop;
use crate::tlc::Verdict;
use jobs::{Job, Work};
use std::process::ExitCode;
use std::time::Duration;
use transcript::Transcript;

/// How much to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every change must pass.
    Gate,
    /// The gate and the long runs.
    Full,
}

/// Installs what is missing, runs the jobs, and prints what each did and what this machine could
/// not show.
pub(crate) fn run(extent: Extent) -> ExitCode {
    if let Err(missing) = setup::tools() {
        eprintln!("{missing}");
        return ExitCode::FAILURE;
    }
    let begin = now();
    let mut report = Report::default();
    let failed = jobs::all(extent).into_iter().find_map(|job| report.run(&job).err());
    println!("\n{}", report.summary(begin.elapsed()));
    match failed {
        None => {
            println!("all passed");
            ExitCode::SUCCESS
        }
        Some(repeat) => {
            println!("failed; repeat it: {repeat}");
            ExitCode::FAILURE
        }
    }
}

/// What was done so far.
#[derive(Debug, Default)]
struct Report {
    jobs: Vec<(&'static str, Outcome, Duration)>,
    /// What tests said they could not show on this machine: the job, and their line.
    skipped: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Report {
    /// Runs one job; an error is the command that repeats it.
    fn run(&mut self, job: &Job) -> Result<(), String> {
        println!("\n=== {} ===", job.name);
        if let Some(target) = job.target
            && !target.is_there()
        {
            let why = format!("skipped: the target {} is not installed", target.triple());
            println!("{why}");
            self.skipped.push((job.name, why));
            self.jobs.push((job.name, Outcome::Skipped, Duration::ZERO));
            return Ok(());
        }
        let (time, passed) = self.run_work(job);
        let outcome = if passed { Outcome::Passed } else { Outcome::Failed };
        self.jobs.push((job.name, outcome, time));
        if passed { Ok(()) } else { Err(job.work.to_string()) }
    }

    fn run_work(&mut self, job: &Job) -> (Duration, bool) {
        match &job.work {
            Work::Tidy => {
                let begin = now();
                let passed = crate::tidy::is_tidy();
                (begin.elapsed(), passed)
            }
            Work::Tlc(extent) => {
                let begin = now();
                let passed = match crate::tlc::check(*extent) {
                    Verdict::Passed => true,
                    Verdict::Failed => false,
                    Verdict::Skipped(why) => {
                        println!("{why}");
                        self.skipped.push((job.name, why));
                        true
                    }
                };
                (begin.elapsed(), passed)
            }
            Work::Sgx(extent) => self.run_enclave(job.name, *extent),
            Work::Cargo(cargo) => {
                println!("{cargo}");
                let mut transcript = Transcript::default();
                let result = cargo.run(|line| {
                    if transcript.shows(line) {
                        println!("{line}");
                    }
                });
                let skipped = transcript.into_skipped();
                self.skipped.extend(skipped.into_iter().map(|line| (job.name, line)));
                result
            }
        }
    }

    fn run_enclave(&mut self, name: &'static str, extent: Extent) -> (Duration, bool) {
        let begin = now();
        let mut transcript = Transcript::default();
        let result = crate::sgx::check(extent, |line| {
            if transcript.shows(line) {
                println!("{line}");
            }
        });
        let skipped = transcript.into_skipped();
        self.skipped.extend(skipped.into_iter().map(|line| (name, line)));
        if let Err(stop) = &result {
            println!("{stop}");
        }
        let passed = match result {
            Ok(()) => true,
            Err(Stop::Unavailable(why)) => {
                self.skipped.push((name, format!("skipped: {why}")));
                true
            }
            Err(Stop::Failed(_)) => false,
        };
        (begin.elapsed(), passed)
    }

    fn summary(&self, total: Duration) -> String {
        let mut lines = Vec::new();
        for (name, outcome, time) in &self.jobs {
            let outcome = match outcome {
                Outcome::Passed => "passed",
                Outcome::Failed => "FAILED",
                Outcome::Skipped => "skipped",
            };
            lines.push(format!("{name:32} {outcome:8} {}", minutes(*time)));
        }
        lines.push(format!("{:32} {:8} {}", "together", "", minutes(total)));
        if !self.skipped.is_empty() {
            lines.push(format!("\nnot shown on this machine: {}", self.skipped.len()));
            lines.extend(self.skipped.iter().map(|(job, line)| format!("  {job}: {line}")));
        }
        lines.join("\n")
    }
}

fn minutes(time: Duration) -> String {
    format!("{:3}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_not_shown() {
        let report = Report {
            jobs: vec![
                ("tests", Outcome::Passed, Duration::from_secs(61)),
                ("clock on aarch64", Outcome::Skipped, Duration::ZERO),
            ],
            skipped: vec![("tests", "skipped: no transactions (commits)".into())],
        };
        assert_eq!(
            report.summary(Duration::from_secs(600)),
            "\
tests                            passed     1:01
clock on aarch64                 skipped    0:00
together                                   10:00

not shown on this machine: 1
  tests: skipped: no transactions (commits)"
        );
    }
}
