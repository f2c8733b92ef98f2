//! Running an enclave file: the options of `tlease-sgx-run`, and what they come to.

use crate::emu::{self, Emulator, Steps, tsc};
use crate::plan::{self, Plan};
use crate::{device, share::Share};
use anyhow::Context;
use enclave_runner_sgx::EnclaveBuilder;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

/// What to run, and what happens to it.
#[derive(Debug, Default)]
pub struct Options {
    file: PathBuf,
    arguments: Vec<String>,
    /// Even where there is SGX.
    must_emulate: bool,
    exits: Option<u32>,
    at_random: bool,
    share: Option<PathBuf>,
    follow: Option<(String, Steps)>,
    /// Whether the function is left alone until the judge wants otherwise.
    spares: bool,
    plan: Plan,
    says_exits: bool,
    no_transactions: bool,
}

/// How to call `tlease-sgx-run`.
pub const USAGE: &str = "\
usage: tlease-sgx-run [OPTIONS] FILE.sgxs [ARGS]

Runs the enclave with ARGS, on the device where there is SGX, else under emulation, which isolates
nothing. @share in ARGS becomes the address of the shared page, in hexadecimal.

  --emulate               emulate, whatever there is
  --exits RATE            interrupt each thread so many times a second (default 250; 0: never)
  --random                at random moments with that mean
  --share FILE            map FILE, made if missing, for enclave and judges to see
  --follow FUNCTION=STEPS stop at the function, and exit after `every` instruction, after a number of
                          them, or in each call one later (`sweep`), or N later (`sweep:N`); the name is looked
                          up in FILE.elf. Also `within`: in each call before one later instruction of its
                          emulated transactions; `call`: no exit, but at its first call to the host
  --still                 while a call is followed the counter stands still, and no other exit comes (no host
                          can do that)
  --spare                 leave its calls alone while word 5 of the shared page is zero
  --do ACTION             at the chosen exits (with --follow), or at every one: pause:MS, tsc:TICKS,
                          tsc-rate:PARTS (of 65536), move (to another processor), abandon,
                          await (until the judge changes word 0 of the shared page); in their order
  --every N               only at each Nth of those exits
  --trap-tsc              let RDTSC inside be answered by the emulator (tsc and tsc-rate do)
  --abort-transactions    abort every transaction that is emulated
  --no-transactions       emulate none: a processor without them ends the enclave
  --count                 say at the end how many exits there were
";

impl Options {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// The first word that makes no sense.
    pub fn of(arguments: Vec<String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = arguments.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--emulate" => options.must_emulate = true,
                "--random" => options.at_random = true,
                "--abort-transactions" => emu::abort_transactions(),
                "--no-transactions" => options.no_transactions = true,
                "--trap-tsc" => tsc::trap(),
                "--count" => options.says_exits = true,
                "--exits" => options.exits = Some(number(&value()?)?),
                "--every" => options.plan.every = number(&value()?)?,
                "--share" => options.share = Some(value()?.into()),
                "--follow" => options.follow = Some(follow(&value()?)?),
                "--spare" => options.spares = true,
                "--still" => {
                    tsc::trap();
                    emu::keep_still();
                }
                "--do" => options.plan.actions.push(value()?.parse()?),
                _ if word.starts_with("--") => return Err(format!("unknown: {word}")),
                _ => {
                    options.file = word.into();
                    options.arguments = words.collect();
                    break;
                }
            }
        }
        if options.file.as_os_str().is_empty() {
            return Err("which file?".into());
        }
        if options.plan.moves_tsc() {
            tsc::trap();
        }
        options.plan.only_steps = options.follow.is_some();
        Ok(options)
    }

    /// What of it only an emulator can do.
    fn needs_emulation(&self) -> bool {
        self.must_emulate || self.follow.is_some() || !self.plan.actions.is_empty()
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn follow(text: &str) -> Result<(String, Steps), String> {
    let (function, steps) = text.split_once('=').ok_or("FUNCTION=STEPS")?;
    let steps = match steps {
        "every" => Steps::Every,
        "sweep" => Steps::Sweep(1),
        "within" => Steps::Within,
        "call" => Steps::Call,
        steps => match steps.strip_prefix("sweep:") {
            Some(stride) => Steps::Sweep(number(stride)?),
            None => Steps::After(number(steps)?),
        },
    };
    Ok((function.to_owned(), steps))
}

/// Runs it to its end.
///
/// # Errors
/// It cannot be loaded, or it ended badly.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let share = options.share.as_deref().map(Share::open).transpose()?;
    let arguments: Vec<String> = options
        .arguments
        .iter()
        .map(|word| match &share {
            Some(share) => word.replace("@share", &format!("{:x}", share.address())),
            None => word.clone(),
        })
        .collect();
    if !options.needs_emulation()
        && let Some(device) = device::open()
    {
        return start(options, device?, &arguments, |_: &_| Ok(()));
    }
    let emulator = Emulator::install()?;
    if !options.no_transactions && emu::emulate_transactions()? {
        eprintln!("[emulated SGX] this processor has no transactions: they are emulated too");
    }
    emu::set_rate(options.exits.unwrap_or(TICKS), options.at_random);
    if let Some(share) = share.filter(|_| options.spares) {
        emu::spare_while_zero(share.word(plan::ARMED));
    }
    options.plan.clone().install(share);
    let result = start(options, emulator, &arguments, |_: &_| match &options.follow {
        Some((function, steps)) => follow_in(options, function, *steps),
        None => Ok(()),
    });
    if options.says_exits {
        let (length, calls) = emu::followed();
        eprintln!(
            "[emulated SGX] {} exits; followed {calls} calls, the last of {length}",
            emu::exits()
        );
    }
    result
}

