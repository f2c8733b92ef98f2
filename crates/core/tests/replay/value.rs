//! Values of TLA+, as TLC prints them.

use std::collections::BTreeMap;
use std::fmt;

/// A value of the specification.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Number(i64),
    Truth(bool),
    Text(String),
    /// A value that is nothing else, such as a holder or `None`.
    Model(String),
    Record(BTreeMap<String, Value>),
    Function(BTreeMap<Value, Value>),
    Sequence(Vec<Value>),
    Set(Vec<Value>),
}

impl Value {
    /// Reads one value, all of `text`.
    ///
    /// # Panics
    /// If `text` is anything else: the test cannot go on without it.
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value();
        reader.skip_blanks();
        assert!(reader.rest().is_empty(), "after a value: {}", reader.rest());
        value
    }

    /// A field of a record.
    pub(crate) fn field(&self, name: &str) -> &Self {
        let Self::Record(fields) = self else { panic!("not a record: {self}") };
        fields.get(name).unwrap_or_else(|| panic!("no field {name} in {self}"))
    }

    /// What a function is at `argument`.
    pub(crate) fn of(&self, argument: &str) -> &Self {
        let Self::Function(pairs) = self else { panic!("not a function: {self}") };
        let argument = Self::Model(argument.to_owned());
        pairs.get(&argument).unwrap_or_else(|| panic!("not at {argument}: {self}"))
    }

    /// What a function is defined on.
    pub(crate) fn domain(&self) -> Vec<String> {
        let Self::Function(pairs) = self else { panic!("not a function: {self}") };
        pairs.keys().map(|key| key.text().to_owned()).collect()
    }

    pub(crate) fn number(&self) -> u64 {
        let Self::Number(number) = self else { panic!("not a number: {self}") };
        u64::try_from(*number).unwrap_or_else(|_| panic!("below zero: {self}"))
    }

    pub(crate) fn signed(&self) -> i64 {
        let Self::Number(number) = self else { panic!("not a number: {self}") };
        *number
    }

    pub(crate) fn is_true(&self) -> bool {
        let Self::Truth(truth) = self else { panic!("not a truth: {self}") };
        *truth
    }

    pub(crate) fn text(&self) -> &str {
        let (Self::Text(text) | Self::Model(text)) = self else { panic!("not a text: {self}") };
        text
    }

    /// The members of a set or of a sequence.
    pub(crate) fn members(&self) -> &[Self] {
        let (Self::Set(members) | Self::Sequence(members)) = self else {
            panic!("neither a set nor a sequence: {self}")
        };
        members
    }

    /// The value, unless it is the model's `None`.
    pub(crate) fn some(&self) -> Option<&Self> {
        (*self != Self::Model("None".to_owned())).then_some(self)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
            values.into_iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
        }
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
            Self::Text(text) | Self::Model(text) => f.write_str(text),
            Self::Record(fields) => {
                let fields: Vec<_> = fields.iter().map(|(k, v)| format!("{k} {v}")).collect();
                write!(f, "[{}]", fields.join(", "))
            }
            Self::Function(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                write!(f, "({})", pairs.join(", "))
            }
            Self::Sequence(values) => write!(f, "<<{}>>", list(values)),
            Self::Set(values) => write!(f, "{{{}}}", list(values)),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `token` if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let comes = self.rest().starts_with(token);
        if comes {
            self.at += token.len();
        }
        comes
    }

    fn expect(&mut self, token: &str) {
        assert!(self.takes(token), "{token} expected: {}", self.rest());
    }

    /// Takes what consists of letters, digits, and underscores.
    fn word(&mut self) -> &'a str {
        self.skip_blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = &rest[..end.unwrap_or(rest.len())];
        assert!(!word.is_empty(), "a word expected: {rest}");
        self.at += word.len();
        word
    }

    fn value(&mut self) -> Value {
        if self.takes("<<") {
            Value::Sequence(self.list(">>", Self::value))
        } else if self.takes("{") {
            Value::Set(self.list("}", Self::value))
        } else if self.takes("[") {
            let fields = self.list("]", |reader| {
                let name = reader.word().to_owned();
                reader.expect("|->");
                (name, reader.value())
            });
            Value::Record(fields.into_iter().collect())
        } else if self.takes("(") {
            self.function()
        } else if self.takes("\"") {
            let (text, _) = self.rest().split_once('"').expect("a text ends");
            self.at += text.len() + 1;
            Value::Text(text.to_owned())
        } else if self.takes("-") {
            Value::Number(-self.word().parse::<i64>().expect("a number"))
        } else {
            match self.word() {
                "TRUE" => Value::Truth(true),
                "FALSE" => Value::Truth(false),
                word => match word.parse() {
                    Ok(number) => Value::Number(number),
                    Err(_) => Value::Model(word.to_owned()),
                },
            }
        }
    }

    fn function(&mut self) -> Value {
        let mut pairs = BTreeMap::new();
        loop {
            let key = self.value();
            self.expect(":>");
            pairs.insert(key, self.value());
            if !self.takes("@@") {
                break;
            }
        }
        self.expect(")");
        Value::Function(pairs)
    }

    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        if self.takes(end) {
            return items;
        }
        loop {
            items.push(item(self));
            if self.takes(end) {
                return items;
            }
            self.expect(",");
        }
    }
}

#[test]
fn values_are_read_as_tlc_prints_them() {
    let value = Value::read(
        r#"( a :> [ left |-> -1, st |-> "Held", pending |-> {} ] @@ b :> <<TRUE, None, {2, 3}>> )"#,
    );
    assert_eq!(value.domain(), ["a", "b"]);
    assert_eq!(value.of("a").field("left").signed(), -1);
    assert_eq!(value.of("a").field("st").text(), "Held");
    assert!(value.of("a").field("pending").members().is_empty());
    let [yes, none, two] = value.of("b").members() else { panic!("three: {value}") };
    assert!(yes.is_true() && none.some().is_none());
    assert_eq!(two.members().iter().map(Value::number).collect::<Vec<_>>(), [2, 3]);
}
