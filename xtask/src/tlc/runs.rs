//! `spec/runs.txt`: which models TLC runs on, and what it must find.

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) tier: Tier,
    /// For a mutation, what is planted.
    pub(super) name: String,
    pub(super) checked: Checked,
    pub(super) expected: Expected,
    /// Constants of the model that differ from `Lease.cfg`.
    changes: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Gate,
    Full,
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checked {
    /// All invariants.
    Safety,
    /// That a lease ends though nobody does anything.
    Loss,
    /// That wishes are granted once nothing disturbs.
    Healing,
    /// An invariant that does not hold, which shows that something is possible.
    Witness(String),
    /// That the code does the same (`replay`).
    Replay,
    /// That what the code does is a behaviour of the specification (`trace`).
    Trace,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    Holds,
    Violated(String),
}

/// Reads the table.
///
/// # Errors
/// The first line that is not one of it.
pub(super) fn read(table: &str) -> Result<Vec<Run>, String> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Run::read(line).ok_or_else(|| format!("not a run: {line}"))).collect()
}

impl Run {
    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [tier, name, checked, expected, changes] = cells[..] else { return None };
        let tier = match tier {
            "gate" => Tier::Gate,
            "full" => Tier::Full,
            _ => return None,
        };
        let checked = match checked {
            "safety" => Checked::Safety,
            "loss" => Checked::Loss,
            "healing" => Checked::Healing,
            "replay" => Checked::Replay,
            "trace" => Checked::Trace,
            witness => Checked::Witness(witness.to_owned()),
        };
        let expected = match expected {
            "holds" => Expected::Holds,
            violated => Expected::Violated(violated.to_owned()),
        };
        let changes = changes.split_whitespace().map(|change| {
            change.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        let changes = changes.collect::<Option<_>>()?;
        Some(Self { tier, name: name.to_owned(), checked, expected, changes })
    }

    /// Whether an error is planted.
    pub(super) fn is_mutation(&self) -> bool {
        self.expected != Expected::Holds && !matches!(self.checked, Checked::Witness(_))
    }

    /// The configuration that TLC gets: `base` with this run's changes.
    ///
    /// # Errors
    /// A constant that `base` does not have.
    pub(super) fn config(&self, base: &str) -> Result<String, String> {
        let mut changes: Vec<(String, String)> = Vec::new();
        if matches!(self.checked, Checked::Replay | Checked::Trace) {
            changes.extend(UNBOUNDED.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        changes.extend(self.changes.iter().cloned());
        if self.is_mutation() {
            changes.push(("Mutation".to_owned(), format!("\"{}\"", self.name)));
        }
        let (model, _) = base.split_once("SYMMETRY").ok_or("Lease.cfg names no symmetry")?;
        let mut lines: Vec<String> = model.lines().map(str::to_owned).collect();
        for (constant, value) in &changes {
            let begin = format!("  {constant} = ");
            let line = lines.iter_mut().find(|line| line.starts_with(&begin));
            *line.ok_or_else(|| format!("Lease.cfg has no constant {constant}"))? =
                format!("{begin}{value}");
        }
        let model = lines.join("\n");
        Ok(match &self.checked {
            Checked::Safety if self.is_symmetric() => {
                base.replacen(base_model(base), &format!("{model}\n"), 1)
            }
            Checked::Safety => {
                let rest = &base[base_model(base).len()..];
                format!("{model}\n{}", rest.replacen("SYMMETRY Symmetry\n", "", 1))
            }
            Checked::Loss => fair(&model, "Alone", "I13_LossIsLocal"),
            Checked::Healing => fair(&model, "Healed", "WishesAreGranted"),
            Checked::Witness(witness) => format!("{model}\nINVARIANT {witness}\n"),
            Checked::Replay => model.replacen("SPECIFICATION Spec", "SPECIFICATION ReplaySpec", 1),
            // Traces name their holders.
            Checked::Trace => {
                let model = model.replacen("SPECIFICATION Spec", "SPECIFICATION TraceSpec", 1);
                format!("{model}\n  a = a\n  b = b\n  c = c\n")
            }
        })
    }

    /// Symmetry needs two holders that could be exchanged.
    fn is_symmetric(&self) -> bool {
        !self.changes.iter().any(|(name, value)| name == "Holders" && !value.contains(','))
    }
}

/// What a replay changes before anything else: a behaviour is bounded by its length alone, and what
/// the code has as constants is what it is there.
const UNBOUNDED: [(&str, &str); 5] = [
    ("Asks", "1000"),
    ("Wishes", "1000"),
    ("Grants", "1000"),
    // A second, which is shorter than a tick of the test.
    ("OfferLife", "1"),
    ("FenceBlock", "1048576"),
];

/// The part of `Lease.cfg` that says what the model is.
fn base_model(base: &str) -> &str {
    base.split_once("SYMMETRY").map_or(base, |(model, _)| model)
}

/// Symmetry would hide what happens to one holder for ever.
fn fair(model: &str, specification: &str, property: &str) -> String {
    let model = model.replacen("SPECIFICATION Spec", &format!("SPECIFICATION {specification}"), 1);
    format!("{model}\nPROPERTY {property}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "\
SPECIFICATION Spec
CONSTANTS
  Holders = {a, b}
  Crashes = 0
  Mutation = \"none\"
SYMMETRY Symmetry
INVARIANTS
  Exclusive
";

    fn run(line: &str) -> Run {
        read(line).unwrap().remove(0)
    }

    #[test]
    fn a_mutation_is_planted_by_its_name() {
        let run = run("gate | restart wait skipped | safety | I6_X | Crashes=1");
        assert_eq!(
            run.config(BASE).unwrap(),
            BASE.replace("Crashes = 0", "Crashes = 1").replace("none", "restart wait skipped")
        );
    }

    #[test]
    fn one_holder_has_nobody_to_be_exchanged_with() {
        let config = run("gate | one | safety | holds | Holders={a}").config(BASE).unwrap();
        assert!(config.contains("  Holders = {a}\n") && !config.contains("SYMMETRY"), "{config}");
        assert!(config.ends_with("INVARIANTS\n  Exclusive\n"), "{config}");
    }

    #[test]
    fn liveness_is_checked_under_its_own_fairness() {
        let config = run("full | heal | healing | holds | Crashes=1").config(BASE).unwrap();
        assert!(config.starts_with("SPECIFICATION Healed\n"), "{config}");
        assert!(config.ends_with("\nPROPERTY WishesAreGranted\n"), "{config}");
    }

    #[test]
    fn what_the_table_gets_wrong_is_said() {
        assert!(read("gate | too few | safety").is_err());
        assert!(run("gate | x | safety | holds | Crashs=1").config(BASE).is_err());
    }
}
