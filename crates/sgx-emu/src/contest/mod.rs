//! A granter and two holders, enclaves all, contend for one name; the first holder is kept outside in
//! the midst of an act until the second has acted under a later lease. Then it goes on, and a judge
//! who sees the order of everything, and has no clock, says whether an effect came too late.

mod log;
mod process;

pub use log::Entry;

use crate::plan::{ARMED, GO_ON, STEPS, WAITING};
use crate::share::Share;
use log::Log;
use process::{Process, now};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// What is set up.
#[derive(Debug, Clone)]
pub struct Contest {
    /// `tlease-sgx-run`.
    pub runner: PathBuf,
    /// The image of all three enclaves.
    pub image: PathBuf,
    /// How often the first holder is kept outside.
    pub rounds: u64,
    /// Where: the function to follow, and at which instruction, as `tlease-sgx-run --follow` takes it.
    pub follow: String,
    /// What else happens to it there, before it is kept: actions of `tlease-sgx-run --do`.
    pub actions: Vec<String>,
    /// Whether nothing else disturbs it there: the counter stands still, and no other exit comes.
    pub is_still: bool,
    /// What is wrong with the acts of the first holder: a word for an image with planted bugs.
    pub bug: Option<String>,
}

/// What the judge saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// How often the first holder was kept outside until the second had acted, and then went on.
    pub rounds: u64,
    /// Acts of the first holder that became visible after that, under the lease that it had lost.
    pub stale: u64,
    /// Acts of either that became visible after a later fence was given, by the entries themselves.
    pub stale_by_entry: u64,
    /// Fences under which both acted, or that went back in a log.
    pub confused: u64,
    /// Acts of each holder.
    pub acts: [u64; 2],
    /// Leases given.
    pub leases: u64,
    /// After how many instructions of the function that was followed the holder was kept.
    pub places: BTreeSet<u64>,
}

impl Seen {
    /// Whether no effect came too late.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.stale == 0 && self.stale_by_entry == 0 && self.confused == 0
    }
}

/// The contest did not come about, so nothing was shown.
#[derive(Debug)]
pub enum Stop {
    /// The page could not be made.
    Page(std::io::Error),
    /// An enclave did not start.
    Start(std::io::Error),
    /// An enclave ended before the judge was done with it; what it said.
    Ended(&'static str, String),
    /// Something was not seen for very long.
    Missing(&'static str),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(error) => write!(f, "no page to judge by: {error}"),
            Self::Start(error) => write!(f, "cannot run an enclave: {error}"),
            Self::Ended(who, said) => write!(f, "the {who} ended early, and said:\n{said}"),
            Self::Missing(what) => write!(f, "in {} s never: {what}", PATIENCE.as_secs()),
        }
    }
}

impl std::error::Error for Stop {}

impl Contest {
    /// Runs it, and tells `say` what happens.
    ///
    /// # Errors
    /// [`Stop`]: nothing was shown, neither that it is safe nor that it is not.
    pub fn run(&self, say: impl FnMut(&str)) -> Result<Seen, Stop> {
        let page = TemporaryPage::new()?;
        let mut arena = Arena::open(self, &page, say)?;
        let mut seen = Seen::default();
        // Left alone, each acts: else nothing is shown by their not acting.
        let [first, second] = arena.logs;
        arena.wait("both holders act", || first.acts() > 0 && second.acts() > 0)?;
        arena.share.word(ARMED).store(1, SeqCst);
        while seen.rounds < self.rounds {
            arena.round(&mut seen)?;
        }
        arena.sum_up(&mut seen);
        Ok(seen)
    }
}

/// The three enclaves, and the page on which the judge looks.
struct Arena<S> {
    share: Share,
    logs: [Log; 2],
    granter: Process,
    holders: [Process; 2],
    say: S,
}

impl<S: FnMut(&str)> Arena<S> {
    fn open(contest: &Contest, page: &TemporaryPage, mut say: S) -> Result<Self, Stop> {
        let share = page.share;
        let run = |who, attack: &[&str], arguments: &[&str]| {
            let mut options = vec!["--emulate", "--exits", EXITS, "--share"];
            let path = page.path.to_string_lossy();
            options.push(&path);
            options.extend_from_slice(attack);
            Process::start(who, &contest.runner, &options, &contest.image, arguments)
        };
        let mut granter = run("granter", &[], &["granter", "127.0.0.1:0", "@share"])?;
        granter.wait("the granter listens", || share.load(PORT) != 0)?;
        let address = format!("127.0.0.1:{}", share.load(PORT));
        say(&format!("the granter listens at {address}"));
        let mut attack = vec!["--follow", &contest.follow, "--spare"];
        for action in &contest.actions {
            attack.extend_from_slice(&["--do", action]);
        }
        attack.extend_from_slice(&["--do", "await"]);
        if contest.is_still {
            attack.push("--still");
        }
        let hold = |log| vec!["holder", &address, "@share", log, NAME, ACTS];
        let mut first = hold("0");
        first.extend(contest.bug.as_deref());
        let holders =
            [run("first holder", &attack, &first)?, run("second holder", &[], &hold("1"))?];
        Ok(Self { share, logs: [0, 1].map(|log| Log::of(share, log)), granter, holders, say })
    }

