//! What holds the tree of a command together, so that all of it can be killed.
//!
//! Four kinds, best first. Whatever the kind, the watchdog is a subreaper, so every orphan of the
//! tree becomes its child, and it kills its children besides: what slips out of a cgroup is still
//! caught as a descendant.
//!
//! None of them is a sandbox. A command that may write to the cgroup file system can leave its leaf,
//! and work that it hands to another service (`systemd-run`, `dockerd`, `at`, `ssh`) was never in
//! its tree.

mod children;
mod freezer;
mod leaf;
mod mounts;
pub(super) mod pid_namespace;
mod pids;

use freezer::Freezer;
use leaf::Leaf;
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// The kinds of containment, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A leaf in the cgroup v2 hierarchy, killed as one by `cgroup.kill`.
    Cgroup,
    /// A PID namespace whose init is the watchdog: it cannot be killed from inside, and the kernel
    /// kills all of it when it ends.
    PidNamespace,
    /// A leaf in the cgroup v1 freezer hierarchy: frozen, killed, thawed, so nothing can fork away.
    Freezer,
    /// No boundary: the descendants of the watchdog, killed generation by generation.
    Group,
}

/// Why a kind of containment cannot be used here.
#[derive(Debug)]
pub(super) enum Unfit {
    /// The hierarchy is not mounted, or this process is not in it.
    NoHierarchy,
    /// No leaf could be made.
    NoLeaf(PathBuf, io::Error),
    /// The kernel has no `cgroup.kill` (it came with Linux 5.14).
    NoKill,
    /// A process could not be put into it, or not be killed in it.
    NoEntry(io::Error),
    /// The kernel does not list the children of a process.
    NoChildren,
    /// It would change what the command sees of its terminal, so it has to be asked for.
    Terminal,
    /// It would take the privileges of the command's file away, so it has to be asked for.
    Privileged,
}

/// One containment in use, as seen by one process.
#[derive(Debug)]
pub(super) enum Containment {
    Cgroup(Leaf),
    PidNamespace,
    Freezer(Freezer),
    Group,
}

impl Containment {
    /// Makes a new containment of that kind.
    pub(super) fn create(kind: Kind) -> Result<Self, Unfit> {
        match kind {
            Kind::Cgroup => Leaf::create().map(Self::Cgroup),
            Kind::PidNamespace => Ok(Self::PidNamespace),
            Kind::Freezer => Freezer::create().map(Self::Freezer),
            Kind::Group if children::are_listed() => Ok(Self::Group),
            Kind::Group => Err(Unfit::NoChildren),
        }
    }

    /// The containment that another process made and described by [`Containment::arguments`].
    pub(super) fn open(kind: &OsStr, directory: &OsStr) -> io::Result<Self> {
        let directory = Path::new(directory);
        match Kind::named(kind) {
            Some(Kind::Cgroup) => Leaf::open(directory).map(Self::Cgroup),
            Some(Kind::PidNamespace) => Ok(Self::PidNamespace),
            Some(Kind::Freezer) => Freezer::open(directory).map(Self::Freezer),
            Some(Kind::Group) => Ok(Self::Group),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Its kind and directory, for the command line of another process.
    pub(super) fn arguments(&self) -> [OsString; 2] {
        let directory = self.directory().map_or_else(OsString::new, |path| path.as_os_str().into());
        [self.kind().name().into(), directory]
    }

    /// Which kind it is.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Cgroup(_) => Kind::Cgroup,
            Self::PidNamespace => Kind::PidNamespace,
            Self::Freezer(_) => Kind::Freezer,
            Self::Group => Kind::Group,
        }
    }

