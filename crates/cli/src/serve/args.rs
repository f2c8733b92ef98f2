//! The command line of `tlease serve`.

use crate::exit::{Chain, Exit, Failure};
use crate::show::Form;
use crate::span;
use crate::timing::Timing;
use clap::Args;
use std::path::PathBuf;
use tlease_core::granter::Limits;
use tlease_core::identity::Rights;
use tlease_core::time::Span;
use tlease_daemon::store::Init;
use tlease_daemon::{Config, ConnectionLimits, Listen};
use tlease_wire::{Address, BadAddress};

/// Runs a granter.
///
/// It says when it is ready, and on SIGTERM or SIGINT stops in good order: holders keep their leases
/// to their end, and the next start waits that out before it grants anything, unless nothing was held.
/// A second signal ends it at once, as a crash would: also that is safe, and costs the wait.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// The directory of the granter's record; nobody else may use it
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,

    /// Begin with an empty directory; refused if it holds a granter's record
    #[arg(long)]
    init: bool,

    /// Where to listen: tcp://HOST:PORT (loopback only) or unix:PATH; may be repeated
    #[arg(long, value_name = "ADDRESS", default_value = "tcp://127.0.0.1:7420")]
    listen: Vec<String>,

    /// A socket whose clients may also recall by force
    #[arg(long, value_name = "PATH")]
    operator_socket: Option<PathBuf>,

    #[command(flatten)]
    pub(super) timing: Timing,

    #[command(flatten)]
    bounds: Bounds,

    #[command(flatten)]
    pub(super) form: Form,
}

/// How much the granter takes on.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bounds")]
struct Bounds {
    /// The shortest term [default: 10ms]
    #[arg(long, value_name = "SPAN", value_parser = span::parse_term)]
    term_min: Option<Span>,

    /// The longest term, and so the longest wait after a crash [default: 24h]
    #[arg(long, value_name = "SPAN", value_parser = span::parse_term)]
    term_max: Option<Span>,

    /// How many leases may be held and waited for at once [default: 10000000]
    #[arg(long, value_name = "COUNT")]
    leases: Option<u32>,

    /// How many sessions there may be [default: 1000000]
    #[arg(long, value_name = "COUNT")]
    sessions: Option<u32>,

    /// How many may wait for one name [default: 1024]
    #[arg(long, value_name = "COUNT")]
    waiters: Option<u32>,

    /// How many watches there may be [default: 1024]
    #[arg(long, value_name = "COUNT")]
    watches: Option<u32>,

    /// How many events are kept for watches that resume [default: 16384]
    #[arg(long, value_name = "COUNT")]
    events: Option<u32>,

    /// How many connections there may be [default: 10000]
    #[arg(long, value_name = "COUNT")]
    connections: Option<usize>,

    /// When a session without connection and lease is forgotten [default: 1m]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    session_idle: Option<Span>,

    /// Want a lease back, with this grace, as soon as somebody waits for its name
    #[arg(long, value_name = "GRACE", value_parser = span::parse)]
    recall_on_wait: Option<Span>,
}

impl ServeArgs {
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let init = if self.init { Init::New } else { Init::Never };
        let mut config = Config::new(&self.data, init);
        for text in &self.listen {
            let address: Address = text
                .parse()
                .map_err(|why: BadAddress| Failure::new(Exit::Usage, why.to_string()))?;
            config.listen.extend(
                Listen::at(&address)
                    .map_err(|why| Failure::new(Exit::Unstartable, Chain(&why).to_string()))?,
            );
        }
        if let Some(path) = &self.operator_socket {
            config = config.listen(Listen::Unix { path: path.clone(), rights: Rights::Operator });
        }
        config.limits = self.bounds.limits()?;
        let usual = ConnectionLimits::default();
        let count_max = self.bounds.connections.unwrap_or(usual.count_max);
        config.connections = ConnectionLimits { count_max, ..usual };
        Ok(config)
    }
}

impl Bounds {
    fn limits(&self) -> Result<Limits, Failure> {
        let usual = Limits::default();
        let limits = Limits {
            term_min: self.term_min.unwrap_or(usual.term_min),
            term_max: self.term_max.unwrap_or(usual.term_max),
            leases_max: self.leases.unwrap_or(usual.leases_max),
            sessions_max: self.sessions.unwrap_or(usual.sessions_max),
            waiters_per_name_max: self.waiters.unwrap_or(usual.waiters_per_name_max),
            watches_max: self.watches.unwrap_or(usual.watches_max),
            events_kept: self.events.unwrap_or(usual.events_kept),
            session_idle: self.session_idle.unwrap_or(usual.session_idle),
            recall_on_wait: self.recall_on_wait,
            ..usual
        };
        if limits.term_min > limits.term_max {
            let sentence = format!(
                "the shortest term ({}) is longer than the longest ({})",
                limits.term_min, limits.term_max
            );
            return Err(Failure::new(Exit::Usage, sentence));
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct UnderTest {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn config(flags: &[&str]) -> Result<Config, Failure> {
        let flags = [&["serve", "--data", "x"], flags].concat();
        UnderTest::parse_from(flags).serve.config()
    }

    #[test]
    fn the_defaults_in_the_help_are_those_of_the_granter() {
        let usual = Limits::default();
        assert_eq!(usual.term_min, Span::from_millis(10));
        assert_eq!(usual.term_max, Span::from_secs(86_400));
        assert_eq!((usual.leases_max, usual.sessions_max), (10_000_000, 1_000_000));
        assert_eq!((usual.waiters_per_name_max, usual.watches_max), (1024, 1024));
        assert_eq!((usual.events_kept, usual.session_idle), (16_384, Span::from_secs(60)));
        assert_eq!(ConnectionLimits::default().count_max, 10_000);
        assert_eq!(config(&[]).unwrap().limits, usual);
    }

    #[test]
    fn bounds_that_exclude_each_other_are_refused() {
        let refused = config(&["--term-min", "2s", "--term-max", "1s"]).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
    }

    #[test]
    fn an_address_beyond_this_machine_is_refused_with_the_reason() {
        let refused = config(&["--listen", "0.0.0.0:7420"]).unwrap_err();
        assert_eq!(refused.exit, Exit::Unstartable);
        assert!(refused.sentence.contains("TLS is not in this version"), "{refused}");
    }
}
