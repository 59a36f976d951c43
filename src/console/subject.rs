//! What a term of the query language asks about a trace, and what of it.

use super::params::duration;

/// What a term asks about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FilterSubject {
    Service,
    Name,
    Kind,
    Status,
    /// Of the trace, from the first start to the last end.
    Duration,
    SpanDuration,
    /// The service of the span that it is part of: who called it.
    ParentService,
    Attribute(String),
}

/// What is asked about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Exists,
    /// Whatever its case.
    Equal(String),
    /// The same, in lower case.
    Contains(String),
    Compare(Comparison, FilterNumber),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// A number to compare with; whole ones keep all their digits. A duration is nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FilterNumber {
    Whole(i64),
    Float(f64),
}

impl FilterSubject {
    pub(super) fn of(key: &str) -> Self {
        match key.to_ascii_lowercase().as_str() {
            "service" => Self::Service,
            "name" => Self::Name,
            "kind" => Self::Kind,
            "status" => Self::Status,
            "duration" => Self::Duration,
            "span.duration" => Self::SpanDuration,
            "parent.service" => Self::ParentService,
            _ => Self::Attribute(key.to_owned()),
        }
    }

    /// What an operator asks with a value; or why that makes no sense.
    pub(super) fn test(&self, operator: &str, value: &str) -> Result<Test, String> {
        let comparison = match operator {
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            _ => Comparison::Equal,
        };
        match self {
            Self::Duration | Self::SpanDuration if operator.ends_with('~') => {
                Err("a duration is compared with = != > >= < or <=".into())
            }
            Self::Duration | Self::SpanDuration => {
                let nanos = duration(value).and_then(|nanos| i64::try_from(nanos).ok());
                let nanos = nanos.ok_or_else(|| format!("'{value}' is no duration such as 100ms or 1.5s"))?;
                Ok(Test::Compare(comparison, FilterNumber::Whole(nanos)))
            }
            _ if operator.ends_with('~') => Ok(Test::Contains(value.to_lowercase())),
            _ if comparison == Comparison::Equal => self.among(value).map(|()| Test::Equal(value.into())),
            _ => match FilterNumber::read(value) {
                Some(number) => Ok(Test::Compare(comparison, number)),
                None => Err(format!("'{value}' is no number, and '{operator}' compares numbers")),
            },
        }
    }

    /// Refuses a value that what is asked about never has.
    fn among(&self, value: &str) -> Result<(), String> {
        let known: &[&str] = match self {
            Self::Status => &["error", "ok", "unset"],
            Self::Kind => &["internal", "server", "client", "producer", "consumer"],
            _ => return Ok(()),
        };
        if known.iter().any(|name| name.eq_ignore_ascii_case(value)) {
            return Ok(());
        }
        Err(format!("'{value}' is none of {}", known.join(", ")))
    }
}

impl FilterNumber {
    pub(super) fn read(text: &str) -> Option<Self> {
        let float = || text.parse().ok().filter(|number: &f64| !number.is_nan()).map(Self::Float);
        text.parse().ok().map(Self::Whole).or_else(float)
    }
}
