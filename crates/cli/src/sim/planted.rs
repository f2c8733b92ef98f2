//! The bug that is planted in the machines, if one is asked for, in a build that has them.

use crate::exit::{Exit, Failure};
use crate::show::Form;
use tlease_sim::{Plan, World};

#[cfg(feature = "mutants")]
use crate::show::object;
#[cfg(feature = "mutants")]
use tlease_sim::mutants::{Caught, Mutant, all};

/// A bug, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planted {
    #[cfg(feature = "mutants")]
    mutant: Option<Mutant>,
}

#[cfg(not(feature = "mutants"))]
impl Planted {
    pub(super) fn named(name: Option<&str>) -> Result<Self, Failure> {
        name.map_or(Ok(Self {}), |_| Err(none_here()))
    }

    pub(super) fn world(self, plan: Plan) -> World {
        World::new(plan)
    }

    pub(super) fn traced(self, plan: Plan) -> World {
        World::traced(plan)
    }

    /// What was asked for, to be asked for again.
    pub(super) const fn again(self) -> &'static str {
        ""
    }

    pub(super) fn hunt(self, _form: Form) -> Result<Exit, Failure> {
        Err(none_here())
    }

    pub(super) fn list(_form: Form) -> Result<Exit, Failure> {
        Err(none_here())
    }
}

/// What ships has no bugs planted in it.
#[cfg(not(feature = "mutants"))]
fn none_here() -> Failure {
    let sentence = "this build has no bugs to plant; build one that has, for tests alone: \
                    cargo build -p tlease-cli --features mutants";
    Failure::new(Exit::Usage, sentence)
}

#[cfg(feature = "mutants")]
impl Planted {
    /// The bug of this name, if one is named.
    pub(super) fn named(name: Option<&str>) -> Result<Self, Failure> {
        let Some(name) = name else { return Ok(Self { mutant: None }) };
        let mutant = tlease_sim::mutants::named(name).ok_or_else(|| {
            let sentence = format!("no planted bug is called {name}; --list-mutants names them");
            Failure::new(Exit::Usage, sentence)
        })?;
        if mutant.bug.is_none() {
            return Err(not_in_worlds(&mutant));
        }
        Ok(Self { mutant: Some(mutant) })
    }

    pub(super) fn world(self, plan: Plan) -> World {
        match self.bug() {
            Some(bug) => World::mutated(plan, bug),
            None => World::new(plan),
        }
    }

    pub(super) fn traced(self, plan: Plan) -> World {
        match self.bug() {
            Some(bug) => World::mutated_and_traced(plan, bug),
            None => World::traced(plan),
        }
    }

    /// What was asked for, to be asked for again.
    pub(super) fn again(self) -> String {
        self.mutant.map_or_else(String::new, |mutant| format!(" --mutant {}", mutant.name))
    }

    /// Looks for the first world that catches the bug.
    pub(super) fn hunt(self, form: Form) -> Result<Exit, Failure> {
        let Some(mutant) = self.mutant else {
            return Err(Failure::new(Exit::Usage, "name the bug to hunt"));
        };
        if !matches!(mutant.caught, Caught::Worlds { .. }) {
            return Err(not_in_worlds(&mutant));
        }
        let found = super::quietly(|| mutant.hunt());
        let text = match &found {
            Ok(violation) => format!(
                "{}: {}\ncaught by {}\nagain            {}{}",
                mutant.name,
                mutant.says,
                violation.claim,
                super::again(violation.seed),
                self.again()
            ),
            Err(why) => why.clone(),
        };
        let fields = object([
            ("mutant", mutant.name.into()),
            ("violation", serde_json::json!(found.as_ref().ok())),
            ("failed", found.as_ref().err().cloned().into()),
        ]);
        form.print(&text, &fields)?;
        Ok(if found.is_ok() { Exit::Done } else { Exit::Disproved })
    }

    pub(super) fn list(form: Form) -> Result<Exit, Failure> {
        let (mut text, mut rows) = (String::new(), Vec::new());
        for mutant in all() {
            let Mutant { name, says, .. } = mutant;
            let by = caught(&mutant);
            text.push_str(&format!("{name:24} {says}\n{:24} caught by {by}\n", ""));
            rows.push(object([("name", name.into()), ("says", says.into()), ("by", by.into())]));
        }
        form.print(text.trim_end(), &object([("mutants", rows.into())]))?;
        Ok(Exit::Done)
    }

    fn bug(self) -> Option<tlease_sim::mutants::Bug> {
        self.mutant.and_then(|mutant| mutant.bug)
    }
}

#[cfg(feature = "mutants")]
fn not_in_worlds(mutant: &Mutant) -> Failure {
    let sentence = format!("no world shows {}: caught by {}", mutant.name, caught(mutant));
    Failure::new(Exit::Usage, sentence)
}

#[cfg(feature = "mutants")]
fn caught(mutant: &Mutant) -> String {
    match mutant.caught {
        Caught::Worlds { by, within } => {
            format!("the checker of {}, within {within} worlds", by.join(" or "))
        }
        Caught::Scenario(test) | Caught::Test(test) => test.to_owned(),
        Caught::Waiting(why) => format!("nothing yet: {why}"),
    }
}
