//! `cargo xtask fuzz`: looks for inputs that break a claim, guided by what code they reach.
//!
//! The engine is libFuzzer, from the crate `libfuzzer-sys`; a C++ compiler is needed for it. The
//! compiler of the pinned toolchain counts for it which code is reached (`-Cpasses=sancov-module`),
//! so no other toolchain is. That changes the flags of every crate: the build is kept apart, in
//! `target/fuzz`, and what was found there is the beginning of the next run.

use crate::job::Cargo;
use crate::tree;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{fs, io};

/// How long each target runs unless it is said.
pub(crate) const SECONDS: u32 = 60;

/// What counts code that is reached, and comparisons that came close.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares \
                     -Cdebug-assertions -Ccodegen-units=1";

/// The longest input: room for hundreds of steps.
const LENGTH_MAX: u32 = 1024;

/// Runs each target for so many seconds.
pub(crate) fn run(seconds: u32) -> ExitCode {
    let found = Engine::build().and_then(|engine| {
        let mut clean = true;
        for target in &engine.targets {
            clean &= engine.look(target, seconds)?;
        }
        Ok(clean)
    });
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the corpora anew: few inputs that together reach all that was reached so far.
///
/// # Errors
/// If the engine cannot be built or run, or a corpus not be written.
pub(crate) fn write_corpora() -> io::Result<()> {
    let engine = Engine::build()?;
    engine.targets.iter().try_for_each(|target| engine.keep(target))
}

/// The program that looks, and what it looks at.
#[derive(Debug)]
struct Engine {
    program: PathBuf,
    targets: Vec<String>,
    home: PathBuf,
}

impl Engine {
    fn build() -> io::Result<Self> {
        let home = tree::root().join("target").join("fuzz");
        let host = host()?;
        let build = format!(
            "build --release --locked -p tlease-fuzz --features libfuzzer --bin guided \
             --target {host} --target-dir target/fuzz"
        );
        let build = Cargo::new(&build).with("RUSTFLAGS", FLAGS);
        println!("{build}");
        if !build.run(|line| println!("{line}")).1 {
            return Err(io::Error::other("the engine does not build; it needs a C++ compiler"));
        }
        let targets = Cargo::new("run --quiet --locked -p tlease-fuzz -- list").output();
        let targets = targets.ok_or_else(|| io::Error::other("the targets are not known"))?;
        let targets = targets.lines().map(str::to_owned).collect();
        let program = home.join(host).join("release").join("guided");
        Ok(Self { program, targets, home })
    }

    /// Runs one target. Whether it found nothing.
    fn look(&self, target: &str, seconds: u32) -> io::Result<bool> {
        let found = self.directory("found", target)?;
        let broken = self.directory("broken", target)?;
        self.unpack(target, &found)?;
        println!("\n=== {target}, {seconds} s ===");
        let status = self
            .command(target)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={LENGTH_MAX}"))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .args(["-timeout=10", "-verbosity=0", "-print_final_stats=1"])
            .arg(&found)
            .status()?;
        if !status.success() {
            let run = format!("cargo run -p tlease-fuzz -- run {target}");
            println!("failed; repeat it: {run} {}/FILE", broken.display());
        }
        Ok(status.success())
    }

    /// Makes what was found and what was known a corpus again, as small as it gets.
    fn keep(&self, target: &str) -> io::Result<()> {
        let found = self.directory("found", target)?;
        self.unpack(target, &found)?;
        let kept = self.home.join("kept").join(target);
        if kept.is_dir() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(&kept)?;
        let merge = self
            .command(target)
            .args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"])
            .args([&kept, &found])
            .status()?;
        let pack = format!("run --quiet --locked -p tlease-fuzz -- pack {target}");
        let packed = Cargo::new(&pack).and(&kept).run(|line| println!("{line}")).1;
        if merge.success() && packed {
            return Ok(());
        }
        Err(io::Error::other(format!("the corpus of {target} was not made")))
    }

    fn unpack(&self, target: &str, into: &Path) -> io::Result<()> {
        let unpack = format!("run --quiet --locked -p tlease-fuzz -- unpack {target}");
        if Cargo::new(&unpack).and(into).run(|line| println!("{line}")).1 {
            return Ok(());
        }
        Err(io::Error::other(format!("the corpus of {target} cannot be read")))
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("TLEASE_FUZZ", target).stdin(Stdio::null()).current_dir(&self.home);
        command
    }

    fn directory(&self, what: &str, target: &str) -> io::Result<PathBuf> {
        let directory = self.home.join(what).join(target);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

/// This machine, as rustc calls it.
fn host() -> io::Result<String> {
    let said = Command::new("rustc").arg("-vV").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| io::Error::other("rustc does not say its host"))
}
