//! Every planted bug is caught, and `docs/mutants.md` says by what.
//!
//! `TLEASE_WRITE_DOCS=1 cargo test -p tlease-sim --test mutants` measures anew and writes the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tlease_sim::mutants::{Caught, Mutant, all};
use tlease_sim::scenarios::{self, Scenario, Status};

#[test]
fn every_planted_bug_is_caught_within_the_worlds_that_its_row_states() {
    let mut needed = BTreeMap::new();
    let mut survivors = Vec::new();
    quietly(|| {
        for mutant in all().iter().filter(|mutant| matches!(mutant.caught, Caught::Worlds { .. })) {
            match mutant.hunt() {
                Ok(caught) => {
                    println!("{:24} {:4} worlds  {caught}", mutant.name, caught.seed + 1);
                    needed.insert(mutant.name, (caught.seed + 1, caught.claim.id()));
                }
                Err(why) => survivors.push(why),
            }
        }
    });
    assert!(survivors.is_empty(), "{survivors:#?}");
    let written = std::fs::read_to_string(document()).expect("docs/mutants.md");
    if std::env::var_os("TLEASE_WRITE_DOCS").is_some() {
        let (before, _) = written.split_once(TABLE).expect("the table's head");
        let rows: String = all().iter().map(|mutant| row(mutant, &needed)).collect();
        let (start, rest) = before.split_once(COUNTS).expect("the counts");
        let (_, end) = rest.split_once('.').expect("a sentence");
        let text = format!("{start}{COUNTS}{}.{end}{TABLE}\n{rows}", counts());
        std::fs::write(document(), text).expect("a writable file");
    }
}

#[test]
fn the_table_says_what_is_planted_and_what_catches_it() {
    let written = std::fs::read_to_string(document()).expect("docs/mutants.md");
    let (before, rows) = written.split_once(TABLE).expect("the table's head");
    let rows: Vec<&str> = rows.lines().filter(|line| !line.is_empty()).collect();
    let mutants = all();
    assert_eq!(rows.len(), mutants.len(), "a row for each bug: {HOW}");
    for (row, mutant) in rows.into_iter().zip(&mutants) {
        // What was measured moves with every change of the worlds; it only has to be within bounds.
        let [name, says, place, by, worlds, within] = cells(row);
        assert_eq!(name, format!("`{}`", mutant.name), "{HOW}");
        assert_eq!((says, place), (mutant.says, &*format!("`{}`", mutant.place)), "{HOW}");
        match mutant.caught {
            Caught::Worlds { by: claims, within: stated } => {
                assert!(claims.contains(&by), "{name} is caught by {by}: {HOW}");
                assert_eq!(within, stated.to_string(), "{HOW}");
                let worlds: u64 = worlds.parse().expect("a number of worlds");
                assert!((1..=stated).contains(&worlds), "{name}: {worlds} worlds: {HOW}");
            }
            Caught::Test(test) | Caught::Scenario(test) => {
                assert_eq!((by, worlds, within), (&*format!("`{test}`"), "", ""));
            }
            Caught::Waiting(why) => assert_eq!((by, worlds, within), (why, "", "")),
        }
    }
    assert!(before.contains(&format!("{COUNTS}{}.", counts())), "{HOW}");
}

fn counts() -> String {
    let waiting = |mutant: &&Mutant| matches!(mutant.caught, Caught::Waiting(_));
    let waiting = all().iter().filter(waiting).count();
    format!("{} bugs, {} caught", all().len(), all().len() - waiting)
}

/// What stands before the counts in the text.
const COUNTS: &str = "must be caught: ";

#[test]
fn each_bug_is_planted_where_its_row_says_and_named_by_the_test_that_catches_it() {
    for mutant in all() {
        let place = text(mutant.place);
        assert!(place.contains(mutant.name), "{} is not in {}", mutant.name, mutant.place);
        if let Caught::Test(test) = mutant.caught {
            let (file, function) = test.split_once("::").expect("file::function");
            let test = text(file);
            assert!(test.contains(&format!("fn {function}(")), "{file} has no {function}");
            assert!(test.contains(&format!("Mutant::{}", mutant.name)), "{file}: {}", mutant.name);
        }
    }
    let scenarios = scenarios::all();
    for mutant in all() {
        let Caught::Scenario(name) = mutant.caught else { continue };
        let fails = |scenario: &&Scenario| {
            scenario.name == name
                && matches!(scenario.status, Status::Runs(_, Some(bug)) if bug == mutant.name)
        };
        assert!(scenarios.iter().any(|scenario| fails(&scenario)), "{name}: {}", mutant.name);
    }
    let names: BTreeSet<&str> = all().iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), all().len(), "a name is used once");
    let core = tlease_core::Mutant::ALL.iter().map(|bug| bug.name());
    let clock = tlease_clock::Mutant::ALL.iter().map(|bug| bug.name());
    let without: Vec<_> = core.chain(clock).filter(|name| !names.contains(name)).collect();
    assert!(without.is_empty(), "bugs without a row: {without:?}");
}

const HOW: &str = "TLEASE_WRITE_DOCS=1 cargo test -p tlease-sim --test mutants writes it";

/// The head of the table, which ends the document.
const TABLE: &str =
    "| bug | what is wrong | planted in | caught by | worlds needed | worlds allowed |
|---|---|---|---|---|---|";

fn row(mutant: &Mutant, needed: &BTreeMap<&str, (u64, &str)>) -> String {
    let (by, worlds, within) = match mutant.caught {
        Caught::Worlds { within, .. } => {
            let (worlds, claim) = needed[mutant.name];
            (claim.to_owned(), worlds.to_string(), within.to_string())
        }
        Caught::Test(test) | Caught::Scenario(test) => {
            (format!("`{test}`"), String::new(), String::new())
        }
        Caught::Waiting(why) => (why.to_owned(), String::new(), String::new()),
    };
    let Mutant { name, says, place, .. } = mutant;
    let mut row = String::new();
    writeln!(row, "| `{name}` | {says} | `{place}` | {by} | {worlds} | {within} |")
        .expect("a string takes everything");
    row
}

fn cells(row: &str) -> [&str; 6] {
    let inner = row.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")).expect("a row");
    let cells: Vec<&str> = inner.split(" | ").map(str::trim).collect();
    cells.try_into().expect("six cells")
}

fn document() -> PathBuf {
    root().join("docs/mutants.md")
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Panics of mutated machines are expected and caught: they need not be printed.
fn quietly(work: impl FnOnce()) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    work();
    std::panic::set_hook(before);
}
