//! `o11y-lab doctor --settings`: what each setting of a command is, and where that came from.

mod computed;
mod refused;

use std::ffi::OsString;
use std::fmt::Write as _;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args as _};
use serde_json::json;

use self::computed::ParsedCommand;
use self::refused::{RefusedVariable, taken};
use super::{alone, shown_value, variables};
use crate::config::{DoctorConfig, Invalid, OtelConfig, OtelFile};
use crate::lab::CommandOutput;
use crate::runtime::telemetry::{self, EffectiveVariable};
use crate::terminal::escaped;

/// Where a value came from; beside these a flag, a file and what it is computed from.
const DEFAULT: &str = "default";
const ENVIRONMENT: &str = "environment";
const REFUSED: &str = "refused";

/// A setting, as it is shown.
struct ShownSetting {
    flag: String,
    variable: Option<String>,
    /// What holds; `None` where nothing is set and nothing follows from that.
    value: Option<String>,
    from: String,
    /// Why what is set is not what holds.
    note: Option<String>,
}

/// Prints the settings of one command.
///
/// # Errors
/// The command would not take them.
pub(super) fn run(config: &DoctorConfig) -> anyhow::Result<()> {
    let name = config.settings.as_deref().unwrap_or_default();
    let mut words: Vec<_> = [super::NAME, name].into_iter().map(OsString::from).collect();
    words.extend(config.flags.iter().cloned());
    let plain = alone(&words).context("behind `--` stand flags of the command; --help is none of them")?;
    let command = variables::flags_first(variables::prepared(plain.clone()), &mut words);
    let (matches, refused) = taken(command, &words);
    let below = matches.subcommand_matches(name).context("the command's own arguments")?;
    // As they are written: what is prepared has lost the variables that say nothing, and which of them hold secrets.
    let command = plain.find_subcommand(name).context("the command")?;
    let parsed = ParsedCommand::of(name, below)?;
    let telemetry = parsed.telemetry();
    let file = telemetry.as_ref().map(|(_, otel)| otel.file()).transpose()?.flatten();
    let (effective, notes) = match &telemetry {
        Some((name, otel)) => telemetry::effective(name, otel)?,
        None => Default::default(),
    };
    let source = SettingSources { matches: below, parsed, file, effective, notes, refused };
    let settings: Vec<_> = command
        .get_arguments()
        .filter(|arg| {
            arg.get_long().is_some_and(|long| !matches!(long, "help" | "version")) && !arg.is_hide_set()
        })
        .filter(|arg| source.matters(arg))
        .map(|arg| source.setting(arg))
        .collect();
    output(name, &settings).print(config.json)?;
    match source.refused.len() {
        0 => source.parsed.check().map_err(|why| Invalid(format!("{name} would not start: {why}")).into()),
        many => Err(Invalid(format!("{name} would not start: {many} of its settings are refused")).into()),
    }
}

/// What the doctor has flags of its own for, the command whose settings are shown has too: those stand behind `--`.
///
/// # Errors
/// One stands before.
pub(super) fn flags_stand_behind(matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some(("doctor", doctor)) = matches.subcommand() else { return Ok(()) };
    let is_flag = |id: &str| doctor.value_source(id) == Some(ValueSource::CommandLine);
    if !is_flag("settings") {
        return Ok(());
    }
    let all = DoctorConfig::augment_args(clap::Command::new(super::NAME));
    let mut others = all.get_arguments().filter(|arg| !["settings", "json"].contains(&arg.get_id().as_str()));
    let other = others.find(|arg| is_flag(arg.get_id().as_str())).and_then(Arg::get_long);
    let Some(other) = other else { return Ok(()) };
    let why = format!(
        "--{other} is the doctor's here: flags of the command whose settings are shown stand behind `--`\n"
    );
    Err(clap::Error::raw(ErrorKind::ArgumentConflict, why))
}

/// All that says what a setting is.
struct SettingSources<'a> {
    matches: &'a ArgMatches,
    parsed: ParsedCommand,
    file: Option<OtelFile>,
    effective: Vec<EffectiveVariable>,
    /// Each begins with its variable's name.
    notes: Vec<String>,
    refused: Vec<RefusedVariable>,
}

