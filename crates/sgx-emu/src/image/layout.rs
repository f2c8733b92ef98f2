//! The layout of an enclave in its range of addresses, as the target's run time expects it.
//!
//! From the bottom: the segments of the ELF file, the heap, and for each thread a guard without pages,
//! its stack, its thread-local page, its TCS, and its State Save Area.

use super::BadImage;
use super::elf::{Linked, Rights, Segment};
use sgx_isa::{PageType, SecinfoFlags, Tcs};
use sgxs::sgxs::{CanonicalSgxsWriter, MeasECreate, SecinfoTruncated};
use sgxs::util::{size_fit_natural, size_fit_page};

/// Sizes of an enclave. They are part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of heap, whole pages.
    pub heap_size: u64,
    /// Bytes of stack for each thread, whole pages.
    pub stack_size: u64,
    /// Threads that can be inside at once.
    pub threads: u32,
    /// Pages of one frame of the State Save Area.
    pub ssa_frame_pages: u32,
    /// Whether panics write to a buffer of the host. It is no secret in a test.
    pub debug: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heap_size: 0x40_0000,
            stack_size: 0x2_0000,
            threads: 16,
            ssa_frame_pages: 1,
            debug: true,
        }
    }
}

/// One frame: a second one would let the host enter again during an exit, into code that could arm
/// a mark anew. With one frame the processor itself refuses that.
const SSA_FRAMES: u32 = 1;
const PAGE: u64 = 0x1000;
const THREAD_GUARD_SIZE: u64 = 0x1_0000;
const TLS_SIZE: u64 = PAGE;

type Writer<'a> = CanonicalSgxsWriter<'a, Vec<u8>>;

/// The stream of pages.
pub(super) fn write(linked: &Linked<'_>, settings: &Settings) -> Result<Vec<u8>, BadImage> {
    let is_whole = |size: u64| size.is_multiple_of(PAGE);
    if !is_whole(settings.heap_size) || !is_whole(settings.stack_size) || settings.threads == 0 {
        return Err(BadImage::new("heap and stack must be whole pages, with at least one thread"));
    }
    let end = linked.segments.iter().map(|segment| segment.address + segment.size).max();
    let end = end.ok_or_else(|| BadImage::new("there is no segment to load"))?;
    let heap = size_fit_page(end);
    let ssa_pages = SSA_FRAMES * settings.ssa_frame_pages;
    let thread_size =
        THREAD_GUARD_SIZE + settings.stack_size + TLS_SIZE + PAGE + u64::from(ssa_pages) * PAGE;
    let threads = heap + settings.heap_size;
    let memory_size = threads + u64::from(settings.threads) * thread_size;
    let size = size_fit_natural(memory_size);

    let mut stream = Vec::new();
    let create = MeasECreate { size, ssaframesize: settings.ssa_frame_pages };
    let mut writer = CanonicalSgxsWriter::new(&mut stream, create, true)?;
    let values = values(linked, settings, Places { heap, memory_size, size })?;
    for segment in &linked.segments {
        write_segment(&mut writer, segment, &values)?;
    }
    write_empty(&mut writer, Some(heap), settings.heap_size / PAGE)?;
    for thread in 0..settings.threads {
        let stack = threads + u64::from(thread) * thread_size + THREAD_GUARD_SIZE;
        write_thread(&mut writer, linked.entry()?, stack, settings, thread > 0)?;
        write_empty(&mut writer, None, u64::from(ssa_pages))?;
    }
    Ok(stream)
}

/// Addresses that the run time is told.
#[derive(Debug, Clone, Copy)]
struct Places {
    heap: u64,
    memory_size: u64,
    size: u64,
}

