//! Flags and environment variables of one setting, and which of them counts.
//!
//! A flag wins over every variable: over its own, which clap sees to, and over that of a setting it
//! excludes. A variable that is set but empty, or set to `false`, is not set.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{FLAG_OUTWEIGHS, boolean};

/// The command with the rules that hold for every setting: no help shows a variable's value, which may
/// be a secret; a boolean is read by one parser and its flag can say false; a variable that says
/// nothing is not there.
pub(super) fn prepared(command: Command) -> Command {
    each_arg(command, &|arg| {
        let Some(variable) = arg.get_env() else { return arg };
        let switch = matches!(arg.get_action(), ArgAction::SetTrue);
        let silent = std::env::var_os(variable).is_some_and(|value| {
            value.is_empty() || switch && value.to_str().is_some_and(|text| boolean(text) == Ok(false))
        });
        let arg = if switch { with_value(arg) } else { arg };
        if silent { arg.env(None::<&str>) } else { arg.hide_env_values(true) }
    })
}

/// The command as if no variable were set.
pub(super) fn none(command: Command) -> Command {
    each_arg(command, &|arg| arg.env(None::<&str>))
}

/// The command without the variables that the flags among `words` exclude or outweigh. A flag that says
/// false is taken out, and its variable with it: it excludes nothing.
pub(super) fn flags_first(command: Command, words: &mut Vec<OsString>) -> Command {
    let bare = none(command.clone()).ignore_errors(true);
    // Where even that cannot be read, the real attempt says why, or shows the help.
    match bare.try_get_matches_from(words.as_slice()) {
        Ok(matches) => yielding(command, &matches, words),
        Err(_) => command,
    }
}

/// Goes down to the command that was chosen and silences there what a flag outweighs.
fn yielding(command: Command, matches: &ArgMatches, words: &mut Vec<OsString>) -> Command {
    if let Some((name, below)) = matches.subcommand() {
        return command.mut_subcommand(name, |sub| yielding(sub, below, words));
    }
    let is_flag = |arg: &&Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let flags = command.get_arguments().filter(is_flag);
    let says_false = |arg: &&Arg| matches!(matches.try_get_one(arg.get_id().as_str()), Ok(Some(false)));
    let (off, on): (Vec<_>, Vec<_>) = flags.partition(says_false);
    for long in off.iter().filter_map(|arg| arg.get_long()) {
        let start = format!("--{long}=");
        words.retain(|word| !word.to_string_lossy().starts_with(&start));
    }
    let outweighed = |arg: &&Arg| on.iter().any(|flag| outweighs(&command, flag, arg));
    let silent = command.get_arguments().filter(outweighed).chain(off);
    let silent: Vec<_> = silent.map(|arg| arg.get_id().clone()).collect();
    command.mut_args(|arg| if silent.contains(arg.get_id()) { arg.env(None::<&str>) } else { arg })
}

fn outweighs(command: &Command, flag: &Arg, other: &Arg) -> bool {
    let excludes = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id())
    };
    let listed = FLAG_OUTWEIGHS.iter().any(|(one, less)| flag.get_id() == one && other.get_id() == less);
    listed || excludes(flag, other) || excludes(other, flag)
}

/// Changes the arguments of every subcommand, at every depth.
pub(super) fn each_arg(mut command: Command, change: &dyn Fn(Arg) -> Arg) -> Command {
    for sub in command.get_subcommands_mut() {
        *sub = each_arg(std::mem::take(sub).mut_args(change), change);
    }
    command
}

/// A flag that may be given its value, or nothing on the command line could undo its variable:
/// `--quiet`, `--quiet=false`.
fn with_value(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .value_parser(boolean)
        .value_name("BOOL")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
}