impl SettingSources<'_> {
    /// Whether the command reads the setting, or ends because of it: every role parses the settings of all.
    fn matters(&self, arg: &Arg) -> bool {
        let read = arg.get_env().and_then(|name| name.to_str()).is_none_or(|name| self.parsed.reads(name));
        read || self.refused.iter().any(|one| arg.get_id() == one.id.as_str())
    }

    fn setting(&self, arg: &Arg) -> ShownSetting {
        let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
        let (value, from) = self.value(arg, variable.as_deref());
        ShownSetting {
            flag: format!("--{}", arg.get_long().unwrap_or_default()),
            value,
            note: self.note(arg, variable.as_deref()),
            variable,
            from,
        }
    }

    /// What holds, and where it came from.
    fn value(&self, arg: &Arg, variable: Option<&str>) -> (Option<String>, String) {
        let id = arg.get_id().as_str();
        if self.refused.iter().any(|one| one.id == id) {
            let set = variable.and_then(std::env::var_os).map(|value| value.to_string_lossy().into_owned());
            return (set.map(|value| shown_value(arg, &value)), REFUSED.to_owned());
        }
        let (raw, own) = self.said(arg, variable);
        let effective = self.effective.iter().find(|one| Some(one.variable.as_str()) == variable);
        if let Some(one) = effective {
            return match &one.from {
                Some(name) if *name == one.variable => (Some(shown_value(arg, &one.value)), own),
                Some(name) => (Some(shown_value(arg, &one.value)), format!("computed from {name}")),
                None => (Some(one.value.clone()), DEFAULT.to_owned()),
            };
        }
        // What the file does not say is its default, whatever the variable says.
        let of_file = self.file.is_some() && is_of_otel(arg) && id != "otel_config_file";
        match raw {
            Some(value) if own == DEFAULT && !of_file => (Some(value), own),
            Some(value) if own != DEFAULT => {
                (Some(shown_value(arg, &self.parsed_text(id).unwrap_or(value))), own)
            }
            _ => match self.parsed.computed(id) {
                // Of what is no secret, but a URL may have a login.
                Some((value, Some(from))) => {
                    let value = if value.contains('@') { "***".to_owned() } else { value };
                    (Some(value), format!("computed from {from}"))
                }
                Some((value, None)) => (Some(value), DEFAULT.to_owned()),
                None => (None, DEFAULT.to_owned()),
            },
        }
    }

    /// What is set, as it is written, and by what.
    fn said(&self, arg: &Arg, variable: Option<&str>) -> (Option<String>, String) {
        let id = arg.get_id().as_str();
        if let (Some(file), Some(name)) = (&self.file, variable) {
            // Beside a file no other setting of OpenTelemetry's has an effect.
            if is_of_otel(arg) && id != "otel_config_file" {
                return match file.said(name) {
                    Some((value, path)) => (Some(value.to_owned()), format!("OTEL_CONFIG_FILE {path}")),
                    None => (None, DEFAULT.to_owned()),
                };
            }
        }
        let raw = self.matches.get_raw(id).map(|values| {
            let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
            values.join(",")
        });
        let from = match self.matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => ENVIRONMENT,
            _ => DEFAULT,
        };
        (raw, from.to_owned())
    }

    /// The value where it is another than what was written: a level by its own name.
    fn parsed_text(&self, id: &str) -> Option<String> {
        (id == "log_level").then(|| self.matches.get_one::<String>(id).cloned()).flatten()
    }

    fn note(&self, arg: &Arg, variable: Option<&str>) -> Option<String> {
        if let Some(refused) = self.refused.iter().find(|one| arg.get_id() == one.id.as_str()) {
            return Some(refused.why.clone());
        }
        let variable = variable?;
        let about = |note: &&String| note.split(' ').next() == Some(variable);
        let notes: Vec<_> = self.notes.iter().filter(about).cloned().collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
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
        let variable = match (&setting.note, &setting.variable, setting.from.as_str()) {
            (Some(note), ..) => format!("  ({})", escaped(note)),
            (None, Some(variable), ENVIRONMENT) => format!("  ({variable})"),
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
            "note": setting.note,
        })
    });
    let rows: Vec<_> = rows.collect();
    CommandOutput { text, json: json!({ "command": name, "settings": rows }) }
}
