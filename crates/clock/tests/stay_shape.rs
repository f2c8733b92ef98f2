//! What a thread learned cannot outlive its stay, by the shape of the types: code that tries does not
//! compile. A shape has no switch to plant a fault with, so here the source is changed, and compiled.

use std::path::Path;
use std::process::{Command, Output};

/// `src/stay.rs` as it is, with marks that need no machine.
const STAY: &str = include_str!("../src/stay.rs");

const AROUND: &str = r#"
#![allow(dead_code)]
mod arch {
    #[derive(Debug)]
    pub(crate) struct Marks;
    impl Marks {
        pub(crate) fn find() -> Result<Self, crate::stay::NoMarks> { Ok(Self) }
        pub(crate) fn arm(&mut self) {}
        pub(crate) fn disarm(&mut self) {}
        pub(crate) fn are_armed(&self) -> bool { true }
    }
}
pub mod stay;
use stay::Thread;
"#;

/// One after the other.
const IN_ORDER: &str = "pub fn f(thread: &mut Thread) {
    let stay = thread.stay();
    drop(stay);
    thread.leave(|| ());
    drop(thread.stay());
}";

/// A call to the host, and then what was known before it.
const LEAVES: &str = "pub fn f(thread: &mut Thread) -> bool {
    let stay = thread.stay();
    thread.leave(|| ());
    stay.is_unbroken()
}";

/// A stay on another thread, which has marks of its own.
const SENDS: &str = "pub fn f(thread: &'static mut Thread) {
    let stay = thread.stay();
    std::thread::spawn(move || drop(stay));
}";

/// Compiles `code` beside the source of a stay; `None`, with a word, if there is no compiler.
fn compile(stay: &str, code: &str) -> Option<Output> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let write = |name: &str, text: &str| {
        std::fs::write(scratch.path().join(name), text).expect("written");
    };
    write("lib.rs", &format!("{AROUND}{code}"));
    write("stay.rs", stay);
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir", ".", "lib.rs"])
        .current_dir(Path::new(scratch.path()))
        .output();
    output.inspect_err(|why| println!("skipped: no compiler here: {why}")).ok()
}

/// The error with which it does not compile, or that it does.
fn error(output: &Output) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    let code = said.lines().find_map(|line| line.strip_prefix("error[")?.split_once(']'));
    Err(code.map_or_else(|| said.to_string(), |(code, _)| code.to_owned()))
}

#[test]
fn nothing_leaves_or_goes_elsewhere_while_a_stay_lives() {
    for (code, outcome) in [(IN_ORDER, None), (LEAVES, Some("E0499")), (SENDS, Some("E0277"))] {
        let Some(output) = compile(STAY, code) else { return };
        assert_eq!(error(&output).err().as_deref(), outcome, "{code}");
    }
}

/// Faults planted in the shape: the test above must fail with them.
#[cfg(feature = "mutants")]
mod planted {
    use tlease_clock::Mutant;

    use super::*;

    fn replaced(source: &str, what: &str, with: &str) -> String {
        assert_eq!(source.matches(what).count(), 1, "`{what}` is not what the source says");
        source.replace(what, with)
    }

    fn plant(bug: Mutant) -> String {
        if bug == Mutant::StayUnbound {
            let own = "marks: Box::leak(Box::new(Marks::find().expect(\"marks\"))), here";
            let stay = replaced(STAY, "marks: &mut self.marks, here", own);
            return replaced(&stay, "-> Stay<'_> {", "-> Stay<'static> {");
        }
        assert_eq!(bug, Mutant::StaySent);
        let marks = "marks: &'t mut Marks,\n    here: PhantomData<*mut ()>";
        replaced(STAY, marks, &marks.replace("*mut ()", "()"))
    }

    #[test]
    fn a_stay_that_borrows_no_thread_outlives_a_call_to_the_host() {
        let Some(output) = compile(&plant(Mutant::StayUnbound), LEAVES) else { return };
        assert_eq!(error(&output), Ok(()), "the planted fault must show");
    }

    #[test]
    fn a_stay_that_is_of_no_thread_goes_to_another() {
        let Some(output) = compile(&plant(Mutant::StaySent), SENDS) else { return };
        assert_eq!(error(&output), Ok(()), "the planted fault must show");
    }
}
