//! `tlease sim`: the hostile world, from the command line.

mod files;
mod one;
mod planted;
mod progress;
mod scenarios;
mod sweep;

use crate::exit::{Exit, Failure};
use crate::show::Form;
use clap::{Args, Subcommand};
use planted::Planted;
use std::path::PathBuf;

/// Runs the granter and the holders that ship in simulated worlds that are hostile, and checks every claim.
///
/// One seed is one world: its clocks, its network, its disk, its users and all that goes wrong are drawn
/// from it, and the same seed gives the same run, byte for byte. Without --seed or --replay many seeds
/// are run, on all cores. Ends with 79 if a claim did not hold, and says how to run that world again.
/// Besides, there are forty attacks by name, each in a world of its own.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    command: Option<SimCommand>,

    /// How many seeds to run
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    seeds: u64,

    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,

    /// On how many threads [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Run this seed alone, and say what was drawn
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from", "jobs"])]
    seed: Option<u64>,

    /// Run the plan in the first line of a trace again, or the attack that it names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "from", "jobs", "seed"])]
    replay: Option<PathBuf>,

    /// Make a run that fails as short as possible, as long as it fails for the same reason
    #[arg(long)]
    shrink: bool,

    /// Write what happened to a file, as JSON lines: the one run, the attack, or the first that fails
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// Draw it as an SVG timeline
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Run this attack, by its name or its number (s20), and say whether it ended safely
    ///
    /// Some make several worlds: --trace and --svg keep the last of them, which is the one that failed if
    /// one did.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["seeds", "from", "jobs", "seed", "replay", "shrink"]
    )]
    scenario: Option<String>,

    /// Name the attacks, and say which of them run
    #[arg(long, conflicts_with_all = ["seeds", "from", "jobs", "seed", "replay", "scenario", "mutant"])]
    list_scenarios: bool,

    /// Plant this bug in the machines: in a run or an attack, or else in worlds until one catches it
    ///
    /// Only in a build of 'tlease' that has bugs to plant: cargo build -p tlease-cli --features mutants
    #[arg(long, value_name = "NAME", conflicts_with_all = ["seeds", "from", "jobs"])]
    mutant: Option<String>,

    /// Name the bugs that can be planted, and what catches each; in such a build alone
    #[arg(long, conflicts_with_all = ["seeds", "from", "jobs", "seed", "replay", "scenario", "mutant"])]
    list_mutants: bool,

    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Clone, Subcommand)]
enum SimCommand {
    Show(files::ShowArgs),
    Step(files::StepArgs),
    Diff(files::DiffArgs),
}

impl SimArgs {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.command {
            Some(SimCommand::Show(args)) => args.run(),
            Some(SimCommand::Step(args)) => args.run(),
            Some(SimCommand::Diff(args)) => args.run(),
            None if self.list_scenarios => scenarios::list(self.form),
            None if self.list_mutants => Planted::list(self.form),
            None => self.run_worlds(),
        }
    }

    fn run_worlds(&self) -> Result<Exit, Failure> {
        let planted = Planted::named(self.mutant.as_deref())?;
        if let Some(name) = &self.scenario {
            return scenarios::run(self, name, planted);
        }
        match (self.seed, &self.replay) {
            (Some(seed), _) => self.one(tlease_sim::Plan::draw(seed), &again(seed), planted),
            (None, Some(file)) => {
                let trace = files::read(file)?;
                if let Some(name) = trace.scenario() {
                    return scenarios::run(self, name, planted);
                }
                let plan = trace.plan().cloned().ok_or_else(|| files::no_plan(file))?;
                self.one(plan, &format!("tlease sim --replay {}", file.display()), planted)
            }
            (None, None) if self.mutant.is_some() => planted.hunt(self.form),
            (None, None) => self.many(planted),
        }
    }
}

/// The command that runs a seed again.
fn again(seed: u64) -> String {
    format!("tlease sim --seed {seed}")
}

/// Runs worlds without a word from a machine that panics: that is a violation, and told as one.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = run();
    std::panic::set_hook(hook);
    done
}
