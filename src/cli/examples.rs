//! The examples below each command's help: one table, each line of which the program's own parser takes.

use std::fmt::Write as _;

use clap::Command;

/// What is typed behind the program's name, and what it is for.
type Example = (&'static str, &'static str);

/// Columns of a terminal that is not wide.
const WIDTH: usize = 80;

/// The command's words, and its examples.
pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "gateway",
        &[
            ("gateway", "on port 3000, with its neighbours on this machine"),
            ("gateway --port 8080 --order-service-url http://order:3002", "elsewhere, as in containers"),
        ],
    ),
    (
        "user",
        &[
            ("user", "on port 3001, rows in the user's state folder"),
            ("user --database-url postgres://lab@localhost/lab", "rows in PostgreSQL"),
        ],
    ),
    (
        "order",
        &[
            ("order", "on port 3002, with the embedded queue"),
            ("order --queue-transport redis --redis-url redis://localhost", "with Redis as the broker"),
        ],
    ),
    (
        "notify",
        &[
            ("notify", "on port 3003, with the embedded queue"),
            ("notify --queue-concurrency 1 --notify-delay 200", "one message at a time, slowly"),
        ],
    ),
    (
        "lambda",
        &[
            ("lambda", "the function behind the Invoke API, on port 3004"),
            ("lambda --port 0 --log-format pretty", "on any free port, with lines for a person"),
        ],
    ),
    (
        "up",
        &[
            ("up", "the whole lab, until Ctrl-C"),
            ("up --detach", "the same in the background; then status, logs, open and down"),
            ("up --port-base 7000 --data-dir lab2 --fresh", "a second lab beside it, from empty databases"),
            ("up --with prometheus,alertmanager", "with the lab's own rules and routes"),
            ("up --export https://otlp.example --quiet", "all telemetry to another receiver too"),
        ],
    ),
    (
        "status",
        &[("status", "each program of the lab that runs"), ("status --json", "the same for a program")],
    ),
    (
        "logs",
        &[
            ("logs --lines 50", "the last lines of a lab in the background"),
            ("logs order notify --follow", "of two roles, as they come"),
        ],
    ),
    (
        "down",
        &[("down", "drain the lab that runs, and wait for its end"), ("down --data-dir lab2", "another lab")],
    ),
    ("open", &[("open", "the console in a browser, or its URL where there is none")]),
    (
        "doctor",
        &[
            ("doctor", "whether a lab can run here"),
            ("doctor --queue-transport redis --redis-url redis://localhost", "and reach this broker"),
            ("doctor --settings order", "each setting of a role, and where it came from"),
            ("doctor --settings up -- --port-base 7000", "the same, with flags"),
        ],
    ),
    (
        "console",
        &[
            ("console", "page on 3005, OTLP on 4318"),
            ("console --keep error,slower=500ms --retain seen", "what is worth it, over a restart"),
        ],
    ),
    ("console export", &[("console export --out seen", "what the console has, as OTLP JSON lines")]),
    ("console import", &[("console import seen --url http://127.0.0.1:7005", "into another console")]),
    (
        "healthcheck",
        &[
            ("healthcheck", "the gateway of this machine"),
            ("healthcheck --url http://127.0.0.1:3002/ready", "any URL; exit code 1 unless it answers 2xx"),
        ],
    ),
    ("queue", &[("queue depth", "how many messages wait"), ("queue dead list", "those that were given up")]),
    (
        "queue depth",
        &[
            ("queue depth", "waiting, in flight, dead-lettered"),
            ("queue depth --queue-transport redis --redis-url redis://localhost --json", "of another broker"),
        ],
    ),
    ("queue dead", &[("queue dead list", "the oldest first"), ("queue dead replay --all", "send them back")]),
    ("queue dead list", &[("queue dead list --limit 10 --json", "the ten oldest")]),
    (
        "queue dead show",
        &[("queue dead show 019a3c2e-7d1f-7e10-9c55-0c6a2f1f4b7e", "headers and body of one")],
    ),
    (
        "queue dead replay",
        &[
            ("queue dead replay --all", "all of them"),
            ("queue dead replay --id 019a3c2e-7d1f-7e10-9c55-0c6a2f1f4b7e", "one of them"),
        ],
    ),
    (
        "load",
        &[
            ("load", "ten requests a second for half a minute"),
            ("load --forever", "a heartbeat until Ctrl-C"),
            ("load --closed --connections 32 --duration 1m --json", "as fast as it goes"),
            ("load --plan default", "phases of a day in short"),
        ],
    ),
    (
        "verify",
        &[
            ("verify", "the lab on this machine, by its console"),
            ("verify --traces jaeger=http://localhost:16686 --orders 100", "what a Jaeger received"),
            ("verify --spec telemetry.yaml", "telemetry of your own programs"),
        ],
    ),
    ("fault", &[("fault list", "all there are"), ("fault set latency --role order --ms 500", "set one")]),
    (
        "fault list",
        &[
            ("fault list", "all there are, and which are set where"),
            ("fault list --role order", "at one role"),
        ],
    ),
    (
        "fault set",
        &[
            ("fault set error --role gateway --ratio 0.5 --seconds 120", "every second request fails"),
            ("fault set latency --role order --ms 500", "half a second more for each"),
        ],
    ),
    (
        "fault clear",
        &[("fault clear", "all, everywhere"), ("fault clear latency --role order", "one of them")],
    ),
    ("scenario", &[("scenario list", "all lessons"), ("scenario run waterfall", "the first of them")]),
    ("scenario list", &[("scenario list", "in the order in which to learn from them")]),
    ("scenario show", &[("scenario show waterfall", "question, stage, and how to look")]),
    (
        "scenario run",
        &[
            ("scenario run waterfall", "set the stage, and ask"),
            ("scenario run waterfall --hint", "the next hint"),
            ("scenario run waterfall --answer validate", "an answer, to be judged"),
        ],
    ),
    (
        "completions",
        &[
            (
                "completions bash > ~/.local/share/bash-completion/completions/o11y-lab",
                "for bash; make the folder first",
            ),
            ("completions zsh > ~/.zfunc/_o11y-lab", "for zsh; ~/.zfunc is there and in fpath"),
            ("completions fish > ~/.config/fish/completions/o11y-lab.fish", "for fish"),
        ],
    ),
    (
        "man",
        &[
            ("man --out ~/.local/share/man/man1", "a page for each command"),
            ("man queue depth", "one page, as man reads it"),
        ],
    ),
    (
        "scenario replay",
        &[("scenario replay incident --to http://127.0.0.1:4318", "the incident, as if it ended now")],
    ),
    ("scenario score", &[("scenario score answers.json", "answers about recorded incidents, graded")]),
    ("scenario check", &[("scenario check --all --own-lab", "each solved from the telemetry alone")]),
    (
        "scenario record",
        &[("scenario record user-outage --out incident --minutes 4", "an incident as a data set")],
    ),
];

