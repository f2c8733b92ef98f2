//! Finds the kernel's `clock_gettime` in the vDSO, once.
//!
//! libc would do for reading clocks, but not inside a transaction: its `clock_gettime` goes through a
//! procedure linkage table and a loader variable, pages that nothing else touches. Once their
//! Accessed bit is cleared, every transaction that needs them aborts, for ever.

use core::ffi::c_int;
use std::fs;

/// The kernel's function, mapped into every process: `int clock_gettime(clockid_t, timespec *)`.
pub(crate) type ClockGettime = extern "C" fn(c_int, &mut Timespec) -> c_int;

/// What the kernel writes: seconds and nanoseconds.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timespec {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

/// Where the vDSO keeps `clock_gettime`, if this kernel maps one.
pub(crate) fn clock_gettime() -> Option<ClockGettime> {
    // WHY: the auxiliary vector has no safe wrapper for this entry.
    // SAFETY: no precondition; 0 means absent.
    let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let base = usize::try_from(base).ok().filter(|base| *base != 0)?;
    let image_len = mapped_len(&fs::read_to_string("/proc/self/maps").ok()?, base)?;
    let image = core::ptr::with_exposed_provenance::<u8>(base);
    // WHY: the image is not a Rust object.
    // SAFETY: the kernel mapped `image_len` readable bytes at `base` (it lists them in
    // /proc/self/maps), never changes or unmaps them, and this process does not either.
    let image = unsafe { core::slice::from_raw_parts(image, image_len) };
    let offset = symbol_offset(image, SYMBOL)?;
    let code: *const u8 = image.get(offset)?;
    // WHY: a function found by its name has no Rust type.
    // SAFETY: the vDSO's ABI: this symbol is a C function of exactly this signature. It writes the
    // timespec and nothing else of ours.
    Some(unsafe { core::mem::transmute::<*const u8, ClockGettime>(code) })
}

#[cfg(target_arch = "x86_64")]
const SYMBOL: &[u8] = b"__vdso_clock_gettime";
#[cfg(not(target_arch = "x86_64"))]
const SYMBOL: &[u8] = b"__kernel_clock_gettime";

/// The length of the mapping that begins at `base`, from the text of `/proc/self/maps`.
fn mapped_len(maps: &str, base: usize) -> Option<usize> {
    maps.lines().find_map(|line| {
        let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (start == base).then(|| end.checked_sub(start))?
    })
}

/// The offset of a dynamic symbol in a 64-bit little-endian ELF image that is mapped as it is in the
/// file, as the vDSO is. Total: a malformed image gives `None`.
fn symbol_offset(image: &[u8], name: &[u8]) -> Option<usize> {
    const ELF64_LE: &[u8] = b"\x7fELF\x02\x01";
    const SECTION_DYNSYM: u32 = 11;
    if !image.starts_with(ELF64_LE) {
        return None;
    }
    let sections = Table { image, start: offset(image, 0x28)?, entry: 64 };
    let count = usize::from(u16_at(image, 0x3c)?);
    let symbols = (0..count)
        .filter_map(|index| sections.entry(index))
        .find(|section| u32_at(section, 4) == Some(SECTION_DYNSYM))?;
    let strings = sections.entry(usize::try_from(u32_at(symbols, 0x28)?).ok()?)?;
    let names = image.get(offset(strings, 0x18)?..)?;
    let table = Table { image, start: offset(symbols, 0x18)?, entry: 24 };
    let count = offset(symbols, 0x20)?.checked_div(table.entry)?;
    (0..count).filter_map(|index| table.entry(index)).find_map(|symbol| {
        let at = names.get(usize::try_from(u32_at(symbol, 0)?).ok()?..)?;
        let found = at.starts_with(name) && at.get(name.len()) == Some(&0);
        (found && u16_at(symbol, 6)? != 0).then(|| offset(symbol, 8))?
    })
}

/// An array of fixed-size entries in an image.
struct Table<'a> {
    image: &'a [u8],
    start: usize,
    entry: usize,
}

impl<'a> Table<'a> {
    fn entry(&self, index: usize) -> Option<&'a [u8]> {
        let start = index.checked_mul(self.entry)?.checked_add(self.start)?;
        self.image.get(start..start.checked_add(self.entry)?)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// A 64-bit field that is an offset or a size.
fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)?;
    usize::try_from(field).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mapping_is_found_by_its_start() {
        let maps = "55-66 r-xp 0 00:00 0 /bin/x\n7ffff000-7ffff200 r-xp 0 00:00 0 [vdso]\n";
        assert_eq!(mapped_len(maps, 0x7fff_f000), Some(0x200));
        assert_eq!(mapped_len(maps, 0x7fff_f001), None);
        assert_eq!(mapped_len("garbage\n-\n", 0), None);
    }

    #[test]
    fn the_function_found_reads_the_clock() {
        let Some(read) = clock_gettime() else {
            println!("skipped: this kernel maps no vDSO");
            return;
        };
        let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let mut now = Timespec::default();
        assert_eq!(read(libc::CLOCK_MONOTONIC, &mut now), 0);
        assert!((now.seconds, now.nanoseconds) >= (before.tv_sec, before.tv_nsec));
    }

    proptest! {
        #[test]
        fn no_image_makes_the_search_panic(
            mut image in prop::collection::vec(any::<u8>(), 0..512),
        ) {
            if let Some(start) = image.first_chunk_mut::<6>() {
                *start = *b"\x7fELF\x02\x01";
            }
            symbol_offset(&image, SYMBOL);
        }
    }
}
