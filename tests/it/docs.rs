//! What the documents say is what the program does.
//!
//! Parts of documents that follow from the code stand between `<!-- begin: NAME -->` and
//! `<!-- end: NAME -->`. `UPDATE_DOCS=1 cargo test --test it docs` writes them; without it a
//! difference fails.

mod pictures;
pub mod registry;
mod scenarios;
mod variables;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use o11y_lab::config::{self, TRANSPORTS, Transport, TransportRow};
use o11y_lab::lab::expect::{ORDER_TRACE, diagram};
use o11y_lab::schema::{
    Checked, FAULTS, Fault, METRICS, Metric, MetricKind, OTLP_METRICS, OtlpKind, OtlpMetric, Parameter,
    SECONDS, SERVICES,
};

use crate::helpers::bin;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[track_caller]
fn assert_block(file: &str, name: &str, expected: &str) {
    let text = read(file);
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let from = text.find(&begin).unwrap_or_else(|| panic!("{file} has no {begin}")) + begin.len();
    let to = from + text[from..].find(&end).unwrap_or_else(|| panic!("{file} has no {end}"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(file), format!("{}{expected}{}", &text[..from], &text[to..])).unwrap();
        return;
    }
    assert_eq!(&text[from..to], expected, "{file}: UPDATE_DOCS=1 cargo test --test it docs");
}

fn output(args: &[&str]) -> String {
    let done = bin().args(args).env("COLUMNS", "100").output().expect("the program runs");
    assert!(done.status.success());
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn the_readme_draws_the_trace_that_the_tests_check() {
    assert_block("README.md", "trace", &format!("```\n{}```\n", diagram(ORDER_TRACE)));
}

#[test]
fn the_readme_shows_the_help_that_the_program_prints() {
    assert_block("README.md", "help", &format!("```\n{}```\n", output(&["--help"])));
}

#[test]
fn the_readme_lists_the_services_of_the_table() {
    let mut table = "| command | service | port | what it does |\n|---|---|---|---|\n".to_owned();
    for service in &SERVICES {
        table += &format!(
            "| `{}` | `{}` | {} | {} |\n",
            service.command,
            service.name,
            service.port(),
            service.about
        );
    }
    assert_block("README.md", "services", &table);
}

#[test]
fn every_metric_is_documented_with_type_unit_labels_and_meaning() {
    let mut table =
        "| metric | type | unit | labels | services | meaning |\n|---|---|---|---|---|---|\n".to_owned();
    for metric in METRICS {
        table += &metric_row(metric);
    }
    assert_block("docs/metrics.md", "metrics", &table);
}

#[test]
fn every_metric_is_documented_with_its_name_in_otlp() {
    let mut table =
        "| OTLP | unit | kind | attributes | on `/metrics` | a Prometheus that takes OTLP says |\n\
        |---|---|---|---|---|---|\n"
            .to_owned();
    for row in OTLP_METRICS {
        table += &otlp_row(row);
    }
    assert_block("docs/metrics.md", "otlp", &table);
}

fn otlp_row(row: &OtlpMetric) -> String {
    let kind = match row.kind {
        OtlpKind::Sum | OtlpKind::ObservedSum => "sum",
        OtlpKind::UpDownSum => "up-down sum",
        OtlpKind::Gauge => "gauge",
        OtlpKind::Histogram => "histogram",
    };
    let mut attributes: Vec<_> = row.fixed.iter().map(|(key, value)| format!("`{key}` {value}")).collect();
    attributes
        .extend(row.labels().iter().filter_map(|label| row.key(label.key)).map(|key| format!("`{key}`")));
    attributes.extend(row.errors.map(|(label, _)| format!("`error.type` from `{label}`")));
    let prometheus = row.prometheus_name();
    let prometheus = if prometheus == row.metric { "the same".to_owned() } else { format!("`{prometheus}`") };
    let (name, unit, metric) = (row.name, row.unit, row.metric);
    let attributes = attributes.join(", ");
    format!("| `{name}` | {unit} | {kind} | {attributes} | `{metric}` | {prometheus} |\n")
}

#[test]
fn every_fault_is_documented_with_its_parameters_roles_and_what_to_look_at() {
    let mut table = "| fault | what goes wrong | parameters | roles |\n|---|---|---|---|\n".to_owned();
    for fault in &FAULTS {
        table += &fault_row(fault);
    }
    table += &format!("\nEvery fault also takes {}.\n", parameter(&SECONDS));
    assert_block("docs/faults.md", "faults", &table);
    let text = read("docs/faults.md");
    for fault in &FAULTS {
        let title = format!("\n## {}\n", fault.name);
        let section = text.split(&title).nth(1).and_then(|rest| rest.split("\n## ").next());
        let section = section.unwrap_or_else(|| panic!("no section {title}"));
        for place in ["**Metric.**", "**Trace.**", "**Log.**"] {
            assert!(section.contains(place), "{}: {place}", fault.name);
        }
    }
}

fn fault_row(fault: &Fault) -> String {
    let parameters: Vec<_> = fault.parameters.iter().map(parameter).collect();
    let mut roles: Vec<_> = fault.roles.iter().map(|role| role.as_str().to_owned()).collect();
    roles[0] = format!("**{}**", roles[0]);
    format!("| `{}` | {} | {} | {} |\n", fault.name, fault.meaning, parameters.join("; "), roles.join(", "))
}

fn parameter(parameter: &Parameter) -> String {
    let default = match parameter.values.default() {
        Some(Checked::Whole(n)) => format!(", default {n}"),
        Some(Checked::Ratio(r)) => format!(", default {r}"),
        _ => String::new(),
    };
    format!("`{}`: {} ({}{default})", parameter.name, parameter.meaning, parameter.values.range())
}

fn metric_row(metric: &Metric) -> String {
    let kind = match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram(_) => "histogram",
    };
    let labels: Vec<_> = metric
        .labels
        .iter()
        .map(|label| match label.values {
            [] => format!("`{}`", label.key),
            values => format!("`{}`: {}", label.key, values.join(", ")),
        })
        .collect();
    let services: Vec<_> = metric.roles.iter().map(|role| role.service().name).collect();
    let services = if services.is_empty() { "all".to_owned() } else { services.join(", ") };
    let labels = labels.join("; ");
    format!("| `{}` | {kind} | {} | {labels} | {services} | {} |\n", metric.name, metric.unit, metric.help)
}

