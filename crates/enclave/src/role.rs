//! What an enclave is told to be, by arguments that the host chooses.
//!
//! Nothing in them is believed: they say what to do and where, and the worst that a host does with
//! them is that nothing comes of it.

use tlease_core::name::Name;

/// One of the programs in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Shows the hands of its clock, so many times.
    Clock {
        /// How often.
        times: u64,
    },
    /// Gives names to whoever may connect.
    Granter {
        /// Where it listens.
        listen: String,
        /// Where it says which fence it gave last.
        page: usize,
    },
    /// Holds a name, and acts under it.
    Holder {
        /// Where the granter listens.
        granter: String,
        /// The page on which its acts become visible.
        page: usize,
        /// Which of the page's logs is its own.
        log: usize,
        /// What it holds.
        name: Name,
        /// Acts under one lease, before it gives it back.
        acts: u64,
        /// How it acts.
        way: Way,
    },
}

/// How a holder acts. With the feature `mutants` there are others than the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the guard.
    Guarded,
    /// Checks and then acts, without the guard.
    #[cfg(feature = "mutants")]
    Unguarded,
    /// By a guard that does not test the marks.
    #[cfg(feature = "mutants")]
    MarkIgnored,
    /// By a guard that tests the marks before its transaction, not in it.
    #[cfg(feature = "mutants")]
    MarkTestedOutside,
    /// Calls the host between check and act in every other try, and then acts by the guard: no bug, since
    /// that refuses it.
    #[cfg(feature = "mutants")]
    Calls,
    /// Calls the host between check and act, and goes on with what it knew of the time.
    #[cfg(feature = "mutants")]
    CallOutlived,
}

impl Way {
    fn of(words: &[&str]) -> Option<Self> {
        Some(match *words {
            [] => Self::Guarded,
            #[cfg(feature = "mutants")]
            ["Unguarded"] => Self::Unguarded,
            #[cfg(feature = "mutants")]
            ["MarkIgnored"] => Self::MarkIgnored,
            #[cfg(feature = "mutants")]
            ["MarkTestedOutside"] => Self::MarkTestedOutside,
            #[cfg(feature = "mutants")]
            ["Calls"] => Self::Calls,
            #[cfg(feature = "mutants")]
            ["CallOutlived"] => Self::CallOutlived,
            _ => return None,
        })
    }
}

impl Role {
    /// Reads the arguments.
    ///
    /// # Errors
    /// How to use them.
    pub(crate) fn of(words: &[&str]) -> Result<Self, &'static str> {
        Self::read(words).ok_or(USAGE)
    }

    fn read(words: &[&str]) -> Option<Self> {
        let address = |word: &str| usize::from_str_radix(word, 16).ok();
        Some(match *words {
            ["clock", times] => Self::Clock { times: times.parse().ok()? },
            ["granter", listen, page] => {
                Self::Granter { listen: listen.to_owned(), page: address(page)? }
            }
            ["holder", granter, page, log, name, acts, ref way @ ..] => Self::Holder {
                granter: granter.to_owned(),
                page: address(page)?,
                log: log.parse().ok().filter(|log| *log < LOGS)?,
                name: Name::new(name.as_bytes()).ok()?,
                acts: acts.parse().ok().filter(|acts| *acts > 0)?,
                way: Way::of(way)?,
            },
            _ => return None,
        })
    }
}

/// Logs on the page.
pub(crate) const LOGS: usize = 2;

const USAGE: &str = "\
usage: clock TIMES
       granter LISTEN PAGE
       holder GRANTER PAGE LOG NAME ACTS

PAGE is the hexadecimal address of the page that judges look at (docs/enclave.md), LOG is 0 or 1.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_explained() {
        let holder = ["holder", "127.0.0.1:1", "ff00", "1", "a/b", "3"];
        let read = Role::of(&holder).unwrap();
        let way = Way::Guarded;
        let is_so = |role: &Role| matches!(role, Role::Holder { page: 0xff00, log: 1, acts: 3, way: w, .. } if *w == way);
        assert!(is_so(&read));
        let with_another_way = [&holder[..], &["Sideways"]].concat();
        assert_eq!(Role::of(&with_another_way), Err(USAGE));
        for (index, nonsense) in [(2, "xyz"), (3, "2"), (4, ""), (5, "0")] {
            let mut words = holder;
            words[index] = nonsense;
            assert_eq!(Role::of(&words), Err(USAGE), "{nonsense:?} at {index}");
        }
        assert!(Role::of(&["granter", "127.0.0.1:0", "1000"]).is_ok());
        assert!(Role::of(&["clock", "3"]).is_ok());
        assert_eq!(Role::of(&[]), Err(USAGE));
    }
}
