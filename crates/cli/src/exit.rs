//! How a command ends: the exit codes, and the sentence that goes with each.

use crate::run;
use std::fmt;
use std::process::ExitCode;

/// How a command ended.
///
/// `tlease run` returns these too, and besides them the command's own code: see [`run::Exit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what was asked.
    Done,
    /// 64: the command line asks for something that makes no sense.
    Usage,
    /// 65: a token, an address or a name is not what it should be.
    Malformed,
    /// 66: nobody holds or wants the name.
    Unknown,
    /// 69: no granter answers.
    Unreachable,
    /// 70: `tlease` itself failed, or the system under it.
    Broken,
    /// 72: the lease was not granted within the time allowed.
    TimedOut,
    /// 73: the granter refused.
    Refused,
    /// 74: the lease is over, or was not this token's any more.
    Lost,
    /// 75: another holds the lease, and waiting was not wanted.
    Busy,
    /// 78: a granter cannot be started as it is set.
    Unstartable,
    /// 79: a demonstration did not show what it promises, a claim did not hold in a simulated world, or
    /// two of its traces differ.
    Disproved,
    /// What `tlease run` came to.
    Run(run::Exit),
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 64,
            Self::Malformed => 65,
            Self::Unknown => 66,
            Self::Unreachable => 69,
            Self::Broken => 70,
            Self::TimedOut => 72,
            Self::Refused => 73,
            Self::Lost => 74,
            Self::Busy => 75,
            Self::Unstartable => 78,
            Self::Disproved => 79,
            Self::Run(exit) => exit.code(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<run::Exit> for Exit {
    fn from(exit: run::Exit) -> Self {
        Self::Run(exit)
    }
}

/// Why a command did not do what was asked: a code, and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The sentence.
    pub sentence: String,
}

impl Failure {
    /// A failure with this code and sentence.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, sentence: sentence.into() }
    }

    /// The system, or `tlease` itself, failed at `what`.
    pub fn broken(what: &str, why: &dyn std::error::Error) -> Self {
        Self::new(Exit::Broken, format!("{what}: {}", Chain(why)))
    }

    /// Standard output is gone or full.
    pub(crate) fn output(why: &std::io::Error) -> Self {
        Self::broken("cannot print", why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

/// An error with all its sources.
#[derive(Debug)]
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// The table of all codes, for `--help` and the manual.
pub const TABLE: &str = "\
Exit codes:
    0  done
   64  usage: an option is missing, wrong, or makes no sense with another
   65  malformed: a token, a name or an address is not what it should be
   66  unknown: nobody holds or wants the name (get)
   69  unreachable: no granter answers
   70  tlease itself failed, or the system under it
   72  timed out: not granted within --wait
   73  refused: the granter said no, and waiting does not change that
   74  lost: the lease is over, was given back, or could not be renewed in time
   75  busy: another holds the lease, and --try did not want to wait
   76  overrun: something of the command may have run after the deadline (run)
   77  uncontained: the containment asked for cannot be had (run)
   78  unstartable: the granter cannot be started as it is set (serve)
   79  disproved: a demonstration did not show what it promises (demo), or a claim did not hold in
       a simulated world, or two traces differ (sim)
  126  the command cannot be executed (run)
  127  the command was not found (run)
128+n  the command was ended by signal n (run)
Every code from 64 to 79 comes with a sentence on standard error. 'run' otherwise returns the code
of its command, and says so if that is one of these.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_and_the_other_commands_mean_the_same_by_a_code() {
        let pairs = [
            (Exit::Usage, run::Exit::Usage),
            (Exit::Unreachable, run::Exit::Unreachable),
            (Exit::Broken, run::Exit::Broken),
            (Exit::TimedOut, run::Exit::TimedOut),
            (Exit::Refused, run::Exit::Refused),
            (Exit::Lost, run::Exit::Lost),
            (Exit::Busy, run::Exit::Busy),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours.code(), theirs.code());
        }
        let own = [Exit::Malformed, Exit::Unknown, Exit::Unstartable, Exit::Disproved];
        for exit in [run::Exit::Overrun, run::Exit::Uncontained] {
            assert!(own.iter().all(|own| own.code() != exit.code()), "{exit}");
        }
    }

    #[test]
    fn the_table_lists_every_code() {
        let own = [
            Exit::Done,
            Exit::Usage,
            Exit::Malformed,
            Exit::Unknown,
            Exit::Unreachable,
            Exit::Broken,
            Exit::TimedOut,
            Exit::Refused,
            Exit::Lost,
            Exit::Busy,
            Exit::Unstartable,
            Exit::Disproved,
            Exit::Run(run::Exit::Overrun),
            Exit::Run(run::Exit::Uncontained),
            Exit::Run(run::Exit::NotExecutable),
            Exit::Run(run::Exit::NotFound),
        ];
        for exit in own {
            let line = format!("{:>5}  ", exit.code());
            assert!(TABLE.contains(&line), "{exit:?}");
        }
    }
}
