//! What can be measured of a processor for its machine profile, in a setting that is trusted.

use std::fs;

use tlease_core::time::{Span, Ticks};

use crate::arch::clocks::{KernelClock, KernelClocks};
use crate::arch::{Chain, Cpu, counter};
use crate::enclave::{
    BEAT_LINKS, CpuModel, CyclesPerLink, Hertz, HzRange, MachineProfile, NotAdmitted, Shown,
    SimOpenFault, Smt,
};

/// What was found of a processor, and what a machine profile makes of it.
///
/// Nothing of it is proved, and a host that lies while it is measured makes a profile that lets him lie
/// for ever after. Take it where the kernel and the hypervisor are trusted, and compare
/// [`Survey::core_hz_max`] with the vendor's figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The model, as CPUID reports it.
    pub cpu: CpuModel,
    /// How many cycles a link takes on it, and how that is known.
    pub cycles: (CyclesPerLink, Shown),
    /// The rate of the counter by `CLOCK_MONOTONIC_RAW`: all that its readings leave open.
    pub tsc_hz: HzRange,
    /// How fast cores were seen to execute: all but the slowest twentieth of the windows, of which
    /// interruptions are a part. Low by the price of reading the counter, some hundredths.
    pub core_hz_seen: HzRange,
    /// The highest frequency that the kernel states for any core, if it states one.
    pub core_hz_stated: Option<Hertz>,
    /// Whether threads share cores, if the kernel says.
    pub smt: Option<Smt>,
}

impl Survey {
    /// Measures for this long, spinning.
    ///
    /// # Errors
    /// [`SimOpenFault::NotAdmitted`] if the model is not known, [`SimOpenFault::CounterVaries`].
    pub fn take(watch: Span) -> Result<Self, SimOpenFault> {
        let cpu = CpuModel::here();
        let unknown = || SimOpenFault::NotAdmitted(NotAdmitted::UnknownModel(cpu.clone()));
        let cycles = cpu.cycles_per_link().ok_or_else(unknown)?;
        if !Cpu::has_invariant_tsc() {
            return Err(SimOpenFault::CounterVaries);
        }
        let Run { windows, tsc_hz } = run(watch).ok_or(SimOpenFault::CounterVaries)?;
        let core_hz_seen = speeds(windows, cycles.0, tsc_hz).ok_or(SimOpenFault::CounterVaries)?;
        let core_hz_stated = stated_max();
        Ok(Self { cpu, cycles, tsc_hz, core_hz_seen, core_hz_stated, smt: smt() })
    }

    /// The profile: each range wider than what was seen, by as much as is said at its method.
    ///
    /// # Errors
    /// As [`MachineProfile::assume`].
    pub fn profile(&self) -> Result<MachineProfile, NotAdmitted> {
        MachineProfile::assume(
            self.cpu.clone(),
            range(self.core_hz_min().get(), self.core_hz_max().get()),
            self.tsc_hz_admitted(),
            self.smt.unwrap_or(Smt::On),
        )
    }

    /// The counter's rate, widened by 300 ppm on both sides: what the kernel's clock is taken to be off
    /// by (A1, A2). The holder's hand rests on it.
    #[must_use]
    pub fn tsc_hz_admitted(&self) -> HzRange {
        let (min, max) = (self.tsc_hz.min().get(), self.tsc_hz.max().get());
        let min = min.saturating_sub(ppm_ceil(min, DRIFT_PPM));
        range(min, max.saturating_add(ppm_ceil(max, DRIFT_PPM)))
    }

    /// No core is taken to run faster: what the kernel states, or what was seen and a tenth, whichever is
    /// more; without a statement what was seen and a half. Rounded up to a MHz. The granter's hand rests
    /// on it.
    #[must_use]
    pub fn core_hz_max(&self) -> Hertz {
        let seen = self.core_hz_seen.max().get();
        let max = match self.core_hz_stated {
            Some(stated) => stated.get().max(seen.saturating_add(seen.div_euclid(10))),
            None => seen.saturating_add(seen.div_euclid(2)),
        };
        hertz(max.div_ceil(MHZ).saturating_mul(MHZ))
    }

    /// No core is taken to run slower: half of the slowest that was seen, but no less than an eighth of the
    /// fastest, since on a busy machine most of what seems slow was interrupted. Rounded down to a MHz. A
    /// slower core is taken for an interrupted one.
    #[must_use]
    pub fn core_hz_min(&self) -> Hertz {
        let half = self.core_hz_seen.min().get().div_euclid(2);
        let least = self.core_hz_seen.max().get().div_euclid(8);
        hertz(half.max(least).div_euclid(MHZ).saturating_mul(MHZ))
    }
}

struct Run {
    /// Ticks that each window of links took.
    windows: Vec<u64>,
    tsc_hz: HzRange,
}

/// Executes links and times them; `None` if the counter does not advance with the kernel's clock.
fn run(watch: Span) -> Option<Run> {
    let clocks = KernelClocks::find();
    let raw = || {
        let Ticks(raw) = clocks.read(KernelClock::Raw);
        raw
    };
    let mut chain = Chain::begin();
    let mut windows = Vec::new();
    let before_first = raw();
    let Ticks(first) = counter();
    let after_first = raw();
    let mut begin = first;
    loop {
        let mut end = begin;
        for _ in 0..WINDOW_BEATS {
            Ticks(end) = chain.beat();
        }
        windows.push(end.checked_sub(begin)?);
        begin = end;
        if windows.len() >= WINDOWS_MIN
            && raw().saturating_sub(after_first) >= watch.as_nanos().min(WATCH_MAX.as_nanos())
        {
            break;
        }
    }
    let before_last = raw();
    let Ticks(last) = counter();
    let after_last = raw();
    let ticks = last.checked_sub(first).filter(|ticks| *ticks > 0)?;
    let per_second = |nanos: u64, up: u128| {
        let ticks = u128::from(ticks).saturating_mul(1_000_000_000);
        let hertz = ticks.saturating_add(up).checked_div(nanos.into())?;
        Hertz::new(u64::try_from(hertz).ok()?)
    };
    let longest = after_last.checked_sub(before_first)?;
    let shortest = before_last.checked_sub(after_first)?;
    let fastest = per_second(shortest, u128::from(shortest).saturating_sub(1))?;
    let tsc_hz = HzRange::assume(per_second(longest, 0)?, fastest)?;
    Some(Run { windows, tsc_hz })
}