/// As a kernel with 250 ticks a second interrupts each processor.
const TICKS: u32 = 250;
/// Each thread inside keeps one of the runner's.
const WORKERS: usize = 16;

fn start<L: sgxs::loader::Load>(
    options: &Options,
    loader: L,
    arguments: &[String],
    loaded: impl FnOnce(&Options) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut image = EnclaveBuilder::new(&options.file);
    let signature = options.file.with_extension("sig");
    image.signature(&signature).with_context(|| format!("{}", signature.display()))?;
    let mut builder = enclave_runner::EnclaveBuilder::new(image);
    builder.args(arguments).num_worker_threads(WORKERS);
    // Else the end of one thread waits for all others, and timekeepers never end.
    builder.forward_panics(true);
    let command: enclave_runner::Command =
        builder.build(loader).with_context(|| format!("loading {}", options.file.display()))?;
    loaded(options)?;
    // It says so by a panic, which is no fault of ours that anybody wants to trace.
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(AssertUnwindSafe(|| command.run())).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map_or("a panic of the runner", String::as_str);
        Err(anyhow::anyhow!("{said}"))
    })
}

/// Looks the function up in the linked file beside the image, whose addresses are offsets.
fn follow_in(options: &Options, function: &str, steps: Steps) -> anyhow::Result<()> {
    use object::{Object, ObjectSymbol};
    let path = options.file.with_extension("elf");
    let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
    let elf = object::File::parse(&*bytes)?;
    let mut found = elf
        .symbols()
        .filter(|symbol| symbol.name().is_ok_and(|name| name == function || names(name, function)));
    let symbol = found.next().with_context(|| format!("no function {function}"))?;
    anyhow::ensure!(found.next().is_none(), "more than one function {function}");
    emu::follow(0, usize::try_from(symbol.address())?, steps);
    Ok(())
}

/// Whether a mangled name is of a function with this plain one: its last part, before a hash or
/// without one. Generic functions that only have it among their types are others.
fn names(mangled: &str, plain: &str) -> bool {
    let rest = mangled.split_once(&format!("{}{plain}", plain.len())).map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("17h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_plain_names_in_both_manglings() {
        assert!(names("_RNvNtNtCscYez_14tlease_enclave6inside3act9act_alone", "act_alone"));
        assert!(names("_ZN14tlease_enclave3act9act_alone17h0123456789abcdefE", "act_alone"));
        let generic = "_RINvNtCs_5clock7attemptNCNvNtCs_3act9act_alone0E";
        assert!(!names(generic, "act_alone"), "it has a closure of the function among its types");
        assert!(!names("_RNvNtCs_3act14check_then_act", "act_alone"));
    }
}
