//! The exit codes of `tlease run`, in one table.

use std::fmt;
use std::process::ExitCode;

/// How `tlease run` ended.
///
/// | code | meaning |
/// |---|---|
/// | the command's own | the command ended by itself and its tree was gone before the deadline |
/// | 128 + n | the command was ended by signal n, which `tlease` did not send for the lease's sake |
/// | 64 | usage: an option is wrong, or the term is too short for the margin |
/// | 65 | the name is not what a name should be |
/// | 69 | the granter cannot be reached |
/// | 70 | a part of `tlease run` itself failed; the tree was killed |
/// | 72 | not granted within `--wait` |
/// | 73 | the granter refused the lease, for a reason that waiting does not change |
/// | 74 | the lease was lost, recalled, or not renewed in time; the tree was killed in time |
/// | 75 | `--try`, and the lease is held by another |
/// | 76 | overrun: something of the tree may have run after the deadline |
/// | 77 | the containment that was asked for cannot be had |
/// | 126 | the command cannot be executed |
/// | 127 | the command was not found |
///
/// Codes 64 to 77 always come with a sentence on standard error that says why. If the command
/// itself returns one of them, `tlease` says in a sentence that the code is the command's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command's own code.
    Command(u8),
    /// The command was ended by this signal.
    Signal(i32),
    /// 64: the command line asks for something that makes no sense.
    Usage,
    /// 65: the name of the lease is malformed.
    Malformed,
    /// 69: no granter answers.
    Unreachable,
    /// 70: a process of `tlease run` itself died or failed.
    Broken,
    /// 72: the lease was not granted within the time allowed.
    TimedOut,
    /// 73: the granter refused.
    Refused,
    /// 74: the lease was lost, and the command was killed before its deadline.
    Lost,
    /// 75: another holds the lease.
    Busy,
    /// 76: the tree was alive after the deadline, or may have been.
    Overrun,
    /// 77: no containment of the kind asked for.
    Uncontained,
    /// 126: the command cannot be executed.
    NotExecutable,
    /// 127: the command was not found.
    NotFound,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Command(code) => code,
            // Signals end at 64, so this always fits.
            Self::Signal(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(127)),
            Self::Usage => 64,
            Self::Malformed => 65,
            Self::Unreachable => 69,
            Self::Broken => 70,
            Self::TimedOut => 72,
            Self::Refused => 73,
            Self::Lost => 74,
            Self::Busy => 75,
            Self::Overrun => 76,
            Self::Uncontained => 77,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
        }
    }

    /// Whether the command itself returned a code that `tlease` uses for its own ends.
    #[must_use]
    pub const fn is_ambiguous(self) -> bool {
        matches!(self, Self::Command(64..=77))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(code) => write!(f, "the command returned {code}"),
            Self::Signal(signal) => write!(f, "the command was ended by signal {signal}"),
            Self::Usage => f.write_str("the command line makes no sense"),
            Self::Malformed => f.write_str("the name of the lease is malformed"),
            Self::Unreachable => f.write_str("the granter cannot be reached"),
            Self::Broken => f.write_str("a process of tlease itself failed"),
            Self::TimedOut => f.write_str("the lease was not granted in time"),
            Self::Refused => f.write_str("the granter refused the lease"),
            Self::Lost => f.write_str("the lease was lost and the command killed in time"),
            Self::Busy => f.write_str("the lease is held by another"),
            Self::Overrun => f.write_str("the command may have run after the deadline"),
            Self::Uncontained => f.write_str("the containment cannot be had"),
            Self::NotExecutable => f.write_str("the command cannot be executed"),
            Self::NotFound => f.write_str("the command was not found"),
        }
    }
}

/// The table above, for `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  the command's own, or 128 + n if signal n ended it; otherwise
   64  usage: an option is wrong, or the term is too short
   65  the name of the lease is malformed
   69  the granter cannot be reached
   70  a part of tlease itself failed; the command was killed
   72  not granted within --wait
   73  the granter refused the lease
   74  the lease was lost, recalled or not renewed; the command was killed in time
   75  --try, and another holds the lease
   76  overrun: the command may have run after the deadline
   77  the containment that was asked for cannot be had
  126  the command cannot be executed
  127  the command was not found
If the command itself returns one of 64 to 77, a line on standard error says so.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code_of_our_own() {
        let own: Vec<u8> =
            HELP.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        assert_eq!(own, [64, 65, 69, 70, 72, 73, 74, 75, 76, 77, 126, 127]);
    }

    #[test]
    fn own_codes_are_distinct_and_the_commands_pass_through() {
        let own = [
            Exit::Usage,
            Exit::Malformed,
            Exit::Unreachable,
            Exit::Broken,
            Exit::TimedOut,
            Exit::Refused,
            Exit::Lost,
            Exit::Busy,
            Exit::Overrun,
            Exit::Uncontained,
        ];
        let mut codes: Vec<u8> = own.iter().map(|exit| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [64, 65, 69, 70, 72, 73, 74, 75, 76, 77]);
        for code in codes {
            assert!(Exit::Command(code).is_ambiguous(), "{code} would collide unannounced");
        }
        assert_eq!(Exit::Command(3).code(), 3);
        assert_eq!(Exit::Signal(9).code(), 137);
        assert_eq!(Exit::Signal(64).code(), 192);
    }
}
