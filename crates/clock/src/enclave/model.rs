//! The table of processors: how many cycles one link of the chain takes, at least.

use alloc::string::String;
use core::fmt;
use core::ops::RangeInclusive;

/// The CPU's model, as CPUID reports it: in a virtual machine the hypervisor's word, in an enclave the
/// host's (A14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuModel {
    /// `GenuineIntel`, `AuthenticAMD`, ...; empty where there is no CPUID.
    pub vendor: String,
    /// As in `/proc/cpuinfo`.
    pub family: u32,
    /// As in `/proc/cpuinfo`.
    pub model: u32,
    /// As in `/proc/cpuinfo`.
    pub stepping: u32,
}

/// The fewest core cycles that one dependent `imul r64, r64` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CyclesPerLink(u64);

/// How a row of the table is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Measured by this project, beside a chain of dependent additions of one cycle each.
    Measured,
    /// From published latency tables (the vendors' optimisation manuals, Agner Fog, uops.info).
    Published,
}

impl CpuModel {
    /// What one link takes on this model; `None` if the table does not know it.
    ///
    /// The least of all cores of the model, so that a slower core of a hybrid processor only makes the
    /// slow hand slower.
    #[must_use]
    pub fn cycles_per_link(&self) -> Option<(CyclesPerLink, Shown)> {
        let row = TABLE.iter().find(|row| row.covers(self))?;
        Some((CyclesPerLink(row.cycles), row.shown))
    }
}

impl CyclesPerLink {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for CpuModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vendor, family, model, stepping } = self;
        write!(f, "{vendor} family {family} model {model} stepping {stepping}")
    }
}

/// Models of one kind of core. All steppings: none is known to differ.
struct Row {
    vendor: &'static str,
    family: u32,
    models: &'static [RangeInclusive<u32>],
    cycles: u64,
    shown: Shown,
}

impl Row {
    fn covers(&self, cpu: &CpuModel) -> bool {
        self.vendor == cpu.vendor
            && self.family == cpu.family
            && self.models.iter().any(|models| models.contains(&cpu.model))
    }
}

const INTEL: &str = "GenuineIntel";
const AMD: &str = "AuthenticAMD";

const fn one(model: u32) -> RangeInclusive<u32> {
    model..=model
}

const fn row(
    vendor: &'static str,
    family: u32,
    models: &'static [RangeInclusive<u32>],
    shown: Shown,
) -> Row {
    Row { vendor, family, models, cycles: 3, shown }
}

/// Nothing is added here without a source: a processor that executes a link in fewer cycles than its row
/// says makes the slow hand fast, and a granter on it frees early.
const TABLE: &[Row] = &[
    // Nehalem and Westmere.
    row(
        INTEL,
        6,
        &[one(0x1a), 0x1e..=0x1f, one(0x2e), one(0x25), one(0x2c), one(0x2f)],
        Shown::Published,
    ),
    // Sandy Bridge, Ivy Bridge.
    row(INTEL, 6, &[one(0x2a), one(0x2d), one(0x3a), one(0x3e)], Shown::Published),
    // Haswell, Broadwell.
    row(INTEL, 6, &[0x3c..=0x3d, one(0x3f), 0x45..=0x47, one(0x4f), one(0x56)], Shown::Published),
    // Skylake to Comet Lake, Skylake-SP to Cooper Lake.
    row(
        INTEL,
        6,
        &[one(0x4e), one(0x5e), one(0x55), one(0x8e), one(0x9e), 0xa5..=0xa6],
        Shown::Published,
    ),
    // Ice Lake, Tiger Lake, Rocket Lake.
    row(INTEL, 6, &[one(0x6a), one(0x6c), 0x7d..=0x7e, 0x8c..=0x8d, one(0xa7)], Shown::Published),
    // Alder Lake, Raptor Lake: their efficient cores take 5 cycles.
    row(INTEL, 6, &[one(0x97), one(0x9a), one(0xb7), one(0xba), one(0xbf)], Shown::Published),
    // Sapphire Rapids, Emerald Rapids.
    row(INTEL, 6, &[one(0x8f), one(0xcf)], Shown::Measured),
    // Zen, Zen+ (4 cycles, some say: 3 is below), Zen 2.
    row(
        AMD,
        0x17,
        &[one(0x01), one(0x08), one(0x11), one(0x18), one(0x20), one(0x31), one(0x60), one(0x68)],
        Shown::Published,
    ),
    row(AMD, 0x17, &[one(0x71), one(0x90), one(0x98), one(0xa0)], Shown::Published),
    // Zen 3.
    row(AMD, 0x19, &[0x00..=0x0f, 0x20..=0x2f, 0x40..=0x5f], Shown::Published),
    // Zen 4 servers.
    row(AMD, 0x19, &[0x10..=0x1f, 0xa0..=0xaf], Shown::Measured),
    // Zen 4 clients.
    row(AMD, 0x19, &[0x60..=0x7f], Shown::Published),
    // Zen 5.
    row(AMD, 0x1a, &[0x00..=0x7f], Shown::Published),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(vendor: &str, family: u32, model: u32) -> CpuModel {
        CpuModel { vendor: vendor.into(), family, model, stepping: 1 }
    }

    #[test]
    fn known_models_take_three_cycles_and_unknown_ones_are_refused() {
        let cycles = |cpu: CpuModel| cpu.cycles_per_link().map(|(cycles, _)| cycles.get());
        assert_eq!(cycles(cpu(AMD, 25, 17)), Some(3));
        assert_eq!(cycles(cpu(INTEL, 6, 0xcf)), Some(3));
        assert_eq!(cycles(cpu(INTEL, 6, 0xc6)), None, "nobody has looked it up");
        assert_eq!(cycles(cpu(INTEL, 15, 0x8f)), None);
        assert_eq!(cycles(cpu("", 0, 0)), None);
    }

    #[test]
    fn no_model_is_in_two_rows() {
        for vendor in [INTEL, AMD] {
            for (family, model) in (0..0x20).flat_map(|family| (0..0x100).map(move |m| (family, m)))
            {
                let cpu = cpu(vendor, family, model);
                assert!(TABLE.iter().filter(|row| row.covers(&cpu)).count() <= 1, "{cpu}");
            }
        }
    }
}
