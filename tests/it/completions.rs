//! What the shells themselves offer, with the script that `completions` prints for each.

use std::process::Command;

use o11y_lab::lab::scenario::SCENARIOS;

use crate::helpers::process::{PROGRAM, clean};

/// What bash offers where the last of the words is to be completed.
fn offered_by_bash(words: &[&str]) -> Vec<String> {
    let script = format!(
        "eval \"$('{PROGRAM}' completions bash)\"; COMP_WORDS=({}); COMP_CWORD={}; function=$(complete -p o11y-lab); \
         function=${{function##*-F }}; function=${{function%% *}}; \
         \"$function\" o11y-lab \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1
    );
    let done = clean(Command::new("bash")).args(["--norc", "-c", &script]).output().expect("bash");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    String::from_utf8(done.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values_and_offers_nothing_that_is_hidden() {
    assert_eq!(offered_by_bash(&["o11y-lab", "stat"]), ["status"]);
    assert_eq!(offered_by_bash(&["o11y-lab", "queue", "dead", "rep"]), ["replay"]);
    assert_eq!(offered_by_bash(&["o11y-lab", "up", "--det"]), ["--detach"]);
    assert!(
        offered_by_bash(&["o11y-lab", "order", "--queue-transport", ""]).contains(&"rabbitmq".to_owned())
    );
    let all = offered_by_bash(&["o11y-lab", ""]);
    assert!(all.contains(&"doctor".to_owned()) && !all.iter().any(|word| word == "until-eof"), "{all:?}");
}

/// What fish offers for the last of the words.
fn offered_by_fish(line: &str) -> Vec<String> {
    let script = format!("'{PROGRAM}' completions fish | source; complete --do-complete '{line}'");
    let mut fish = clean(Command::new("fish"));
    let done = fish.args(["--no-config", "-c", &script]).output().expect("fish (Debian: fish)");
    assert!(done.status.success(), "{done:?}");
    let text = String::from_utf8(done.stdout).expect("text");
    text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

/// zsh completes only in a line that is edited, so one runs on a terminal of its own: Tab lists what there is, and ^X
/// takes the line away. Each step waits for what the one before it prints; `2004h` is the end of the sequence by which a
/// shell that reads a line asks the terminal to mark what is pasted.
const ZSH: &str = r#"
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell "PROMPT=; autoload -Uz compinit; compinit -D -u; eval \"\$('$1' completions zsh)\"; compdef _o11y-lab o11y-lab"
    zpty -w shell "bindkey '^I' list-choices; bindkey '^X' kill-whole-line; LISTMAX=10000; print rea''dy"
    zpty -r -m shell said '*ready*2004h*' || exit 1
    zpty -n -w shell "$2"$'\t\x18'
    zpty -w shell "print en''d"
    zpty -r -m shell said '*end[^d]*2004h*' || exit 1
    print -r -- "$said"
    zpty -d shell
"#;

/// What zsh shows for the last of the words: a screen.
fn shown_by_zsh(line: &str) -> String {
    let mut zsh = clean(Command::new("timeout"));
    zsh.args(["60", "zsh", "-f", "-c", ZSH, "zsh", PROGRAM, line]).env("TERM", "xterm");
    let done = zsh.output().expect("timeout");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "zsh (Debian: zsh): {done:?}");
    text
}

#[test]
fn bash_zsh_and_fish_complete_scenarios_faults_programs_pages_levels_and_samplers() {
    for (words, start, wanted, other) in [
        ("scenario show", "", SCENARIOS[0].name, ""),
        ("scenario check", "", SCENARIOS[1].name, ""),
        ("fault set", "lat", "latency", "clock-skew"),
        ("fault clear", "lat", "latency", "clock-skew"),
        ("logs", "not", "notify", "gateway"),
        ("man", "doc", "doctor", "queue"),
        ("order --log-level", "de", "debug", "trace"),
        ("order --otel-traces-sampler", "always_o", "always_on", "traceidratio"),
        ("order --otel-exporter-otlp-protocol", "http/j", "http/json", "grpc"),
        ("up --role", "not", "notify", "gateway"),
        ("doctor --settings", "gat", "gateway", "lambda"),
    ] {
        let line = format!("o11y-lab {words} {start}");
        let all: Vec<_> = ["o11y-lab"].into_iter().chain(words.split(' ')).chain([start]).collect();
        for (shell, offered) in [("bash", offered_by_bash(&all)), ("fish", offered_by_fish(&line))] {
            let offers = |word: &str| offered.iter().any(|one| one == word);
            assert!(offers(wanted) && !offers(other), "{shell}, {line}: {offered:?}");
        }
        let shown = shown_by_zsh(&line);
        assert!(
            shown.contains(wanted) && (other.is_empty() || !shown.contains(other)),
            "zsh, {line}: {shown:?}"
        );
    }
}

#[test]
fn what_a_shell_offers_is_no_limit_to_what_a_setting_takes() {
    let mut doctor = crate::helpers::bin();
    doctor.args(["doctor", "--settings", "order", "--", "--log-level", "info,o11y_lab::queue=debug"]);
    let done = doctor.args(["--otel-propagators", "b3,tracecontext"]).output().expect("the program runs");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && text.contains("info,o11y_lab::queue=debug"), "{done:?}");
    assert!(text.contains("b3,tracecontext"), "{text}");
}
