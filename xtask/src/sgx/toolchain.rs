//! What building for SGX takes, installed when it is missing.
//!
//! The target has no binary release of the standard library, so it is compiled too, and that needs a
//! compiler and sources of one version. Debian has such a pair, `rustc-web` and `rust-web-src`, whose
//! version moves with security updates; none is named here.

use super::Stop;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The tools, found.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) rustc: PathBuf,
    pub(super) linker: PathBuf,
}

impl Toolchain {
    /// Finds the tools, after an attempt to install what is missing.
    pub(super) fn find() -> Result<Self, Stop> {
        if !is_paired() && is_debian() {
            install(PACKAGES);
        }
        if !is_paired() {
            return Err(Stop::Unavailable(format!(
                "building for SGX takes Debian's packages {}, which could not be installed",
                PACKAGES.join(" and ")
            )));
        }
        let linker = linker().or_else(|| {
            install(&["lld"]);
            linker()
        });
        let why = "linking for SGX takes rust-lld of the toolchain, or ld.lld";
        let linker = linker.ok_or_else(|| Stop::Unavailable(why.into()))?;
        Ok(Self { rustc: RUSTC.into(), linker })
    }
}

const RUSTC: &str = "/usr/bin/rustc";
const PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];

/// Whether compiler and sources are there, in one version.
fn is_paired() -> bool {
    let versions: Vec<_> = PACKAGES.iter().map(|package| installed(package)).collect();
    let is_one = versions.iter().all(|version| version.is_some() && *version == versions[0]);
    let sources = "/usr/lib/rustlib/src/rust/library/std/src/sys/pal/sgx/abi/entry.S";
    is_one && Path::new(RUSTC).exists() && Path::new(sources).exists()
}

fn installed(package: &str) -> Option<String> {
    let arguments = ["--show", "--showformat=${db:Status-Status} ${Version}", package];
    let answer = output(Command::new("dpkg-query").args(arguments))?;
    answer.strip_prefix("installed ").map(str::to_owned)
}

fn is_debian() -> bool {
    output(Command::new("apt-get").arg("--version")).is_some()
}

/// Installs packages as root, or by a `sudo` that asks nothing; whoever calls looks again.
fn install(packages: &[&str]) {
    println!("installing {} by apt-get", packages.join(" "));
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
        if !is_root {
            command.args(["-n", "apt-get"]);
        }
        command.args(arguments).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let arguments = ["install", "-y", "-q", "--no-install-recommends"];
    if !apt(&arguments) {
        let mut update = Command::new(if is_root { "apt-get" } else { "sudo" });
        if !is_root {
            update.args(["-n", "apt-get"]);
        }
        let update = update.args(["update", "-q"]).stdin(Stdio::null()).stdout(Stdio::null());
        if update.status().is_ok_and(|status| status.success()) {
            apt(&arguments);
        }
    }
}

/// The linker that comes with the pinned toolchain, else one of the system.
fn linker() -> Option<PathBuf> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let bundled = Path::new(sysroot.trim()).join(BUNDLED_LINKER);
    if bundled.exists() {
        return Some(bundled);
    }
    let system = Path::new("/usr/bin/ld.lld");
    system.exists().then(|| system.to_owned())
}

const BUNDLED_LINKER: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";

fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
