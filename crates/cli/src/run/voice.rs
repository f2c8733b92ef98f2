//! What `tlease run` says: sentences for people, or one JSON object a line, on standard error.

use serde_json::{Map, Value};

/// How much of it, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Only what went wrong or is weaker than it should be.
    Terse,
    /// Also what was chosen, why, and what it does not cover.
    Explaining,
    /// Everything, for programs.
    Json,
}

/// Who needs to hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Those who asked for an explanation.
    Detail,
    /// Everybody.
    News,
}

impl Voice {
    /// Says `sentence`; as JSON it is the `text` of an object with this `event` and these `facts`.
    pub(super) fn say(self, weight: Weight, event: &str, sentence: &str, facts: &[(&str, Value)]) {
        match self {
            Self::Terse if weight == Weight::Detail => {}
            Self::Terse | Self::Explaining => eprintln!("tlease: {sentence}"),
            Self::Json => eprintln!("{}", object(event, sentence, facts)),
        }
    }
}

fn object(event: &str, sentence: &str, facts: &[(&str, Value)]) -> Value {
    let mut object = Map::new();
    object.insert("event".into(), event.into());
    object.insert("text".into(), sentence.into());
    for (name, fact) in facts {
        object.insert((*name).into(), fact.clone());
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_carries_event_text_and_facts() {
        let said = object("granted", "lease \"x\"", &[("fence", 7.into())]).to_string();
        assert_eq!(said, r#"{"event":"granted","fence":7,"text":"lease \"x\""}"#);
    }
}
