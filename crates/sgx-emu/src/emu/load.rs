//! Loads an enclave as ECREATE, EADD and EINIT would, into memory of this process.

use super::table::{self, Identity};
use super::view::{self, Rights, View};
use super::{cpu, frame, rtm, signals};
use crate::image::is_signed;
use anyhow::{anyhow, bail, ensure};
use sgx_isa::{Attributes, AttributesFlags, Miscselect, PageType, SecinfoFlags, Sigstruct};
use sgxs::loader::{Load, Mapping, MappingInfo, Tcs};
use sgxs::sgxs::{PageReader, SgxsRead};
use sha2::{Digest, Sha256};
use std::os::raw::c_void;
use std::ptr;

/// The emulated processor, as a loader for the runner.
#[derive(Debug)]
pub struct Emulator(());

impl Emulator {
    /// Installs the handlers, and says loudly what this is not.
    ///
    /// # Errors
    /// A processor or kernel without FSGSBASE, or one that takes no handlers.
    pub fn install() -> anyhow::Result<Self> {
        ensure!(cpu::has_fsgsbase(), "emulating SGX takes FSGSBASE (Linux 5.9 on x86-64)");
        signals::install()?;
        eprintln!("{WARNING}");
        Ok(Self(()))
    }
}

/// What must not be overlooked.
const WARNING: &str = "\
[emulated SGX] NOTHING IS ISOLATED: whoever can read this process can read and change the enclave.
[emulated SGX] For tests only. Keys and reports are made from a key that everybody knows.";

/// Where an emulated enclave lies.
#[derive(Debug)]
pub struct Place {
    base: usize,
    size: usize,
    number: usize,
}

impl Place {
    /// Its number among the enclaves of this process.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }
}

impl MappingInfo for Place {
    fn address(&self) -> *mut c_void {
        ptr::with_exposed_provenance_mut(self.base)
    }

    fn size(&self) -> usize {
        self.size
    }
}

/// A TCS of an emulated enclave.
#[derive(Debug)]
pub struct EmulatedTcs(usize);

impl Tcs for EmulatedTcs {
    fn address(&self) -> *mut c_void {
        ptr::with_exposed_provenance_mut(self.0)
    }
}

impl Load for Emulator {
    type MappingInfo = Place;
    type Tcs = EmulatedTcs;

    fn load<R: SgxsRead>(
        &mut self,
        reader: &mut R,
        signature: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> anyhow::Result<Mapping<Self>> {
        let mut pages = Pages::new();
        let (create, mut page_reader) = PageReader::new(reader)?;
        pages.create(create.ecreate.ssaframesize, create.ecreate.size)?;
        while let Some((add, chunks, page)) = page_reader.read_page()? {
            pages.add(add.offset, add.secinfo.flags, chunks.0, &page)?;
        }
        let identity = pages.init(signature, attributes, miscselect)?;
        let (place, tcss) = pages.map(identity)?;
        let tcss = tcss.into_iter().map(EmulatedTcs).collect();
        Ok(Mapping { info: place, tcss })
    }
}

/// What was added so far, with its measurement.
struct Pages {
    size: usize,
    frame_size: usize,
    measured: Sha256,
    pages: Vec<(usize, SecinfoFlags, [u8; 4096])>,
}

impl Pages {
    fn new() -> Self {
        Self { size: 0, frame_size: 0, measured: Sha256::new(), pages: Vec::new() }
    }

    fn create(&mut self, frame_pages: u32, size: u64) -> anyhow::Result<()> {
        ensure!(size.is_power_of_two() && size <= SIZE_MAX, "an enclave of {size:#x} bytes");
        self.size = usize::try_from(size)?;
        self.frame_size = usize::try_from(frame_pages)? * PAGE;
        self.measure(b"ECREATE\0", &[&frame_pages.to_le_bytes(), &size.to_le_bytes()]);
        Ok(())
    }

    fn add(
        &mut self,
        offset: u64,
        flags: SecinfoFlags,
        chunks: u16,
        page: &[u8; 4096],
    ) -> anyhow::Result<()> {
        let at = usize::try_from(offset)?;
        ensure!(at.is_multiple_of(PAGE) && at < self.size, "a page at {offset:#x}");
        self.measure(b"EADD\0\0\0\0", &[&offset.to_le_bytes(), &flags.bits().to_le_bytes()]);
        for (number, chunk) in page.chunks_exact(CHUNK).enumerate() {
            if chunks & 1 << number != 0 {
                let offset = offset + (number * CHUNK) as u64;
                self.measure(b"EEXTEND\0", &[&offset.to_le_bytes()]);
                self.measured.update(chunk);
            }
        }
        self.pages.push((at, flags, *page));
        Ok(())
    }

