//! Log lines: on standard error, as much of them as was asked for.

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

/// How much `tlease` says on standard error.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Loudness {
    /// Say more: which granter is used, what is waited for (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Which log lines to print [default: warn; info for serve]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    log: Option<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Loudness {
    /// Whether sentences that are no errors are wanted, too.
    pub(crate) const fn notes(&self) -> Notes {
        match (self.quiet, self.verbose) {
            (true, _) => Notes::None,
            (false, 0) => Notes::News,
            (false, _) => Notes::All,
        }
    }

    /// Prints log lines from now on.
    pub(crate) fn begin(&self, otherwise: LevelFilter) {
        let level = match self.log {
            Some(Level::Off) => LevelFilter::OFF,
            Some(Level::Error) => LevelFilter::ERROR,
            Some(Level::Warn) => LevelFilter::WARN,
            Some(Level::Info) => LevelFilter::INFO,
            Some(Level::Debug) => LevelFilter::DEBUG,
            Some(Level::Trace) => LevelFilter::TRACE,
            None if self.quiet => LevelFilter::ERROR,
            None if self.verbose > 1 => LevelFilter::DEBUG,
            None => otherwise,
        };
        // A second subscriber is the only way to fail, and the first one goes on.
        let _ = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .try_init();
    }
}

/// Which sentences besides errors are printed on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Notes {
    None,
    /// What a user who waits should know.
    News,
    /// Also what was chosen and why.
    All,
}

impl Notes {
    /// Something that a user who waits should know.
    pub(crate) fn news(self, sentence: &str) {
        if self >= Self::News {
            eprintln!("tlease: {sentence}");
        }
    }

    /// Something for those who want to know all.
    pub(crate) fn detail(self, sentence: &str) {
        if self >= Self::All {
            eprintln!("tlease: {sentence}");
        }
    }
}
