//! What goes to standard output, and how.

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

const DEFAULT_LEVEL: &str = "info";

/// Other systems' words, and the level that each one means here.
const ALIASES: [(&str, &str); 3] = [("warning", "warn"), ("critical", "error"), ("fatal", "error")];

/// What goes to standard output, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub struct LogConfig {
    /// off, error (critical, fatal), warn (warning), info, debug or trace; after it perhaps other levels for parts, such as `info,o11y_lab::queue=debug`. RUST_LOG is not read
    #[arg(long, env = "LOG_LEVEL", default_value = DEFAULT_LEVEL, value_parser = log_filter)]
    pub log_level: String,
    /// One JSON object a line, or text for a terminal
    #[arg(long, env = "LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for a person.
    Pretty,
}

/// tracing-subscriber's directives out of a level, or levels for parts. A word alone is always a level:
/// tracing-subscriber would take an unknown one for the name of a part and hide all the others, errors
/// included. For the same reason parts that no directive names keep the default.
fn log_filter(text: &str) -> Result<String, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut directives = words.map(directive).collect::<Result<Vec<_>, _>>()?;
    if directives.iter().all(|directive| directive.contains(['=', '['])) {
        directives.insert(0, DEFAULT_LEVEL.to_owned());
    }
    let directives = directives.join(",");
    EnvFilter::try_new(&directives).map(|_| directives).map_err(|e| format!("not a level or directive: {e}"))
}

fn directive(word: &str) -> Result<String, String> {
    match word.rsplit_once('=') {
        Some((part, named)) if !named.contains([']', '}']) => Ok(format!("{part}={}", level(named)?)),
        None if !word.contains('[') => level(word).map(str::to_owned),
        _ => Ok(word.to_owned()),
    }
}

fn level(word: &str) -> Result<&str, String> {
    let known = ALIASES.iter().find(|(alias, _)| word.eq_ignore_ascii_case(alias));
    let level = known.map_or(word, |(_, level)| level);
    match level.parse::<LevelFilter>() {
        // It takes numbers too, of which nobody knows the direction.
        Ok(_) if level.starts_with(|first: char| first.is_ascii_alphabetic()) => Ok(level),
        _ => Err("expected off, error (or critical, fatal), warn (or warning), info, debug or trace; after it perhaps \
                  levels for parts, such as info,o11y_lab::queue=debug"
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_a_level_and_an_unknown_one_is_refused_with_the_list() {
        for (text, directives) in [
            ("warn", "warn"),
            ("WARNING", "warn"),
            ("fatal", "error"),
            ("off", "off"),
            ("info, o11y_lab::queue=warning", "info,o11y_lab::queue=warn"),
            ("info,[order{orderId=7}]=debug", "info,[order{orderId=7}]=debug"),
        ] {
            assert_eq!(log_filter(text).as_deref(), Ok(directives), "{text}");
        }
        for unknown in
            ["loud", "info,loud", "verbose", "o11y_lab", "o11y_lab=loud", "o11y_lab=", "5", "6", "a=b=c"]
        {
            let said = log_filter(unknown).err().unwrap_or_default();
            assert!(said.contains("warning") && said.contains("trace"), "{unknown}: {said}");
        }
    }

    #[test]
    fn what_no_directive_names_is_still_logged() {
        assert_eq!(log_filter("o11y_lab::queue=debug").as_deref(), Ok("info,o11y_lab::queue=debug"));
        assert_eq!(log_filter(",").as_deref(), Ok("info"));
    }
}
