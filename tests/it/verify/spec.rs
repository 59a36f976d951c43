//! `verify --spec` and `--record` on programs that are not the lab's: OpenTelemetry's own SDKs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::Verified;
use super::spec_changes::{CHANGES, SpecChange, What};
use crate::helpers::process::catches;
use crate::helpers::tools::{node, tool};
use crate::helpers::{Process, bin, eventually, free_port_base};
use crate::otlp::Console;

/// The example of the documentation.
pub fn example() -> String {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify-spec.md")).unwrap();
    let from = text.find("```yaml\n").unwrap() + "```yaml\n".len();
    text[from..from + text[from..].find("```").unwrap()].to_owned()
}

/// A console, and a folder for files.
struct Receiver {
    console: Console,
    folder: tempfile::TempDir,
}

impl Receiver {
    fn start() -> Self {
        Self { console: Console::start(&[]), folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, text: &str) -> PathBuf {
        let file = self.folder.path().join("spec.yaml");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// `verify` with a program, to be given its arguments.
    fn command(&self, option: &str, file: &Path, within: &str) -> Command {
        let mut command = bin();
        command.args(["verify", "--port-base", &self.console.base.to_string(), "--within", within]);
        command.args(["--settle", "300ms", option]).arg(file);
        command
    }

    fn shop(&self, file: &Path, within: &str, change: &str) -> Verified {
        let shop = shop(change);
        let mut command = self.command("--spec", file, within);
        Verified::of(command.arg("--json").arg("--").arg(shop.get_program()).args(shop.get_args()))
    }

    #[track_caller]
    fn each(&self, changes: &[SpecChange]) {
        let example = example();
        self.shop(&self.file(&example), "20s", "").assert_green();
        for SpecChange { what, red, words } in changes {
            let (name, verified) = match what {
                What::Program(change) => (*change, self.shop(&self.file(&example), "500ms", change)),
                What::File(from, to) => {
                    assert!(example.contains(from), "{from}");
                    (*to, self.shop(&self.file(&example.replacen(from, to, 1)), "500ms", ""))
                }
            };
            let found: BTreeSet<_> = verified.not("pass").iter().filter_map(|c| c["id"].as_str()).collect();
            assert_eq!(found, red.iter().copied().collect(), "{name}: {:#?}", verified.not("pass"));
            let all: Vec<_> = verified.not("pass").iter().map(|claim| claim["found"].to_string()).collect();
            let said = |claim: &&&Value| claim["id"] == *red.last().unwrap();
            let said = verified
                .not("pass")
                .iter()
                .find(said)
                .map(|claim| claim["found"].as_str().unwrap().to_owned());
            assert!(said.is_some_and(|said| said.contains(words)), "{name}: {all:#?}");
            assert_eq!(verified.code, Some(1), "{name}");
        }
        self.shop(&self.file(&example), "20s", "").assert_green();
    }
}

/// A shop beside which another service sends so many spans.
fn shop_beside(spans: &str) -> Command {
    let mut shop = shop("");
    shop.args(["--beside", spans]);
    shop
}

fn shop(change: &str) -> Command {
    let mut shop = tool("otlp_shop.py");
    shop.args(["--change", change]);
    shop
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_program_that_does_one_thing_otherwise_turns_its_row_red_and_no_other() {
    Receiver::start().each(&CHANGES[..12]);
}

#[test]
fn a_program_that_counts_or_logs_otherwise_turns_its_row_red_and_no_other() {
    Receiver::start().each(&CHANGES[12..23]);
}

#[test]
fn a_file_that_says_something_else_turns_its_row_red_and_no_other() {
    Receiver::start().each(&CHANGES[23..]);
}

#[test]
fn what_was_recorded_of_a_program_is_green_on_the_next_run_and_the_same_file_when_recorded_again() {
    let receiver = Receiver::start();
    let base = receiver.console.otlp("");
    let mut sender = node("send.mjs");
    sender.args([base.as_str(), "http/protobuf", "none"]);
    for (name, program) in [("python", shop("")), ("javascript", sender)] {
        let record = |file: &str| {
            let file = receiver.folder.path().join(file);
            let mut command = receiver.command("--record", &file, "20s");
            let output =
                command.arg("--").arg(program.get_program()).args(program.get_args()).output().unwrap();
            assert!(output.status.success(), "{name}: {}", text(&output));
            (std::fs::read_to_string(&file).unwrap(), file)
        };
        let (first, file) = record(&format!("{name}.yaml"));
        assert!(is_valid(&file), "{first}");
        let mut command = receiver.command("--spec", &file, "20s");
        Verified::of(command.arg("--json").arg("--").arg(program.get_program()).args(program.get_args()))
            .assert_green();
        assert_eq!(record(&format!("{name}-again.yaml")).0, first, "{name}");
        let mut again = receiver.command("--record", &file, "1s");
        let refused = again.output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    }
}

#[test]
fn a_console_that_holds_other_services_too_is_recorded_of_the_one_that_is_meant() {
    let receiver = Receiver::start();
    let record = |name: &str, arguments: &[&str]| {
        let file = receiver.folder.path().join(name);
        let (mut command, shop) = (receiver.command("--record", &file, "20s"), shop_beside("3"));
        let output = command.args(arguments).arg("--").arg(shop.get_program()).args(shop.get_args()).output();
        (file, output.unwrap())
    };
    let next = |file: &Path| {
        let (mut command, shop) = (receiver.command("--spec", file, "2s"), shop_beside("5"));
        Verified::of(command.arg("--json").arg("--").arg(shop.get_program()).args(shop.get_args()))
    };
    let (all, output) = record("all.yaml", &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("note: 2 services sent something: neighbour, shop."), "{}", text(&output));
    let red: BTreeSet<_> = next(&all).not("pass").iter().map(|claim| claim["id"].to_string()).collect();
    assert_eq!(red, ["\"metrics.ticks.{}.delta\"", "\"spans.tick.count\""].map(String::from).into());

    let (meant, output) = record("meant.yaml", &["--service", "shop"]);
    assert!(output.status.success() && !text(&output).contains("neighbour"), "{}", text(&output));
    next(&meant).assert_green();

    let (none, output) = record("none.yaml", &["--service", "shops"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said = "nothing of shops ever arrived, but of neighbour, shop, so nothing is written";
    assert!(text(&output).contains(said) && !none.exists(), "{}", text(&output));
}

#[test]
fn names_that_are_empty_long_or_no_plain_text_are_recorded_and_forge_no_line_of_any_report() {
    let receiver = Receiver::start();
    let odd = shop("odd names");
    let file = receiver.folder.path().join("odd.yaml");
    let mut command = receiver.command("--record", &file, "20s");
    let output = command.arg("--").arg(odd.get_program()).args(odd.get_args()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(is_valid(&file));
    let run = |change: &str, within: &str, arguments: &[&str]| {
        let (mut command, shop) = (receiver.command("--spec", &file, within), shop(change));
        command.args(arguments).arg("--").arg(shop.get_program()).args(shop.get_args());
        command
    };
    Verified::of(&mut run("odd names", "20s", &["--json"])).assert_green();

    // Without them each is a red row, which is one line in every form.
    let junit = receiver.folder.path().join("junit.xml");
    let arguments = ["--github", "--junit", junit.to_str().unwrap()];
    let output = run("", "300ms", &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let (all, xml) = (text(&output), std::fs::read_to_string(&junit).unwrap());
    assert!(all.contains("spans.two\\nlines.count") && all.contains("spans.\\u{1b}[#.count"), "{all}");
    assert!(all.contains("::error title=spans.two%0Alines.count in console::"), "{all}");
    assert!(xml.contains("name=\"spans.two\\nlines.count\""), "{xml}");
    assert!(!all.contains('\u{1b}') && !xml.contains('\u{1b}') && !all.contains("\nlines"), "{all}");
}

#[test]
fn a_run_that_is_stopped_lets_its_command_clean_up_and_says_so_in_its_exit_code() {
    let receiver = Receiver::start();
    let (started, cleaned) = (receiver.folder.path().join("started"), receiver.folder.path().join("cleaned"));
    let script = format!(
        "trap 'touch {}; exit 0' TERM INT; touch {}; while :; do sleep 0.1; done",
        cleaned.display(),
        started.display()
    );
    let spec = receiver.file(&example());
    for option in ["--spec", "--record"] {
        let file = if option == "--spec" { spec.clone() } else { receiver.folder.path().join("new.yaml") };
        let mut command = receiver.command(option, &file, "20s");
        command.args(["--", "sh", "-c", &script]);
        let mut running = Process::spawn(command);
        eventually("the command runs", || started.exists().then_some(()));
        running.signal(Signal::SIGTERM);
        assert_eq!(running.wait().code(), Some(143), "{}", running.stderr());
        assert!(running.stderr().contains("it was stopped") && cleaned.exists(), "{}", running.stderr());
        assert_eq!(file.exists(), option == "--spec");
        std::fs::remove_file(&started).unwrap();
        std::fs::remove_file(&cleaned).unwrap();
    }
    // Without a command, while it waits.
    let mut waiting = Process::spawn(receiver.command("--spec", &spec, "40s"));
    eventually("it listens", || catches(waiting.pid(), Signal::SIGINT).then_some(()));
    waiting.signal(Signal::SIGINT);
    assert_eq!(waiting.wait().code(), Some(130), "{}", waiting.stderr());
}

#[test]
fn a_file_by_which_nothing_may_arrive_is_watched_for_all_of_the_time_where_no_command_says_when_it_is_over() {
    let receiver = Receiver::start();
    let spec = receiver.file("service: shop\nspans:\n  - {name: price cart, count: 0}\n");
    let mut running = Process::spawn({
        let mut command = receiver.command("--spec", &spec, "12s");
        command.arg("--json");
        command
    });
    eventually("it listens", || catches(running.pid(), Signal::SIGINT).then_some(()));
    let sent = shop("").env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.console.otlp("")).status();
    assert!(sent.unwrap().success());
    assert_eq!(running.wait().code(), Some(1), "{} {}", running.stdout(), running.stderr());
    let report: Value = serde_json::from_str(&running.stdout()).unwrap();
    assert!(report["notes"][0].as_str().unwrap().contains("all of --within"), "{report}");
}

#[test]
fn a_failing_command_records_nothing_and_one_that_cannot_be_started_is_a_red_row() {
    let receiver = Receiver::start();
    let file = receiver.folder.path().join("none.yaml");
    let failing = shop("fail");
    let mut command = receiver.command("--record", &file, "20s");
    let output = command.arg("--").arg(failing.get_program()).args(failing.get_args()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("exit status: 7") && !file.exists(), "{}", text(&output));

    let mut silent = receiver.command("--record", &file, "1s");
    let output = silent.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).contains("nothing arrived") && !file.exists(), "{}", text(&output));

    let spec = receiver.file(&example());
    let nowhere = Verified::of(receiver.command("--spec", &spec, "20s").args(["--json", "--", "/nowhere"]));
    assert_eq!(nowhere.not("pass")[0]["id"], "command.exit");
    assert!(nowhere.not("pass")[0]["found"].as_str().unwrap().contains("cannot be started"));
    let mut slow = receiver.command("--spec", &spec, "10ms");
    let slow = Verified::of(slow.args(["--command-within", "300ms", "--json", "--", "sleep", "60"]));
    assert!(slow.not("pass")[0]["found"].as_str().unwrap().contains("did not end within 300ms"));
}

#[test]
fn a_file_or_a_command_line_that_is_wrong_is_refused_before_anything_runs() {
    let receiver = Receiver::start();
    let marker = receiver.folder.path().join("ran");
    let spec = receiver.file("service: shop\nspans:\n  - nam: a\n");
    let refused = |arguments: &[&str]| {
        let mut command = bin();
        command.args(["verify", "--port-base", &receiver.console.base.to_string()]).args(arguments);
        let output = command.arg("--").arg("touch").arg(&marker).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(!marker.exists());
        text(&output)
    };
    let spec = spec.to_str().unwrap();
    let said = refused(&["--spec", spec]);
    assert!(
        said.contains("spec.yaml: 2 things are wrong\n  line 3, column 5: spans[0].nam: is no"),
        "{said}"
    );
    assert!(refused(&[]).contains("with --spec or --record only"));
    assert!(refused(&["--spec", "/nowhere.yaml"]).contains("/nowhere.yaml: No such file"));
    std::fs::write(spec, "service: shop\nspans:\n  - name: a\n").unwrap();
    let prometheus = refused(&["--spec", spec, "--metrics", "prometheus=http://127.0.0.1:9"]);
    assert!(prometheus.contains("metrics from a console only"), "{prometheus}");

    let nothing = free_port_base().to_string();
    let output = bin().args(["verify", "--spec", spec, "--port-base", &nothing]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).contains("does `o11y-lab console` run?"), "{}", text(&output));
}

/// Whether a file is as the schema has it, by a validator that is not ours.
fn is_valid(file: &Path) -> bool {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checker = project.join(".tools/venv/bin/check-jsonschema");
    assert!(
        checker.exists(),
        "{} is missing: `make test` (scripts/provision) installs it",
        checker.display()
    );
    let schema = project.join("docs/verify-spec.schema.json");
    Command::new(checker).arg("--schemafile").arg(schema).arg(file).output().unwrap().status.success()
}

#[test]
fn the_schema_takes_the_example_and_refuses_what_the_program_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let valid = |text: &str| {
        let file = folder.path().join("spec.yaml");
        std::fs::write(&file, text).unwrap();
        is_valid(&file)
    };
    assert!(valid(&example()));
    for (what, instead) in [
        ("kind: server", "kind: servant"),
        ("count: 2", "count: -2"),
        ("root: true", "rot: true"),
        ("unit: s", "unit: 7"),
        ("severity: info", "severity: loud"),
    ] {
        let text = example().replacen(what, instead, 1);
        assert!(!valid(&text), "{instead}");
        assert!(o11y_lab::config::spec::TelemetrySpec::parse(&text).is_err(), "{instead}");
    }
}