    /// Records of a measurement have 64 bytes.
    fn measure(&mut self, name: &[u8; 8], fields: &[&[u8]]) {
        let mut record = [0; 64];
        let mut at = 8;
        record[..8].copy_from_slice(name);
        for field in fields {
            record[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        self.measured.update(record);
    }

    /// EINIT: the signature is by the key in it, and is for what was measured.
    fn init(
        &self,
        signature: &Sigstruct,
        attributes: Attributes,
        miscselect: Miscselect,
    ) -> anyhow::Result<Identity> {
        let measured: [u8; 32] = self.measured.clone().finalize().into();
        ensure!(measured == signature.enclavehash, "the signature is for another enclave");
        ensure!(is_signed(signature), "the signature is not by its key");
        let flags = attributes.flags | AttributesFlags::INIT;
        let mask = signature.attributemask;
        let differs = (attributes.flags.bits() ^ signature.attributes.flags.bits()) & mask[0] != 0
            || (attributes.xfrm ^ signature.attributes.xfrm) & mask[1] != 0;
        ensure!(!differs, "the signature is for other attributes");
        let identity = Identity {
            mrenclave: measured,
            mrsigner: Sha256::digest(signature.modulus).into(),
            attributes: flags.bits(),
            xfrm: attributes.xfrm,
            miscselect: miscselect.bits(),
            isv_prod_id: signature.isvprodid,
            isv_svn: signature.isvsvn,
        };
        ensure!(identity.fits(self.frame_size), "a frame of {} bytes", self.frame_size);
        Ok(identity)
    }

    /// Puts the pages in place, with their rights; returns where, and the addresses of the TCSs.
    fn map(&self, identity: Identity) -> anyhow::Result<(Place, Vec<usize>)> {
        let (base, view) = View::map(self.size)?;
        let mut tcss = Vec::new();
        for (at, _, page) in &self.pages {
            view.write(*at, page);
        }
        for (at, length) in self.code() {
            let mut code = vec![0; length];
            view.read(at, &mut code);
            rtm::overwrite(&mut code);
            view.write(at, &code);
        }
        for (at, flags, _) in &self.pages {
            view::protect(base + at, PAGE, rights(*flags))?;
            if flags.page_type() == PageType::Tcs as u8 {
                tcss.push((*at, view.load(at + frame::TCS_OFSBASE)));
            }
        }
        let number = table::enter(base, view, self.frame_size, identity, &tcss);
        let number = number.ok_or_else(|| anyhow!("too many enclaves or threads"))?;
        let tcss: Vec<_> = tcss.into_iter().map(|(at, _)| base + at).collect();
        if tcss.is_empty() {
            bail!("an enclave without threads");
        }
        Ok((Place { base, size: self.size, number }, tcss))
    }
}

impl Pages {
    /// Where executable pages lie next to each other, and how many bytes.
    fn code(&self) -> Vec<(usize, usize)> {
        let pages = self.pages.iter().filter(|(_, flags, _)| flags.contains(SecinfoFlags::X));
        let mut starts: Vec<usize> = pages.map(|(at, _, _)| *at).collect();
        starts.sort_unstable();
        let mut stretches: Vec<(usize, usize)> = Vec::new();
        for at in starts {
            match stretches.last_mut() {
                Some((start, length)) if *start + *length == at => *length += PAGE,
                _ => stretches.push((at, PAGE)),
            }
        }
        stretches
    }
}

/// A TCS is for the processor alone.
fn rights(flags: SecinfoFlags) -> Rights {
    if flags.page_type() == PageType::Tcs as u8 {
        return Rights(libc::PROT_NONE);
    }
    let right = |flag, right| if flags.contains(flag) { right } else { libc::PROT_NONE };
    Rights(
        right(SecinfoFlags::R, libc::PROT_READ)
            | right(SecinfoFlags::W, libc::PROT_WRITE)
            | right(SecinfoFlags::X, libc::PROT_EXEC),
    )
}

const PAGE: usize = 4096;
const CHUNK: usize = 256;
/// Sixteen times what any test needs.
const SIZE_MAX: u64 = 1 << 32;
