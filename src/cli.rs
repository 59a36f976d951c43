//! The command line: every command, and one run of it.

mod completions;
mod examples;
mod manual;
mod settings;
mod variables;
mod version;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{
    CompletionsConfig, ConsoleAction, ConsoleConfig, DoctorConfig, DownConfig, FaultAction,
    HealthcheckConfig, LoadConfig, LogsConfig, ManConfig, OpenConfig, QueueAction, QueueConfig,
    ROLE_VARIABLE, RoleConfig, ScenarioAction, StatusConfig, UpConfig, VerifyConfig,
};
use crate::schema::{Role, SERVICES};
use crate::{console, lab, roles};

/// A distributed-observability lab: five small services, instrumented end to end, and the commands
/// that start them, watch them and verify what was recorded.
#[derive(Debug, Parser)]
#[command(name = NAME, version, long_version = version::long(), arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The program's name.
const NAME: &str = "o11y-lab";

const AFTER_HELP: &str = "\
Start here:
  o11y-lab up                 the whole lab on this machine, nothing else needed
  http://localhost:3005       the viewer of traces, metrics and logs
  o11y-lab doctor             what keeps it from running here, and what to do about it
  o11y-lab help order         every setting of a role, with its environment variable

Without a command the environment variable O11Y_LAB_ROLE names the role, so that one container
image serves every service.";

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Role: the only public entry; validates orders through the Lambda, calls user and order
    Gateway(Box<RoleConfig>),
    /// Role: users: create, list, read
    User(Box<RoleConfig>),
    /// Role: orders: create, list, read, change status; publishes to the queue
    Order(Box<RoleConfig>),
    /// Role: consumes the queue, sends notifications, receives Alertmanager's webhooks
    Notify(Box<RoleConfig>),
    /// Role: AWS Lambda order validator; locally the same handler behind the Invoke API
    Lambda(Box<RoleConfig>),
    /// Lab: start everything on this machine: console, five services, embedded queue, SQLite
    Up(UpConfig),
    /// Lab: how each program of the lab that runs is
    Status(StatusConfig),
    /// Lab: log lines of the lab that runs
    Logs(LogsConfig),
    /// Lab: drain the lab that runs, and wait for its end
    Down(DownConfig),
    /// Lab: open the console of the lab that runs
    Open(OpenConfig),
    /// Lab: check ports, limits, clock, disk, broker, database and receiver; say where a setting comes from
    Doctor(Box<DoctorConfig>),
    /// Lab: the built-in viewer of traces, metrics and logs, with an OTLP receiver
    Console(ConsoleCommand),
    /// Lab: ask a service whether it is alive; for containers without a shell
    Healthcheck(HealthcheckConfig),
    /// Lab: count the queue's messages; list, show and replay its dead letters
    #[command(subcommand)]
    Queue(Box<QueueAction>),
    /// Run another program until standard input ends
    #[command(hide = true)]
    UntilEof(lab::up::UntilEof),
    /// Lab: traffic, as a steady heartbeat, by a plan of phases, or as a load test
    Load(Box<LoadConfig>),
    /// Lab: send a workload of known shape and prove what the telemetry backends received of it
    Verify(Box<VerifyConfig>),
    /// Lab: break a running role on purpose: list, set and clear faults
    #[command(subcommand)]
    Fault(FaultAction),
    /// Lab: a fault, a question and its checked answer: list, show, run and check scenarios
    #[command(subcommand)]
    Scenario(Box<ScenarioAction>),
    /// Print the script by which a shell completes commands and flags
    Completions(CompletionsConfig),
    /// Print a page of the manual, or write them all
    Man(ManConfig),
}

/// The console itself, or what is done with one that runs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct ConsoleCommand {
    #[command(subcommand)]
    action: Option<ConsoleAction>,
    #[command(flatten)]
    config: ConsoleConfig,
}

impl Command {
    /// The queue's settings, if the command uses the queue.
    fn queue(&self) -> Option<&QueueConfig> {
        match self {
            Self::Order(config) | Self::Notify(config) => Some(&config.queue),
            Self::Queue(action) => Some(&action.target().queue),
            _ => None,
        }
    }
}

