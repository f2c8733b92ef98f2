//! The rule on the README's commands: CI runs the second, word for word, so that nobody else's
//! set-up differs from it.

use super::Finding;
use crate::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let readme = tree.text(README).unwrap_or_default();
    let Some((line, command)) = commands(readme).nth(1) else {
        return vec![Finding::new(README, 1, "needs two commands: one to try it, one to test it")];
    };
    let script = tree.text(CI).unwrap_or_default();
    let runs: Vec<_> = script.lines().filter_map(|line| line.strip_prefix("exec ")).collect();
    if runs == [format!("{command} </dev/null")] {
        return Vec::new();
    }
    vec![Finding::new(README, line, format!("{CI} does not run `{command}` alone"))]
}

const README: &str = "README.md";
const CI: &str = ".ci/run";

/// The commands of a text, with their lines and without their comments.
fn commands(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(line, text)| {
        let command = text.strip_prefix("$ ")?;
        Some((line + 1, command.split(" #").next()?.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree_of;

    #[test]
    fn ci_runs_the_second_command_and_nothing_else() {
        let readme = ("README.md", "$ try it\n$ test it   # all\n$ more\n");
        assert_eq!(
            check(&tree_of(&[readme, (".ci/run", "set -eu\nexec test it </dev/null\n")])),
            []
        );
        for other in ["exec test it --less </dev/null\n", ""] {
            let findings = check(&tree_of(&[readme, (".ci/run", other)]));
            assert_eq!(
                findings[0].to_string(),
                "README.md:2: .ci/run does not run `test it` alone"
            );
        }
    }
}