#[test]
fn every_setting_is_documented_with_flag_variable_and_default() {
    let command = o11y_lab::cli::command();
    let mut text = String::new();
    let commands = [
        "order",
        "up",
        "status",
        "logs",
        "down",
        "open",
        "doctor",
        "console",
        "console export",
        "console import",
        "healthcheck",
        "load",
        "queue depth",
        "fault set",
        "verify",
        "scenario run",
        "scenario check",
        "scenario record",
        "scenario replay",
        "scenario score",
        "man",
    ];
    for name in commands {
        let sub = name.split(' ').fold(&command, |above, name| above.find_subcommand(name).unwrap());
        let title = if name == "order" { "Every role" } else { name };
        text += &format!("\n## {title}\n");
        let mut heading = None;
        // The settings of queue, brokers and OpenTelemetry are the roles' own and stand there.
        let again = |arg: &clap::Arg| {
            ["queue depth", "load", "doctor"].contains(&name) && arg.get_help_heading().is_some()
        };
        let shown = |arg: &&clap::Arg| !arg.is_hide_set() && arg.get_long().is_some() && !again(arg);
        for arg in sub.get_arguments().filter(shown) {
            if arg.get_help_heading() != heading || heading.is_none() && !text.ends_with("|\n") {
                heading = arg.get_help_heading();
                if let Some(heading) = heading {
                    text += &format!("\n### {heading}\n");
                }
                text += "\n| flag | variable | default | meaning |\n|---|---|---|---|\n";
            }
            text += &setting_row(arg);
        }
    }
    assert_block("docs/settings.md", "settings", &text);
}

fn setting_row(arg: &clap::Arg) -> String {
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if default.is_empty() { String::new() } else { format!("`{}`", default.join(",")) };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    format!("| `--{}` | {variable} | {default} | {help} |\n", arg.get_long().unwrap_or_default())
}

#[test]
fn every_link_in_a_document_leads_to_a_file_that_exists() {
    let mut documents: Vec<PathBuf> =
        std::fs::read_dir(root()).unwrap().flatten().map(|e| e.path()).collect();
    documents.extend(std::fs::read_dir(root().join("docs")).unwrap().flatten().map(|e| e.path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let file = document.parent().unwrap().join(target);
            assert!(file.exists(), "{}: {target}", document.display());
        }
    }
}

