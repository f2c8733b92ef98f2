//! Policies from text: one statement a line, and an error that names the line.

use core::fmt;
use core::str::FromStr;

use super::{Policy, Rule, TcbStatus, Who};
use crate::hex;
use crate::measured::{Mrenclave, Mrsigner, Register, TrustDomain};

impl FromStr for Policy {
    type Err = BadPolicy;

    /// # Errors
    /// [`BadPolicy`] with the line. A policy that lets nobody in is none: it is a mistake.
    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        let mut policy = Self {
            rules: Vec::new(),
            accepts_debug: false,
            accepted_tcb: Vec::new(),
            accepts_smt: false,
            accepts_dynamic_platform: false,
            accepts_cached_keys: false,
            refused_advisories: Vec::new(),
        };
        let mut lines = 0;
        for line in text.lines() {
            lines += 1;
            let statement = line.split('#').next().unwrap_or_default();
            policy.read_line(statement).map_err(|problem| BadPolicy { line: lines, problem })?;
        }
        if policy.rules.is_empty() {
            return Err(BadPolicy { line: lines, problem: Problem::AllowsNobody });
        }
        Ok(policy)
    }
}

impl Policy {
    fn read_line(&mut self, statement: &str) -> Result<(), Problem> {
        let mut words = statement.split_whitespace();
        let Some(verb) = words.next() else { return Ok(()) };
        match verb {
            "allow" => {
                let name = words.next().ok_or(Problem::MissingName)?;
                let rule = Rule { name: read_name(name)?, who: read_who(&mut words)? };
                if self.rules.iter().any(|other| other.name == rule.name) {
                    return Err(Problem::RepeatedName { name: rule.name });
                }
                if self.rules.len() == RULES_MAX {
                    return Err(Problem::TooManyRules);
                }
                self.rules.push(rule);
            }
            "accept-tcb" => {
                let status = words.next().ok_or(Problem::MissingStatus)?;
                self.accepted_tcb.push(read_status(status)?);
            }
            "refuse-advisory" => {
                let advisory = words.next().ok_or(Problem::MissingAdvisory)?;
                self.refused_advisories.push(shown(advisory));
            }
            "accept-debug" => self.accepts_debug = true,
            "accept-smt" => self.accepts_smt = true,
            "accept-dynamic-platform" => self.accepts_dynamic_platform = true,
            "accept-cached-keys" => self.accepts_cached_keys = true,
            other => return Err(Problem::UnknownStatement { word: shown(other) }),
        }
        words.next().map_or(Ok(()), |word| Err(Problem::ExtraWord { word: shown(word) }))
    }
}

fn read_name(name: &str) -> Result<String, Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() <= NAME_MAX && name.chars().all(is_plain) {
        Ok(name.to_owned())
    } else {
        Err(Problem::BadName { name: shown(name) })
    }
}

fn read_who<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Who, Problem> {
    let first = words.next().ok_or(Problem::MissingMeasurement)?;
    if first == "self" {
        return Ok(Who::Itself);
    }
    match first.split_once('=') {
        Some(("mrenclave", digits)) => Ok(Who::Image(Mrenclave(read_digits("mrenclave", digits)?))),
        Some(("mrsigner", digits)) => Ok(Who::Signed {
            by: Mrsigner(read_digits("mrsigner", digits)?),
            product: read_number("product", words.next())?,
            min_svn: read_number("min-svn", words.next())?,
        }),
        Some(("mrtd", digits)) => {
            let mrtd = Register(read_digits("mrtd", digits)?);
            let mut rtmr = [Register([0; 48]); 4];
            for (register, key) in rtmr.iter_mut().zip(["rtmr0", "rtmr1", "rtmr2", "rtmr3"]) {
                let digits = value_of(key, words.next())?;
                *register = Register(read_digits(key, digits)?);
            }
            Ok(Who::TrustDomain(Box::new(TrustDomain { mrtd, rtmr, is_debug: false })))
        }
        Some(_) | None => Err(Problem::UnknownMeasurement { word: shown(first) }),
    }
}

fn value_of<'a>(key: &'static str, word: Option<&'a str>) -> Result<&'a str, Problem> {
    word.and_then(|word| word.strip_prefix(key)?.strip_prefix('='))
        .ok_or(Problem::MissingKey { key })
}

fn read_digits<const N: usize>(key: &'static str, digits: &str) -> Result<[u8; N], Problem> {
    hex::read(digits).ok_or(Problem::BadDigits { key, want: 2 * N })
}

