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
    /// The variable that is asked for.
    own: &'static str,
    /// The one that answers: itself, or the general one behind it.
    field: &'static str,
    pub(super) value: Option<&'a str>,
}

impl<'a> Var<'a> {
    pub(super) fn new(field: &'static str, value: Option<&'a str>) -> Self {
        Self { own: field, field, value: value.map(str::trim).filter(|v| !v.is_empty()) }
    }

    /// This one, or the general one behind it: the specific variable wins.
    pub(super) fn or(self, general: Var<'a>) -> Var<'a> {
        if self.value.is_some() { self } else { Self { own: self.own, ..general } }
    }

    /// As if it were not set.
    pub(super) fn unset(self) -> Self {
        Self { value: None, ..self }
    }

    /// A number within `range`, or `default` with a note.
    pub(super) fn number<T>(&self, range: RangeInclusive<T>, default: T, notes: &mut Notes) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        self.number_of(range, notes, &default).unwrap_or_else(|| {
            notes.holds_by_default(self, &default);
            default
        })
    }

    /// The same, where the default is what a general variable has come to.
    pub(super) fn number_or<T>(
        &self,
        range: RangeInclusive<T>,
        general: (&Var<'_>, T),
        notes: &mut Notes,
    ) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        let (var, default) = general;
        self.number_of(range, notes, &default).unwrap_or_else(|| {
            notes.holds(&Var { own: self.own, ..*var }, &default);
            default
        })
    }

    /// The number that is set; what is none is noted.
    fn number_of<T>(&self, range: RangeInclusive<T>, notes: &mut Notes, default: &T) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        match self.value?.parse() {
            Ok(number) if range.contains(&number) => {
                notes.holds(self, &number);
                Some(number)
            }
            _ => {
                let (low, high) = range.into_inner();
                notes.add(self, &format!("is not a number from {low} to {high}; using {default}"));
                None
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

/// What a variable has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveVariable {
    /// Its name.
    pub variable: String,
    /// The value that holds. It may have a secret in it.
    pub value: String,
    /// The variable that said it: this one, or a general one behind it; none where it is the default.
    pub from: Option<String>,
}

/// What to tell the user about the settings, one sentence each; and what each variable has come to.
#[derive(Debug, Default)]
pub(in crate::runtime::telemetry) struct Notes(
    pub(in crate::runtime::telemetry) Vec<String>,
    pub(in crate::runtime::telemetry) Vec<EffectiveVariable>,
);

impl Notes {
    pub(super) fn add(&mut self, var: &Var<'_>, what: &str) {
        self.0.push(format!("{} {what}", var.field.to_uppercase()));
    }

    /// Keeps what a variable has come to, by its own word or by the default where it is not set.
    pub(super) fn holds(&mut self, var: &Var<'_>, value: &dyn Display) {
        let from = var.value.is_some().then_some(var.field);
        self.keep(var, from, value.to_string());
    }

    /// The same, where what is set is not what holds.
    pub(super) fn holds_by_default(&mut self, var: &Var<'_>, value: &dyn Display) {
        self.keep(var, None, value.to_string());
    }

    fn keep(&mut self, var: &Var<'_>, from: Option<&str>, value: String) {
        let variable = var.own.to_uppercase();
        self.1.retain(|kept| kept.variable != variable);
        if !value.is_empty() {
            self.1.push(EffectiveVariable { variable, value, from: from.map(str::to_uppercase) });
        }
    }

    /// Reads the settings of a further signal, whose general variables may have been noted already.
    pub(super) fn apart<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut further = Self::default();
        let settings = read(&mut further);
        further.0.retain(|note| !self.0.contains(note));
        self.0.append(&mut further.0);
        self.1.append(&mut further.1);
        settings
    }
}
