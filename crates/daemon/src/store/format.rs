//! The text of a state: one `name value` a line, the format first, a checksum last.
//!
//! Text, because an operator in trouble reads it. There is one way to write a state, and nothing else
//! is read: so no byte can change unnoticed, and no field can be missing or come twice.

use core::fmt::Write as _;
use core::str::FromStr;

use tlease_core::granter::{Leftovers, Record, TokenKey};
use tlease_core::identity::Incarnation;
use tlease_core::time::Span;

use super::error::Corruption;
use super::{BootId, Holders};

/// All that the file `state` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) record: Record,
    /// The boot in which it was written, if the kernel told.
    pub(super) boot: Option<BootId>,
    pub(super) holders: Holders,
}

/// Why a text is no state of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    OtherFormat { found: u32 },
    Corrupt(Corruption),
}

impl State {
    pub(super) fn to_text(&self) -> String {
        let record = &self.record;
        let settled = record.settled.map_or(NONE.into(), |settled| settled.to_string());
        let leftovers = match record.leftovers {
            Leftovers::Possible => "possible",
            Leftovers::None => NONE,
        };
        let holders = match self.holders {
            Holders::OnThisMachine => "on-this-machine",
            Holders::Anywhere => "anywhere",
        };
        let boot = self.boot.as_ref().map_or(NONE, BootId::as_str);
        let mut text = format!(
            "{HEADER}{FORMAT}\n\
             incarnation {}\n\
             fence-mark {}\n\
             longest-promise-ns {}\n\
             settled {settled}\n\
             leftovers {leftovers}\n\
             token-key {}\n\
             boot {boot}\n\
             holders {holders}\n",
            record.incarnation,
            record.fence_mark,
            record.longest_promise.as_nanos(),
            hex(&record.token_key.0),
        );
        let checksum = crc32fast::hash(text.as_bytes());
        writeln!(text, "{CHECKSUM}{checksum:08x}").expect("a string grows");
        text
    }

    pub(super) fn from_text(text: &[u8]) -> Result<Self, Unreadable> {
        let found = format_of(text).ok_or(Unreadable::Corrupt(Corruption::NoHeader))?;
        if found != FORMAT {
            return Err(Unreadable::OtherFormat { found });
        }
        let body = checked(text).ok_or(Unreadable::Corrupt(Corruption::Checksum))?;
        let mut lines = Lines { rest: body, number: 1 };
        let state = lines.state().map_err(Unreadable::Corrupt)?;
        match state.to_text().as_bytes() == text {
            true => Ok(state),
            false => Err(Unreadable::Corrupt(lines.wrong())),
        }
    }
}

/// The format in the first line.
fn format_of(text: &[u8]) -> Option<u32> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    str::from_utf8(line).ok()?.strip_prefix(HEADER)?.parse().ok()
}

/// The lines between the first and the checksum, if that fits.
fn checked(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(text).ok()?;
    let (body, checksum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let covered = &text[..=body.len()];
    let checksum = u32::from_str_radix(checksum.strip_prefix(CHECKSUM)?, 16).ok()?;
    if crc32fast::hash(covered.as_bytes()) != checksum {
        return None;
    }
    covered.split_once('\n').map(|(_, rest)| rest)
}

/// The lines of a state, read in their order.
struct Lines<'a> {
    rest: &'a str,
    /// Of the line read last.
    number: usize,
}

impl<'a> Lines<'a> {
    fn state(&mut self) -> Result<State, Corruption> {
        let record = Record {
            incarnation: self
                .number("incarnation")
                .and_then(|number| Incarnation::new(number).ok_or_else(|| self.wrong()))?,
            fence_mark: self.number("fence-mark")?,
            longest_promise: Span::from_nanos(self.number("longest-promise-ns")?),
            settled: self.settled()?,
            leftovers: match self.value("leftovers")? {
                "possible" => Leftovers::Possible,
                NONE => Leftovers::None,
                _ => return Err(self.wrong()),
            },
            token_key: self
                .value("token-key")
                .and_then(|digits| unhex(digits).map(TokenKey).ok_or_else(|| self.wrong()))?,
        };
        let boot = match self.value("boot")? {
            NONE => None,
            id => Some(BootId::new(id).ok_or_else(|| self.wrong())?),
        };
        let holders = match self.value("holders")? {
            "on-this-machine" => Holders::OnThisMachine,
            "anywhere" => Holders::Anywhere,
            _ => return Err(self.wrong()),
        };
        Ok(State { record, boot, holders })
    }

