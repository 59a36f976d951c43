//! The image by itself: what is in it, as whom it runs, and that each of its commands starts.

use std::process::{Command, Stdio};
use std::time::Duration;

use o11y_lab::schema::{Role, SERVICES};
use serde_json::{Value, json};

use super::report::Report;
use super::{IMAGE, ask, docker, printed};
use crate::helpers::{DEADLINE, eventually, eventually_within, free_port, get, http, post};
use crate::readme::commands;

/// What makes of a hole a door.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "busybox", "apt", "dpkg", "apk", "perl"];
/// As compose.yaml runs every role: nothing may be written but the volume and /tmp, and nothing is allowed.
const HARDENED: [&str; 9] = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges:true",
    "--tmpfs",
    "/tmp",
    "--memory",
    "56m",
];

/// A container that is removed in every case.
struct Container(String);

impl Container {
    #[track_caller]
    fn run(options: &[&str], command: &[&str]) -> Self {
        let mut words = vec!["run", "--detach"];
        words.extend(options);
        words.push(IMAGE);
        words.extend(command);
        Self(ask(&words))
    }

    fn state(&self) -> Value {
        let text = ask(&["inspect", "--format", "{{json .State}}", &self.0]);
        serde_json::from_str(&text).expect("JSON")
    }

    /// SIGTERM, and how it ended.
    fn stop(&self) -> Option<i64> {
        ask(&["stop", "--time", "15", &self.0]);
        self.state()["ExitCode"].as_i64()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(60, &["rm", "--force", "--volumes", &self.0]).output();
    }
}

#[test]
#[ignore = "needs an engine and the image: make test-stack"]
fn image() {
    let mut report = Report::of("image");
    report.check("size", size);
    report.check("neither shell nor package manager", no_shell);
    report.check("its libraries are all in it", libraries);
    report.check("--version and the help of each command", commands_start);
    for role in &SERVICES {
        report.check(&format!("{} without root, a writable root or capabilities", role.command), || {
            runs(role.role)
        });
    }
    report.check("the README's `docker run ... up` is reached from outside", up);
    report.finish();
}

fn size() -> String {
    let whole: f64 = ask(&["image", "inspect", "--format", "{{.Size}}", IMAGE]).parse().expect("a number");
    let mut save = docker(120, &["save", IMAGE]).stdout(Stdio::piped()).spawn().expect("docker");
    let stream = save.stdout.take().expect("a pipe");
    let zipped = Command::new("gzip").arg("-c").stdin(stream).output().expect("gzip").stdout.len();
    assert!(save.wait().expect("docker").success());
    format!("{:.1} MB, {:.1} MB compressed", whole / 1e6, zipped as f64 / 1e6)
}

/// The paths of all files in the image.
fn files() -> Vec<String> {
    let id = Container(ask(&["create", IMAGE]));
    let mut export = docker(120, &["export", &id.0]).stdout(Stdio::piped()).spawn().expect("docker");
    let mut list = Command::new("tar");
    list.arg("-t").stdin(export.stdout.take().expect("a pipe"));
    let text = printed(list);
    assert!(export.wait().expect("docker").success());
    text.lines().map(|line| format!("/{line}")).collect()
}

fn no_shell() -> String {
    let files = files();
    let name = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
    let found: Vec<_> = files.iter().filter(|path| SHELLS.contains(&name(path).as_str())).collect();
    assert!(found.is_empty(), "{found:?}");
    let shell = docker(60, &["run", "--rm", "--entrypoint", "/bin/sh", IMAGE, "-c", "true"]).output();
    assert!(!shell.expect("docker").status.success());
    let programs: Vec<_> =
        files.iter().filter(|path| path.contains("/bin/") && !path.ends_with('/')).collect();
    assert_eq!(programs, ["/usr/bin/o11y-lab"]);
    format!("{} files, one program", files.iter().filter(|path| !path.ends_with('/')).count())
}

