//! The rule of `docs/claims.md`: a claim is cited where it is kept, and shown where it says.
//!
//! - Every id in a comment of our crates is in the table.
//! - An assumption (A) is in the threat model, and in the source file that its row names.
//! - An invariant (I) is in the source file that its row names; each test that the row names exists.
//!   So does each invariant of the specification, or the row says `no:` and why; and each that bears
//!   an id is in the row of that.
//! - A promise (P) names a test or benchmark that exists, or says `not yet tested`.
//! - A cell may say `not yet`; these are counted and printed, so that nobody overlooks them.

use super::Finding;
use crate::tree::Tree;
use std::collections::BTreeSet;

/// What the rule found, and how many gaps the table admits.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) findings: Vec<Finding>,
    pub(super) counts: String,
}

pub(super) fn check(tree: &Tree) -> Verdict {
    let table = tree.text(CLAIMS).unwrap_or_default();
    let rows: Vec<Row<'_>> = table.lines().enumerate().filter_map(Row::read).collect();
    let mut findings: Vec<_> = rows.iter().flat_map(|row| row.check(tree)).collect();
    findings.extend(repeated(&rows));
    findings.extend(unknown(tree, &rows));
    findings.extend(unclaimed(tree, &rows));
    let gaps: usize = rows.iter().map(Row::gaps).sum();
    let counts = format!("claims: {} with an id, {gaps} cells say \"not yet\"", rows.len());
    Verdict { findings, counts }
}

const CLAIMS: &str = "docs/claims.md";
const THREAT_MODEL: &str = "THREAT_MODEL.md";
const SPECIFICATION: &str = "spec/Lease.tla";

/// One row of a table: a claim.
#[derive(Debug)]
struct Row<'a> {
    line: usize,
    /// The id, then other names for it.
    ids: Vec<&'a str>,
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn read((at, line): (usize, &'a str)) -> Option<Self> {
        let cells: Vec<_> = line.strip_prefix("| ")?.trim_end_matches('|').split(" | ").collect();
        let ids: Vec<_> = cells[0].split(", ").collect();
        let cells = cells[1..].iter().map(|cell| cell.trim()).collect();
        is_id(ids[0]).then_some(Self { line: at + 1, ids, cells })
    }

    fn check(&self, tree: &Tree) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |what: String| findings.push(Finding::new(CLAIMS, self.line, what));
        let columns = match self.ids[0].as_bytes()[0] {
            b'A' => 3,
            b'I' => 5,
            _ => 2,
        };
        if self.cells.len() != columns {
            find(format!("{} has {} cells, not {columns}", self.ids[0], self.cells.len()));
            return findings;
        }
        match self.ids[0].as_bytes()[0] {
            b'A' => {
                if !tree.text(THREAT_MODEL).is_some_and(|text| self.is_in(text)) {
                    find(format!("{} is not in {THREAT_MODEL}", self.ids[0]));
                }
                self.cited(tree, self.cells[2]).into_iter().for_each(&mut find);
            }
            b'I' => {
                self.cited(tree, self.cells[1]).into_iter().for_each(&mut find);
                self.shown(tree, self.cells[2]).into_iter().for_each(&mut find);
                self.specified(tree, self.cells[SPECIFIED]).into_iter().for_each(&mut find);
                // What no world has, no checker of worlds can see.
                if self.cells[4].strip_prefix("no: ").is_none() {
                    self.cited(tree, self.cells[4]).into_iter().for_each(&mut find);
                }
            }
            _ => self.shown(tree, self.cells[1]).into_iter().for_each(&mut find),
        }
        findings
    }

    /// Every file that the cell names must cite this claim.
    fn cited(&self, tree: &Tree, cell: &str) -> Vec<String> {
        let files = named(cell);
        if files.is_empty() && !is_gap(cell) {
            return vec![format!("{}: name a file or say `not yet`: {cell}", self.ids[0])];
        }
        let lacks = |file: &&str| !tree.text(file).is_some_and(|text| self.is_in(text));
        files
            .into_iter()
            .filter(lacks)
            .map(|file| format!("{} is not cited in {file}", self.ids[0]))
            .collect()
    }

    /// Every `file::function` that the cell names must exist; a benchmark may be a whole file.
    fn shown(&self, tree: &Tree, cell: &str) -> Vec<String> {
        let places = named(cell);
        if places.is_empty() && !is_gap(cell) {
            return vec![format!("{}: name a test or say `not yet`: {cell}", self.ids[0])];
        }
        let is_missing = |place: &&str| {
            let (file, function) = place.split_once("::").unwrap_or((place, ""));
            !tree.text(file).is_some_and(|text| text.contains(&format!("fn {function}")))
        };
        places
            .into_iter()
            .filter(is_missing)
            .map(|place| format!("{} names {place}, which is not there", self.ids[0]))
            .collect()
    }

    /// Every invariant of the specification that the cell names must be defined there.
    fn specified(&self, tree: &Tree, cell: &str) -> Vec<String> {
        let names = named(cell);
        if names.is_empty() && !is_gap(cell) && cell.strip_prefix("no: ").is_none() {
            return vec![format!("{}: name an invariant or say `no:` why: {cell}", self.ids[0])];
        }
        let specification = tree.text(SPECIFICATION).unwrap_or_default();
        let is_missing = |name: &&str| definitions(specification).all(|(_, known)| known != *name);
        names
            .into_iter()
            .filter(is_missing)
            .map(|name| format!("{} names {name}, which is not in {SPECIFICATION}", self.ids[0]))
            .collect()
    }

    fn is_in(&self, text: &str) -> bool {
        words(text).any(|word| self.ids.contains(&word))
    }

    fn gaps(&self) -> usize {
        self.cells.iter().filter(|cell| is_gap(cell)).count()
    }
}

