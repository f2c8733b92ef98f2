//! The pages of the program or library that a piece of code belongs to.
//!
//! An instruction fetch or a load of a constant cannot set an Accessed bit inside a transaction either.
//! Where the code and the constants of a body lie is not known (the compiler inlines and outlines as it
//! likes), so after a second abort without a cause every page of the object is read.

use core::ops::Range;
use core::ptr;

use super::PAGE;

/// Reads one byte of each page of the object that contains the address, up to [`PAGES_MAX`].
#[cold]
#[inline(never)]
pub(crate) fn read_all(code: *const u8) {
    let object = object_around(code);
    let pages = object.segments.into_iter().flat_map(|segment| segment.step_by(PAGE));
    pages.take(PAGES_MAX).for_each(read_page);
}

/// Reads one byte of each page within [`NEAR_PAGES`] of the address, in the object's own segments.
#[cold]
#[inline(never)]
pub(crate) fn read_near(code: *const u8) {
    let near = NEAR_PAGES.saturating_mul(PAGE);
    let around = code.addr().saturating_sub(near)..code.addr().saturating_add(near);
    for segment in object_around(code).segments {
        let near = segment.start.max(around.start)..segment.end.min(around.end);
        near.step_by(PAGE).for_each(read_page);
    }
}

/// Pages on each side that count as near: 32 KiB of code around the transaction.
const NEAR_PAGES: usize = 8;
/// Pages read of one object: 256 MiB, so that a program with huge static arrays is not stalled.
const PAGES_MAX: usize = 1 << 16;

fn read_page(address: usize) {
    let byte = ptr::with_exposed_provenance::<u8>(address);
    // WHY: a volatile read is the only one the compiler must make, and racing with whoever writes the
    // page's statics must be harmless: the value is not used.
    // SAFETY: the address lies in a segment that the loader mapped readable, of the object whose code
    // runs right now, so it stays mapped. A volatile byte has no invalid values.
    let byte = unsafe { byte.read_volatile() };
    core::hint::black_box(byte);
}

/// An object of this process: the segments that the loader mapped readable.
struct Object {
    segments: Vec<Range<usize>>,
}

/// The object that contains the address; without segments if none does.
fn object_around(code: *const u8) -> Object {
    let mut search = Search { address: code.addr(), found: Vec::new() };
    // WHY: libc's list of loaded objects has no safe wrapper.
    // SAFETY: `look` has the signature that dl_iterate_phdr asks for and `search` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    Object { segments: search.found }
}

struct Search {
    address: usize,
    found: Vec<Range<usize>>,
}

/// Called for each loaded object; a value other than 0 ends the search.
extern "C" fn look(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut core::ffi::c_void,
) -> core::ffi::c_int {
    // WHY: a C callback gets its context as a raw pointer.
    // SAFETY: the pointer made in `object_around`, to a `Search` that nothing else uses meanwhile.
    let search = unsafe { &mut *search.cast::<Search>() };
    // WHY: libc hands the object as a raw pointer.
    // SAFETY: valid for this call, as dl_iterate_phdr promises.
    let object = unsafe { &*object };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // WHY: the program headers are a C array.
    // SAFETY: libc gives its length beside it; checked above not to be null.
    let headers =
        unsafe { core::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    let Ok(base) = usize::try_from(object.dlpi_addr) else { return 0 };
    let segments: Vec<_> =
        headers.iter().filter_map(|header| readable_segment(base, header)).collect();
    if segments.iter().any(|segment| segment.contains(&search.address)) {
        search.found = segments;
        return 1;
    }
    0
}

/// Where a segment lies, if the loader mapped it readable.
fn readable_segment(base: usize, header: &libc::Elf64_Phdr) -> Option<Range<usize>> {
    let readable = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_R != 0;
    let start = base.wrapping_add(usize::try_from(header.p_vaddr).ok()?);
    let length = usize::try_from(header.p_memsz).ok()?;
    readable.then(|| start..start.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    static CONSTANT: u64 = 7;

    #[test]
    fn code_and_constants_are_found_in_their_object_and_the_stack_is_not() {
        #[expect(clippy::as_conversions, reason = "a function's address")]
        let code = object_around as *const u8;
        let object = object_around(code);
        let contains =
            |address: usize| object.segments.iter().any(|segment| segment.contains(&address));
        assert!(contains(code.addr()));
        assert!(contains((&raw const CONSTANT).addr()));
        let local = 7_u8;
        assert!(!contains((&raw const local).addr()));
        assert!(object_around(&raw const local).segments.is_empty());
        read_near(code);
        read_all(code);
    }
}
