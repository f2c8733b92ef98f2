//! XBEGIN, made illegal.
//!
//! Some of Intel's processors do not say that they have transactions and yet know the instruction: it
//! aborts at once, always (what their microcode does against TAA). Nothing would trap, and nothing could
//! be emulated. So XBEGIN is overwritten in memory, with an encoding next to it that is no instruction.

use core::arch::x86_64::__cpuid;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::io;

/// XBEGIN, as far as it is opcode, and what takes its place.
pub(crate) const BEGIN: [u8; 2] = [0xc7, 0xf8];
pub(crate) const ILLEGAL: [u8; 2] = [0xc7, 0xf9];

/// Where this code has an XBEGIN that this processor might run instead of refuse it: the offsets of the
/// bytes to be overwritten with [`IN_PLACE`].
pub fn to_overwrite(code: &[u8]) -> impl Iterator<Item = usize> {
    let is_intel = __cpuid(0).ebx.to_le_bytes() == *b"Genu";
    let ends = if is_intel { code.len().saturating_sub(LENGTH - 1) } else { 0 };
    (0..ends).filter(|at| is_begin(code, *at)).map(|at| at + 1)
}

/// What is written over such a byte.
pub const IN_PLACE: u8 = ILLEGAL[1];

/// Code names the fallback, which is near; other bytes that look like the opcode name anything.
fn is_begin(code: &[u8], at: usize) -> bool {
    let Some([first, second, fallback @ ..]) = code.get(at..at + LENGTH) else { return false };
    // 0F C7 F8 is RDSEED.
    let is_tail = at > 0 && code[at - 1] == 0x0f;
    let fallback = fallback.try_into().map_or(i32::MAX, i32::from_le_bytes);
    [*first, *second] == BEGIN && !is_tail && fallback.unsigned_abs() < FALLBACK_MAX
}

/// Overwrites XBEGIN in this program. Other threads may run it meanwhile.
pub(crate) fn overwrite_in_this_program() -> io::Result<()> {
    let program = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let own = maps.lines().filter(|line| line.ends_with(&*program.to_string_lossy()));
    for line in own {
        let mut words = line.split_whitespace();
        let (Some(range), Some("r-xp")) = (words.next(), words.next()) else { continue };
        let number = |word: &str| usize::from_str_radix(word, 16).map_err(io::Error::other);
        let (start, end) = range.split_once('-').unwrap_or_default();
        let (start, end) = (number(start)?, number(end)?);
        overwrite(start, end.saturating_sub(start))?;
    }
    Ok(())
}

fn overwrite(start: usize, length: usize) -> io::Result<()> {
    let code = ptr::with_exposed_provenance_mut::<u8>(start);
    // WHY: the program's own code has no name in Rust.
    // SAFETY: the kernel has just said that these bytes are mapped and can be read; they stay so, and
    // nobody but us writes them.
    let bytes = unsafe { slice::from_raw_parts(code, length) };
    let places: Vec<usize> = to_overwrite(bytes).collect();
    if places.is_empty() {
        return Ok(());
    }
    protect(start, length, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)?;
    for place in places {
        // WHY: as above.
        // SAFETY: within the mapping, which was just made writable. One byte, so that whoever runs it
        // meanwhile finds the one instruction or the other.
        unsafe { AtomicU8::from_ptr(code.wrapping_add(place)) }.store(IN_PLACE, SeqCst);
    }
    protect(start, length, libc::PROT_READ | libc::PROT_EXEC)
}

fn protect(start: usize, length: usize, rights: libc::c_int) -> io::Result<()> {
    let start = ptr::with_exposed_provenance_mut(start);
    // WHY: rights of pages are the kernel's to change.
    // SAFETY: whole pages of this program's code, which stay readable and executable.
    let result = unsafe { libc::mprotect(start, length, rights) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opcode and displacement.
const LENGTH: usize = 6;
/// Bytes of the longest function with a transaction in it, and some.
const FALLBACK_MAX: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_an_xbegin_is_found() {
        let begin = [0xc7, 0xf8, 0x10, 0, 0, 0];
        assert!(is_begin(&begin, 0));
        assert!(
            is_begin(&[0xc7, 0xf8, 0xf0, 0xff, 0xff, 0xff], 0),
            "the fallback may be before it"
        );
        assert!(!is_begin(&[0xc7, 0xf8, 0, 0, 1, 0], 0), "no fallback is that far away");
        assert!(!is_begin(&[0x0f, 0xc7, 0xf8, 0, 0, 0, 0], 1), "RDSEED");
        assert!(!is_begin(&begin[..5], 0), "not the whole of it");
        assert!(!is_begin(&[0xc7, 0xf9, 0, 0, 0, 0], 0), "done already");
    }
}
