//! One enclave, in a process of its own, which ends with the contest.

use super::{PATIENCE, Stop};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Process {
    who: &'static str,
    child: Child,
}

impl Process {
    pub(super) fn start(
        who: &'static str,
        runner: &Path,
        options: &[&str],
        image: &Path,
        arguments: &[&str],
    ) -> Result<Self, Stop> {
        let mut command = Command::new(runner);
        command.args(options).arg(image).args(arguments).stdin(Stdio::null());
        // It says little, so the pipe does not fill.
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Self { who, child: command.spawn().map_err(Stop::Start)? })
    }

    /// Waits for what this enclave alone does.
    pub(super) fn wait(
        &mut self,
        what: &'static str,
        happened: impl Fn() -> bool,
    ) -> Result<(), Stop> {
        let begun = now();
        while !happened() {
            self.must_live()?;
            if begun.elapsed() > PATIENCE {
                return Err(Stop::Missing(what));
            }
            pause();
        }
        Ok(())
    }

    pub(super) fn must_live(&mut self) -> Result<(), Stop> {
        if let Ok(None) = self.child.try_wait() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(output) = &mut self.child.stdout {
            // What cannot be read is not shown.
            let _ = output.read_to_string(&mut said);
        }
        Err(Stop::Ended(self.who, said))
    }

    pub(super) fn kill(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// For patience alone: the judge's verdict knows no time.
#[expect(clippy::disallowed_methods, reason = "nothing is judged by it")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Leaves the cores to the enclaves.
#[expect(clippy::disallowed_methods, reason = "between two looks at a condition")]
pub(super) fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}
