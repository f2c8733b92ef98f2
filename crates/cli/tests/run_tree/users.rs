//! Runs as a user sees them: from a terminal, and without privilege.

use super::leases::GRANTER;
use super::running::{Running, TERM, World, assert_code, send, until};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

type Test = fn() -> Result<(), Failed>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("a_job_that_is_stopped_from_its_terminal_keeps_its_lease", job_control),
        ("without_privilege_the_best_is_a_user_and_pid_namespace", unprivileged),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

fn job_control() -> Result<(), Failed> {
    if !has("script") || !has("bash") {
        println!("skipped: no script(1) or no bash to make a terminal with jobs");
        return Ok(());
    }
    let world = World::new();
    let mut shell = Shell::start(&world)?;
    let exe = std::env::current_exe()?;
    let (exe, stamps) = (exe.display(), world.stamps());
    let term_ms = TERM.as_millis();
    shell.type_in(&format!(
        "{exe} run --term {term_ms}ms x -- {exe} work main {}\n",
        stamps.display()
    ))?;
    shell.until("the command acts", || world.has_acted(1, "main"))?;

    shell.type_in("\x1a")?;
    let said = Arc::clone(&shell.said);
    shell.until("the shell sees its job stopped", || said.lock().unwrap().contains("Stopped"))?;
    let (acts, renewed_until) = (world.acts().len(), world.grant(1).until);
    let a_term_later = renewed_until.later_by(TERM);
    shell.until("it was renewed for a term", || world.grant(1).until > a_term_later)?;
    if world.acts().len() != acts {
        return Err("the command acted while it was stopped".into());
    }

    shell.type_in("fg\n")?;
    shell.until("the command acts again", || world.acts().len() > acts)?;
    shell.type_in("\x03")?;
    shell.type_in("echo code=$?\n")?;
    shell.until("the shell has its code", || said.lock().unwrap().contains("code=130"))?;
    shell.until("the lease is released", || world.grant(1).freed.is_some_and(|freed| freed.1))?;
    Ok(world.judge()?)
}

/// A shell with jobs, on a terminal of its own.
struct Shell {
    script: Child,
    said: Arc<Mutex<String>>,
}

impl Shell {
    fn start(world: &World) -> Result<Self, Failed> {
        let mut script = Command::new("script")
            .args(["-qfec", "bash --norc --noprofile -i", "/dev/null"])
            .env(GRANTER, world.granter.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let said = Arc::new(Mutex::new(String::new()));
        let (mut output, hearing) = (script.stdout.take().ok_or("no output")?, Arc::clone(&said));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                hearing.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Ok(Self { script, said })
    }

    fn type_in(&mut self, text: &str) -> Result<(), Failed> {
        Ok(self.script.stdin.as_mut().ok_or("no input")?.write_all(text.as_bytes())?)
    }

    fn until(&self, what: &str, condition: impl FnMut() -> bool) -> Result<(), Failed> {
        until(what, condition)
            .map_err(|error| format!("{error}; {}", self.said.lock().unwrap()).into())
    }
}

impl Drop for Shell {
    /// Its terminal goes with it, and what runs there gets a SIGHUP.
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn unprivileged() -> Result<(), Failed> {
    if !nix::unistd::geteuid().is_root() || !has("setpriv") {
        println!("skipped: privilege that is not there cannot be given up");
        return Ok(());
    }
    let world = World::new();
    // The other user has to reach all this.
    let exe = world.directory.path().join("tlease");
    fs::copy(std::env::current_exe()?, &exe)?;
    for path in [world.directory.path(), &exe, world.granter.socket()] {
        fs::set_permissions(path, Permissions::from_mode(0o777))?;
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let term = format!("{}ms", TERM.as_millis());
    let mut command = Command::new("setpriv");
    command.args(nobody).arg(&exe).args(["run", "--json", "--grace", "300ms", "--term", &term]);
    command.args(["x", "--"]).arg(&exe).args(["work", "family"]).arg(world.stamps());
    command.env(GRANTER, world.granter.socket());
    let mut running = Running::start_when_calm(&mut command);
    let contained = running.event("contained")?;
    if contained["kind"] != "pidns" {
        println!("skipped: no user namespace here:\n{}", running.story());
        return Ok(());
    }
    until("command and daemon act", || world.has_acted(1, "main") && world.has_acted(1, "daemon"))
        .map_err(|error| format!("{error}\n{}", running.story()))?;
    send(running.supervisor()?, Signal::SIGKILL);
    assert_code(&mut running, 74)?;
    let acts = world.acts().len();
    let over = world.grant(1).until;
    until("the term is over", || tlease_cli::run::RawInstant::read() > over)?;
    if world.acts().len() != acts {
        return Err("something acted after the run had ended".into());
    }
    Ok(world.judge()?)
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
