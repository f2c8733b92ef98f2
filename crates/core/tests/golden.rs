//! The full table of each machine, every state by every input, pinned as a text that people read.
//!
//! A line is one input: what came out, in order, and the state after it. `TLEASE_BLESS=1` writes the
//! tables anew; the difference is then for review.

mod support;
mod tables;

use std::path::PathBuf;

#[test]
fn the_granter_does_in_every_state_what_its_table_says() {
    compare("granter.txt", &tables::granter::table());
}

#[test]
fn the_holder_does_in_every_state_what_its_table_says() {
    compare("holder.txt", &tables::holder::table());
}

fn compare(file: &str, table: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", file].iter().collect();
    if std::env::var_os("TLEASE_BLESS").is_some() {
        std::fs::write(&path, table).expect("the table is written");
    }
    let pinned = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (pinned, now)) in pinned.lines().zip(table.lines()).enumerate() {
        let line = number + 1;
        assert_eq!(now, pinned, "{file}:{line} (TLEASE_BLESS=1 writes the table anew)");
    }
    assert_eq!(table.lines().count(), pinned.lines().count(), "{file} (TLEASE_BLESS=1)");
}
