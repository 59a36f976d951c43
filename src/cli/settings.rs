//! `o11y-lab doctor --settings`: what each setting of a command is, and where that came from.

use std::ffi::OsString;
use std::fmt::Write as _;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args as _, FromArgMatches as _};
use serde_json::json;

use super::{alone, shown_value, variables};
use crate::config::{DoctorConfig, OtelConfig, OtelFile};
use crate::lab::CommandOutput;
use crate::terminal::escaped;

/// A setting, as it is shown.
struct ShownSetting {
    flag: String,
    variable: Option<String>,
    /// `None` where nothing is set and there is no default.
    value: Option<String>,
    from: String,
}

/// Prints the settings of one command.
///
/// # Errors
/// The command would not take them; what it would say.
pub(super) fn run(config: &DoctorConfig) -> anyhow::Result<()> {
    let name = config.settings.as_deref().unwrap_or_default();
    let mut words: Vec<_> = [super::NAME, name].into_iter().map(OsString::from).collect();
    words.extend(config.flags.iter().cloned());
    let plain = alone(&words).context("behind `--` stand flags of the command; --help is none of them")?;
    let command = variables::flags_first(variables::prepared(plain.clone()), &mut words);
    let matches = match command.try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => super::exit_with(&error, &words),
    };
    let below = matches.subcommand_matches(name).context("the command's own arguments")?;
    // As they are written: what is prepared has lost the variables that say nothing, and which of them hold secrets.
    let command = plain.find_subcommand(name).context("the command")?;
    // Asked of the command: what was parsed knows only in a debug build which arguments there are (clap 4.6).
    let takes_otel = command.get_arguments().any(|arg| arg.get_id() == "otel_config_file");
    let otel = if takes_otel { OtelConfig::from_arg_matches(below)?.file()? } else { None };
    let settings: Vec<_> = command
        .get_arguments()
        .filter(|arg| {
            arg.get_long().is_some_and(|long| !matches!(long, "help" | "version")) && !arg.is_hide_set()
        })
        .map(|arg| setting(arg, below, otel.as_ref()))
        .collect();
    output(name, &settings).print(config.json)
}

fn setting(arg: &Arg, matches: &ArgMatches, file: Option<&OtelFile>) -> ShownSetting {
    let id = arg.get_id().as_str();
    let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
    let raw = matches.get_raw(id).map(|values| {
        let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        values.join(",")
    });
    let (value, from) = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => (raw, "flag".to_owned()),
        Some(ValueSource::EnvVariable) => (raw, "environment".to_owned()),
        Some(_) => (raw, "default".to_owned()),
        None => (None, "default".to_owned()),
    };
    let (value, from) = match (file, variable.as_deref()) {
        // Beside a file no other setting of OpenTelemetry's has an effect.
        (Some(file), Some(name)) if is_of_otel(arg) && id != "otel_config_file" => match file.said(name) {
            Some((value, path)) => (Some(value.to_owned()), format!("OTEL_CONFIG_FILE {path}")),
            None => (None, "default".to_owned()),
        },
        _ => (value, from),
    };
    let value = value.map(|value| if from == "default" { value } else { shown_value(arg, &value) });
    ShownSetting { flag: format!("--{}", arg.get_long().unwrap_or_default()), variable, value, from }
}

/// Whether the declarative configuration says it, where there is one.
fn is_of_otel(arg: &Arg) -> bool {
    let known = OtelConfig::augment_args(clap::Command::new("otel"));
    let of = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("OTEL_");
    arg.get_env().is_some_and(of) && known.get_arguments().any(|one| one.get_id() == arg.get_id())
}

fn output(name: &str, settings: &[ShownSetting]) -> CommandOutput {
    let width = |of: &dyn Fn(&ShownSetting) -> usize| settings.iter().map(of).max().unwrap_or_default();
    let flags = width(&|setting| setting.flag.len());
    let from = width(&|setting| setting.from.len());
    let mut text = format!("{:<flags$}  {:<from$}  VALUE\n", "SETTING", "FROM");
    for setting in settings {
        let value = setting.value.as_deref().map_or("-".into(), escaped);
        let variable = match (&setting.variable, setting.from.as_str()) {
            (Some(variable), "environment") => format!("  ({variable})"),
            _ => String::new(),
        };
        let _ = writeln!(text, "{:<flags$}  {:<from$}  {value}{variable}", setting.flag, setting.from);
    }
    let rows = settings.iter().map(|setting| {
        json!({
            "flag": setting.flag,
            "variable": setting.variable,
            "value": setting.value,
            "from": setting.from,
        })
    });
    let rows: Vec<_> = rows.collect();
    CommandOutput { text, json: json!({ "command": name, "settings": rows }) }
}
