//! Rules on what files point at: only hosts that are meant to be cited, and no path of somebody's
//! own machine.

use super::Finding;
use crate::tree::{File, Tree};
use std::net::Ipv4Addr;

/// Hosts that documents cite. Add one together with the sentence that needs it.
const HOSTS: &[&str] = &[
    "antirez.com",
    "arxiv.org",
    "developer.hashicorp.com",
    "doi.org",
    "etcd.io",
    "github.com",
    "jepsen.io",
    "keepachangelog.com",
    "kubernetes.io",
    "lwn.net",
    "martin.kleppmann.com",
    "pkg.go.dev",
    "redis.io",
    "research.google",
    "semver.org",
    "www.apache.org",
    "www.kernel.org",
    // The name of the format of SVG images; nobody looks it up.
    "www.w3.org",
];

/// Directories that every Linux machine has.
const ROOTS: &[&str] = &[
    "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr", "var",
];

/// First parts of paths that are control groups by their usual names, or stand for one that is not
/// there.
const STAND_INS: &[&str] = &["docker", "no", "nonexistent", "nowhere", "user.slice"];

/// Where a user lives who is nobody.
const EXAMPLE_HOME: &str = "/home/me";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().filter(|file| !EXEMPT.contains(&&*file.path)).flat_map(check_file).collect()
}

/// The lock file is cargo's to write; this file holds what its own tests must find.
const EXEMPT: &[&str] = &["Cargo.lock", "xtask/src/tidy/links.rs"];

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in file.text.lines().enumerate() {
        for host in hosts(text).filter(|host| !HOSTS.contains(host)) {
            let what = format!("points at `{host}`, which tidy does not know");
            findings.push(Finding::new(&file.path, line + 1, what));
        }
        let text = text.replace(EXAMPLE_HOME, "");
        let is_known = |root: &&str| ROOTS.contains(root) || STAND_INS.contains(root);
        for root in absolute_roots(&text).filter(|root| !is_known(root)) {
            let what =
                format!("names a path below a directory that machines need not have: {root}");
            findings.push(Finding::new(&file.path, line + 1, what));
        }
    }
    findings
}

/// The hosts of the links in a line, without plain addresses.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("https://").skip(1).chain(line.split("http://").skip(1));
    links.filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c)));
        let host = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        let is_name = host.contains('.') && host.parse::<Ipv4Addr>().is_err();
        is_name.then_some(host)
    })
}

/// The first part of each absolute path of two parts or more in a line.
fn absolute_roots(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices('/').filter_map(|(at, _)| {
        let before = line[..at].chars().next_back();
        let begins = before.is_none_or(|c| c.is_whitespace() || "\"'`(=:<,".contains(c));
        let (root, rest) = line[at + 1..].split_once('/')?;
        let is_name = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let next = rest.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).next();
        (begins && is_name(root) && next.is_some_and(is_name)).then_some(root)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_hosts_with_and_without_more_behind_them() {
        let line =
            "[a](https://github.com/x/y), <http://example.org>. http://127.0.0.1:1 http://{}";
        assert_eq!(hosts(line).collect::<Vec<_>>(), ["github.com", "example.org"]);
    }

    #[test]
    fn finds_absolute_paths_but_not_urls_comments_or_quotients() {
        let line = "let a = b / c; // \"/home/me\" unix:/run/x.sock https://a.org/b/c x/y/z /proc";
        assert_eq!(absolute_roots(line).collect::<Vec<_>>(), ["home", "run"]);
    }

    #[test]
    fn an_unknown_host_and_a_private_path_are_findings() {
        let text =
            "see https://example.org/x\ncat /home/you/notes\ncat /proc/self/maps /home/me/x\n";
        let findings = check_file(&File { path: "a.md".into(), text: text.into() });
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 2]);
    }
}