/// Ids that two rows have.
fn repeated(rows: &[Row<'_>]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let ids = rows.iter().flat_map(|row| row.ids.iter().map(|id| (row.line, *id)));
    ids.filter(|(_, id)| !seen.insert(*id))
        .map(|(line, id)| Finding::new(CLAIMS, line, format!("{id} is there twice")))
        .collect()
}

/// Ids that comments cite and the table lacks.
fn unknown(tree: &Tree, rows: &[Row<'_>]) -> Vec<Finding> {
    let known: BTreeSet<_> = rows.iter().flat_map(|row| row.ids.iter().copied()).collect();
    let mut findings = Vec::new();
    for file in tree.matching("crates/", ".rs").filter(|file| file.path.contains("/src/")) {
        for (line, text) in file.text.lines().enumerate() {
            let comment = text.split_once("//").map_or("", |(_, comment)| comment);
            for id in words(comment).filter(|word| is_id(word) && !known.contains(word)) {
                let what = format!("cites {id}, which is not in {CLAIMS}");
                findings.push(Finding::new(&file.path, line + 1, what));
            }
        }
    }
    findings
}

/// Invariants of the specification that bear an id, and are not in the row of that.
fn unclaimed(tree: &Tree, rows: &[Row<'_>]) -> Vec<Finding> {
    let specification = tree.text(SPECIFICATION).unwrap_or_default();
    let is_claimed = |id: &str, name: &str| {
        let mut rows = rows.iter().filter(|row| row.ids.contains(&id));
        rows.any(|row| row.cells.get(SPECIFIED).is_some_and(|cell| named(cell).contains(&name)))
    };
    let bearing = definitions(specification).filter_map(|(line, name)| {
        let (id, _) = name.split_once('_')?;
        is_id(id).then_some((line, id, name))
    });
    bearing
        .filter(|(_, id, name)| !is_claimed(id, name))
        .map(|(line, id, name)| {
            Finding::new(SPECIFICATION, line, format!("{name} is not in the row of {id}"))
        })
        .collect()
}

/// The column of an invariant's row that names invariants of the specification.
const SPECIFIED: usize = 3;

/// What a TLA+ module defines without parameters, and in which line.
fn definitions(module: &str) -> impl Iterator<Item = (usize, &str)> {
    module.lines().enumerate().filter_map(|(at, line)| {
        let (name, _) = line.split_once(" ==")?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then_some((at + 1, name))
    })
}

/// Words, where a hyphen belongs to a word and nothing else does.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
}

/// `A`, `I` or `P` and a number of one or two digits.
fn is_id(word: &str) -> bool {
    let digits = word.strip_prefix(['A', 'I', 'P']).unwrap_or_default();
    matches!(digits.len(), 1..=2) && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// What a cell names: everything between back-ticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn is_gap(cell: &str) -> bool {
    cell.starts_with("not yet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree_of;

    const CODE: (&str, &str) = ("crates/core/src/a.rs", "/// Keeps I1 (A1).\nfn f() {}\n");
    const TEST: (&str, &str) = ("crates/core/tests/t.rs", "fn keeps_it() {}\n");
    const THREATS: (&str, &str) = ("THREAT_MODEL.md", "A1: ..\n");

    fn findings(claims: &str) -> Vec<String> {
        let tree = tree_of(&[("docs/claims.md", claims), CODE, TEST, THREATS]);
        check(&tree).findings.into_iter().map(|finding| finding.what).collect()
    }

    const SOUND: &str = "\
| A1 | sources | harm | `crates/core/src/a.rs` |
| I1 | hand | `crates/core/src/a.rs` | `crates/core/tests/t.rs::keeps_it` | not yet | not yet |
| P1 | 3 M/s | not yet tested |
";

    #[test]
    fn a_sound_table_has_no_findings_and_its_gaps_are_counted() {
        assert_eq!(findings(SOUND), [""; 0]);
        let tree = tree_of(&[("docs/claims.md", SOUND), CODE, TEST, THREATS]);
        assert_eq!(check(&tree).counts, "claims: 3 with an id, 3 cells say \"not yet\"");
    }

    #[test]
    fn a_claim_that_nobody_cites_is_found() {
        let claims = format!(
            "{SOUND}| A2, A-name | x | y | `crates/core/src/a.rs` |\n\
             | I2 | x | `crates/core/src/a.rs` | not yet | not yet | not yet |\n"
        );
        assert_eq!(
            findings(&claims),
            [
                "A2 is not in THREAT_MODEL.md",
                "A2 is not cited in crates/core/src/a.rs",
                "I2 is not cited in crates/core/src/a.rs"
            ]
        );
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let claims = SOUND.replace("::keeps_it", "::keeps_nothing");
        assert_eq!(findings(&claims).len(), 1);
        let claims = SOUND.replace("not yet tested", "surely");
        assert_eq!(findings(&claims), ["P1: name a test or say `not yet`: surely"]);
    }

    #[test]
    fn an_id_that_the_table_lacks_is_found() {
        let without: String =
            SOUND.lines().filter(|line| !line.starts_with("| A1")).collect::<Vec<_>>().join("\n");
        assert_eq!(findings(&without), ["cites A1, which is not in docs/claims.md"]);
    }

    #[test]
    fn the_specification_and_the_table_name_each_other() {
        let module = ("spec/Lease.tla", "Min(a, b) == 1\nI1_HandIsSlow ==\n  TRUE\n");
        let findings = |claims: &str| -> Vec<String> {
            let tree = tree_of(&[("docs/claims.md", claims), CODE, TEST, THREATS, module]);
            check(&tree).findings.into_iter().map(|finding| finding.what).collect()
        };
        let with =
            |cell: &str| SOUND.replace("| not yet | not yet |", &format!("| {cell} | not yet |"));
        assert_eq!(findings(&with("`I1_HandIsSlow`")), [""; 0]);
        assert_eq!(findings(&with("no: assumed")), ["I1_HandIsSlow is not in the row of I1"]);
        assert_eq!(
            findings(&with("`I1_HandIsSlow`, `I1_HandIsFast`")),
            ["I1 names I1_HandIsFast, which is not in spec/Lease.tla"]
        );
        assert_eq!(findings(&with("no")).len(), 2);
    }

    #[test]
    fn a_checker_is_named_or_it_is_said_why_there_can_be_none() {
        let with =
            |cell: &str| SOUND.replace("| not yet | not yet |", &format!("| not yet | {cell} |"));
        assert_eq!(findings(&with("no: worlds have none")), [""; 0]);
        assert_eq!(findings(&with("none")), ["I1: name a file or say `not yet`: none"]);
    }

    #[test]
    fn an_id_that_is_there_twice_is_found() {
        assert_eq!(
            findings(&format!("{SOUND}| P1 | x | not yet tested |\n")),
            ["P1 is there twice"]
        );
    }
}
