//! The command line of `tlease run`.

use super::containment::Kind;
use super::exit::HELP;
use super::lease::{Queueing, Sharing, Wanted};
use super::voice::Voice;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use nix::sys::signal::Signal;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// Runs a command while holding a lease, and kills all of it before the lease is over.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
pub struct RunArgs {
    /// The lease to hold
    name: OsString,

    /// How long one grant lasts; it is renewed until the command ends
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    term: Duration,

    /// Give up after waiting so long for the lease [default: wait for ever]
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "try_once")]
    wait: Option<Duration>,

    /// Give up at once if another holds the lease
    #[arg(long = "try")]
    try_once: bool,

    /// Let others that also say --shared hold the lease at the same time
    #[arg(long)]
    shared: bool,

    /// What holds the processes of the command together, so that all can be killed
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Containing::Auto)]
    containment: Containing,

    /// Refuse to run with containment `group`, which some processes can escape
    #[arg(long)]
    require_containment: bool,

    /// The signal that asks the command to end when the lease is recalled
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = signal)]
    stop_signal: Signal,

    /// How long the command may take to end once asked, if the lease lasts so long
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    grace: Duration,

    /// Say what was chosen, why, and under which conditions the promise holds
    #[arg(long)]
    explain: bool,

    /// Say everything as JSON, one object a line, on standard error
    #[arg(long)]
    json: bool,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The containment that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Containing {
    /// The best that can be had.
    Auto,
    /// This one or none.
    Only(Kind),
}

impl RunArgs {
    /// The lease that these arguments ask for, from the granter at `server`.
    pub(super) fn wanted(&self, server: Option<&OsStr>) -> Wanted {
        Wanted {
            server: server.map(OsStr::to_owned),
            name: self.name.clone(),
            term: self.term,
            sharing: if self.shared { Sharing::Shared } else { Sharing::Exclusive },
            queueing: match (self.try_once, self.wait) {
                (true, _) => Queueing::Try,
                (false, Some(span)) => Queueing::AtMost(span),
                (false, None) => Queueing::Forever,
            },
        }
    }

    /// The kinds of containment to try, in this order.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        Kind::ALL
            .into_iter()
            .filter(|kind| match self.containment {
                Containing::Auto => true,
                Containing::Only(only) => *kind == only,
            })
            .filter(|kind| !(self.require_containment && *kind == Kind::Group))
            .collect()
    }

    /// Whether the user named a kind, and so accepts what it does to the command.
    pub(super) fn named_a_kind(&self) -> bool {
        self.containment != Containing::Auto
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(super) const fn term(&self) -> Duration {
        self.term
    }

    pub(super) fn command(&self) -> &[OsString] {
        &self.command
    }

    /// The arguments of the watchdog that follow the containment.
    pub(super) fn for_watchdog(&self) -> Vec<OsString> {
        let grace_ms = u32::try_from(self.grace.as_millis()).unwrap_or(u32::MAX);
        let mut arguments = vec![
            (self.stop_signal as i32).to_string().into(),
            grace_ms.to_string().into(),
            self.name.clone(),
        ];
        arguments.extend(self.command.iter().cloned());
        arguments
    }

    pub(super) const fn voice(&self) -> Voice {
        match (self.json, self.explain) {
            (true, _) => Voice::Json,
            (false, true) => Voice::Explaining,
            (false, false) => Voice::Terse,
        }
    }
}

impl ValueEnum for Containing {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Auto,
            Self::Only(Kind::Cgroup),
            Self::Only(Kind::PidNamespace),
            Self::Only(Kind::Freezer),
            Self::Only(Kind::Group),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto").help("the best of these that can be had"),
            Self::Only(kind) => PossibleValue::new(kind.name()).help(kind.description()),
        })
    }
}

/// A span as people write it: `500ms`, `10s`, `5m`, `2h`.
fn span(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a number and a unit, as in 500ms, 10s, 5m, 2h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a whole number before the unit".to_owned())?;
    let span_ms = number.checked_mul(unit_ms).filter(|span_ms| *span_ms <= SPAN_MAX_MS);
    span_ms.map(Duration::from_millis).ok_or_else(|| "at most 1000 hours".into())
}

/// A signal by name, with or without `SIG`, or by number.
fn signal(text: &str) -> Result<Signal, String> {
    let upper = text.to_ascii_uppercase();
    let named = upper.parse().or_else(|_| format!("SIG{upper}").parse());
    let numbered = || text.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    named.ok().or_else(numbered).ok_or_else(|| "no such signal".into())
}

/// Six weeks: no lease is that long, and every sum of spans stays far from overflow.
const SPAN_MAX_MS: u64 = 1_000 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_a_unit_and_have_an_end() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("2h"), Ok(Duration::from_secs(7_200)));
        for wrong in ["", "5", "s", "1.5s", "-1s", "1001h", "99999999999999999999s"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signals_by_name_and_number() {
        for text in ["TERM", "sigterm", "15"] {
            assert_eq!(signal(text), Ok(Signal::SIGTERM), "{text}");
        }
        assert!(signal("NOPE").is_err());
        assert!(signal("0").is_err());
    }
}
