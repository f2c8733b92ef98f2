//! A deadline as plain data, for another process on the same machine.

use core::fmt;

use tlease_core::time::{FastInstant, Span, Ticks};

use crate::host::{HostClock, Identity, mark_pair};
use crate::lease::Check;
use crate::segment::Offset;

/// Until when a lease is usable, in readings that any process of this boot and time namespace can
/// compare with its own clocks. A watchdog gets it through a pipe.
///
/// # Examples
/// ```
/// use tlease_clock::{Check, Deadline, HostClock, Profile};
/// use tlease_core::time::Span;
/// let clock = HostClock::open(&Profile::host())?;
/// let anchor = clock.fast_now().send_anchor();
/// let deadline = clock.deadline(&anchor, Span::from_secs(5)).expect("a term that can be shown");
/// // ... through a pipe ...
/// let deadline = Deadline::from_bytes(&deadline.to_bytes()).expect("as it was written");
/// assert!(matches!(clock.check(&deadline), Check::Valid { .. }));
/// # Ok::<(), tlease_clock::OpenFault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    pub(crate) identity: Identity,
    /// The first `CLOCK_MONOTONIC_RAW` reading at which the lease may be over.
    pub(crate) raw: Ticks,
    /// The clock offset at the beginning of its segment, if suspends are watched.
    pub(crate) offset_floor: Option<Offset>,
    /// VMClock's markers then; zeroes without it.
    pub(crate) marks: (u64, u64),
}

impl Deadline {
    /// How long its encoding is.
    pub const BYTES: usize = 64;

    /// The deadline on `CLOCK_MONOTONIC_RAW`: the first reading, in ns, at which it may have passed.
    #[must_use]
    pub const fn raw(&self) -> Ticks {
        self.raw
    }

    /// Encodes it for a pipe: little-endian, of fixed length.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let Offset(offset) = self.offset_floor.unwrap_or(Offset(0));
        let watched = u64::from(self.offset_floor.is_some());
        let [boot_low, boot_high] = halves(self.identity.boot);
        let fields = [
            VERSION | watched << 32,
            boot_low,
            boot_high,
            self.identity.time_namespace,
            self.raw.0,
            offset,
            self.marks.0,
            self.marks.1,
        ];
        let mut bytes = [0; Self::BYTES];
        for (chunk, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *chunk = field.to_le_bytes();
        }
        bytes
    }

    /// Decodes it; `None` if these bytes are of another version, or none at all.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let mut fields = [0; 8];
        for (field, chunk) in fields.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *field = u64::from_le_bytes(*chunk);
        }
        let [head, boot_low, boot_high, time_namespace, raw, offset, disruption, generation] =
            fields;
        let offset_floor = match head.checked_sub(VERSION)? {
            0 => None,
            WATCHED => Some(Offset(offset)),
            _ => return None,
        };
        let boot = u128::from(boot_high) << 64 | u128::from(boot_low);
        Some(Self {
            identity: Identity { boot, time_namespace },
            raw: Ticks(raw),
            offset_floor,
            marks: (disruption, generation),
        })
    }
}

impl HostClock {
    /// The deadline of a term since an anchor of the live segment, for another process.
    ///
    /// `None` if the segment is over or the term is too short to be shown. Rounded down, less the
    /// suspended time that a segment can hide.
    #[must_use]
    pub fn deadline(&self, anchor: &FastInstant, term: Span) -> Option<Deadline> {
        let evidence = self.evidence();
        if evidence.segment != anchor.segment() {
            return None;
        }
        let Ticks(raw) = self.fast_hand().deadline(anchor, term, 0)?;
        Some(Deadline {
            identity: *self.identity(),
            raw: Ticks(raw.checked_sub(self.hidden_suspend().as_nanos())?),
            offset_floor: self.offset_floor_of(&evidence),
            marks: mark_pair(evidence.marks),
        })
    }

    /// What can be said of a deadline that this or another process wrote.
    ///
    /// `Suspect` if this clock cannot compare it: another boot or time namespace, a suspend or a
    /// disruption since its anchor.
    ///
    /// # Timing
    /// As [`LeaseCell::check`](crate::LeaseCell::check).
    pub fn check(&self, deadline: &Deadline) -> Check {
        if deadline.identity != *self.identity() {
            return Check::Suspect;
        }
        // Reads interrupted in the middle show nothing: a few times again, then suspect.
        for _ in 0..READS_MAX {
            let (Ticks(raw), offset) = self.raw_and_offset();
            let Some(left) = deadline.raw.0.checked_sub(raw).filter(|left| *left > 0) else {
                return Check::Expired;
            };
            if self.marks_now() != Some(deadline.marks) {
                return Check::Suspect;
            }
            if deadline.offset_floor.is_none_or(|floor| offset.within_blur_of(floor)) {
                return Check::Valid { remaining: Span::from_nanos(left) };
            }
        }
        Check::Suspect
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CLOCK_MONOTONIC_RAW {} ns", self.raw.0)
    }
}

/// Set beside the version if suspends are watched.
const WATCHED: u64 = 1 << 32;
const VERSION: u64 = 1;
const READS_MAX: u32 = 8;

/// The low and the high half.
fn halves(number: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = number.to_le_bytes();
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(rest)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_deadline_survives_its_encoding(
            boot: u128, time_namespace: u64, raw: u64, offset: Option<u64>, marks: (u64, u64)
        ) {
            let deadline = Deadline {
                identity: Identity { boot, time_namespace },
                raw: Ticks(raw),
                offset_floor: offset.map(Offset),
                marks,
            };
            prop_assert_eq!(Deadline::from_bytes(&deadline.to_bytes()), Some(deadline));
        }

        #[test]
        fn foreign_bytes_are_refused(bytes in prop::array::uniform32(any::<u8>()), version in 2_u8..) {
            let mut encoded = [0; Deadline::BYTES];
            encoded[32..].copy_from_slice(&bytes);
            encoded[0] = version;
            prop_assert_eq!(Deadline::from_bytes(&encoded), None);
        }
    }
}