/// By what the program itself says that it needs, not by what the Dockerfile copies.
fn libraries() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("o11y-lab");
    let id = Container(ask(&["create", IMAGE]));
    ask(&["cp", &format!("{}:/usr/bin/o11y-lab", id.0), &program.display().to_string()]);
    let mut read = Command::new("readelf");
    read.args(["--dynamic", "--program-headers", "--wide"]).arg(&program);
    let text = printed(read);
    let between = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    let mut needed: Vec<_> =
        text.lines().filter(|line| line.contains("(NEEDED)")).filter_map(between).collect();
    let loader =
        text.split_once("interpreter: ").and_then(|(_, rest)| rest.split(']').next()).expect("a loader");
    needed.push(loader.rsplit('/').next().unwrap_or_default().to_owned());
    let files = files();
    let missing: Vec<_> =
        needed.iter().filter(|name| !files.iter().any(|path| path.ends_with(&format!("/{name}")))).collect();
    assert!(missing.is_empty() && needed.len() > 2, "missing {missing:?} of {needed:?}");
    needed.join(", ")
}

fn commands_start() -> String {
    let version = ask(&["run", "--rm", IMAGE, "--version"]);
    assert_eq!(version, format!("o11y-lab {}", env!("CARGO_PKG_VERSION")));
    let program = o11y_lab::cli::command();
    let names: Vec<_> =
        program.get_subcommands().filter(|one| !one.is_hide_set()).map(|one| one.get_name()).collect();
    for name in &names {
        let help = ask(&["run", "--rm", IMAGE, "help", name]);
        assert!(help.contains("Usage: "), "{name}: {help}");
    }
    format!("{version}; {}", names.join(", "))
}

/// Healthy by the image's own check, as user 65532, and ends by itself when told to.
fn runs(role: Role) -> String {
    let mut options = HARDENED.to_vec();
    let named = format!("O11Y_LAB_ROLE={role}");
    options.extend(["--env", &named, "--env", "OTEL_SDK_DISABLED=true", "--health-interval", "1s"]);
    let one = Container::run(&options, &[]);
    eventually_within(DEADLINE, "it is healthy", || {
        let state = one.state();
        assert_eq!(state["Running"], true, "{state}");
        (state["Health"]["Status"] == "healthy").then_some(())
    });
    let pid = one.state()["Pid"].to_string();
    let top = ask(&["top", &one.0, "-eo", "pid,uid,args"]);
    assert!(top.contains(" 65532 "), "{top}");
    // Only where the engine's processes are this machine's, and not a virtual machine's.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("Cap") && !line.starts_with("CapBnd")) {
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    let code = one.stop();
    assert_eq!(code, Some(0), "{}", one.state());
    "healthy, uid 65532, exit code 0".to_owned()
}

/// The README's command with the ports moved, and what a person does next.
fn up() -> String {
    let lines = commands("In a container");
    let line = lines.iter().find_map(|line| line.strip_prefix("docker run --rm ")).expect("a command");
    let (options, command) = line.split_once(IMAGE).expect("the image");
    let [gateway, console] = [free_port(), free_port()];
    let options =
        options.replace(":3000:", &format!(":{gateway}:")).replace(":3005:", &format!(":{console}:"));
    let one = Container::run(
        &options.split_whitespace().collect::<Vec<_>>(),
        &command.split_whitespace().collect::<Vec<_>>(),
    );
    let table = eventually("the table", || {
        let said = docker(60, &["logs", &one.0]).output().expect("docker");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        // The log lines behind it say where each role listens.
        said.split_once("Stop:  Ctrl-C").map(|(table, _)| table.to_owned())
    });
    assert_eq!(table.matches("  ready\n").count(), SERVICES.len() + 1, "{table}");
    assert!(table.contains("http://127.0.0.1:3005") && !table.contains("0.0.0.0"), "{table}");
    let gateway = format!("http://localhost:{gateway}");
    let user = json!({"name": "Ada", "email": "ada@example.com"});
    assert_eq!(post(&format!("{gateway}/api/users"), &user).status, 201);
    let order =
        post(&format!("{gateway}/api/orders"), &json!({"userId": 1, "items": ["book"], "total": 49.99}));
    assert_eq!(order.status, 201, "{order:?}");
    let console = format!("http://localhost:{console}");
    assert_eq!(get(&console).status, 200);
    eventually_within(Duration::from_secs(30), "the order's trace", || {
        let trace = http::try_send("GET", &format!("{console}/api/traces/{}", order.trace_id()), &[], None)?;
        (trace.json["data"][0]["spans"].as_array()?.len() == 12).then_some(())
    });
    assert_eq!(one.stop(), Some(0));
    "a user, an order, its trace in the console".to_owned()
}
