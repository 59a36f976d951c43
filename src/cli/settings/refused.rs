//! Variables that a command refuses: what would end it is shown as a setting like the others.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches};

use crate::cli::{arguments, exit_with, explain, variables};

/// A variable that the command line refuses, and what the command would say.
pub(super) struct RefusedVariable {
    pub(super) id: String,
    pub(super) why: String,
}

/// What the command takes, without the variables that it refuses. What it refuses of the flags ends this command too.
pub(super) fn taken(mut command: clap::Command, words: &[OsString]) -> (ArgMatches, Vec<RefusedVariable>) {
    let mut refused: Vec<RefusedVariable> = Vec::new();
    loop {
        let error = match command.clone().try_get_matches_from(words) {
            Ok(matches) => return (matches, refused),
            Err(error) => error,
        };
        let Some(one) = refused_variable(&command, &error, words).filter(|one| {
            // Without its variable it would be taken, or the error is a flag's.
            refused.iter().all(|known| known.id != one.id)
        }) else {
            exit_with(&error, words)
        };
        let silent = |arg: Arg| if arg.get_id() == one.id.as_str() { arg.env(None::<&str>) } else { arg };
        command = variables::each_arg(command, &silent);
        refused.push(one);
    }
}

fn refused_variable(
    command: &clap::Command,
    error: &clap::Error,
    words: &[OsString],
) -> Option<RefusedVariable> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = shown.split([' ', '=', '[']).next()?.strip_prefix("--")?;
    let arg = arguments(command).into_iter().find(|arg| arg.get_long() == Some(flag))?;
    let why = explain(error, words)?;
    Some(RefusedVariable { id: arg.get_id().to_string(), why: why.trim_start_matches("error: ").to_owned() })
}