    /// Once: the first holder is kept outside, loses its lease, and goes on.
    fn round(&mut self, seen: &mut Seen) -> Result<(), Stop> {
        let (share, [first, second]) = (self.share, self.logs);
        let before = seen.rounds;
        self.wait("the first holder is in the midst of an act", || share.load(WAITING) > before)?;
        let (fence, acts, ended) = (first.fence(), first.acts(), first.ended());
        let place = share.load(STEPS).saturating_sub(1);
        seen.places.insert(place);
        let instructions = format!("after {place} instructions of its act");
        (self.say)(&format!(
            "the first holder, under fence {fence}, is kept outside {instructions}"
        ));
        self.wait("the name is given to the second holder", || share.load(GIVEN) > fence)?;
        let acted = second.acts();
        self.wait("the second holder acts", || second.acts() > acted && second.fence() > fence)?;
        let given = share.load(GIVEN);
        (self.say)(&format!("the second acts under fence {given}; the first goes on"));
        share.word(GO_ON).fetch_add(1, SeqCst);
        self.wait("the first holder ends its act", || first.ended() > ended)?;
        let late = first.entries(acts).filter(|entry| entry.fence <= fence).count();
        (self.say)(&match late {
            0 => "its act did not happen".to_owned(),
            _ => format!("STALE: its act under fence {fence} became visible"),
        });
        seen.stale += u64::try_from(late).unwrap_or(u64::MAX);
        seen.rounds += 1;
        Ok(())
    }

    /// The whole of both logs, once nobody writes any more.
    fn sum_up(mut self, seen: &mut Seen) {
        for process in self.holders.iter_mut().chain([&mut self.granter]) {
            process.kill();
        }
        let fences = self.logs.map(|log| log.entries(0).map(|entry| entry.fence).collect());
        let [first, second]: [Vec<u64>; 2] = fences;
        let goes_back = |fences: &[u64]| fences.windows(2).filter(|pair| pair[0] > pair[1]).count();
        let shared: BTreeSet<u64> = first.iter().copied().collect();
        let shared = second.iter().filter(|fence| shared.contains(fence)).count();
        let confused = goes_back(&first) + goes_back(&second) + shared;
        let late = self.logs.iter().flat_map(|log| log.entries(0)).filter(Entry::is_stale).count();
        seen.confused = u64::try_from(confused).unwrap_or(u64::MAX);
        seen.stale_by_entry = u64::try_from(late).unwrap_or(u64::MAX);
        seen.acts = self.logs.map(|log| log.acts());
        seen.leases = self.share.load(GIVEN);
    }

    /// Waits for what an enclave does; all of them have to live meanwhile.
    fn wait(&mut self, what: &'static str, happened: impl Fn() -> bool) -> Result<(), Stop> {
        let begun = now();
        while !happened() {
            for process in self.holders.iter_mut().chain([&mut self.granter]) {
                process.must_live()?;
            }
            if begun.elapsed() > PATIENCE {
                return Err(Stop::Missing(what));
            }
            process::pause();
        }
        Ok(())
    }
}

/// A page of one contest, gone with it.
struct TemporaryPage {
    share: Share,
    path: PathBuf,
}

impl TemporaryPage {
    fn new() -> Result<Self, Stop> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, SeqCst);
        let name = format!("tlease-contest-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        Ok(Self { share: Share::open(Path::new(&path)).map_err(Stop::Page)?, path })
    }
}

impl Drop for TemporaryPage {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The word of the page with the fence that was given last, by the granter.
const GIVEN: usize = 2;
/// The word with the granter's port.
const PORT: usize = 3;
const NAME: &str = "contest/name";
/// Acts of a holder under one lease.
const ACTS: &str = "3";
/// Exits a second on each thread, beside preemptions.
const EXITS: &str = "25";
/// On a machine that is busy with much else, enclaves that spin take their time.
const PATIENCE: Duration = Duration::from_secs(120);
