//! Rules on single Rust files: where `unsafe` may be, and how long things may grow.

use super::{Finding, Parsed};
use crate::tree::Tree;

/// The only place in what ships where `unsafe` and assembly may be.
pub(super) const UNSAFE_HOME: &str = "crates/clock/src/arch/";

/// Test support and attacks: counted apart, never linked by what ships.
pub(super) const UNSHIPPED: &[&str] =
    &["crates/attack/", "crates/rtm-emu/", "crates/sgx-emu/", "crates/test-support/"];

/// More than a reader holds in mind at once.
const FILE_LINES_MAX: usize = 700;
/// More than a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Crates outside [`UNSHIPPED`] forbid unsafe code, but the one that has the home of it.
pub(super) fn unsafe_code(tree: &Tree, sources: &[Parsed<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Parsed { file, source } in sources {
        if file.path.starts_with(UNSAFE_HOME) || is_unshipped(&file.path) {
            continue;
        }
        let what = "is only allowed under crates/clock/src/arch/";
        for line in &source.unsafe_lines {
            findings.push(Finding::new(&file.path, *line, format!("`unsafe` {what}")));
        }
        for line in &source.assembly_lines {
            findings.push(Finding::new(&file.path, *line, format!("assembly {what}")));
        }
    }
    for root in tree.matching("", "src/lib.rs").chain(tree.matching("", "src/main.rs")) {
        let is_exempt = UNSAFE_HOME.starts_with(root.path.trim_end_matches("lib.rs"));
        if !is_exempt && !is_unshipped(&root.path) && !root.text.contains("#![forbid(unsafe_code)]")
        {
            findings.push(Finding::new(&root.path, 1, "lacks #![forbid(unsafe_code)]"));
        }
    }
    findings
}

/// Whether a file belongs to a crate that does not ship.
pub(super) fn is_unshipped(path: &str) -> bool {
    UNSHIPPED.iter().any(|unshipped| path.starts_with(unshipped))
}

/// Files and functions that outgrew their bounds; generated files are nobody's to read.
pub(super) fn sizes(sources: &[Parsed<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Parsed { file, source } in sources {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX && !is_generated(&file.text) {
            let what = format!("{lines} lines, more than {FILE_LINES_MAX}: split it by noun");
            findings.push(Finding::new(&file.path, 1, what));
        }
        for function in &source.functions {
            if function.lines > FUNCTION_LINES_MAX && !is_generated(&file.text) {
                let (name, lines) = (&function.name, function.lines);
                let what = format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}");
                findings.push(Finding::new(&file.path, function.line, what));
            }
        }
    }
    findings
}

fn is_generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains("@generated"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{parse, tree_of};

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let tree = tree_of(files);
        let (sources, _) = parse(&tree);
        let mut findings = unsafe_code(&tree, &sources);
        findings.extend(sizes(&sources));
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unsafe_is_found_outside_its_home() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(findings(&[("crates/clock/src/arch/x.rs", text)]), [""; 0]);
        assert_eq!(findings(&[("crates/attack/src/x.rs", text)]), [""; 0]);
        assert_eq!(
            findings(&[("crates/clock/src/x.rs", text)]),
            ["crates/clock/src/x.rs:2: `unsafe` is only allowed under crates/clock/src/arch/"]
        );
    }

    #[test]
    fn every_root_forbids_unsafe_code_but_the_clock() {
        assert_eq!(findings(&[("crates/clock/src/lib.rs", "")]), [""; 0]);
        assert_eq!(
            findings(&[("crates/core/src/lib.rs", "")]),
            ["crates/core/src/lib.rs:1: lacks #![forbid(unsafe_code)]"]
        );
    }

    #[test]
    fn long_files_and_functions_are_found_unless_generated() {
        let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(700));
        assert_eq!(findings(&[("a.rs", &long)]).len(), 2);
        assert_eq!(findings(&[("a.rs", &format!("// @generated\n{long}"))]), [""; 0]);
    }
}
