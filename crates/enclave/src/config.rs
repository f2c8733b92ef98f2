//! The configuration, which is part of the image and so of its measurement.
//!
//! Whatever safety rests on is here and not among the arguments, which the host chooses: what is
//! assumed of the processor, the longest term (which is also the wait after a start), and who may
//! connect. So MRENCLAVE names program and configuration at once, and a peer that is `self` by the
//! policy has the same assumptions and the same bounds.

use core::fmt;
use tlease_attest::{BadPolicy, Policy};
use tlease_clock::enclave::{BadProfile, MachineProfile};
use tlease_core::time::Span;

/// What was measured beside the code.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// What is assumed of the processor (A2, A14, A15).
    pub(crate) machine: MachineProfile,
    /// Who may connect (A21).
    pub(crate) peers: Policy,
    /// Terms, and the number of timekeepers.
    pub(crate) limits: Limits,
}

/// The bounds of a granter, and how many timekeepers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The shortest term.
    pub(crate) term_min: Span,
    /// The longest term, and the wait after a start.
    pub(crate) term_max: Span,
    /// One or two.
    pub(crate) timekeepers: usize,
}

impl Config {
    /// The configuration of this image.
    pub(crate) fn measured() -> Result<Self, BadConfig> {
        Ok(Self {
            machine: MACHINE.parse().map_err(BadConfig::Machine)?,
            peers: PEERS.parse().map_err(BadConfig::Peers)?,
            limits: Limits::read(LIMITS)?,
        })
    }
}

impl Limits {
    fn read(text: &'static str) -> Result<Self, BadConfig> {
        let millis = |key| value(text, key).map(Span::from_millis);
        let limits = Self {
            term_min: millis("term_min_ms")?,
            term_max: millis("term_max_ms")?,
            timekeepers: match value(text, "timekeepers")? {
                1 => 1,
                2 => 2,
                _ => return Err(BadConfig::Value("timekeepers")),
            },
        };
        if limits.term_min.is_zero() || limits.term_min > limits.term_max {
            return Err(BadConfig::Value("term_min_ms"));
        }
        Ok(limits)
    }
}

/// The number that a key is given, once.
fn value(text: &'static str, key: &'static str) -> Result<u64, BadConfig> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut values = lines
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim());
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(BadConfig::Value(key));
    };
    // Milliseconds far below what overflows as nanoseconds.
    let number: u32 = value.parse().map_err(|_| BadConfig::Value(key))?;
    Ok(number.into())
}

/// Why an image cannot work: its builder wrote a bad configuration into it.
#[derive(Debug)]
pub(crate) enum BadConfig {
    /// `machine.toml`.
    Machine(BadProfile),
    /// `peers.policy`.
    Peers(BadPolicy),
    /// This key of `limits.toml` is missing, given twice, or out of its range.
    Value(&'static str),
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(why) => write!(f, "machine.toml: {why}"),
            Self::Peers(why) => write!(f, "peers.policy: {why}"),
            Self::Value(key) => write!(f, "limits.toml: `{key}` is not as it should be"),
        }
    }
}

impl core::error::Error for BadConfig {}

const MACHINE: &str = include_str!("../measured/machine.toml");
const PEERS: &str = include_str!("../measured/peers.policy");
const LIMITS: &str = include_str!("../measured/limits.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_that_is_measured_can_be_read() {
        let config = Config::measured().unwrap();
        assert!(config.limits.term_max >= config.limits.term_min);
        assert_eq!(config.peers.rules().len(), 1, "enclaves of this image alone");
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let refused = |text| Limits::read(text).is_err();
        assert!(!refused("term_min_ms = 1\nterm_max_ms = 1\ntimekeepers = 2\n"));
        assert!(refused("term_min_ms = 2\nterm_max_ms = 1\ntimekeepers = 2\n"));
        assert!(refused("term_min_ms = 0\nterm_max_ms = 1\ntimekeepers = 2\n"));
        assert!(refused("term_min_ms = 1\nterm_max_ms = 1\ntimekeepers = 3\n"));
        assert!(refused("term_min_ms = 1\nterm_max_ms = 1\n"));
        assert!(refused("term_min_ms = 1\nterm_max_ms = 1\nterm_max_ms = 9\ntimekeepers = 1\n"));
    }
}
