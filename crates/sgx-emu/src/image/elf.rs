//! What the layout needs of a linked enclave, and what would break at run time if it were there.

use super::BadImage;
use object::elf::{
    DT_FINI, DT_FINI_ARRAY, DT_INIT, DT_INIT_ARRAY, DT_JMPREL, DT_REL, DT_RELA, DT_RELACOUNT, PF_R,
    PF_W, PF_X, PT_LOAD, R_X86_64_RELATIVE, SHN_UNDEF, SHT_RELA,
};
use object::read::elf::{Dyn, ElfFile64, ProgramHeader, Rela, SectionHeader, Sym};
use object::{LittleEndian, Object, ObjectSection};
use std::collections::BTreeMap;
use std::ops::Range;

type Elf<'a> = ElfFile64<'a, LittleEndian>;
const ENDIAN: LittleEndian = LittleEndian;

/// A linked enclave, checked.
#[derive(Debug)]
pub(super) struct Linked<'a> {
    pub(super) segments: Vec<Segment<'a>>,
    /// The values that the run time reads and that only the layout knows: name to address and size.
    globals: BTreeMap<String, (u64, u64)>,
    /// Address ranges of sections by name.
    sections: BTreeMap<String, Range<u64>>,
    /// Address and number of the relocations that the enclave applies to itself.
    pub(super) relocations: (u64, u64),
}

/// A loadable segment.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) address: u64,
    /// At least the length of `data`; what is beyond is zero.
    pub(super) size: u64,
    pub(super) data: &'a [u8],
    pub(super) rights: Rights,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) execute: bool,
}

impl<'a> Linked<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, BadImage> {
        let elf = Elf::parse(bytes)?;
        check_toolchain(&elf)?;
        let segments = segments(&elf)?;
        let relocations = relocations(&elf)?;
        check_relocations(&elf, &segments, relocations.1)?;
        let sections = elf.sections().filter_map(|section| {
            let range = section.address()..section.address() + section.size();
            Some((section.name().ok()?.to_owned(), range))
        });
        let sections = sections.collect();
        Ok(Self { segments, globals: globals(&elf)?, sections, relocations })
    }

    /// The address of a value of the run time with this many bytes.
    pub(super) fn global(&self, name: &str, size: u64) -> Result<u64, BadImage> {
        match self.globals.get(name) {
            Some((address, found)) if *found == size => Ok(*address),
            Some((_, found)) => Err(BadImage::new(format!("{name} has {found} bytes, not {size}"))),
            None => Err(BadImage::new(format!("the symbol {name} is missing"))),
        }
    }

    /// Where the processor enters.
    pub(super) fn entry(&self) -> Result<u64, BadImage> {
        let entry = self.globals.get("sgx_entry").map(|(address, _)| *address);
        entry.ok_or_else(|| BadImage::new("the symbol sgx_entry is missing"))
    }

    pub(super) fn section(&self, name: &str) -> Result<Range<u64>, BadImage> {
        let found = self.sections.get(name).cloned();
        found.ok_or_else(|| BadImage::new(format!("the section {name} is missing")))
    }
}

/// The run time states its version; a later one may want other values from the layout.
fn check_toolchain(elf: &Elf<'_>) -> Result<(), BadImage> {
    let name = ".note.x86_64-fortanix-unknown-sgx";
    let missing = || BadImage::new(format!("not linked for this target: {name} is missing"));
    let note = elf.section_by_name(name).ok_or_else(missing)?;
    let data = note.data()?;
    let version = data.get(data.len().saturating_sub(4)..).and_then(|data| data.try_into().ok());
    match version.map(u32::from_le_bytes) {
        Some(0 | 1) => Ok(()),
        other => Err(BadImage::new(format!("the run time's version is {other:?}, not 1"))),
    }
}

