//! A lab whose disk is full for a while: a small one of its own, in a mount namespace of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::process::clean;
use crate::helpers::{Lab, bin, eventually, free_port_base, get, post};

const MIB: u64 = 1 << 20;
/// Mounts a disk of `$1` bytes at `$0`, then becomes the rest.
const ON_A_DISK: &str = r#"mount -t tmpfs -o size="$1",mode=0700 none "$0" || exit 1; shift; exec "$@""#;

/// A lab whose data folder is a disk of so many bytes, and where the disk is seen from here. It takes no root
/// where the kernel lets everybody make namespaces, as most do.
fn lab_on_a_disk_of(bytes: u64, dir: &Path) -> (Lab, PathBuf) {
    fs::create_dir(dir).unwrap();
    let mut command = clean(Command::new("unshare"));
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_DISK]).arg(dir);
    command.args([&bytes.to_string(), env!("CARGO_BIN_EXE_o11y-lab")]);
    let lab = Lab::launch(command, dir, free_port_base());
    let seen = format!("/proc/{}/root{}", lab.up.pid(), dir.display());
    (lab, seen.into())
}

/// Fills a disk but for so many bytes.
fn fill(disk: &Path, left: u64) -> File {
    let mut ballast = File::create(disk.join("ballast")).unwrap();
    while ballast.write_all(&vec![1; MIB as usize / 16]).is_ok() {}
    ballast.set_len(ballast.metadata().unwrap().len() - left).unwrap();
    ballast
}

/// Takes what is left of a full disk for a moment.
fn assert_doctor_says_that_it_cannot_write(disk: &Path) {
    let rest = disk.join("rest");
    let mut file = File::create(&rest).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let asked = bin().args(["doctor", "--json", "--data-dir"]).arg(disk).output().unwrap();
    fs::remove_file(rest).unwrap();
    let answer: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    let folder = checks.iter().find(|check| check["check"] == "data folder").unwrap();
    let (said, advice) = (folder["said"].as_str().unwrap(), folder["advice"].as_str().unwrap());
    assert_eq!(folder["verdict"], "fail", "{said}");
    assert!(said.contains("cannot be written, writing 16 KiB: ") && said.ends_with(" KiB left"), "{said}");
    assert!(advice.starts_with("free some"), "{advice}");
    let left = fs::read_dir(disk).unwrap().flatten().map(|entry| entry.file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("doctor")), "nothing of it stays");
}

/// The write-ahead logs on a disk by their sizes.
fn logs(disk: &Path) -> Vec<(String, u64)> {
    let files = fs::read_dir(disk).unwrap().map(Result::unwrap);
    let named = files.map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len()));
    named.filter(|(name, _)| name.ends_with("-wal")).collect()
}

#[test]
fn a_lab_whose_disk_was_full_goes_on_when_there_is_room_and_no_log_takes_it() {
    let temp = tempfile::tempdir().unwrap();
    let (lab, disk) = lab_on_a_disk_of(48 * MIB, &temp.path().join("data"));
    let order = json!({"userId": lab.user(), "items": vec!["x".repeat(1_000); 60], "total": 1});
    let order = || post(&lab.api("/api/orders"), &order);
    let ballast = fill(&disk, 3 * MIB);
    let mut accepted = Vec::new();
    let refused = loop {
        let answer = order();
        if answer.status != 201 {
            break answer;
        }
        accepted.push(answer.id());
        assert!(accepted.len() < 200, "the disk is not full");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    for _ in 0..5 {
        assert_eq!(order().status, 503, "it stays full");
    }
    assert_eq!(get(&lab.url(Role::Order, "/health")).status, 200);
    let said_of_disk = || {
        let ready = get(&lab.url(Role::Order, "/ready"));
        let checks = ready.json["checks"].as_array().unwrap().clone();
        let disk = checks.into_iter().find(|check| check["name"] == "disk").unwrap();
        (ready.status, disk["ok"].as_bool().unwrap(), disk["reason"].as_str().unwrap_or_default().to_owned())
    };
    // What is there is still served: the reason is said, and decides nothing.
    let (status, ok, why) = said_of_disk();
    assert!(status == 200 && !ok && why.contains("the disk is full"), "{status} {why}");
    assert_doctor_says_that_it_cannot_write(&disk);

    ballast.set_len(ballast.metadata().unwrap().len() - 16 * MIB).unwrap();
    assert_eq!(said_of_disk(), (200, true, String::new()));
    accepted.push(eventually("orders are taken again", || Some(order()).filter(|a| a.status == 201)).id());
    for _ in 0..30 {
        let answer = order();
        assert_eq!(answer.status, 201, "{answer:?}");
        accepted.push(answer.id());
        let large: Vec<_> = logs(&disk).into_iter().filter(|(_, bytes)| *bytes > 10 * MIB).collect();
        assert!(large.is_empty(), "{large:?}");
    }
    for id in accepted {
        assert_eq!(lab.wait_notifications(id, 1).len(), 1);
    }
    let logs = logs(&disk);
    assert_eq!(logs.len(), 4, "users, orders, notifications, queue: {logs:?}");
    assert!(logs.iter().all(|(_, bytes)| *bytes < 9 * MIB), "{logs:?}");
}
