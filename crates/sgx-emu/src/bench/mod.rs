//! Measures an enclave of `crates/sgx-emu/bench` and prints tables, as `docs/enclave.md` has them.
//!
//! Under emulation an exit is a signal, and what it costs is the emulator's affair; encrypted memory costs
//! nothing. What remains are the steps between exits, and how time is divided by them.

mod host;
mod subject;

use host::{Client, Echo};
use std::path::{Path, PathBuf};
use std::process::Command;
use subject::{Case, Gaps, Served, cases, gaps, served, trip};
use tlease_clock::enclave::{Hertz, HzRange, MachineProfile};
use tlease_clock::machine::Survey;
use tlease_core::time::Span;

/// What is measured, and how.
#[derive(Debug)]
pub struct Bench {
    /// `tlease-sgx-run`.
    runner: PathBuf,
    fenced: PathBuf,
    plain: PathBuf,
    extent: Extent,
    /// What is assumed of this machine's processor.
    profile: String,
    /// The same with cores that may be slow, so that a beat may take as long as the kernel needs for one of
    /// its own interrupts, which is an exit on hardware and none under emulation.
    patient: String,
}

/// How long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Some minutes.
    Whole,
    /// Some seconds, to see that it runs: its figures say little.
    Quick,
}

/// Why there are no figures.
pub type Failure = Box<dyn std::error::Error>;

impl Bench {
    /// The two images, the second without the target's fences, with `tlease-sgx-run` beside this program.
    ///
    /// # Errors
    /// This machine's processor cannot be surveyed.
    pub fn new(fenced: &Path, plain: &Path, extent: Extent) -> Result<Self, Failure> {
        let runner = std::env::current_exe()?.with_file_name("tlease-sgx-run");
        Self::with_runner(&runner, fenced, plain, extent)
    }

    /// The same with a runner that lies elsewhere.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn with_runner(
        runner: &Path,
        fenced: &Path,
        plain: &Path,
        extent: Extent,
    ) -> Result<Self, Failure> {
        let survey = Survey::take(Span::from_millis(SURVEY_MS))?;
        let profile = survey.profile()?;
        let slow =
            Hertz::new(SLOW_CORE_HZ).and_then(|min| HzRange::assume(min, profile.core_hz().max()));
        let slow = slow.ok_or("a core slower than any")?;
        let cpu = profile.cpu().clone();
        let patient = MachineProfile::assume(cpu, slow, profile.tsc_hz(), profile.smt())?;
        Ok(Self {
            runner: runner.to_owned(),
            fenced: fenced.to_owned(),
            plain: plain.to_owned(),
            extent,
            profile: profile.to_string(),
            patient: patient.to_string(),
        })
    }

    /// Measures all of it.
    ///
    /// # Errors
    /// An enclave ended badly, or said something else than its figures.
    pub fn run(&self, mut line: impl FnMut(&str)) -> Result<(), Failure> {
        line(&format!("{}\n{}", host::machine(), self.profile));
        self.stretches(&mut line)?;
        self.steps(&mut line)?;
        self.service(&mut line)?;
        line(&format!("at the end: {}", host::load()));
        Ok(())
    }

    /// How long timekeepers go on, at each rate of exits.
    fn stretches(&self, line: &mut impl FnMut(&str)) -> Result<(), Failure> {
        let echo = Echo::start()?;
        let trips = self.of(&[1_000, 50]).to_string();
        let words = ["echo", &trips, &echo.address];
        let (ticks, micros) = trip(&self.subject(&self.fenced, &words)?)?;
        line(&format!(
            "\na message to the host and back, without timekeepers: {micros:.0} us; taken for a \
             renewal\n"
        ));
        line(Gaps::HEADER);
        let millis = self.of(&[4_000, 300]).to_string();
        let own =
            RATES.first().map(|rate| (&self.profile, rate, "; the kernel's interrupts count too"));
        let patient = RATES.iter().map(|rate| (&self.patient, rate, ""));
        for (profile, rate, note) in patient.chain(own) {
            for keepers in ["1", "2"] {
                let words = ["gaps", keepers, &millis, &ticks.to_string()];
                let seen = gaps(&self.run_image(&self.fenced, profile, *rate, &words)?)?;
                line(&seen.row(&format!("{rate}{note}"), keepers));
            }
        }
        Ok(())
    }

    /// What steps cost, with and without fences, in runs that alternate.
    fn steps(&self, line: &mut impl FnMut(&str)) -> Result<(), Failure> {
        let rounds = self.of(&[1_500, 60]).to_string();
        let has_transactions = std::arch::is_x86_feature_detected!("rtm");
        let mut words = vec!["cases", &rounds];
        words.extend(has_transactions.then_some("commit"));
        let (mut fenced, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..self.of(&[9, 1]) {
            fenced.push(cases(&self.subject(&self.fenced, &words)?)?);
            plain.push(cases(&self.subject(&self.plain, &words)?)?);
        }
        line(&format!("\n{}", Case::HEADER));
        Case::compare(&fenced, &plain).iter().for_each(|row| line(row));
        if !has_transactions {
            line("| commit of one store in a stay | not measured: no transactions here | | |");
        }
        Ok(())
    }

    /// What a lease costs an application.
    fn service(&self, line: &mut impl FnMut(&str)) -> Result<(), Failure> {
        let rounds = self.of(&[300, 20]).to_string();
        line(&format!("\n{}", Served::HEADER));
        let found = served(&self.subject(&self.fenced, &["serve", &rounds])?)?;
        found.iter().for_each(|served| line(&served.row("in memory")));
        let client = Client::start()?;
        let words = ["serve", &rounds, &client.address];
        let found = served(&self.subject(&self.fenced, &words)?)?;
        found.iter().for_each(|served| line(&served.row("on a socket")));
        Ok(())
    }

    /// Runs an image under the machine's own profile, with as many exits as a kernel makes.
    fn subject(&self, image: &Path, words: &[&str]) -> Result<String, Failure> {
        self.run_image(image, &self.profile, TICKS, words)
    }

    /// Runs an image to its end, with so many exits a second at random; what it said.
    fn run_image(
        &self,
        image: &Path,
        profile: &str,
        rate: u32,
        words: &[&str],
    ) -> Result<String, Failure> {
        let mut command = Command::new(&self.runner);
        command.args(["--exits", &rate.to_string(), "--random"]).arg(image);
        let output = command.arg(profile).args(words).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{words:?}: {}\n{said}{errors}", output.status).into());
        }
        Ok(said)
    }

    fn of<T: Copy>(&self, [whole, quick]: &[T; 2]) -> T {
        match self.extent {
            Extent::Whole => *whole,
            Extent::Quick => *quick,
        }
    }
}

/// Exits a second of each thread: from a processor without ticks to a hostile host.
const RATES: &[u32] = &[4, 100, 250, 1_000, 4_000, 10_000];
/// As a kernel with 250 ticks a second interrupts each processor.
const TICKS: u32 = 250;
const SURVEY_MS: u64 = 1_000;
/// A beat of its takes 8 us, and what is longer than twice that counts as an exit.
const SLOW_CORE_HZ: u64 = 100_000_000;
