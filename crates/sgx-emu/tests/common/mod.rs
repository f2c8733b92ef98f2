//! Enclaves under test: each a process of its own, run by `tlease-sgx-run`.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod contests;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tlease_sgx_emu::share::Share;

/// The image that `cargo xtask sgx build` made.
pub(crate) fn image(name: &str) -> PathBuf {
    let target = std::env::var_os("TLEASE_SGX_IMAGES").expect("cargo xtask sgx test sets it");
    PathBuf::from(target).join(name).with_extension("sgxs")
}

/// Runs the probe under emulation, with options and arguments separated by blanks.
pub(crate) fn probe(options: &str, arguments: &str) -> Command {
    enclave("tlease-sgx-probe", options, arguments)
}

/// Runs an enclave under emulation.
pub(crate) fn enclave(name: &str, options: &str, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlease-sgx-run"));
    command.arg("--emulate").args(options.split_whitespace()).arg(image(name));
    command.args(arguments.split_whitespace()).stdin(Stdio::null());
    command
}

/// Its output, after it ended well.
pub(crate) fn said(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    assert!(err.contains("NOTHING IS ISOLATED"), "it must be said: {err}");
    out.into_owned()
}

/// The numbers in a text, in their order.
pub(crate) fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

/// A shared page of one test, gone with it.
pub(crate) struct Page {
    pub(crate) share: Share,
    pub(crate) path: PathBuf,
}

impl Page {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, SeqCst);
        let name = format!("tlease-sgx-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        Self { share: Share::open(&path).expect("a temporary file"), path }
    }

    pub(crate) fn option(&self) -> String {
        format!("--share {}", self.path.display())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A running enclave, which ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts"))
    }

    /// Waits for a condition; `false` if the enclave ended before.
    pub(crate) fn waits_until(&mut self, condition: impl Fn() -> bool) -> bool {
        loop {
            if condition() {
                return true;
            }
            if self.0.try_wait().expect("a child of ours").is_some() {
                return condition();
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
