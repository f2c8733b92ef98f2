//! Compiles the enclave, links it, lays it out, measures and signs it.
//!
//! Two builds of the same sources with the same packages give the same image, wherever they lie:
//! paths of this machine are replaced in what the compiler writes, and they reach it by a script
//! instead of by flags, because cargo mixes flags into the names of symbols.

use super::Stop;
use super::toolchain::{self, Toolchain};
use crate::tree;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A workspace, and where its output goes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) fences: Fences,
}

/// The fences that the target has the compiler insert against injected loads (LVI).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    /// All of them: after each load, and in place of each return.
    OfTarget,
    /// None, to measure what they cost. Never for an image that is relied on.
    Without,
}

impl Source {
    /// The workspace that this program belongs to.
    pub(crate) fn here() -> Self {
        let root = tree::root();
        // A folder of its own: another compiler than the rest of the workspace is built with.
        let target = root.join("target/sgx");
        Self { root, target, fences: Fences::OfTarget }
    }

    /// The same without fences, built beside it.
    pub(crate) fn without_fences(self) -> Self {
        Self { target: self.target.join("without-fences"), fences: Fences::Without, ..self }
    }
}

/// A measured image on disk, with its signature beside it.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) sgxs: PathBuf,
    pub(crate) measurement: String,
}

/// Builds the enclave with these features of its package, separated by commas, and the probe and the
/// subject of measurements, which are enclaves too and share the standard library.
pub(crate) fn image(source: &Source, features: &str) -> Result<Image, Stop> {
    let toolchain = Toolchain::find()?;
    let failed = |error| Stop::Failed(format!("{}: {error}", source.target.display()));
    fs::create_dir_all(&source.target).map_err(failed)?;
    unwinder(source)?;
    let compiler = compiler(source, &toolchain).map_err(failed)?;
    compile(source, &toolchain, &compiler, features)?;
    let name = if features.is_empty() { String::new() } else { format!("-{features}") };
    lay_out(source, "tlease-sgx-probe", "tlease-sgx-probe")?;
    lay_out(source, SUBJECT, SUBJECT)?;
    lay_out(source, "tlease-enclave", &format!("tlease-enclave{name}"))
}

fn lay_out(source: &Source, program: &str, name: &str) -> Result<Image, Stop> {
    let elf = source.target.join(TRIPLE).join("enclave").join(program);
    let sgxs = source.target.join(format!("{name}.sgxs"));
    // With symbols, for whoever wants to stop the enclave at a function by its name.
    let symbols = sgxs.with_extension("elf");
    let copied = fs::copy(&elf, &symbols);
    copied.map_err(|error| Stop::Failed(format!("{}: {error}", symbols.display())))?;
    let measurement = pack(&elf, &sgxs)?;
    Ok(Image { sgxs, measurement })
}

/// The enclave that `cargo xtask sgx bench` measures.
pub(crate) const SUBJECT: &str = "tlease-sgx-subject";
const TRIPLE: &str = "x86_64-fortanix-unknown-sgx";

fn compile(
    source: &Source,
    toolchain: &Toolchain,
    compiler: &Path,
    features: &str,
) -> Result<(), Stop> {
    let mut cargo = cargo();
    cargo
        .args(["build", "-p", "tlease-enclave", "-p", "tlease-sgx-probe", "-p", SUBJECT])
        .arg("--locked")
        .args(["--profile", "enclave"])
        .args(["-Zbuild-std=std,panic_abort", "--target", TRIPLE])
        .args(["--features", &of_enclave(features)])
        .current_dir(&source.root)
        .env("CARGO_TARGET_DIR", &source.target)
        .env("RUSTC", compiler)
        // `build-std` is not stable, and the pair of packages is what it is stable with.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_X86_64_FORTANIX_UNKNOWN_SGX_LINKER", &toolchain.linker);
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    succeed(cargo.stdin(Stdio::null()), "compiling the enclave")
}

