//! The variables that a file stands for, as they are collected.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Args as _, Command, FromArgMatches as _};

use super::node::Node;
use crate::config::OtelConfig;

/// Values by the variables' names, each with the path that said it.
#[derive(Default)]
pub(super) struct Draft {
    values: BTreeMap<String, (String, String)>,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// Takes what stands at a path, if anything does.
    pub(super) fn set(&mut self, variable: &str, path: &str, value: Option<String>) {
        if let Some(value) = value {
            self.values.insert(variable.to_owned(), (value, path.to_owned()));
        }
    }

    /// Adds to a list.
    pub(super) fn add(&mut self, variable: &str, path: &str, value: &str) {
        let (list, _) =
            self.values.entry(variable.to_owned()).or_insert_with(|| (String::new(), path.to_owned()));
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(value);
    }

    pub(super) fn get(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(|(value, _)| value.as_str())
    }

    /// Takes a limit or a size, a whole number of at least `least`.
    pub(super) fn whole(&mut self, variable: &str, node: Option<Node>, least: u64) -> Result<(), String> {
        let Some(node) = node else { return Ok(()) };
        self.set(variable, &node.path, node.whole(least)?);
        Ok(())
    }

    /// The value and the path behind each variable.
    pub(super) fn said(&self) -> BTreeMap<String, (String, String)> {
        self.values.clone()
    }

    /// The settings, read as from the command line, and without a look into the environment.
    pub(super) fn config(self) -> Result<OtelConfig, String> {
        let command = OtelConfig::augment_args(Command::new("otel"));
        let command = command.mut_args(|arg| arg.env(Resettable::Reset));
        let flags = self.values.into_iter().map(|(variable, (value, _))| {
            OsString::from(format!("--{}={value}", variable.to_lowercase().replace('_', "-")))
        });
        let matches = command.no_binary_name(true).try_get_matches_from(flags);
        let config = matches.and_then(|matches| OtelConfig::from_arg_matches(&matches));
        config.map_err(|error| error.to_string())
    }
}
