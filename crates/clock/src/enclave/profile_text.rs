//! A machine profile as a file: one `key = value` a line, as in TOML.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::model::CpuModel;
use super::profile::{Hertz, HzRange, MachineProfile, NotAdmitted, Smt};

/// Why a text is no machine profile. Lines count from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadProfile {
    /// Neither `key = value`, nor a comment, nor blank.
    NotAPair {
        /// Where.
        line: usize,
    },
    /// A key that no profile has.
    UnknownKey {
        /// Where.
        line: usize,
        /// The key.
        key: String,
    },
    /// A key is given again.
    Repeated {
        /// Where.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// A value is not what its key needs.
    BadValue {
        /// Where.
        line: usize,
        /// The key.
        key: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A key is not given.
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A range whose end is below its beginning.
    EmptyRange {
        /// The end's key.
        key: &'static str,
    },
    /// Well written, but not admitted.
    NotAdmitted(NotAdmitted),
}

impl FromStr for MachineProfile {
    type Err = BadProfile;

    fn from_str(text: &str) -> Result<Self, BadProfile> {
        let fields = Fields::read(text)?;
        let format = fields.number("format")?;
        if format != FORMAT {
            return Err(fields.bad("format", "1"));
        }
        let cpu = CpuModel {
            vendor: fields.string("vendor")?.to_owned(),
            family: fields.small("family")?,
            model: fields.small("model")?,
            stepping: fields.small("stepping")?,
        };
        let core_hz = fields.range("core_hz_min", "core_hz_max")?;
        let tsc_hz = fields.range("tsc_hz_min", "tsc_hz_max")?;
        let smt = match fields.string("smt")? {
            "off" => Smt::Off,
            "on" => Smt::On,
            _ => return Err(fields.bad("smt", "\"on\" or \"off\"")),
        };
        Self::assume(cpu, core_hz, tsc_hz, smt).map_err(BadProfile::NotAdmitted)
    }
}

impl fmt::Display for MachineProfile {
    /// As [`MachineProfile::from_str`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuModel { vendor, family, model, stepping } = self.cpu();
        let (core, tsc) = (self.core_hz(), self.tsc_hz());
        writeln!(f, "format = {FORMAT}")?;
        writeln!(f, "vendor = \"{vendor}\"\nfamily = {family}\nmodel = {model}")?;
        writeln!(f, "stepping = {stepping}")?;
        writeln!(f, "core_hz_min = {}\ncore_hz_max = {}", core.min().get(), core.max().get())?;
        writeln!(f, "tsc_hz_min = {}\ntsc_hz_max = {}", tsc.min().get(), tsc.max().get())?;
        let smt = match self.smt() {
            Smt::Off => "off",
            Smt::On => "on",
        };
        writeln!(f, "smt = \"{smt}\"")
    }
}

const FORMAT: u64 = 1;
const KEYS: [&str; 10] = [
    "format",
    "vendor",
    "family",
    "model",
    "stepping",
    "core_hz_min",
    "core_hz_max",
    "tsc_hz_min",
    "tsc_hz_max",
    "smt",
];

/// The value of each key, with its line.
struct Fields<'a>([Option<(usize, &'a str)>; KEYS.len()]);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, BadProfile> {
        let mut fields = [None; KEYS.len()];
        for (line, text) in (1_usize..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (key, value) = text.split_once('=').ok_or(BadProfile::NotAPair { line })?;
            let (key, value) = (key.trim(), value.trim());
            let place = KEYS.iter().zip(&mut fields).find(|(known, _)| **known == key);
            let Some((key, field)) = place else {
                return Err(BadProfile::UnknownKey { line, key: key.to_owned() });
            };
            if field.replace((line, value)).is_some() {
                return Err(BadProfile::Repeated { line, key });
            }
        }
        Ok(Self(fields))
    }

    fn value(&self, key: &'static str) -> Result<(usize, &'a str), BadProfile> {
        let found = KEYS.iter().zip(&self.0).find(|(known, _)| **known == key);
        found.and_then(|(_, field)| *field).ok_or(BadProfile::Missing { key })
    }

    fn bad(&self, key: &'static str, needs: &'static str) -> BadProfile {
        match self.value(key) {
            Ok((line, _)) => BadProfile::BadValue { line, key, needs },
            Err(missing) => missing,
        }
    }

    fn number(&self, key: &'static str) -> Result<u64, BadProfile> {
        let (_, value) = self.value(key)?;
        value.parse().map_err(|_| self.bad(key, "a number"))
    }

    fn small(&self, key: &'static str) -> Result<u32, BadProfile> {
        u32::try_from(self.number(key)?).map_err(|_| self.bad(key, "a smaller number"))
    }

    fn string(&self, key: &'static str) -> Result<&'a str, BadProfile> {
        let (_, value) = self.value(key)?;
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        bare.filter(|bare| bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' '))
            .ok_or_else(|| self.bad(key, "letters and digits in quotes"))
    }

    fn range(&self, min: &'static str, max: &'static str) -> Result<HzRange, BadProfile> {
        let hertz = |key| {
            let number = self.number(key)?;
            let plausible = Hertz::new(number).filter(|hertz| hertz.get() <= HERTZ_MAX);
            plausible.ok_or_else(|| self.bad(key, "a frequency from 1 Hz to 1 THz"))
        };
        HzRange::assume(hertz(min)?, hertz(max)?).ok_or(BadProfile::EmptyRange { key: max })
    }
}