/// Lints what only an enclave compiles, by the linter of the compiler that builds it. A word, and nothing
/// else, where there is none.
pub(crate) fn lint(source: &Source) -> Result<(), Stop> {
    let toolchain = Toolchain::find()?;
    let Some(linter) = toolchain::linter() else {
        println!("skipped: linting the enclave takes Debian's package rust-web-clippy");
        return Ok(());
    };
    let failed = |error| Stop::Failed(format!("{}: {error}", source.target.display()));
    let compiler = compiler(source, &toolchain).map_err(failed)?;
    let mut cargo = cargo();
    cargo
        .args(["check", "-p", "tlease-enclave", "--locked", "--profile", "enclave"])
        .args(["-Zbuild-std=std,panic_abort", "--target", TRIPLE])
        .current_dir(&source.root)
        .env("CARGO_TARGET_DIR", &source.target)
        .env("RUSTC", compiler)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC_WORKSPACE_WRAPPER", linter)
        .env("CLIPPY_ARGS", LINTS.join(SEPARATOR));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    succeed(cargo.stdin(Stdio::null()), "linting the enclave")
}

/// As `cargo clippy` hands them on. The second is wrong of thread-locals that are `const` already, for this
/// target.
const LINTS: &[&str] = &["-Dwarnings", "-Aclippy::missing_const_for_thread_local", ""];
const SEPARATOR: &str = "__CLIPPY_HACKERY__";

fn of_enclave(features: &str) -> String {
    let features = features.split(',').filter(|feature| !feature.is_empty());
    features.map(|feature| format!("tlease-enclave/{feature}")).collect::<Vec<_>>().join(",")
}

/// A script that calls the compiler with the paths of this machine hidden.
fn compiler(source: &Source, toolchain: &Toolchain) -> std::io::Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    let mut hidden = vec![(source.root.clone(), "/tlease")];
    hidden.extend(home.map(|home| (home, "/cargo")));
    let hidden =
        hidden.iter().map(|(from, to)| format!(" '--remap-path-prefix={}={to}'", from.display()));
    let fences = match source.fences {
        Fences::OfTarget => "",
        Fences::Without => " -C target-feature=-lvi-cfi,-lvi-load-hardening",
    };
    let script = format!(
        "#!/bin/sh\n# {}\nexec {} \"$@\" -L 'native={}'{}{fences}\n",
        // By this cargo notices another compiler: it remembers the version that a script had.
        toolchain.version,
        toolchain.rustc.display(),
        source.target.display(),
        hidden.collect::<String>()
    );
    let path = source.target.join("rustc.sh");
    // Written anew, it would make cargo compile everything anew.
    if fs::read_to_string(&path).ok().as_deref() != Some(&script) {
        fs::write(&path, script)?;
        let mut rights = fs::metadata(&path)?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o755);
        fs::set_permissions(&path, rights)?;
    }
    Ok(path)
}

/// The library `unwind` that the standard library links.
fn unwinder(source: &Source) -> Result<(), Stop> {
    let object = source.target.join("unwind.o");
    let mut assemble = Command::new("cc");
    assemble.args(["-c", "-o"]).arg(&object).arg(source.root.join("crates/enclave/unwind.s"));
    succeed(&mut assemble, "assembling the unwinder")?;
    let mut archive = Command::new("ar");
    archive.arg("rcsD").arg(source.target.join("libunwind.a")).arg(&object);
    succeed(&mut archive, "archiving the unwinder")
}

/// Builds what runs enclaves, in this profile of cargo's; where the programs are.
pub(crate) fn emulator(profile: &str) -> Result<PathBuf, Stop> {
    let mut build = cargo();
    build.args(["build", "-q", "--locked", "-p", "tlease-sgx-emu", "--bins", "--profile", profile]);
    build.current_dir(tree::root()).stdin(Stdio::null());
    succeed(&mut build, "building the emulator")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| tree::root().join("target"));
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}

/// Lays out, measures and signs; says what was measured.
fn pack(elf: &Path, sgxs: &Path) -> Result<String, Stop> {
    let mut cargo = cargo();
    cargo.args(["run", "-q", "--locked", "-p", "tlease-sgx-emu", "--bin", "tlease-sgx-pack", "--"]);
    cargo.arg(elf).arg(sgxs).current_dir(tree::root()).stdin(Stdio::null());
    let output = cargo.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Stop::Failed(format!("cannot run cargo: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let measurement = said.lines().find_map(|line| line.strip_prefix("MRENCLAVE "));
    match measurement {
        Some(measurement) if output.status.success() => Ok(measurement.to_owned()),
        Some(_) | None => Err(Stop::Failed("measuring the enclave failed".into())),
    }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn succeed(command: &mut Command, what: &str) -> Result<(), Stop> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Stop::Failed(format!("{what} failed: {status}"))),
        Err(error) => Err(Stop::Failed(format!("{what} failed: {error}"))),
    }
}