fn read_number(key: &'static str, word: Option<&str>) -> Result<u16, Problem> {
    let digits = value_of(key, word)?;
    // `parse` would also take a sign.
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number = if is_plain { digits.parse().ok() } else { None };
    number.ok_or(Problem::BadNumber { key })
}

fn read_status(name: &str) -> Result<TcbStatus, Problem> {
    match TcbStatus::named(name) {
        None => Err(Problem::UnknownStatus { word: shown(name) }),
        Some(TcbStatus::Revoked) => Err(Problem::Revoked),
        Some(status) => Ok(status),
    }
}

/// As much of a word as an error shows.
fn shown(word: &str) -> String {
    word.chars().take(NAME_MAX).collect()
}

/// Text that is no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPolicy {
    /// The line, counted from 1; the last one for what is missing from the whole.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the policy: {}", self.line, self.problem)
    }
}

impl core::error::Error for BadPolicy {}

/// What is wrong with a line of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No line says who may connect.
    AllowsNobody,
    /// The first word is none of the statements.
    UnknownStatement {
        /// The word.
        word: String,
    },
    /// There is more on the line than the statement takes.
    ExtraWord {
        /// The first word too many.
        word: String,
    },
    /// `allow` without a name.
    MissingName,
    /// A name with other characters than letters, digits, `-`, `_` and `.`, or too long.
    BadName {
        /// The name.
        name: String,
    },
    /// A name that an earlier line has.
    RepeatedName {
        /// The name.
        name: String,
    },
    /// `allow NAME` without saying who that is.
    MissingMeasurement,
    /// Who that is, in a way that this version does not know.
    UnknownMeasurement {
        /// The word.
        word: String,
    },
    /// A part that must come at this place does not.
    MissingKey {
        /// Its key.
        key: &'static str,
    },
    /// A measurement that is not so many hexadecimal digits.
    BadDigits {
        /// Its key.
        key: &'static str,
        /// How many there must be.
        want: usize,
    },
    /// What is no number from 0 to 65535.
    BadNumber {
        /// Its key.
        key: &'static str,
    },
    /// `accept-tcb` without a status.
    MissingStatus,
    /// A status that Intel does not give.
    UnknownStatus {
        /// The word.
        word: String,
    },
    /// The one status that no policy may accept.
    Revoked,
    /// `refuse-advisory` without an id.
    MissingAdvisory,
    /// More rules than [`RULES_MAX`].
    TooManyRules,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowsNobody => f.write_str("nobody may connect; add a line `allow NAME ...`"),
            Self::UnknownStatement { word } => write!(
                f,
                "`{word}` is no statement; there are allow, accept-tcb, accept-smt, \
                 accept-dynamic-platform, accept-cached-keys, refuse-advisory and accept-debug"
            ),
            Self::ExtraWord { word } => write!(f, "`{word}` is too much; remove it"),
            Self::MissingName => f.write_str("write `allow NAME ...`, with a name for logs"),
            Self::BadName { name } => write!(
                f,
                "`{name}` is no name; take at most {NAME_MAX} letters, digits, `-`, `_` and `.`"
            ),
            Self::RepeatedName { name } => write!(f, "there is a `{name}` already"),
            Self::MissingMeasurement => f.write_str(
                "say who it is: self, mrenclave=DIGITS, mrsigner=DIGITS product=N min-svn=N, or \
                 mrtd=DIGITS with rtmr0 to rtmr3",
            ),
            Self::UnknownMeasurement { word } => {
                write!(f, "`{word}` says nobody; there are self, mrenclave=, mrsigner= and mrtd=")
            }
            Self::MissingKey { key } => write!(f, "`{key}=` must come next"),
            Self::BadDigits { key, want } => {
                write!(f, "`{key}=` takes exactly {want} hexadecimal digits")
            }
            Self::BadNumber { key } => write!(f, "`{key}=` takes a number from 0 to 65535"),
            Self::MissingStatus => f.write_str("write `accept-tcb STATUS`"),
            Self::UnknownStatus { word } => write!(
                f,
                "`{word}` is no status; they are written as Intel does, such as SWHardeningNeeded"
            ),
            Self::Revoked => f.write_str("a revoked machine proves nothing; remove the line"),
            Self::MissingAdvisory => f.write_str("write `refuse-advisory ID`"),
            Self::TooManyRules => {
                write!(f, "more than {RULES_MAX} rules; let a signer's products in by one")
            }
        }
    }
}

/// More programs than somebody looks after, and few enough to compare with all of them.
pub const RULES_MAX: usize = 1024;

/// The longest name of a rule in bytes, and how much of a wrong word an error shows.
const NAME_MAX: usize = 64;