/// A hundred times what there is, so that no product with it overflows.
const HERTZ_MAX: u64 = 1_000_000_000_000;

impl fmt::Display for BadProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPair { line } => write!(f, "line {line} is not `key = value`"),
            Self::UnknownKey { line, key } => write!(f, "line {line}: no profile has a `{key}`"),
            Self::Repeated { line, key } => write!(f, "line {line} gives `{key}` again"),
            Self::BadValue { line, key, needs } => write!(f, "line {line}: `{key}` needs {needs}"),
            Self::Missing { key } => write!(f, "`{key}` is missing"),
            Self::EmptyRange { key } => write!(f, "`{key}` is below the beginning of its range"),
            Self::NotAdmitted(_) => f.write_str("the profile cannot be used"),
        }
    }
}

impl core::error::Error for BadProfile {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NotAdmitted(why) => Some(why),
            Self::NotAPair { .. }
            | Self::UnknownKey { .. }
            | Self::Repeated { .. }
            | Self::BadValue { .. }
            | Self::Missing { .. }
            | Self::EmptyRange { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::tests::profile;
    use super::*;

    fn without(key: &str) -> String {
        let text = profile().to_string();
        text.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
    }

    fn with(line: &str) -> Result<MachineProfile, BadProfile> {
        let key = line.split(' ').next().unwrap();
        format!("{}{line}\n", without(key)).parse()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(profile().to_string().parse(), Ok(profile()));
        assert_eq!(format!("# of this machine\n\n{}", profile()).parse(), Ok(profile()));
    }

    #[test]
    fn each_key_is_needed_once() {
        for key in KEYS {
            assert_eq!(without(key).parse::<MachineProfile>(), Err(BadProfile::Missing { key }));
            let twice = format!("{0}{0}", profile());
            let found = twice.parse::<MachineProfile>();
            assert_eq!(found, Err(BadProfile::Repeated { line: 11, key: "format" }));
        }
    }

    #[test]
    fn nonsense_is_named() {
        let bad = |key, needs| Err(BadProfile::BadValue { line: 10, key, needs });
        assert_eq!(with("core_hz_max = fast"), bad("core_hz_max", "a number"));
        assert_eq!(with("tsc_hz_min = 0"), bad("tsc_hz_min", "a frequency from 1 Hz to 1 THz"));
        assert_eq!(with("smt = \"maybe\""), bad("smt", "\"on\" or \"off\""));
        assert_eq!(with("vendor = AMD"), bad("vendor", "letters and digits in quotes"));
        assert_eq!(with("format = 2"), bad("format", "1"));
        assert_eq!(with("core_hz_max = 5"), Err(BadProfile::EmptyRange { key: "core_hz_max" }));
        assert_eq!(
            with("turbo = 1"),
            Err(BadProfile::UnknownKey { line: 11, key: "turbo".into() })
        );
        assert_eq!("nonsense".parse::<MachineProfile>(), Err(BadProfile::NotAPair { line: 1 }));
        assert!(matches!(
            with("model = 255"),
            Err(BadProfile::NotAdmitted(NotAdmitted::UnknownModel(_)))
        ));
    }
}