/// The slowest and the fastest core speed that windows show.
fn speeds(mut windows: Vec<u64>, cycles: CyclesPerLink, tsc_hz: HzRange) -> Option<HzRange> {
    windows.sort_unstable();
    let slow = windows.len().saturating_mul(SLOWEST_PERCENT).div_euclid(100);
    let cycles = WINDOW_BEATS.saturating_mul(BEAT_LINKS).saturating_mul(cycles.get());
    let speed = |ticks: u64, tsc: Hertz| {
        let cycles = u128::from(cycles).saturating_mul(tsc.get().into());
        Hertz::new(u64::try_from(cycles.checked_div(ticks.into())?).ok()?)
    };
    let slowest = speed(*windows.get(slow)?, tsc_hz.min())?;
    HzRange::assume(slowest, speed(*windows.first()?, tsc_hz.max())?)
}

/// The highest frequency that any core is stated to have, turbo included.
fn stated_max() -> Option<Hertz> {
    let cores = fs::read_dir("/sys/devices/system/cpu").ok()?;
    let stated = cores.filter_map(|core| {
        let path = core.ok()?.path().join("cpufreq/cpuinfo_max_freq");
        let khz: u64 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        Hertz::new(khz.checked_mul(1_000)?)
    });
    stated.max()
}

fn smt() -> Option<Smt> {
    match fs::read_to_string("/sys/devices/system/cpu/smt/active").ok()?.trim() {
        "0" => Some(Smt::Off),
        "1" => Some(Smt::On),
        _ => None,
    }
}

fn ppm_ceil(of: u64, ppm: u64) -> u64 {
    let part = u128::from(of).saturating_mul(ppm.into()).div_ceil(1_000_000);
    u64::try_from(part).unwrap_or(u64::MAX)
}

fn range(min: u64, max: u64) -> HzRange {
    HzRange::assume(hertz(min), hertz(max)).expect("widened on both sides")
}

/// At least 1 Hz.
fn hertz(number: u64) -> Hertz {
    Hertz::new(number.max(1)).expect("at least 1")
}

const MHZ: u64 = 1_000_000;
const DRIFT_PPM: u64 = 300;
/// As long as a window of the rate check: some 4 us.
const WINDOW_BEATS: u64 = 16;
const WINDOWS_MIN: usize = 100;
const SLOWEST_PERCENT: usize = 95;
/// Two million windows, 20 MB.
const WATCH_MAX: Span = Span::from_secs(10);

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn hz(min: u64, max: u64) -> HzRange {
        range(min, max)
    }

    pub(crate) fn survey(stated: Option<u64>) -> Survey {
        let cpu = CpuModel { vendor: "AuthenticAMD".into(), family: 25, model: 17, stepping: 1 };
        Survey {
            cycles: cpu.cycles_per_link().unwrap(),
            cpu,
            tsc_hz: hz(2_500_000_000, 2_500_000_100),
            core_hz_seen: hz(3_000_000_001, 3_000_000_001),
            core_hz_stated: stated.map(hertz),
            smt: None,
        }
    }

    #[test]
    fn every_range_is_wider_than_what_was_seen() {
        let profile = survey(None).profile().unwrap();
        assert_eq!(profile.core_hz(), hz(1_500_000_000, 4_501_000_000));
        assert_eq!(profile.tsc_hz(), hz(2_499_250_000, 2_500_750_101));
        assert_eq!(profile.smt(), Smt::On, "where it is not known");
        let busy = Survey { core_hz_seen: hz(7, 4_000_000_000), ..survey(None) };
        assert_eq!(busy.core_hz_min(), hertz(500_000_000), "it was interrupted, not slow");
        assert_eq!(survey(Some(3_100_000_000)).core_hz_max(), hertz(3_301_000_000));
        assert_eq!(survey(Some(3_700_000_000)).core_hz_max(), hertz(3_700_000_000));
    }

    #[test]
    fn the_fastest_window_and_all_but_the_slowest_twentieth_count() {
        let cycles = survey(None).cycles.0;
        let ticks = WINDOW_BEATS * BEAT_LINKS * 3;
        let mut windows = vec![2 * ticks; 6];
        windows.extend(vec![ticks; 100]);
        windows.extend(vec![1_000 * ticks; 5]);
        let seen = speeds(windows, cycles, hz(1_000_000_000, 1_000_000_000)).unwrap();
        assert_eq!(seen, hz(500_000_000, 1_000_000_000));
    }

    #[test]
    fn this_machine_admits_its_own_profile() {
        let survey = match Survey::take(Span::from_millis(20)) {
            Ok(survey) => survey,
            Err(why) => return println!("skipped: {why}"),
        };
        let profile = survey.profile().unwrap();
        assert_eq!(profile.admits(&CpuModel::here()), Ok(()));
        let (seen, core) = (survey.core_hz_seen, profile.core_hz());
        assert!(core.min() < seen.max() && seen.max() < core.max(), "{survey:?}");
        assert!(profile.tsc_hz().min() < survey.tsc_hz.min(), "{survey:?}");
    }
}