    /// Where it is in the file system, if it is.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Cgroup(leaf) => Some(leaf.path()),
            Self::Freezer(freezer) => Some(freezer.path()),
            Self::PidNamespace | Self::Group => None,
        }
    }

    /// Puts the calling process into it; what it starts from then on is inside too.
    pub(super) fn enter(&self) -> io::Result<()> {
        match self {
            Self::Cgroup(leaf) => leaf.enter(),
            Self::Freezer(freezer) => freezer.enter(),
            // Being a child of the watchdog is all it takes.
            Self::PidNamespace | Self::Group => Ok(()),
        }
    }

    /// Sends SIGKILL to everything inside. Does not allocate, does not fail: whether it worked is
    /// what [`Containment::is_vacant`] says.
    pub(super) fn kill(&self, spare: Option<Pid>) {
        match self {
            Self::Cgroup(leaf) => leaf.kill(),
            Self::PidNamespace => pid_namespace::kill_all(),
            Self::Freezer(freezer) => freezer.kill(),
            Self::Group => {}
        }
        if self.kind() != Kind::PidNamespace {
            children::kill(spare);
        }
    }

    /// Whether nothing is left inside, once the caller has no child left but `spare`. In doubt, no.
    pub(super) fn is_vacant(&self, spare: Option<Pid>) -> bool {
        match self {
            Self::Cgroup(leaf) => leaf.is_vacant() && !children::any(spare),
            Self::Freezer(freezer) => freezer.is_vacant() && !children::any(spare),
            // Orphans inside become children of the init, which the caller has reaped.
            Self::PidNamespace => pid_namespace::is_vacant(),
            Self::Group => !children::any(spare),
        }
    }

    /// Removes what [`Containment::create`] made, if nothing is left inside.
    pub(super) fn remove(&self) {
        match self {
            Self::Cgroup(leaf) => leaf.remove(),
            Self::Freezer(freezer) => freezer.remove(),
            Self::PidNamespace | Self::Group => {}
        }
    }
}

impl Kind {
    /// All kinds, best first.
    pub(super) const ALL: [Self; 4] =
        [Self::Cgroup, Self::PidNamespace, Self::Freezer, Self::Group];

    /// Its name on the command line.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::PidNamespace => "pidns",
            Self::Freezer => "freezer",
            Self::Group => "group",
        }
    }

    fn named(name: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name == kind.name())
    }

    /// What it is, for people.
    #[must_use]
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup v2 leaf, killed as one by the kernel",
            Self::PidNamespace => "PID namespace with the watchdog as its init",
            Self::Freezer => "cgroup v1 freezer: frozen, killed, thawed",
            Self::Group => "descendants of the watchdog, killed generation by generation",
        }
    }

    /// What it does not hold, for people: one sentence.
    #[must_use]
    pub(super) const fn exposure(self) -> &'static str {
        match self {
            Self::Cgroup => {
                "a process that may write to the cgroup file system can leave the leaf (it is then \
                 killed as a descendant, as long as the watchdog lives)"
            }
            Self::PidNamespace => {
                "without privilege it is a user namespace too: setuid programs gain nothing inside, \
                 files of other users show as nobody's; /proc still shows the numbers outside"
            }
            Self::Freezer => {
                "a process that may write to the cgroup file system can leave the leaf (it is then \
                 killed as a descendant, as long as the watchdog lives); a task that the kernel \
                 cannot freeze is killed unfrozen"
            }
            Self::Group => {
                "daemons are caught however often they detach, as long as the watchdog or the front \
                 process lives; with both killed -9 they escape; so does what runs as another user, \
                 and what forks faster than it is killed"
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHierarchy => f.write_str("its hierarchy is not mounted here"),
            Self::NoLeaf(path, error) => write!(f, "cannot make {}: {error}", path.display()),
            Self::NoKill => f.write_str("this kernel has no cgroup.kill (Linux 5.14 has)"),
            Self::NoEntry(error) => write!(f, "it does not work here: {error}"),
            Self::NoChildren => f.write_str("this kernel has no /proc/thread-self/children"),
            Self::Terminal => f.write_str("not without being asked for while there is a terminal"),
            Self::Privileged => f.write_str(
                "not without being asked for with a setuid command or file capabilities",
            ),
        }
    }
}

impl std::error::Error for Unfit {}
