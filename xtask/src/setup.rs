//! What the gate needs on a fresh machine with Rust, and installs when it is missing.
//!
//! The toolchain itself, with rustfmt and clippy, is pinned in `rust-toolchain.toml`: rustup brings
//! it before this program can run. What is left are the targets that two jobs compile for. The tests
//! need no package of the system beyond the C linker that every Rust program needs.

use std::process::{Command, Stdio};

/// A target that a job compiles for, without running anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The other processor that the host profile supports.
    Aarch64,
    /// A machine with no operating system: whoever needs `std` does not compile for it.
    Bare,
}

impl Target {
    /// As rustc calls it.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Bare => "x86_64-unknown-none",
        }
    }

    /// Whether it can be compiled for, after an attempt to install it if it was missing.
    pub(crate) fn is_there(self) -> bool {
        self.is_installed() || (self.install() && self.is_installed())
    }

    fn is_installed(self) -> bool {
        let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
        let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        listed.is_ok_and(|listed| listed.lines().any(|line| line == self.triple()))
    }

    fn install(self) -> bool {
        println!("installing the target {} by rustup", self.triple());
        Command::new("rustup")
            .args(["target", "add", self.triple()])
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// Checks for the tools that cargo runs for us.
///
/// # Errors
/// What to do about the first that is missing.
pub(crate) fn tools() -> Result<(), String> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if has(tool) || (install(component) && has(tool)) {
            continue;
        }
        return Err(format!(
            "`cargo {tool}` is missing; install it: rustup component add {component}"
        ));
    }
    Ok(())
}

fn has(tool: &str) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([tool, "--version"]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn install(component: &str) -> bool {
    println!("installing {component} by rustup");
    let mut command = Command::new("rustup");
    command.args(["component", "add", component]).stdin(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