/// Parses the arguments and runs the command. The error is what to print; clap's own has been
/// printed already and the exit code is in it.
pub fn run() -> anyhow::Result<()> {
    let args: Vec<_> = std::env::args_os().collect();
    let cli = match parse(args.clone()) {
        Ok(cli) => cli,
        Err(error) => exit_with(&error, &args),
    };
    actix_web::rt::System::new().block_on(async {
        match cli.command {
            Command::Gateway(config) => roles::run(Role::Gateway, *config).await,
            Command::User(config) => roles::run(Role::User, *config).await,
            Command::Order(config) => roles::run(Role::Order, *config).await,
            Command::Notify(config) => roles::run(Role::Notify, *config).await,
            Command::Lambda(config) => roles::run(Role::Lambda, *config).await,
            Command::Up(config) => lab::up::run(config).await,
            Command::Status(config) => lab::running::status(config).await,
            Command::Logs(config) => lab::running::logs(config).await,
            Command::Down(config) => lab::running::down(config).await,
            Command::Open(config) => lab::running::open(config).await,
            Command::Doctor(config) if config.settings.is_some() => settings::run(&config),
            Command::Doctor(config) => lab::doctor::run(*config).await,
            Command::Completions(config) => manual::completions(&config),
            Command::Man(config) => manual::man(&config),
            Command::Console(ConsoleCommand { action: Some(action), .. }) => lab::archive::run(action).await,
            Command::Console(ConsoleCommand { config, .. }) => console::run(config).await,
            Command::Healthcheck(config) => lab::healthcheck::run(config).await,
            Command::Queue(action) => lab::queue::run(*action).await,
            Command::UntilEof(program) => program.run().await,
            Command::Load(config) => lab::load::run(*config).await,
            Command::Verify(config) => lab::verify::run(*config).await,
            Command::Fault(action) => lab::fault::run(action).await,
            Command::Scenario(action) => lab::scenario::run(*action).await,
        }
    })
}

fn parse(mut args: Vec<OsString>) -> Result<Cli, clap::Error> {
    let role = std::env::var(ROLE_VARIABLE).unwrap_or_default();
    if !role.is_empty() && !args.get(1).is_some_and(names_a_command) {
        if !SERVICES.iter().any(|service| service.command == role) {
            let roles: Vec<_> = SERVICES.iter().map(|service| service.command).collect();
            let text =
                format!("invalid value '{role}' in {ROLE_VARIABLE}: expected one of {}\n", roles.join(", "));
            return Err(clap::Error::raw(ErrorKind::InvalidValue, text));
        }
        args.insert(1.min(args.len()), role.into());
    }
    let command = alone(&args).map_or_else(command, variables::prepared);
    let command = if asks_for_settings(&args) { variables::none(command) } else { command };
    let command = variables::flags_first(command, &mut args);
    let matches = command.try_get_matches_from(args)?;
    settings::flags_stand_behind(&matches)?;
    let cli = Cli::from_arg_matches(&matches)?;
    if let Some(Err(missing)) = cli.command.queue().map(QueueConfig::check) {
        return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, format!("{missing}\n")));
    }
    Ok(cli)
}

/// Whether settings are asked for, of which a variable that is wrong is one to be shown and no reason to end.
fn asks_for_settings(words: &[OsString]) -> bool {
    let asked =
        |word: &OsString| word.to_str().is_some_and(|word| word.split('=').next() == Some("--settings"));
    words.get(1).is_some_and(|name| name == "doctor") && words.iter().any(asked)
}

/// Whether the first argument already says what to run: a command, or asks for help.
fn names_a_command(arg: &OsString) -> bool {
    let text = arg.to_string_lossy();
    matches!(text.as_ref(), "-h" | "--help" | "-V" | "--version" | "help") || !text.starts_with('-')
}

/// The command line, as the variables of this process make it.
pub fn command() -> clap::Command {
    variables::prepared(examples::shown(Cli::command()))
}

/// What runs for long is parsed by its own command alone, where no help is asked for: the tree of all commands takes a
/// megabyte, and a heap that was once so large stays so.
fn alone(words: &[OsString]) -> Option<clap::Command> {
    let name = words.get(1)?.to_str()?;
    if words.iter().any(|word| matches!(word.to_str(), Some("-h" | "--help"))) {
        return None;
    }
    let command = match name {
        "up" => UpConfig::augment_args(clap::Command::new("up")),
        "console" => ConsoleCommand::augment_args(clap::Command::new("console")),
        _ => {
            let service = SERVICES.iter().find(|service| service.command == name)?;
            RoleConfig::augment_args(clap::Command::new(service.command))
        }
    };
    Some(clap::Command::new(NAME).subcommand(command))
}

/// The arguments of every command.
fn arguments(command: &clap::Command) -> Vec<&clap::Arg> {
    command.get_subcommands().flat_map(|sub| sub.get_arguments().chain(arguments(sub))).collect()
}

/// One clear message, naming flag, variable and value; exit code 2.
fn exit_with(error: &clap::Error, args: &[OsString]) -> ! {
    if let (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(text)) =
        (error.kind(), explain(error, args))
    {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "{text}");
        std::process::exit(2);
    }
    error.exit()
}

/// `words` are the command line: two commands may have flags of the same name and different variables.
fn explain(error: &clap::Error, words: &[OsString]) -> Option<String> {
    use std::error::Error;
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let shown = text(ContextKind::InvalidArg)?;
    let command = Cli::command();
    let mut chosen = &command;
    for word in words.iter().skip(1) {
        chosen = chosen.find_subcommand(word).unwrap_or(chosen);
    }
    // Where only a variable names the role, no command is among the words.
    let mut args = chosen.get_arguments().chain(arguments(chosen));
    let flag = shown.split([' ', '=', '[']).next().unwrap_or_default();
    let arg = args.find(|arg| arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long)))?;
    let variable = arg.get_env().map(|name| format!(" (environment variable {})", name.to_string_lossy()));
    let value = text(ContextKind::InvalidValue)?;
    let value = shown_value(arg, &value);
    let why = match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(cause), _) => format!(": {cause}"),
        (None, Some(ContextValue::Strings(valid))) => format!(": expected one of {}", valid.join(", ")),
        _ => String::new(),
    };
    Some(format!("error: invalid value '{value}' for {shown}{}{why}", variable.unwrap_or_default()))
}

