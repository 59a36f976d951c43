//! What the shells' scripts offer beside what the parser says: words of settings that it takes as text, because others are
//! reported and not refused, and of positional arguments, which clap_complete 4.6 leaves out for fish.

use std::fmt::Write as _;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};

use crate::lab::scenario::SCENARIOS;

const PROTOCOLS: &[&str] = &["http/protobuf", "http/json", "grpc"];
const COMPRESSIONS: &[&str] = &["gzip", "none"];
const EXPORTERS: &[&str] = &["otlp", "console", "none"];

/// The words of settings of telemetry, by the end of the argument's id. A unit test asks telemetry itself whether it
/// knows them.
const OTEL_WORDS: [(&str, &[&str]); 12] = [
    ("otel_sdk_disabled", &["true", "false"]),
    ("otel_log_level", &["none", "error", "warn", "info", "debug", "trace"]),
    ("otel_propagators", &["tracecontext", "baggage", "b3", "b3multi", "xray", "none"]),
    (
        "otel_traces_sampler",
        &[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ],
    ),
    ("otel_traces_exporter", EXPORTERS),
    ("otel_logs_exporter", EXPORTERS),
    ("otel_metrics_exporter", &["otlp", "prometheus", "console", "none"]),
    ("_protocol", PROTOCOLS),
    ("_compression", COMPRESSIONS),
    ("_temporality_preference", &["cumulative", "delta", "lowmemory"]),
    ("_histogram_aggregation", &["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]),
    ("_exemplar_filter", &["trace_based", "always_on", "always_off"]),
];
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The commands as a shell is to know them. They are not to be parsed with: these refuse what is not among the words.
pub(super) fn offered(command: Command) -> Command {
    // Words of a parser live for ever, without clap's feature `string`; the script is printed once and the process ends.
    let names = command.get_subcommands().map(|sub| &*sub.get_name().to_owned().leak());
    let names: Vec<&'static str> = names.collect();
    let command = super::variables::each_arg(command, &|arg| of_setting(arg));
    let scenarios = || PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name));
    let lesson = |sub: Command| {
        sub.mut_args(|arg| match arg.get_id().as_str() {
            "name" | "names" => arg.value_parser(scenarios()),
            _ => arg,
        })
    };
    command
        .mut_subcommand("scenario", |sub| {
            let below: Vec<_> = sub.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
            below.into_iter().fold(sub, |sub, name| sub.mut_subcommand(name, lesson))
        })
        .mut_subcommand("man", |sub| {
            sub.mut_arg("command", |arg| arg.value_parser(PossibleValuesParser::new(names)))
        })
}

fn of_setting(arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    if id == "log_level" {
        return arg.value_parser(PossibleValuesParser::new(LOG_LEVELS));
    }
    if let Some(words) = otel_words(id) {
        return arg.value_parser(PossibleValuesParser::new(words));
    }
    if arg.get_value_hint() != ValueHint::Unknown || !arg.get_action().takes_values() {
        return arg;
    }
    let names = arg.get_value_names().unwrap_or_default();
    match names.first().map(|name| name.as_str()) {
        Some("FILE") => arg.value_hint(ValueHint::FilePath),
        Some("FOLDER" | "DIR") => arg.value_hint(ValueHint::DirPath),
        Some("URL" | "OTLP_URL") => arg.value_hint(ValueHint::Url),
        _ => arg,
    }
}

fn otel_words(id: &str) -> Option<&'static [&'static str]> {
    let ours = id.starts_with("otel_");
    OTEL_WORDS.iter().find(|(end, _)| ours && id.ends_with(end)).map(|(_, words)| *words)
}

/// Lines for fish: the words of each command's positional arguments.
pub(super) fn fish_positionals(command: &Command) -> String {
    let mut text = String::new();
    for sub in command.get_subcommands() {
        let at = format!("__fish_o11y_lab_using_subcommand {}", sub.get_name());
        positionals(sub, &at, &mut text);
        for below in sub.get_subcommands() {
            let at = format!("{at}; and __fish_seen_subcommand_from {}", below.get_name());
            positionals(below, &at, &mut text);
        }
    }
    text
}

fn positionals(command: &Command, at: &str, text: &mut String) {
    for arg in command.get_positionals().filter(|arg| !arg.is_hide_set()) {
        let words: Vec<_> =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if !words.is_empty() {
            let _ = writeln!(text, "complete -c {} -n \"{at}\" -f -a \"{}\"", super::NAME, words.join(" "));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::config::OtelConfig;
    use crate::runtime::telemetry;

    #[test]
    fn telemetry_knows_each_word_that_is_offered_for_one_of_its_settings() {
        let command = OtelConfig::augment_args(Command::new("otel")).mut_args(|arg| arg.env(None::<&str>));
        let mut offered = 0;
        for arg in command.get_arguments() {
            for word in otel_words(arg.get_id().as_str()).unwrap_or_default() {
                let flag = format!("--{}={word}", arg.get_long().unwrap());
                // A ratio that is not set is noted, and is no matter of the sampler's name.
                let words = ["otel", &flag, "--otel-traces-sampler-arg=1"];
                let matches = command.clone().try_get_matches_from(words).unwrap();
                let config = OtelConfig::from_arg_matches(&matches).unwrap();
                let (_, notes) = telemetry::effective("order-service", &config).unwrap();
                assert!(notes.is_empty() || *word == "grpc" && !cfg!(feature = "grpc"), "{flag}: {notes:?}");
                offered += 1;
            }
        }
        assert!(offered > 50, "{offered}");
    }
}
