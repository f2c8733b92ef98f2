//! `tlease doctor`: what this machine offers, and what follows from it.

mod json;
mod verdict;
mod words;

use crate::exit::{Chain, Exit, Failure};
use crate::show::Form;
use crate::span;
use crate::trust::Trust;
use clap::Args;
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

    #[command(flatten)]
    trust: Trust,

    #[command(flatten)]
    form: Form,
}

impl DoctorArgs {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let report = MachineReport::measure(&self.trust.profile(), self.watch).map_err(|why| {
            Failure::new(Exit::Unstartable, format!("no lease can be timed here: {}", Chain(&why)))
        })?;
        self.form.print(&words::report(&report), &json::report(&report))?;
        Ok(Exit::Done)
    }
}