/// A value as an error may show it. Whatever has a login in it is a secret; of a setting that may hold one only what
/// names a place is shown: scheme, host and port.
fn shown_value(arg: &clap::Arg, value: &str) -> String {
    let secret = "***".to_owned();
    if value.contains('@') {
        return secret;
    }
    if !arg.is_hide_env_values_set() {
        return value.to_owned();
    }
    let names = arg.get_value_names().unwrap_or_default();
    match names.first().map(|name| name.as_str()) {
        Some("URL") => shown_place(value),
        // A list of pairs, of which the first half is a word of ours or of the report.
        Some(name) if name.ends_with("=URL") => {
            value.split(',').map(shown_pair).collect::<Vec<_>>().join(",")
        }
        Some(name) if name.ends_with("URL") => shown_place(value),
        _ => secret,
    }
}

/// `KIND=URL`, of which the kind is shown where it is a short word.
fn shown_pair(pair: &str) -> String {
    let (word, url) = pair.split_once('=').map_or((pair, None), |(word, url)| (word, Some(url)));
    let is_word = word.len() <= 16 && word.chars().all(|c| c.is_ascii_lowercase());
    match url {
        Some(url) if is_word => format!("{word}={}", shown_place(url)),
        None if is_word => word.to_owned(),
        _ => shown_place(pair),
    }
}

/// Scheme, host and port of a URL.
fn shown_place(value: &str) -> String {
    let secret = "***".to_owned();
    let start = value.find("://").map_or(0, |at| at + 3);
    let end = value[start..].find(['/', '?', '#']).map_or(value.len(), |at| start + at);
    let port = value[start..end].rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    // A bare word may be anything.
    let is_place = (start > 0 || port)
        && value[start..end].chars().all(|c| c.is_ascii_alphanumeric() || ".:-_[]".contains(c));
    let rest = if end < value.len() && &value[end..] != "/" { "/***" } else { "" };
    if is_place && end > start { format!("{}{rest}", &value[..end]) } else { secret }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_error_shows_the_place_of_a_url_and_nothing_that_may_be_a_secret() {
        let url = clap::Arg::new("a").value_name("URL").hide_env_values(true);
        for (value, said) in [
            ("localhost:4318", "localhost:4318"),
            ("ftp://vendor.example:4318/", "ftp://vendor.example:4318"),
            ("ftp://[::1]:4318", "ftp://[::1]:4318"),
            ("ftp://vendor.example/v1/key-123", "ftp://vendor.example/***"),
            ("ftp://vendor.example?key=123", "ftp://vendor.example/***"),
            ("http://me:secret@vendor.example", "***"),
            ("key=123", "***"),
            ("hunter2", "***"),
            ("", "***"),
        ] {
            assert_eq!(shown_value(&url, value), said, "{value}");
        }
        let named = clap::Arg::new("d").value_name("KIND=URL").hide_env_values(true);
        for (value, said) in [
            ("banana", "banana"),
            ("banana=http://a:1", "banana=http://a:1"),
            ("jaeger=ftp://a/v1/key-123,loki", "jaeger=ftp://a/***,loki"),
            ("hunter2", "***"),
            ("jaeger=http://me:s3cret@a", "***"),
        ] {
            assert_eq!(shown_value(&named, value), said, "{value}");
        }
        let pairs = clap::Arg::new("b").value_name("PAIRS").hide_env_values(true);
        assert_eq!(shown_value(&pairs, "abc"), "***");
        assert_eq!(shown_value(&clap::Arg::new("c"), "abc"), "abc");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_by_itself_takes_what_it_takes_among_all() {
        let whole = Cli::command();
        for name in SERVICES.iter().map(|service| service.command).chain(["up", "console"]) {
            let words = ["o11y-lab", name].map(OsString::from);
            let alone = alone(&words).unwrap();
            let arguments = |command: &clap::Command| -> Vec<String> {
                let arguments = command.find_subcommand(name).unwrap().get_arguments();
                let said = |arg: &clap::Arg| {
                    let (id, long, env) = (arg.get_id(), arg.get_long(), arg.get_env());
                    format!("{id} {long:?} {env:?} {:?}", arg.get_default_values())
                };
                arguments.map(said).collect()
            };
            assert_eq!(arguments(&alone), arguments(&whole), "{name}");
        }
        assert!(alone(&["o11y-lab", "user", "--help"].map(OsString::from)).is_none());
    }

    #[test]
    fn every_role_of_the_service_table_is_a_command_with_the_same_words() {
        let command = Cli::command();
        for service in &SERVICES {
            let about = command.find_subcommand(service.command).and_then(clap::Command::get_about);
            assert_eq!(about.map(ToString::to_string), Some(format!("Role: {}", service.about)));
        }
    }
}
