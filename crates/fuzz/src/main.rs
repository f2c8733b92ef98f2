//! `tlease-fuzz`: runs an input again, and turns the corpora into files and back, as fuzzers want them.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use tlease_fuzz::{TARGETS, corpus, named};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["run", target, file] => run(target, Path::new(file)),
        ["unpack", target, directory] => unpack(target, Path::new(directory)),
        ["pack", target, directory] => pack(target, Path::new(directory)),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
usage: tlease-fuzz <command>

  list                      the names of the targets
  run TARGET FILE           feeds one input to a target
  unpack TARGET DIRECTORY   writes each input of a target's corpus into a file of its own
  pack TARGET DIRECTORY     makes the files of a directory a target's corpus
";

fn run(target: &str, file: &Path) -> io::Result<()> {
    let target = named(target).ok_or_else(|| io::Error::other("no such target"))?;
    (target.run)(&fs::read(file)?);
    println!("every claim held");
    Ok(())
}

fn unpack(target: &str, directory: &Path) -> io::Result<()> {
    let inputs = corpus::read(&fs::read_to_string(path(target))?)
        .map_err(|line| io::Error::other(format!("line {line} is not hexadecimal")))?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(directory.join(format!("{number:05}")), input)?;
    }
    Ok(())
}

fn pack(target: &str, directory: &Path) -> io::Result<()> {
    let files = fs::read_dir(directory)?.map(|file| fs::read(file?.path()));
    let inputs = files.collect::<io::Result<BTreeSet<Vec<u8>>>>()?;
    let mut inputs: Vec<Vec<u8>> = inputs.into_iter().collect();
    inputs.sort_by_key(Vec::len);
    fs::write(path(target), corpus::write(&inputs))
}

/// Where a target's corpus is.
fn path(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{target}.hex"))
}