#[test]
fn trap_18_the_readme_names_the_transports_that_exist_and_no_others() {
    let mut list = String::new();
    for transport in Transport::value_variants() {
        let value = transport.to_possible_value().unwrap();
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        list += &format!("- `QUEUE_TRANSPORT={}`: {help}\n", value.get_name());
    }
    assert_block("README.md", "transports", &list);
}

#[test]
fn the_queue_page_compares_the_transports_by_their_rows() {
    type Cell = fn(&TransportRow) -> &'static str;
    const FACTS: [(&str, Cell); 9] = [
        ("made of", |row| row.guarantees.made_of),
        ("context travels in", |row| row.guarantees.headers_in),
        ("order of one key", |row| row.guarantees.order.as_str()),
        ("a dead consumer's messages are redelivered", |row| row.guarantees.redelivered),
        (
            "an attempt that ended in a crash counts",
            |row| {
                if row.guarantees.crashes_count { "yes" } else { "no" }
            },
        ),
        ("messages of one key go to", |row| match row.guarantees.keys_have_owners {
            true => "one consumer while it lives",
            false => "any consumer",
        }),
        ("the count in flight includes other consumers'", |row| match row.guarantees.sees_others_in_flight {
            true => "yes",
            false => "no",
        }),
        ("a message that waits for its retry counts as", |row| match row.guarantees.retries_wait {
            true => "waiting",
            false => "in flight",
        }),
        ("login, TLS", |row| row.guarantees.login),
    ];
    let line = |first: &str, cell: &dyn Fn(&TransportRow) -> &'static str| {
        let cells: Vec<_> = TRANSPORTS.iter().map(|row| format!(" {} |", cell(row))).collect();
        format!("| {first} |{}\n", cells.concat())
    };
    let mut table = line("", &|row| row.name).replacen("|  |", "| |", 1);
    table += &line("---", &|_| "---").replace(' ', "");
    FACTS.iter().for_each(|(fact, cell)| table += &line(fact, cell));
    assert_block("docs/queue.md", "transports", &table);
}

#[test]
fn the_changelog_knows_this_version() {
    assert!(read("CHANGELOG.md").contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}

/// Every file below a folder.
pub fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

#[test]
fn only_the_settings_name_environment_variables() {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "rs") && !f.ends_with("config.rs"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        let tests = file.components().any(|c| c.as_os_str() == "tests") || file.ends_with("tests.rs");
        assert!(
            tests || !text.contains("env::var(\"") && !text.contains("env::var_os(\""),
            "{}",
            file.display()
        );
    }
}

#[test]
fn an_earlier_labs_defects_under_this_issue_each_have_a_test_with_their_number() {
    let mut files = Vec::new();
    walk(&root().join("tests/it"), &mut files);
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for number in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22] {
        assert!(text.contains(&format!("fn trap_{number}_")), "trap {number}");
    }
}

#[test]
fn the_default_data_folder_is_the_users_state_folder() {
    assert!(config::default_data_dir().ends_with("o11y-lab"));
}

#[test]
fn every_kind_of_request_that_verify_sends_is_documented_with_what_it_leaves() {
    let mut table =
        "| request | answer | spans | log lines | series | notification |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for shape in &o11y_lab::lab::expect::SHAPES {
        let _ = writeln!(
            table,
            "| `{}` {} | {} | {} | {} | {} | {} |",
            shape.route,
            shape.name,
            shape.status,
            shape.spans.len(),
            shape.expected_lines().len(),
            shape.expected_counts().len(),
            shape.notification.map_or("-".to_owned(), |kind| format!("`{kind}`")),
        );
    }
    assert_block("docs/verify.md", "shapes", &table);
}

#[test]
fn what_verify_expects_under_each_fault_is_documented() {
    use o11y_lab::lab::expect::Condition;
    let mut table = "| fault | set with | expected |\n|---|---|---|\n".to_owned();
    for row in o11y_lab::schema::FAULTS.iter().filter_map(|fault| Condition::named(fault.name)) {
        let set: Vec<_> = row.parameters.iter().map(|(name, value)| format!("`{name}` {value}")).collect();
        let alone = if row.alone { ", alone" } else { "" };
        let _ = writeln!(table, "| `{}`{alone} | {} | {} |", row.name, set.join(", "), row.rows);
    }
    assert_block("docs/verify.md", "conditions", &table);
}

