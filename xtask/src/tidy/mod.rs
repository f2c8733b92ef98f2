//! `cargo xtask tidy`: what the compiler does not check.
//!
//! Each rule is a module with one function from the files to its findings.

mod claims;
mod commands;
mod counts;
mod links;
mod manifests;
mod rules;
mod source;

use crate::tree::{File, Tree};
use std::fmt;
use std::process::ExitCode;

/// Runs every rule, prints the counts and the findings.
pub(crate) fn run() -> ExitCode {
    if is_tidy() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As [`run`], for the gate.
pub(crate) fn is_tidy() -> bool {
    let tree = match Tree::of_workspace() {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("cannot read the workspace: {error}");
            return false;
        }
    };
    let (sources, mut findings) = parse(&tree);
    findings.extend(rules::unsafe_code(&tree, &sources));
    findings.extend(rules::sizes(&sources));
    findings.extend(manifests::check(&tree));
    findings.extend(links::check(&tree));
    findings.extend(commands::check(&tree));
    let claims = claims::check(&tree);
    findings.extend(claims.findings);
    let counts = counts::Counts::of(&sources);
    findings.extend(counts.check(&tree));

    println!("{counts}\n{}", claims.counts);
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} finding(s)", findings.len());
    findings.is_empty()
}

/// Writes the counts into the README.
///
/// # Errors
/// When the workspace cannot be read or the README not written.
pub(crate) fn write_counts() -> std::io::Result<()> {
    let tree = Tree::of_workspace()?;
    let (sources, _) = parse(&tree);
    counts::Counts::of(&sources).write(&tree)
}

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A Rust file with its tokens read.
#[derive(Debug)]
struct Parsed<'a> {
    file: &'a File,
    source: source::Source,
}

fn parse(tree: &Tree) -> (Vec<Parsed<'_>>, Vec<Finding>) {
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    for file in tree.matching("", ".rs") {
        match file.text.parse() {
            Ok(source) => sources.push(Parsed { file, source }),
            Err(error) => findings.push(Finding::new(&file.path, 1, format!("not Rust: {error}"))),
        }
    }
    (sources, findings)
}

/// Texts for the tests of the rules.
#[cfg(test)]
fn tree_of(files: &[(&str, &str)]) -> Tree {
    let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
    Tree { root: ".".into(), files: files.iter().map(file).collect() }
}
