//! Who keeps time: the flags of `serve` that choose a trust profile.

use crate::exit::{Chain, Exit, Failure};
use crate::trust::Trust;
use clap::{Args, ValueEnum};
use std::fs;
use std::io;
use std::path::PathBuf;
use tlease_clock::enclave::{BadProfile, EnclaveSim, KeeperCount, MachineProfile};
use tlease_clock::{Clock, ClockFault};

/// The trust profile.
#[derive(Debug, Clone, Args)]
pub(crate) struct Timing {
    /// Whom to trust for time: the kernel and the hypervisor (host), or, as a test vehicle that
    /// protects from nobody, the processor alone, whose cycles threads of ours count (enclave-sim)
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        default_value = "host",
        help_heading = "What keeps time"
    )]
    profile: Name,

    /// For enclave-sim: what is assumed of the processor; 'tlease doctor --emit-profile FILE' writes it
    #[arg(long, value_name = "FILE", help_heading = "What keeps time")]
    machine_profile: Option<PathBuf>,

    /// For enclave-sim: threads that do nothing but keep time, each on a core of its own: 1 or 2
    /// [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "What keeps time")]
    timekeepers: Option<u8>,

    #[command(flatten)]
    trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Host,
    EnclaveSim,
}

/// Why no clock can be had as the flags ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClock {
    #[error("--{flag} is for '--profile enclave-sim'")]
    NotForHost { flag: &'static str },
    #[error(
        "--{flag} vouches for the kernel's clocks, which '--profile enclave-sim' does not read"
    )]
    NotForEnclaveSim { flag: &'static str },
    #[error(
        "'--profile enclave-sim' needs --machine-profile FILE; where kernel and hypervisor are \
         trusted, 'tlease doctor --emit-profile FILE' writes one"
    )]
    NoMachineProfile,
    #[error("a clock has 1 or 2 timekeepers, not {0}")]
    Timekeepers(u8),
    #[error("cannot read the machine profile {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is no machine profile", path.display())]
    Malformed { path: PathBuf, source: BadProfile },
    #[error("{0}; see 'tlease doctor' for what this machine offers", Chain(fault))]
    Fault { fault: ClockFault },
}

impl Timing {
    /// Opens the clock.
    pub(crate) fn open(&self) -> Result<Clock, NoClock> {
        Clock::open(&self.profile()?).map_err(|fault| NoClock::Fault { fault })
    }

    fn profile(&self) -> Result<tlease_clock::Trust, NoClock> {
        match self.profile {
            Name::Host => self.host(),
            Name::EnclaveSim => Ok(self.enclave_sim()?.into()),
        }
    }

    fn host(&self) -> Result<tlease_clock::Trust, NoClock> {
        if self.machine_profile.is_some() {
            return Err(NoClock::NotForHost { flag: "machine-profile" });
        }
        if self.timekeepers.is_some() {
            return Err(NoClock::NotForHost { flag: "timekeepers" });
        }
        Ok(self.trust.profile().into())
    }

    fn enclave_sim(&self) -> Result<EnclaveSim, NoClock> {
        if let Some(flag) = self.trust.flag() {
            return Err(NoClock::NotForEnclaveSim { flag });
        }
        let count = match self.timekeepers {
            None | Some(1) => KeeperCount::One,
            Some(2) => KeeperCount::Two,
            Some(other) => return Err(NoClock::Timekeepers(other)),
        };
        let path = self.machine_profile.clone().ok_or(NoClock::NoMachineProfile)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(NoClock::Unreadable { path, source }),
        };
        let machine: MachineProfile =
            text.parse().map_err(|source| NoClock::Malformed { path, source })?;
        Ok(EnclaveSim::new(machine).keepers(count))
    }
}

impl From<NoClock> for Failure {
    fn from(why: NoClock) -> Self {
        let exit = match &why {
            NoClock::NotForHost { .. }
            | NoClock::NotForEnclaveSim { .. }
            | NoClock::NoMachineProfile
            | NoClock::Timekeepers(_) => Exit::Usage,
            NoClock::Unreadable { .. } | NoClock::Malformed { .. } | NoClock::Fault { .. } => {
                Exit::Unstartable
            }
        };
        Self::new(exit, Chain(&why).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct UnderTest {
        #[command(flatten)]
        timing: Timing,
    }

    fn refused(flags: &[&str]) -> Failure {
        let flags = [&["serve"], flags].concat();
        UnderTest::parse_from(flags).timing.profile().unwrap_err().into()
    }

    #[test]
    fn flags_of_the_other_profile_are_refused_by_name() {
        for (flags, says) in [
            (&["--timekeepers", "1"][..], "--timekeepers is for"),
            (&["--machine-profile", "x"], "--machine-profile is for"),
            (&["--profile", "enclave-sim"], "needs --machine-profile FILE"),
            (&["--profile", "enclave-sim", "--assume-bare-metal"], "--assume-bare-metal vouches"),
            (&["--profile", "enclave-sim", "--vmclock", "x"], "--vmclock vouches"),
            (&["--profile", "enclave-sim", "--timekeepers", "3"], "1 or 2 timekeepers, not 3"),
        ] {
            let failure = refused(flags);
            assert_eq!(failure.exit, Exit::Usage, "{flags:?}");
            assert!(failure.sentence.contains(says), "{flags:?}: {failure}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_machine_profile_is_said_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let sim = |path| refused(&["--profile", "enclave-sim", "--machine-profile", path]);
        let failure = sim("/nowhere/at/all");
        assert_eq!(failure.exit, Exit::Unstartable);
        assert!(failure.sentence.contains("/nowhere/at/all: No such file"), "{failure}");
        let known = "format = 1\nvendor = \"AuthenticAMD\"\nfamily = 25\nstepping = 1\nsmt = \"on\"\n\
                     core_hz_min = 1\ncore_hz_max = 2\ntsc_hz_min = 1\ntsc_hz_max = 2\n";
        for (line, says) in [
            ("", "is no machine profile: `model` is missing"),
            ("model = few", "line 10: `model` needs a number"),
            ("model = 255", "nobody has looked up how many cycles"),
            ("turbo = 1", "line 10: no profile has a `turbo`"),
        ] {
            fs::write(file.path(), format!("{known}{line}\n")).unwrap();
            let failure = sim(path);
            assert_eq!(failure.exit, Exit::Unstartable);
            assert!(
                failure.sentence.contains(says) && failure.sentence.contains(path),
                "{failure}"
            );
        }
    }
}
