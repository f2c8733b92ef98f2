//! The size of what must be trusted, and the README's word on it.

use super::rules::{UNSAFE_HOME, is_unshipped};
use super::{Finding, Parsed};
use crate::job::Cargo;
use crate::tree::Tree;
use std::collections::BTreeSet;
use std::fmt;

/// What a reader of the trusted base has before them.
#[derive(Debug)]
pub(super) struct Counts {
    /// Lines with code in core and clock, without tests, comments and blank lines.
    core_lines: usize,
    clock_lines: usize,
    /// Places with the keyword `unsafe`, and places with assembly, in what ships.
    unsafe_sites: usize,
    assembly_sites: usize,
    /// The same, together, in crates that do not ship.
    unshipped_sites: usize,
    /// Packages that are not ours, below core, and below core and clock.
    core_packages: usize,
    base_packages: usize,
    /// The same below the command line, which links everything that ships.
    shipped_packages: usize,
    /// What the enclave's image has beside core and clock.
    enclave_lines: usize,
    enclave_packages: usize,
}

impl Counts {
    pub(super) fn of(sources: &[Parsed<'_>]) -> Self {
        let sum = |path: &str, count: fn(&Parsed<'_>) -> usize| -> usize {
            sources.iter().filter(|parsed| parsed.file.path.starts_with(path)).map(count).sum()
        };
        let unsafe_in = |parsed: &Parsed<'_>| parsed.source.unsafe_lines.len();
        let assembly_in = |parsed: &Parsed<'_>| parsed.source.assembly_lines.len();
        let unshipped = sources.iter().filter(|parsed| is_unshipped(&parsed.file.path));
        Self {
            core_lines: code_lines(sources, "crates/core/src/"),
            clock_lines: code_lines(sources, "crates/clock/src/"),
            unsafe_sites: sum(UNSAFE_HOME, unsafe_in),
            assembly_sites: sum(UNSAFE_HOME, assembly_in),
            unshipped_sites: unshipped.map(|parsed| unsafe_in(parsed) + assembly_in(parsed)).sum(),
            core_packages: packages("tlease-core", LINUX),
            base_packages: packages("tlease-clock", LINUX),
            shipped_packages: packages("tlease-cli", LINUX),
            enclave_lines: ENCLAVE.iter().map(|path| code_lines(sources, path)).sum(),
            enclave_packages: packages("tlease-enclave", SGX),
        }
    }

    /// The README must say what was counted.
    pub(super) fn check(&self, tree: &Tree) -> Option<Finding> {
        let readme = tree.text(README).unwrap_or_default();
        let Some((before, said, _)) = split(readme) else {
            return Some(Finding::new(
                README,
                1,
                format!("needs the counts between `{BEGIN}` and `{END}`"),
            ));
        };
        let line = before.lines().count();
        let what = "says other counts than these: run `cargo xtask fix`";
        (said != self.table()).then(|| Finding::new(README, line, what))
    }

    /// Writes the table into the README.
    pub(super) fn write(&self, tree: &Tree) -> std::io::Result<()> {
        let readme = tree.text(README).unwrap_or_default();
        let (before, _, after) = split(readme).ok_or_else(|| {
            std::io::Error::other(format!("{README} lacks `{BEGIN}` and `{END}`"))
        })?;
        std::fs::write(tree.root.join(README), format!("{before}{}{after}", self.table()))
    }

    /// Lines are rounded to hundreds, so that not every change changes the README.
    fn table(&self) -> String {
        let hundreds = |lines: usize| (lines + 50) / 100 * 100;
        format!(
            "{BEGIN}\n\
             | what must be trusted | |\n|---|---|\n\
             | lines of code in `crates/core`, to the nearest hundred | {} |\n\
             | lines of code in `crates/clock`, to the nearest hundred | {} |\n\
             | `unsafe` in what ships, all under `crates/clock/src/arch/` | {} |\n\
             | assembly blocks there | {} |\n\
             | both in crates that do not ship (attacks, test support) | {} |\n\
             | packages below `tlease-core` that are not ours | {} |\n\
             | packages below `tlease-clock`, core included | {} |\n\
             | packages below the command `tlease`, which links everything | {} |\n\
             | lines of code in the image of the enclave beside those two (enclave, attest, wire) | {} |\n\
             | packages below the image of the enclave | {} |\n{END}",
            hundreds(self.core_lines),
            hundreds(self.clock_lines),
            self.unsafe_sites,
            self.assembly_sites,
            self.unshipped_sites,
            self.core_packages,
            self.base_packages,
            self.shipped_packages,
            hundreds(self.enclave_lines),
            self.enclave_packages,
        )
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { core_lines, clock_lines, .. } = self;
        writeln!(f, "trusted base: {core_lines} lines of core, {clock_lines} of clock")?;
        write!(
            f,
            "unsafe: {} sites and {} of assembly, all in one directory; {} in what does not ship",
            self.unsafe_sites, self.assembly_sites, self.unshipped_sites
        )
    }
}

/// Lines with code below a directory, without the modules that only tests compile.
fn code_lines(sources: &[Parsed<'_>], directory: &str) -> usize {
    let below = || sources.iter().filter(|parsed| parsed.file.path.starts_with(directory));
    let mut tests = BTreeSet::new();
    for Parsed { file, source } in below() {
        let parent = file.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let stem = file.path.trim_end_matches(".rs");
        for module in &source.test_modules {
            tests.insert(format!("{parent}/{module}.rs"));
            tests.insert(format!("{stem}/{module}.rs"));
        }
    }
    let shipped = below().filter(|parsed| !tests.contains(&parsed.file.path));
    shipped.map(|parsed| parsed.source.code_lines.len()).sum()
}

/// How many packages that are not in this workspace a package links there, directly or not.
fn packages(package: &str, target: &str) -> usize {
    let listing = Cargo::new(&format!(
        "tree -p {package} --locked --target {target} --edges normal,no-proc-macro --prefix none"
    ));
    let listing = listing.output().unwrap_or_default();
    let of_others = |line: &&str| !line.is_empty() && !line.contains("(/");
    let names = listing.lines().filter(of_others).map(|line| line.trim_end_matches(" (*)"));
    names.collect::<BTreeSet<_>>().len()
}

/// The README in three: what is before the table, the table with its marks, and the rest.
fn split(readme: &str) -> Option<(&str, &str, &str)> {
    let begin = readme.find(BEGIN)?;
    let end = readme.find(END)? + END.len();
    (begin < end).then(|| (&readme[..begin], &readme[begin..end], &readme[end..]))
}

const LINUX: &str = "x86_64-unknown-linux-gnu";
const SGX: &str = "x86_64-fortanix-unknown-sgx";
const ENCLAVE: [&str; 3] = ["crates/enclave/src/", "crates/attest/src/", "crates/wire/src/"];
const README: &str = "README.md";
const BEGIN: &str = "<!-- counts: written by `cargo xtask fix` -->";
const END: &str = "<!-- end of counts -->";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{parse, tree_of};

    #[test]
    fn test_modules_in_files_of_their_own_do_not_count() {
        let tree = tree_of(&[
            ("crates/core/src/lib.rs", "mod a;\n"),
            ("crates/core/src/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests;\n"),
            ("crates/core/src/a/tests.rs", "fn g() {}\nfn h() {}\n"),
        ]);
        assert_eq!(code_lines(&parse(&tree).0, "crates/core/src/"), 2);
    }

    #[test]
    fn the_table_is_found_between_its_marks() {
        let readme = format!("a\n{BEGIN}\nb\n{END}\nc\n");
        assert_eq!(split(&readme), Some(("a\n", &readme[2..readme.len() - 3], "\nc\n")));
        assert_eq!(split("a\n"), None);
    }
}