fn segments<'a>(elf: &Elf<'a>) -> Result<Vec<Segment<'a>>, BadImage> {
    let mut segments = Vec::new();
    for header in elf.elf_program_headers() {
        if header.p_type(ENDIAN) != PT_LOAD {
            continue;
        }
        let data = header.data(ENDIAN, elf.data());
        let data = data.map_err(|()| BadImage::new("a segment lies outside the file"))?;
        let has = |flag| header.p_flags(ENDIAN) & flag != 0;
        let rights = Rights { read: has(PF_R), write: has(PF_W), execute: has(PF_X) };
        let (address, size) = (header.p_vaddr(ENDIAN), header.p_memsz(ENDIAN));
        // Intel's advice against load value injection.
        if address < 0x1000 && rights.execute {
            return Err(BadImage::new("the first page must not be executable"));
        }
        segments.push(Segment { address, size, data, rights });
    }
    Ok(segments)
}

fn globals(elf: &Elf<'_>) -> Result<BTreeMap<String, (u64, u64)>, BadImage> {
    let symbols = elf.elf_dynamic_symbol_table();
    let mut globals = BTreeMap::new();
    for symbol in symbols.iter().skip(1) {
        let name = String::from_utf8_lossy(symbols.symbol_name(ENDIAN, symbol)?).into_owned();
        if symbol.st_shndx(ENDIAN) == SHN_UNDEF {
            return Err(BadImage::new(format!("the symbol {name} is undefined")));
        }
        globals.insert(name, (symbol.st_value(ENDIAN), symbol.st_size(ENDIAN)));
    }
    Ok(globals)
}

/// Address and number of relocations; refuses what the run time would not do.
fn relocations(elf: &Elf<'_>) -> Result<(u64, u64), BadImage> {
    let headers = elf.elf_section_table();
    let Some((entries, _)) = headers.dynamic(ENDIAN, elf.data())? else {
        return Err(BadImage::new("there is no dynamic section"));
    };
    let (mut address, mut count) = (None, None);
    for entry in entries {
        let Some(tag) = entry.tag32(ENDIAN) else { continue };
        match tag {
            DT_RELA => address = Some(entry.d_val(ENDIAN)),
            DT_RELACOUNT => count = Some(entry.d_val(ENDIAN)),
            DT_JMPREL | DT_REL => {
                return Err(BadImage::new("the run time has no lazy and no implicit relocations"));
            }
            DT_INIT | DT_FINI | DT_INIT_ARRAY | DT_FINI_ARRAY => {
                return Err(BadImage::new("the run time calls no initialisers"));
            }
            _ => {}
        }
    }
    match (address, count) {
        (Some(address), Some(count)) => Ok((address, count)),
        (None, None) => Ok((0, 0)),
        (Some(_), None) | (None, Some(_)) => Err(BadImage::new("half a table of relocations")),
    }
}

/// Every relocation adds the base, within a writable segment.
fn check_relocations(elf: &Elf<'_>, segments: &[Segment<'_>], count: u64) -> Result<(), BadImage> {
    let mut found = 0_u64;
    for section in elf.elf_section_table().iter() {
        if section.sh_type(ENDIAN) != SHT_RELA {
            continue;
        }
        let Some((relocations, _)) = section.rela(ENDIAN, elf.data())? else { continue };
        for relocation in relocations {
            found += 1;
            let at = relocation.r_offset(ENDIAN);
            let is_plain = relocation.r_type(ENDIAN, false) == R_X86_64_RELATIVE
                && relocation.r_sym(ENDIAN, false) == 0;
            let holds = |segment: &Segment<'_>| {
                segment.rights.write
                    && (segment.address..segment.address + segment.size).contains(&at)
            };
            if !is_plain || !segments.iter().any(holds) {
                return Err(BadImage::new(format!("the relocation at {at:#x} cannot be applied")));
            }
        }
    }
    if found == count {
        Ok(())
    } else {
        Err(BadImage::new(format!("{count} relocations announced, {found} found")))
    }
}
