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
    /// What the compiler says that it is.
    pub(super) version: String,
}

impl Toolchain {
    /// Finds the tools, after an attempt to install what is missing.
    pub(super) fn find() -> Result<Self, Stop> {
        if is_debian() {
            install(PACKAGES, is_usable);
        }
        if !is_usable() {
            return Err(Stop::Unavailable(format!(
                "building for SGX takes Debian's packages {} of Rust {NEEDED} or later, which could \
                 not be installed",
                PACKAGES.join(" and ")
            )));
        }
        let linker = linker().or_else(|| {
            install(&["lld"], || linker().is_some());
            linker()
        });
        let why = "linking for SGX takes rust-lld of the toolchain, or ld.lld";
        let linker = linker.ok_or_else(|| Stop::Unavailable(why.into()))?;
        let version = version().unwrap_or_default();
        Ok(Self { rustc: RUSTC.into(), linker, version: version.trim().to_owned() })
    }
}

/// The linter of that compiler, after an attempt to install it.
pub(super) fn linter() -> Option<PathBuf> {
    let driver = Path::new("/usr/bin/clippy-driver");
    if is_debian() {
        install(&["rust-web-clippy"], || driver.exists());
    }
    driver.exists().then(|| driver.to_owned())
}

const RUSTC: &str = "/usr/bin/rustc";
const PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];

/// The oldest compiler that the workspace can be built with.
const NEEDED: &str = env!("CARGO_PKG_RUST_VERSION");

/// Whether compiler and sources are there, in one version that is new enough.
fn is_usable() -> bool {
    let versions: Vec<_> = PACKAGES.iter().map(|package| installed(package)).collect();
    let is_one = versions.iter().all(|version| version.is_some() && *version == versions[0]);
    let sources = "/usr/lib/rustlib/src/rust/library/std/src/sys/pal/sgx/abi/entry.S";
    is_one && Path::new(sources).exists() && is_new_enough()
}

fn is_new_enough() -> bool {
    let said = version();
    let version = said.as_deref().and_then(|said| said.split(' ').nth(1)).and_then(release);
    version.is_some() && version >= release(NEEDED)
}

fn version() -> Option<String> {
    output(Command::new(RUSTC).arg("--version"))
}

/// Major and minor number.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn installed(package: &str) -> Option<String> {
    let arguments = ["--show", "--showformat=${db:Status-Status} ${Version}", package];
    let answer = output(Command::new("dpkg-query").args(arguments))?;
    answer.strip_prefix("installed ").map(str::to_owned)
}

fn is_debian() -> bool {
    output(Command::new("apt-get").arg("--version")).is_some()
}

/// Installs packages as root, or by a `sudo` that asks nothing, unless what they are for is there; from
/// lists of packages that may be old, and then from new ones, since security updates move the versions.
/// Whoever calls looks again.
fn install(packages: &[&str], is_there: impl Fn() -> bool) {
    if is_there() {
        return;
    }
    println!("installing {} by apt-get", packages.join(" "));
    let install = ["install", "-y", "-q", "--no-install-recommends"];
    let install = [&install, packages].concat();
    if !(apt(&install) && is_there()) && apt(&["update", "-q"]) {
        apt(&install);
    }
}

fn apt(arguments: &[&str]) -> bool {
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.args(["-n", "apt-get"]);
    }
    // Somebody else may be installing, this very thing perhaps.
    command.args(["-o", "DPkg::Lock::Timeout=600"]);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert!(release("1.96.0") > release("1.95"));
        assert!(release("1.85.0") < release("1.95"));
        assert!(release("1.100.0") > release("1.95"), "not by their letters");
        assert_eq!(release("nightly"), None);
        assert!(release(NEEDED).is_some());
    }
}
