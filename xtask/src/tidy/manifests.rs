//! Rules on dependencies: each has a reason, a version, a licence that ours can live with, and comes
//! from the one place that all come from.

use super::Finding;
use crate::job::Cargo;
use crate::tree::{File, Tree};
use std::collections::BTreeSet;

/// Licences that code under Apache-2.0 or MIT may be linked with.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What speaks to SGX comes from one vendor under MPL-2.0, which asks for the sources of those files
/// alone, also when they are linked with ours. None of it is below what ships but the enclave.
const MPL: &[&str] = &[
    "enclave-runner",
    "enclave-runner-sgx",
    "fortanix-sgx-abi",
    "insecure-time",
    "ipc-queue",
    "sgx-isa",
    "sgxs",
    "sgxs-loaders",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = tree.matching("", "Cargo.toml").flat_map(dependencies).collect();
    findings.extend(tree.matching("Cargo.lock", "Cargo.lock").flat_map(sources));
    let listing =
        Cargo::new("tree --workspace --locked --edges normal --prefix none --format {p}|{l}");
    findings.extend(match listing.output() {
        Some(listing) => licences(&listing),
        None => vec![Finding::new("Cargo.lock", 1, format!("failed: {listing}"))],
    });
    findings
}

/// Dependencies without a comment that says why, or with any version at all.
fn dependencies(manifest: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_dependency_table = false;
    let mut has_reason = false;
    let mut open_brackets = 0_usize;
    for (line, text) in manifest.text.lines().map(str::trim).enumerate() {
        let mut find = |what| findings.push(Finding::new(&manifest.path, line + 1, what));
        if open_brackets == 0 && text.starts_with('[') {
            let name = text.trim_matches(['[', ']']);
            // The root's table only says where our own crates lie.
            is_dependency_table =
                name.ends_with("dependencies") && name != "workspace.dependencies";
            if name.contains("dependencies.") {
                find("write the dependency on one line, below its reason");
            }
        } else if is_dependency_table && open_brackets == 0 && text.contains('=') {
            if !has_reason {
                find("this dependency needs a comment above it that gives its reason");
            }
            if text.contains("\"*\"") {
                find("this dependency needs a version");
            }
        }
        has_reason = text.starts_with('#');
        let count = |bracket| text.matches(bracket).count();
        open_brackets = (open_brackets + count(['[', '{'])).saturating_sub(count([']', '}']));
    }
    findings
}

/// Packages in the lock file that come from elsewhere than the others.
fn sources(lock: &File) -> Vec<Finding> {
    let lines = || lock.text.lines().enumerate().filter(|(_, text)| text.starts_with("source = "));
    let Some((_, usual)) = lines().next() else { return Vec::new() };
    lines()
        .filter(|(_, text)| *text != usual)
        .map(|(line, text)| Finding::new(&lock.path, line + 1, format!("unusual {text}")))
        .collect()
}

/// Packages whose licence is none of [`LICENCES`], from lines `package|licence`.
fn licences(listing: &str) -> Vec<Finding> {
    let lines: BTreeSet<_> = listing.lines().filter(|line| !line.is_empty()).collect();
    lines
        .into_iter()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, licence)| (package, licence.trim_end_matches(" (*)")))
        .filter(|(package, licence)| !is_accepted(licence) && !is_excepted(package, licence))
        .map(|(package, licence)| {
            Finding::new("Cargo.lock", 1, format!("{package} is under `{licence}`"))
        })
        .collect()
}

/// Every licence named is accepted, or it is a plain choice with one that is.
fn is_accepted(expression: &str) -> bool {
    let mut names = expression
        .split(" AND ")
        .flat_map(|part| part.split(" OR "))
        .flat_map(|part| part.split('/'))
        .map(|name| name.trim_matches(['(', ')', ' ']));
    let is_choice = !expression.contains(" AND ");
    let accepted = |name| LICENCES.contains(&name);
    if is_choice { names.any(accepted) } else { names.all(accepted) }
}

/// One of the named packages under the licence that they are named for.
fn is_excepted(package: &str, licence: &str) -> bool {
    let name = package.split(' ').next().unwrap_or_default();
    licence == "MPL-2.0" && MPL.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_needs_a_reason_and_a_version() {
        let text = "[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n# Any.\nc = { version = \"*\" }\n\
                    # Many features.\nd = { version = \"1\", features = [\n    \"x=y\",\n] }\n\
                    [lints]\nworkspace = true\n";
        let findings = dependencies(&File { path: "Cargo.toml".into(), text: text.into() });
        let lines: Vec<_> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [4, 6]);
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let text = "source = \"x\"\nsource = \"x\"\nsource = \"git+y\"\n";
        let findings = sources(&File { path: "Cargo.lock".into(), text: text.into() });
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn only_the_named_packages_may_be_under_mpl() {
        let findings = licences("sgxs v0.9.0|MPL-2.0\nsgxs v0.9.0|GPL-3.0\nother v1.0.0|MPL-2.0\n");
        let said: Vec<_> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(said, ["other v1.0.0 is under `MPL-2.0`", "sgxs v0.9.0 is under `GPL-3.0`"]);
    }

    #[test]
    fn licences_are_read_as_choices_and_sums() {
        for accepted in ["MIT", "MIT/Apache-2.0", "MIT OR LGPL-2.1", "(MIT OR ISC) AND Unicode-3.0"]
        {
            assert!(is_accepted(accepted), "{accepted}");
        }
        for refused in ["", "GPL-3.0", "MIT AND GPL-3.0"] {
            assert!(!is_accepted(refused), "{refused}");
        }
    }
}