    fn settled(&mut self) -> Result<Option<Incarnation>, Corruption> {
        match self.value("settled")? {
            NONE => Ok(None),
            number => {
                let number = number.parse().ok().and_then(Incarnation::new);
                number.map(Some).ok_or_else(|| self.wrong())
            }
        }
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<T, Corruption> {
        self.value(name)?.parse().map_err(|_| self.wrong())
    }

    /// The value of the next line, which must have this name.
    fn value(&mut self, name: &str) -> Result<&'a str, Corruption> {
        self.number += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| self.wrong())?;
        self.rest = rest;
        let value = line.strip_prefix(name).and_then(|line| line.strip_prefix(' '));
        value.ok_or_else(|| self.wrong())
    }

    const fn wrong(&self) -> Corruption {
        Corruption::Line { number: self.number }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string grows");
        digits
    })
}

fn unhex(digits: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

const HEADER: &str = "tlease granter state, format ";
/// Raised when a state of this version means nothing to an older one.
const FORMAT: u32 = 1;
const CHECKSUM: &str = "crc32 ";
const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn state() -> State {
        State {
            record: Record {
                incarnation: Incarnation::new(5).unwrap(),
                fence_mark: 1 << 20,
                longest_promise: Span::from_secs(5),
                settled: Incarnation::new(4),
                leftovers: Leftovers::Possible,
                token_key: TokenKey([0xa5; 16]),
            },
            boot: BootId::new("8a3c"),
            holders: Holders::Anywhere,
        }
    }

    #[test]
    fn the_text_of_a_state_is_this() {
        assert_eq!(
            state().to_text(),
            "tlease granter state, format 1\n\
             incarnation 5\n\
             fence-mark 1048576\n\
             longest-promise-ns 5000000000\n\
             settled 4\n\
             leftovers possible\n\
             token-key a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n\
             boot 8a3c\n\
             holders anywhere\n\
             crc32 309a3e01\n"
        );
    }

    #[test]
    fn every_state_reads_as_it_was_written() {
        for settled in [None, Incarnation::new(u64::MAX)] {
            for leftovers in [Leftovers::None, Leftovers::Possible] {
                for boot in [None, BootId::new("8a3c-77")] {
                    for holders in [Holders::OnThisMachine, Holders::Anywhere] {
                        let record = Record { settled, leftovers, ..state().record };
                        let state = State { record, boot: boot.clone(), holders };
                        assert_eq!(State::from_text(state.to_text().as_bytes()), Ok(state));
                    }
                }
            }
        }
    }

    #[test]
    fn a_state_cut_short_anywhere_is_refused() {
        let text = state().to_text();
        for len in 0..text.len() {
            assert!(State::from_text(&text.as_bytes()[..len]).is_err(), "{len} bytes");
        }
        assert!(State::from_text(format!("{text}\n").as_bytes()).is_err(), "more after its end");
    }

    #[test]
    fn a_state_with_any_byte_changed_to_any_other_is_refused() {
        let text = state().to_text().into_bytes();
        for at in 0..text.len() {
            for to in (0..=u8::MAX).filter(|to| *to != text[at]) {
                let mut changed = text.clone();
                changed[at] = to;
                assert!(State::from_text(&changed).is_err(), "byte {at} to {to:#04x}");
            }
        }
    }

    #[test]
    fn another_format_is_named_even_if_nothing_else_is_understood() {
        assert_eq!(
            State::from_text(b"tlease granter state, format 2\n\xff\xfe"),
            Err(Unreadable::OtherFormat { found: 2 })
        );
    }

    #[test]
    fn a_line_that_means_nothing_is_named_though_the_checksum_fits() {
        for (from, to, number) in [
            ("incarnation 5", "incarnation 0", 2),
            ("fence-mark 1048576", "fence-mark -1", 3),
            ("settled 4", "settled", 5),
            ("leftovers possible", "leftovers maybe", 6),
            ("token-key a5", "token-key +5", 7),
            ("boot 8a3c", "boot ../x", 8),
            ("holders anywhere", "holders", 9),
            ("holders anywhere", "holders anywhere\nmore 1", 9),
        ] {
            let text = state().to_text().replace(from, to);
            let body = &text[..text.find(CHECKSUM).unwrap()];
            let text = format!("{body}{CHECKSUM}{:08x}\n", crc32fast::hash(body.as_bytes()));
            assert_eq!(
                State::from_text(text.as_bytes()),
                Err(Unreadable::Corrupt(Corruption::Line { number })),
                "{to}"
            );
        }
    }
}