#[test]
fn every_rule_of_the_score_is_documented_or_why_it_is_not_computed() {
    use o11y_lab::lab::score::{NOT_COMPUTED, Needs, RULES};
    let mut table = "| rule | impact | wants | told by |\n|---|---|---|---|\n".to_owned();
    for rule in RULES {
        let needs = match rule.needs {
            Needs::Resources => "spans; metrics by OTLP",
            Needs::Spans => "spans",
            Needs::Series => "metrics by OTLP: the console, a file",
            Needs::Severities => "log records of a file or of VictoriaLogs",
        };
        let _ = writeln!(
            table,
            "| {} | {:?}, {} | {} | {needs} |",
            rule.id,
            rule.impact,
            rule.impact.weight(),
            rule.wants
        );
    }
    for (id, why) in NOT_COMPUTED {
        let _ = writeln!(table, "| {id} | | | not computed: {why} |");
    }
    assert_block("docs/verify.md", "rules", &table);
}

#[test]
fn every_change_that_verify_is_proven_by_is_documented_with_its_row() {
    use crate::verify::mutations::{LOGS, METRICS, QUALITY, TRACES};
    let mut table = "| what happens on the way | red | says |\n|---|---|---|\n".to_owned();
    for mutation in [TRACES, LOGS, METRICS, QUALITY].into_iter().flatten() {
        let rows: Vec<_> = mutation.red.iter().map(|row| format!("`{row}`")).collect();
        let _ = writeln!(table, "| {} | {} | `{}` |", mutation.what, rows.join(", "), mutation.words);
    }
    assert_block("docs/verify.md", "mutations", &table);
}

#[test]
fn every_field_of_a_file_of_verify_is_documented_and_its_schema_is_made_from_the_same_table() {
    use o11y_lab::config::spec::{fields::OBJECTS, schema};
    let mut text = String::new();
    for object in OBJECTS {
        let (article, name) =
            object.with_article().split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let article = article.replacen('a', "A", 1);
        text +=
            &format!("\n{article} {name}:\n\n| field | what may stand there | meaning |\n|---|---|---|\n");
        for field in object.fields {
            let required = if field.required { " (required)" } else { "" };
            text += &format!("| `{}`{required} | {} | {} |\n", field.name, field.shape.words(), field.help);
        }
    }
    assert_block("docs/verify-spec.md", "fields", &text);
    let path = root().join("docs/verify-spec.schema.json");
    let expected = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), expected, "UPDATE_DOCS=1 cargo test --test it docs");
}

#[test]
fn every_change_that_a_file_of_verify_is_proven_by_is_documented_with_its_rows() {
    use crate::verify::spec_changes::{CHANGES, What};
    let mut table = "| otherwise | red | says |\n|---|---|---|\n".to_owned();
    for change in CHANGES {
        let red: Vec<_> = change.red.iter().map(|id| format!("`{id}`")).collect();
        let what = match change.what {
            What::Program(change) => format!("the program: {change}"),
            What::File(_, to) => format!("the file: `{}`", to.trim().replace('\n', " ").replace('|', "\\|")),
        };
        table += &format!("| {what} | {} | `{}` |\n", red.join(", "), change.words.replace('|', "\\|"));
    }
    assert_block("docs/verify-spec.md", "changes", &table);
}

#[test]
fn the_plan_for_growth_quotes_figures_that_were_measured_and_metrics_that_exist() {
    let (plan, measured, queue) =
        (read("docs/scale.md"), read("docs/measurements.md"), read("docs/queue.md"));
    for (figure, place, source) in [
        ("gateway 0.25", "gateway 0.75 to 0.25", &measured),
        ("user 0.13", "user 0.44 to 0.13", &measured),
        ("order 0.34", "order 1.10 to 0.34", &measured),
        ("notify 0.17", "notify 0.63 to 0.17", &measured),
        ("1.23 times", "| 1.28 | 1.23 |", &measured),
        ("console 1.4 us", "| 1.43 |", &measured),
        ("memory store 6.5 us", "| 6.54 |", &measured),
        ("21,144/s", "| 21144 |", &queue),
    ] {
        assert!(plan.contains(figure) && source.contains(place), "{figure}: {place}");
    }
    for name in plan
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("queue_") || word.starts_with("db_"))
    {
        assert!(METRICS.iter().any(|metric| metric.name == name), "no metric is called {name}");
    }
}