/// Bytes to put over those of the ELF file: address and value.
fn values(
    linked: &Linked<'_>,
    settings: &Settings,
    places: Places,
) -> Result<Vec<(u64, Vec<u8>)>, BadImage> {
    let (text, frames) = (linked.section(".text")?, linked.section(".eh_frame")?);
    let frames_header = linked.section(".eh_frame_hdr")?;
    let words = [
        ("HEAP_BASE", places.heap),
        ("HEAP_SIZE", settings.heap_size),
        ("RELA", linked.relocations.0),
        ("RELACOUNT", linked.relocations.1),
        ("CFGDATA_BASE", places.memory_size),
        ("ENCLAVE_SIZE", places.size),
        ("TEXT_BASE", text.start),
        ("TEXT_SIZE", text.end - text.start),
        ("EH_FRM_OFFSET", frames.start),
        ("EH_FRM_LEN", frames.end - frames.start),
        ("EH_FRM_HDR_OFFSET", frames_header.start),
        ("EH_FRM_HDR_LEN", frames_header.end - frames_header.start),
    ];
    let mut values = vec![(linked.global("DEBUG", 1)?, vec![u8::from(settings.debug)])];
    for (name, value) in words {
        values.push((linked.global(name, 8)?, value.to_le_bytes().to_vec()));
    }
    // Code for whoever runs the file as a program: an enclave has no business with its system calls.
    if let Ok(outside) = linked.section(".text_no_sgx") {
        let length = usize::try_from(outside.end - outside.start);
        let length = length.map_err(|_| BadImage::new(".text_no_sgx is too long"))?;
        values.push((outside.start, vec![NOP; length]));
    }
    Ok(values)
}

fn write_segment(
    writer: &mut Writer<'_>,
    segment: &Segment<'_>,
    values: &[(u64, Vec<u8>)],
) -> Result<(), BadImage> {
    let base = segment.address & !(PAGE - 1);
    let pages = size_fit_page(segment.address + segment.size - base) / PAGE;
    let too_long = |_| BadImage::new("a segment is too long");
    let mut data = vec![0; usize::try_from(pages * PAGE).map_err(too_long)?];
    let skipped = usize::try_from(segment.address - base).map_err(too_long)?;
    data[skipped..skipped + segment.data.len()].copy_from_slice(segment.data);
    for (address, value) in values {
        let end = address + value.len() as u64;
        if *address >= segment.address && end <= segment.address + segment.size {
            let at = usize::try_from(address - base).map_err(too_long)?;
            data[at..at + value.len()].copy_from_slice(value);
        }
    }
    let pages = usize::try_from(pages).map_err(too_long)?;
    Ok(writer.write_pages(Some(&mut &data[..]), pages, Some(base), secinfo(segment.rights))?)
}

/// The stack, the thread-local page, and the TCS.
fn write_thread(
    writer: &mut Writer<'_>,
    entry: u64,
    stack: u64,
    settings: &Settings,
    is_secondary: bool,
) -> Result<(), BadImage> {
    let stack_end = stack + settings.stack_size;
    write_empty(writer, Some(stack), settings.stack_size / PAGE)?;
    let local = [stack_end.to_le_bytes(), u64::from(is_secondary).to_le_bytes()].concat();
    writer.write_page(Some(&mut &local[..]), Some(stack_end), secinfo(DATA))?;
    let at = stack_end + TLS_SIZE;
    let tcs = Tcs {
        ossa: at + PAGE,
        nssa: SSA_FRAMES,
        oentry: entry,
        ofsbasgx: stack_end,
        ogsbasgx: stack_end,
        fslimit: 0xfff,
        gslimit: 0xfff,
        ..Tcs::default()
    };
    let flags = SecinfoTruncated { flags: PageType::Tcs.into() };
    let bytes: &[u8] = tcs.as_ref();
    Ok(writer.write_page(Some(&mut &*bytes), Some(at), flags)?)
}

/// Pages of zeros, not measured but for their being there.
fn write_empty(writer: &mut Writer<'_>, at: Option<u64>, pages: u64) -> Result<(), BadImage> {
    let pages = usize::try_from(pages).map_err(|_| BadImage::new("too many pages"))?;
    Ok(writer.write_pages::<&[u8]>(None, pages, at, secinfo(DATA))?)
}

const DATA: Rights = Rights { read: true, write: true, execute: false };
const NOP: u8 = 0x90;

fn secinfo(rights: Rights) -> SecinfoTruncated {
    let mut flags = SecinfoFlags::from(PageType::Reg);
    flags.set(SecinfoFlags::R, rights.read);
    flags.set(SecinfoFlags::W, rights.write);
    flags.set(SecinfoFlags::X, rights.execute);
    SecinfoTruncated { flags }
}
