//! What the test programs print, without what passing tests print.
//!
//! With `--show-output` a test program repeats the output of its passing tests between a line
//! `successes:` and the failures or the result. Nobody reads that in a log, but it is where a test
//! says what this machine could not show.

/// Reads a test run line by line.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    is_in_successes: bool,
    /// The test whose output is being repeated.
    test: Option<String>,
    skipped: Vec<String>,
}

impl Transcript {
    /// Takes in the next line and says whether it is worth showing.
    pub(super) fn shows(&mut self, line: &str) -> bool {
        if line == "successes:" {
            self.is_in_successes = true;
        } else if line == "failures:" || line.starts_with("test result:") {
            self.is_in_successes = false;
        }
        if let Some(test) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            self.test = Some(test.to_owned());
        }
        if line.starts_with("skipped: ") {
            let test = self.test.as_deref().filter(|_| self.is_in_successes);
            let line = test.map_or_else(|| line.to_owned(), |test| format!("{line} ({test})"));
            self.skipped.push(line);
        }
        !self.is_in_successes
    }

    /// The lines in which tests said what they could not show.
    pub(super) fn into_skipped(self) -> Vec<String> {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "\
running 2 tests
test a ... ok
test b ... ok

successes:

---- a stdout ----
skipped: no transactions here
chatter

successes:
    a
    b

test result: ok. 2 passed; 0 failed";

    #[test]
    fn hides_what_passing_tests_print_and_keeps_what_they_skipped() {
        let mut transcript = Transcript::default();
        let shown: Vec<_> = RUN.lines().filter(|line| transcript.shows(line)).collect();
        assert_eq!(
            shown,
            [
                "running 2 tests",
                "test a ... ok",
                "test b ... ok",
                "",
                "test result: ok. 2 passed; 0 failed"
            ]
        );
        assert_eq!(transcript.into_skipped(), ["skipped: no transactions here (a)"]);
    }

    #[test]
    fn shows_failures_whole() {
        let mut transcript = Transcript::default();
        let run = "successes:\nhidden\nfailures:\n\n---- b stdout ----\nwhy it failed";
        let shown: Vec<_> = run.lines().filter(|line| transcript.shows(line)).collect();
        assert_eq!(shown, ["failures:", "", "---- b stdout ----", "why it failed"]);
    }
}
