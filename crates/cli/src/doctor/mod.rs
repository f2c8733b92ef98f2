//! `tlease doctor`: what this machine offers, and what follows from it.

mod json;
mod keeping;
mod profile;
mod verdict;
mod words;

use crate::exit::{Chain, Exit, Failure};
use crate::show::Form;
use crate::span;
use crate::trust::Trust;
use clap::Args;
use keeping::Keeping;
use std::path::PathBuf;
use tlease_clock::machine::MachineReport;
use tlease_core::time::Span;

/// Says what this machine offers and measures it, and which guarantees follow.
///
/// What it measures holds for this machine at this moment: run it while the machine does its usual work.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// How long to watch how often running code is interrupted
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = span::parse_term)]
    watch: Span,

    /// Measure the processor and write a machine profile for '--profile enclave-sim' instead, to a new
    /// file or to standard output; where kernel and hypervisor are trusted
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = profile::STANDARD_OUTPUT
    )]
    emit_profile: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,

    #[command(flatten)]
    form: Form,
}

impl DoctorArgs {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        if let Some(path) = &self.emit_profile {
            return profile::emit(path, self.watch, self.form);
        }
        let report = MachineReport::measure(&self.trust.profile(), self.watch).map_err(|why| {
            Failure::new(Exit::Unstartable, format!("no lease can be timed here: {}", Chain(&why)))
        })?;
        let keeping = Keeping::watch(self.watch);
        self.form.print(&words::report(&report, &keeping), &json::report(&report, &keeping))?;
        Ok(Exit::Done)
    }
}
