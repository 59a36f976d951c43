//! One variable at a time: its value, or a note on why its default is used instead.
//!
//! A field of `OtelConfig` is the variable's name in lower case, so a note can name the variable
//! without spelling it a second time. Notes never repeat a value: it may hold a credential.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::config::pairs;

/// Reads one field of `OtelConfig` as a [`Var`].
macro_rules! var {
    ($config:expr, $field:ident) => {
        $crate::runtime::telemetry::settings::vars::Var::new(stringify!($field), $config.$field.as_deref())
    };
}
pub(super) use var;

/// A variable and its value. Empty counts as not set, as the specification asks.
#[derive(Clone, Copy)]
pub(super) struct Var<'a> {
    field: &'static str,
    pub(super) value: Option<&'a str>,
}

impl<'a> Var<'a> {
    pub(super) fn new(field: &'static str, value: Option<&'a str>) -> Self {
        Self { field, value: value.map(str::trim).filter(|v| !v.is_empty()) }
    }

    /// This one, or the general one behind it: the specific variable wins.
    pub(super) fn or(self, general: Var<'a>) -> Var<'a> {
        if self.value.is_some() { self } else { general }
    }

    /// A number within `range`, or `default` with a note.
    pub(super) fn number<T>(&self, range: RangeInclusive<T>, default: T, notes: &mut Notes) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(value) = self.value else { return default };
        match value.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (low, high) = range.into_inner();
                notes.add(self, &format!("is not a number from {low} to {high}; using {default}"));
                default
            }
        }
    }

    /// `key=value,key=value`, percent-decoded. An error discards the whole variable: half a
    /// resource would be worse than none.
    pub(super) fn pairs(&self, notes: &mut Notes) -> Vec<(String, String)> {
        match pairs(self.value.unwrap_or_default()) {
            Some(pairs) => pairs,
            None => {
                notes.add(self, "is not key=value,key=value in percent-encoding; ignoring all of it");
                Vec::new()
            }
        }
    }
}

/// What to tell the user about the settings, one sentence each.
#[derive(Debug, Default)]
pub(in crate::runtime::telemetry) struct Notes(pub(in crate::runtime::telemetry) Vec<String>);

impl Notes {
    pub(super) fn add(&mut self, var: &Var<'_>, what: &str) {
        self.0.push(format!("{} {what}", var.field.to_uppercase()));
    }

    /// Reads the settings of a further signal, whose general variables may have been noted already.
    pub(super) fn apart<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut further = Self::default();
        let settings = read(&mut further);
        further.0.retain(|note| !self.0.contains(note));
        self.0.append(&mut further.0);
        settings
    }
}