/// The command and all below it, each with its examples.
pub(super) fn shown(command: Command) -> Command {
    below(command, "")
}

fn below(mut command: Command, path: &str) -> Command {
    for sub in command.get_subcommands_mut() {
        let path = format!("{path} {}", sub.get_name());
        let path = path.trim_start();
        *sub = below(std::mem::take(sub), path);
        if let Some(text) = text(path) {
            *sub = std::mem::take(sub).after_help(text);
        }
    }
    command
}

/// The examples of a command: a line each where that fits, else what each is for below it.
fn text(path: &str) -> Option<String> {
    let (_, examples) = EXAMPLES.iter().find(|(of, _)| *of == path)?;
    let longest = |of: fn(&Example) -> usize| examples.iter().map(of).max().unwrap_or_default();
    let (width, says) = (longest(|(words, _)| words.len()), longest(|(_, says)| says.len()));
    let name = super::NAME;
    let fits = name.len() + width + says + "     ".len() <= WIDTH;
    let mut text = "Examples:".to_owned();
    for (words, says) in *examples {
        let _ = match fits {
            true => write!(text, "\n  {name} {words:<width$}  {says}"),
            false => write!(text, "\n  {name} {words}\n      {says}"),
        };
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ffi::OsString;

    use clap::FromArgMatches as _;

    use super::*;
    use crate::cli::{Cli, command};

    /// The words of every command that a help shows.
    fn visible(command: &Command, path: &str) -> Vec<String> {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
        shown
            .flat_map(|sub| {
                let path = format!("{path} {}", sub.get_name()).trim().to_owned();
                let deeper = visible(sub, &path);
                std::iter::once(path).chain(deeper)
            })
            .collect()
    }

    #[test]
    fn every_command_that_a_help_shows_has_examples_and_no_other_has() {
        let mut named: Vec<_> = EXAMPLES.iter().map(|(path, _)| (*path).to_owned()).collect();
        let mut visible = visible(&command(), "");
        named.sort();
        visible.sort();
        assert_eq!(named, visible);
    }

    #[test]
    fn every_example_is_one_of_its_command_and_the_parser_takes_it() {
        for &(path, examples) in EXAMPLES {
            assert!(!examples.is_empty(), "{path}");
            for (words, says) in examples {
                let deeper = matches!(path, "queue" | "queue dead" | "fault" | "scenario");
                assert!(
                    words.starts_with(path)
                        && (deeper || words.split(' ').count() >= path.split(' ').count())
                );
                // What follows is the shell's.
                let (words, _) = words.split_once(" > ").unwrap_or((words, ""));
                let line = [crate::cli::NAME].into_iter().chain(words.split(' ')).map(OsString::from);
                // The variables of whoever runs the tests are not what the line is about.
                let parsed = command().mut_subcommands(unset).try_get_matches_from(line);
                let cli = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
                let cli = cli.unwrap_or_else(|error| unreachable!("{words}: {error}"));
                assert_eq!(
                    cli.command.queue().map(|queue| queue.check()).unwrap_or(Ok(())),
                    Ok(()),
                    "{words}"
                );
                assert!(!says.is_empty() && says.len() <= WIDTH - 6, "{words}");
            }
        }
    }

    fn unset(command: Command) -> Command {
        command.mut_args(|arg| arg.env(None::<&str>)).mut_subcommands(unset)
    }

    #[test]
    fn a_help_ends_with_the_examples_of_its_command() {
        let mut command = command();
        let up = command.find_subcommand_mut("up").unwrap().render_help().to_string();
        let (_, examples) = up.split_once("\nExamples:\n").unwrap();
        assert!(examples.starts_with("  o11y-lab up\n") && examples.contains("up --detach"), "{examples}");
    }
}
