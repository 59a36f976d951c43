//! A file against the table of its fields: everything that is wrong with it, each with its path.

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::fields::{LONGEST_TEXT, MOST_ROWS, SpecField, SpecObject, SpecShape};
use super::locate::PathStep;

/// One thing that is wrong: where, and what in words.
pub(super) type Wrong = (Vec<PathStep>, String);

/// How like a known word an unknown one has to be to be taken for it, from 0 to 1.
const ALIKE: f64 = 0.75;

/// Collects what is wrong below a node.
#[derive(Default)]
pub(super) struct Checker {
    path: Vec<PathStep>,
    pub(super) wrong: Vec<Wrong>,
}

impl Checker {
    fn refuse(&mut self, what: impl Into<String>) {
        self.wrong.push((self.path.clone(), what.into()));
    }

    fn below<T>(&mut self, step: PathStep, check: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let checked = check(self);
        self.path.pop();
        checked
    }

    /// A node that has to have a shape.
    pub(super) fn check(&mut self, value: &Value, shape: &SpecShape) {
        self.check_as(value, shape, shape);
    }

    /// The same, where `whole` is what may stand there in all.
    fn check_as(&mut self, value: &Value, shape: &SpecShape, whole: &SpecShape) {
        match (shape, value) {
            (SpecShape::Or(_, object), Value::Object(map))
            | (SpecShape::Object(object), Value::Object(map)) => {
                self.object(map, object);
            }
            (SpecShape::Or(short, _), value) => self.check_as(value, short, whole),
            (SpecShape::Text, Value::String(text)) => self.text(text),
            (SpecShape::Pattern, Value::String(text)) => self.pattern(text),
            (SpecShape::Word(words), Value::String(text)) => {
                if !words.contains(&text.as_str()) {
                    let meant = alike(text, words.iter().copied());
                    self.refuse(format!("'{text}' is none of {}{meant}", words.join(", ")));
                }
            }
            (SpecShape::Flag, Value::Bool(_)) | (SpecShape::Number, Value::Number(_)) => {}
            (SpecShape::Whole, Value::Number(number)) if number.is_u64() => {}
            (SpecShape::Literal, Value::String(text)) if text.len() > LONGEST_TEXT => self.text(text),
            (SpecShape::Literal, Value::String(_) | Value::Number(_) | Value::Bool(_)) => {}
            (SpecShape::Literal, Value::Array(items)) => self.items(items, &SpecShape::Literal),
            (SpecShape::List(_), Value::Array(items)) if items.is_empty() => self.refuse("is an empty list"),
            (SpecShape::List(shape), Value::Array(items)) => self.items(items, shape),
            (SpecShape::Map(shape), Value::Object(map)) => self.map(map, shape),
            (SpecShape::Flag, Value::String(text)) if old_boolean(text).is_some() => {
                let meant = old_boolean(text).unwrap_or_default();
                self.refuse(format!("expected true or false, found the text \"{text}\": write {meant}"));
            }
            (_, value) => self.refuse(format!("expected {}, found {}", whole.words(), kind_of(value))),
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            self.refuse("is an empty text");
        } else if text.len() > LONGEST_TEXT {
            self.refuse(format!("is longer than {LONGEST_TEXT} bytes"));
        }
    }

    fn pattern(&mut self, text: &str) {
        self.text(text);
        if let Err(error) = Regex::new(text) {
            self.refuse(format!("is no regular expression: {error}"));
        }
    }

    fn items(&mut self, items: &[Value], shape: &SpecShape) {
        if items.len() > MOST_ROWS {
            return self.refuse(format!("has more than {MOST_ROWS} entries"));
        }
        for (index, item) in items.iter().enumerate() {
            self.below(PathStep::Item(index), |checker| checker.check(item, shape));
        }
    }

    fn map(&mut self, map: &Map<String, Value>, shape: &SpecShape) {
        if map.len() > MOST_ROWS {
            return self.refuse(format!("has more than {MOST_ROWS} entries"));
        }
        for (key, value) in map {
            self.below(PathStep::Key(key.clone()), |checker| checker.check(value, shape));
        }
    }

    fn object(&mut self, map: &Map<String, Value>, object: &SpecObject) {
        for (key, value) in map {
            let field = object.fields.iter().find(|field| field.name == key);
            self.below(PathStep::Key(key.clone()), |checker| match field {
                Some(field) => checker.check(value, &field.shape),
                None => checker.refuse(unknown(key, object)),
            });
        }
        for SpecField { name, .. } in object.fields.iter().filter(|field| field.required) {
            if !map.contains_key(*name) {
                self.refuse(format!("has no `{name}`"));
            }
        }
        if map.is_empty() {
            self.refuse("is empty");
        }
    }
}

/// What a word was in YAML 1.1, which many editors still show: in YAML 1.2 it is a text.
pub fn old_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

fn unknown(key: &str, object: &SpecObject) -> String {
    let names: Vec<_> = object.fields.iter().map(|field| field.name).collect();
    let meant = alike(key, names.iter().copied());
    format!("is no field of {}{meant}; there are {}", object.with_article(), names.join(", "))
}

impl SpecObject {
    /// `a span`, `an attribute`.
    pub fn with_article(&self) -> String {
        let article = if self.name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {}", self.name)
    }
}

/// The known word that is most like this one, as a question.
fn alike<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let scored = known.map(|name| (strsim::jaro_winkler(&word.to_lowercase(), name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score >= ALIKE);
    best.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

/// What a value is, in words, with the value where it is short.
fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::String(text) if text.len() > 40 => "a text".to_owned(),
        short => format!("{short}"),
    }
}

impl SpecShape {
    /// In words, such as `a whole number or a mapping with min, max`.
    pub fn words(&self) -> String {
        let keys =
            |object: &SpecObject| object.fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
        match self {
            Self::Text => "a text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Pattern => "a regular expression".to_owned(),
            Self::Literal => "a text, a number, true, false or a list of these".to_owned(),
            Self::List(Self::Object(object)) => format!("a list of mappings with {}", keys(object)),
            Self::List(shape) => format!("a list, each {}", shape.words()),
            Self::Map(shape) => format!("a mapping from names, each to {}", shape.words()),
            Self::Object(object) => format!("a mapping with {}", keys(object)),
            Self::Or(short, object) => format!("{} or a mapping with {}", short.words(), keys(object)),
        }
    }
}
