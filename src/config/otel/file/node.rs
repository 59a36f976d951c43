//! A file's nodes with their paths, so that whatever is wrong or not supported is named by its place.

use std::path::Path;

use serde_yaml_ng::Value;

/// A value and its path, such as `tracer_provider.processors[0].batch`.
pub(super) struct Node {
    pub(super) path: String,
    value: Value,
}

/// A mapping of which each key is taken once; what is left at the end is not supported.
pub(super) struct NodeFields {
    path: String,
    left: Vec<(String, Value)>,
}

impl Node {
    pub(super) fn root(value: Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn error<T>(&self, what: &str) -> Result<T, String> {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        Err(format!("{path} {what}"))
    }

    /// The keys of a mapping; of null, none.
    pub(super) fn fields(self) -> Result<NodeFields, String> {
        let map = match self.value {
            Value::Null => return Ok(NodeFields { path: self.path, left: Vec::new() }),
            Value::Mapping(map) => map,
            _ => return self.error("is not a mapping"),
        };
        let text = |key: &Value| key.as_str().map(str::to_owned);
        let pairs = map.into_iter().map(|(key, value)| text(&key).map(|key| (key, value)));
        match pairs.collect::<Option<Vec<_>>>() {
            Some(left) => Ok(NodeFields { path: self.path, left }),
            None => Err(format!("{} has a key that is no text", self.path)),
        }
    }

    /// The one key of a mapping that chooses among several kinds, and what stands below it.
    pub(super) fn choice(self) -> Result<(String, Node), String> {
        let mut fields = self.fields()?;
        let Some((key, value)) = fields.left.pop().filter(|_| fields.left.is_empty()) else {
            return Err(format!("{} does not have exactly one key", fields.path));
        };
        let path = fields.of(&key);
        Ok((key, Self { path, value }))
    }

    /// The elements of a list that has some.
    pub(super) fn items(self) -> Result<Vec<Node>, String> {
        let path = self.path;
        match self.value {
            Value::Sequence(items) if !items.is_empty() => Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, value)| Self { path: format!("{path}[{index}]"), value })
                .collect()),
            _ => Err(format!("{path} is not a list with something in it")),
        }
    }

    /// A text; none where it is null.
    pub(super) fn text(&self) -> Result<Option<String>, String> {
        match &self.value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => self.error("is not a text"),
        }
    }

    /// An absolute path.
    pub(super) fn file(&self) -> Result<Option<String>, String> {
        match self.text()? {
            Some(path) if !Path::new(&path).is_absolute() => self.error("is not an absolute path"),
            path => Ok(path),
        }
    }

    /// A whole number of at least `least`, in decimals, or hexadecimal as YAML has it.
    pub(super) fn whole(&self, least: u64) -> Result<Option<String>, String> {
        let number = match &self.value {
            Value::Null => return Ok(None),
            Value::Number(number) => number.as_u64(),
            // Substituted.
            Value::String(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            },
            _ => None,
        };
        match number.filter(|number| *number >= least) {
            Some(number) => Ok(Some(number.to_string())),
            None => self.error(&format!("is not a whole number of at least {least}")),
        }
    }

    /// A number.
    pub(super) fn number(&self) -> Result<Option<String>, String> {
        let number = match &self.value {
            Value::Null => return Ok(None),
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.map_or_else(|| self.error("is not a number"), |number| Ok(Some(number.to_string())))
    }

    pub(super) fn truth(&self) -> Result<Option<bool>, String> {
        match &self.value {
            Value::Null => Ok(None),
            Value::Bool(truth) => Ok(Some(*truth)),
            Value::String(text) if text == "true" => Ok(Some(true)),
            Value::String(text) if text == "false" => Ok(Some(false)),
            _ => self.error("is neither true nor false"),
        }
    }

    /// One of these words.
    pub(super) fn word(&self, known: &[&str]) -> Result<Option<String>, String> {
        match self.text()? {
            Some(word) if !known.contains(&word.as_str()) => {
                self.error(&format!("is none of {}", known.join(", ")))
            }
            word => Ok(word),
        }
    }

    /// Nothing below it.
    pub(super) fn empty(self) -> Result<(), String> {
        self.fields()?.end()
    }
}

impl NodeFields {
    fn of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// What stands there, null included.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.left.iter().position(|(found, _)| found == key)?;
        let (_, value) = self.left.remove(at);
        Some(Node { path: self.of(key), value })
    }

    pub(super) fn required(&mut self, key: &str) -> Result<Node, String> {
        self.take(key).ok_or_else(|| format!("{} is missing", self.of(key)))
    }

    /// The paths that were not taken.
    pub(super) fn rest(&self) -> Vec<String> {
        self.left.iter().map(|(key, _)| self.of(key)).collect()
    }

    /// An error where something was not taken.
    pub(super) fn end(self) -> Result<(), String> {
        match self.rest().first() {
            None => Ok(()),
            Some(path) if path.rsplit('.').next().is_some_and(|key| key.contains('/')) => {
                Err(format!("{path} is in development in the specification and not supported here"))
            }
            Some(path) => Err(format!("{path} is not known, or not supported here")),
        }
    }
}
