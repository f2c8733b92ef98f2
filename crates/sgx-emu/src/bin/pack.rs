//! Turns a linked enclave into a measured, signed image.
//!
//! - Promises: the image depends on the ELF file and the sizes alone; prints its MRENCLAVE.
//! - Assumes: a file linked for `x86_64-fortanix-unknown-sgx`.
//! - Never: makes or keeps a key; without one it signs with the key that everybody knows.
//! - Start reading at [`main`].
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use tlease_sgx_emu::image::{Image, Settings, Signer};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (elf, sgxs, key) = match arguments[..] {
        [elf, sgxs] => (elf, sgxs, None),
        [elf, sgxs, key] => (elf, sgxs, Some(Path::new(key))),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match pack(Path::new(elf), Path::new(sgxs), key) {
        Ok(measurement) => {
            println!("MRENCLAVE {measurement}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tlease-sgx-pack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pack(elf: &Path, sgxs: &Path, key: Option<&Path>) -> Result<String, Box<dyn std::error::Error>> {
    let settings = Settings::default();
    let image = Image::of_elf(&fs::read(elf)?, &settings)?;
    let signer = match key {
        Some(key) => Signer::of_pem(&fs::read_to_string(key)?)?,
        None => Signer::throw_away(),
    };
    let signature = signer.sign(image.measurement, settings.debug)?;
    fs::write(sgxs, &image.sgxs)?;
    let bytes: &[u8] = signature.as_ref();
    fs::write(sgxs.with_extension("sig"), bytes)?;
    Ok(image.measurement.to_string())
}

const USAGE: &str = "\
usage: tlease-sgx-pack ELF SGXS [KEY.pem]

The signature is written beside SGXS, with the ending .sig. Without a key of 3072 bits with exponent 3
in PKCS #1, the one that everybody knows signs.
";
