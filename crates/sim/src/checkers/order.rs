//! The order of effects under the leases of one name. Not a checker: I7 and I8 use it.

use std::collections::BTreeMap;

use tlease_core::{Fence, Mode};

/// The fences under which something happened, by name.
#[derive(Debug, Default)]
pub(crate) struct Order(BTreeMap<u64, Vec<(Fence, Mode)>>);

impl Order {
    /// No effect comes after one of a later lease that excludes it. Written without the gate's shortcut:
    /// every effect before is looked at, but equal ones are kept once.
    pub(crate) fn happened(&mut self, name: u64, fence: Fence, mode: Mode) -> Result<(), String> {
        let before = self.0.entry(name).or_default();
        let excludes = |other: Mode| mode == Mode::Exclusive || other == Mode::Exclusive;
        let later = before.iter().find(|(other, its)| *other > fence && excludes(*its));
        if let Some((other, its)) = later {
            return Err(format!(
                "an effect under {mode} {fence} on name {name} after one under {its} {other}"
            ));
        }
        if !before.contains(&(fence, mode)) {
            before.push((fence, mode));
        }
        Ok(())
    }
}
