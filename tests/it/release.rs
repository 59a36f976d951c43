//! The archive of a release: what is in it, and that it runs where there is nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::helpers::process::{PROGRAM, clean};
use crate::helpers::tools::tool;
use crate::helpers::{Lab, Process, eventually_within, free_port_base};

/// Nobody in particular.
const USER: &str = "65532:65532";
/// From the archive to the first trace in a browser.
const FIRST_TRACE: Duration = Duration::from_secs(60);

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The one file of a folder with this ending.
#[track_caller]
fn only(folder: &Path, ending: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with(ending)).collect();
    let [one] = &found[..] else { panic!("not one {ending} in {}: {found:?}", folder.display()) };
    one.clone()
}

/// Archives of the program that the tests were built with. It is no static one, as a release's is.
fn archives_of_this_program(folder: &Path) -> PathBuf {
    let (program, out) = (folder.join("o11y-lab"), folder.join("dist"));
    run(Command::new("strip").arg("-o").arg(&program).arg(PROGRAM));
    let mut release = clean(Command::new(project().join("scripts/release")));
    run(release.arg("--out").arg(&out).arg("--program").arg(&program));
    out
}

/// Unpacks the archive of a folder after its sum was checked; the folder that was in it.
fn unpack(archives: &Path, root: &Path) -> PathBuf {
    run(Command::new("sha256sum").arg("--check").arg(only(archives, ".sha256")).current_dir(archives));
    run(Command::new("tar").arg("-xzf").arg(only(archives, ".tar.gz")).arg("-C").arg(root));
    let unpacked = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let unpacked: Vec<_> = unpacked.collect();
    assert_eq!(unpacked.len(), 1, "one folder: {unpacked:?}");
    unpacked[0].clone()
}

/// What ldd says a program loads, put where it looks for it.
fn put_libraries_into(root: &Path) {
    let said = run(Command::new("ldd").arg(PROGRAM));
    for file in said.split_whitespace().filter(|word| word.starts_with('/')) {
        let inside = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        fs::copy(file, inside).unwrap();
    }
}

/// A program in a root of its own, as a user who may do nothing elsewhere.
fn in_a_root(root: &Path) -> Command {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let mut command = clean(Command::new("chroot"));
        command.arg(format!("--userspec={USER}")).arg(root);
        return command;
    }
    let mut command = clean(Command::new("unshare"));
    command.args(["--user", "--map-root-user", "chroot"]).arg(root);
    command
}

/// Starts the lab from an archive in a root that has nothing else, and stops it when an order's trace is there.
fn a_trace_from(archives: &Path, libraries: bool) -> (Lab, tempfile::TempDir, String) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    fs::create_dir(&root).unwrap();
    let unpacked = unpack(archives, &root);
    // A folder to write to is all that is made for it.
    let data = root.join("data");
    fs::create_dir(&data).unwrap();
    for folder in [temp.path(), &root] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&data, Permissions::from_mode(0o777)).unwrap();
    if libraries {
        put_libraries_into(&root);
    }
    let base = free_port_base();
    let program = Path::new("/").join(unpacked.file_name().unwrap()).join("o11y-lab");
    // What is only checked in a debug build (clap's arguments are) shows where there is none.
    let settings = run(in_a_root(&root).arg(&program).args(["doctor", "--settings", "up"]));
    assert!(settings.contains("--port-base"), "{settings}");
    let mut command = in_a_root(&root);
    command.arg(program).args(["up", "--port-base", &base.to_string(), "--data-dir", "/data/lab"]);
    let lab = Lab::adopt(Process::spawn(command), &data.join("lab"), base);
    let order = lab.order(lab.user());
    assert_eq!(order.status, 201, "{order:?}");
    let trace = order.trace_id();
    assert_eq!(lab.trace(&trace, 12).spans.len(), 12);
    (lab, temp, trace)
}

#[test]
fn an_archive_runs_the_lab_in_an_empty_root_for_a_user_without_rights() {
    let temp = tempfile::tempdir().unwrap();
    let archives = archives_of_this_program(temp.path());
    let (mut lab, _root, _) = a_trace_from(&archives, true);
    assert!(lab.up.stop().success(), "{}", lab.up.stderr());
}

#[test]
fn an_archive_holds_what_a_user_needs_and_says_what_is_in_the_program() {
    let temp = tempfile::tempdir().unwrap();
    let archives = archives_of_this_program(temp.path());
    let root = temp.path().join("root");
    fs::create_dir(&root).unwrap();
    let unpacked = unpack(&archives, &root);
    for file in [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "completions/o11y-lab.bash",
        "completions/_o11y-lab",
        "completions/o11y-lab.fish",
        "man/o11y-lab.1",
        "man/o11y-lab-up.1",
    ] {
        assert!(unpacked.join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    let name = unpacked.file_name().unwrap().to_str().unwrap();
    let bill = archives.join(format!("{name}.cdx.json"));
    run(tool("sbom.py").arg(&bill));
    let bill: Value = serde_json::from_str(&fs::read_to_string(bill).unwrap()).unwrap();
    let named = |name: &str| bill["components"].as_array().unwrap().iter().find(|one| one["name"] == name);
    let opentelemetry = named("opentelemetry_sdk").expect("a crate that is linked in");
    assert_eq!(opentelemetry["hashes"][0]["content"].as_str().map(str::len), Some(64));
    assert!(named("tempfile").is_none() && named("rcgen").is_none(), "what only tests use is not in it");

    let again = temp.path().join("again");
    fs::create_dir(&again).unwrap();
    let second = archives_of_this_program(&again);
    let bytes = |folder: &Path| fs::read(only(folder, ".tar.gz")).unwrap();
    assert!(bytes(&archives) == bytes(&second), "the same commit gives the same archive");
}

#[test]
#[ignore = "needs the archives of a release, minutes of building: make test-release"]
fn a_release_shows_a_first_trace_in_a_browser_within_a_minute() {
    let archives = std::env::var_os("ARCHIVES").expect("ARCHIVES names their folder");
    let began = Instant::now();
    let (mut lab, _root, trace) = a_trace_from(Path::new(&archives), false);
    let mut browser = tool("browser_first.py");
    run(browser.arg(lab.console(&format!("/trace/{trace}"))));
    let took = began.elapsed();
    eprintln!("from the archive to a trace in the browser: {:.1} s", took.as_secs_f64());
    assert!(took < FIRST_TRACE, "{took:?}");
    lab.up.signal(Signal::SIGTERM);
    let ended = eventually_within(Duration::from_secs(40), "the lab ended", || lab.up.try_wait());
    assert!(ended.success(), "{}", lab.up.stderr());
}
