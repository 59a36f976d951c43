//! The types that a file is read into; their fields are those of the table.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// What has to arrive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySpec {
    /// Of every row that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether what no row names is wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub strict: bool,
    /// Rows of spans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpecSpan>,
    /// Rows of metrics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<SpecMetric>,
    /// Rows of log lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<SpecLog>,
}

/// Spans of one name and service. The fields are those of [`super::fields::SPAN`], in its order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table says what each means")]
pub struct SpecSpan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub name: SpecText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<SpecRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub root: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: SpecValues,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: SpecValues,
}

/// A metric of one service. The fields are those of [`super::fields::METRIC`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table says what each means")]
pub struct SpecMetric {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<SpecSeries>,
}

/// Series of a metric. The fields are those of [`super::fields::SERIES`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table says what each means")]
pub struct SpecSeries {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: SpecValues,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<SpecRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<SpecRange>,
}

/// Log lines of one service. The fields are those of [`super::fields::LOG`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table says what each means")]
pub struct SpecLog {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<SpecText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<SpecRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: SpecValues,
}

/// Attributes by their keys.
pub type SpecValues = BTreeMap<String, SpecValue>;

/// A text, or a pattern of the whole of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SpecText {
    /// This text.
    Exactly(String),
    /// A text like this.
    Like {
        /// A regular expression.
        pattern: SpecPattern,
    },
}

/// A regular expression that the whole of a text has to match.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpecPattern {
    text: String,
    whole: Regex,
}

/// A number, or its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SpecRange {
    /// This number.
    Exactly(Number),
    /// Both bounds included.
    Between {
        /// The least.
        #[serde(skip_serializing_if = "Option::is_none")]
        min: Option<Number>,
        /// The most.
        #[serde(skip_serializing_if = "Option::is_none")]
        max: Option<Number>,
    },
}

/// What an attribute has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SpecValue {
    /// By type, choice, pattern or presence.
    Rule(SpecRule),
    /// This value, of this type.
    Exactly(Value),
}

/// The long form of [`SpecValue`]. The fields are those of [`super::fields::VALUE`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the table says what each means")]
pub struct SpecRule {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<SpecPattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for SpecText {
    fn default() -> Self {
        Self::Exactly(String::new())
    }
}

impl PartialEq for SpecPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TryFrom<String> for SpecPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let whole = Regex::new(&format!("^(?:{text})$")).map_err(|error| error.to_string())?;
        Ok(Self { text, whole })
    }
}

impl From<SpecPattern> for String {
    fn from(pattern: SpecPattern) -> Self {
        pattern.text
    }
}

impl SpecPattern {
    /// Whether the whole of a text is so.
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl SpecText {
    /// Whether a text is so.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == text,
            Self::Like { pattern } => pattern.matches(text),
        }
    }

    /// In words: the text or the pattern.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exactly(text) => text,
            Self::Like { pattern } => pattern.as_str(),
        }
    }
}

impl SpecSpan {
    /// What other rows and the report call it.
    pub fn label(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| self.name.as_str())
    }
}
