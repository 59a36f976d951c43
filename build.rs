//! Links the program to a fixed address and without symbols on Linux with glibc, and tells it what it was built of.
//!
//! A position-independent program of this size has a megabyte of pointers that each process patches at
//! its start and then holds by itself; six roles and `up` hold seven of them. At a fixed address the
//! linker has patched them in the file, and all processes share it. The price is that the program's own
//! code is not at a random address; heap, stacks and libraries still are.
//!
//! Commit and its date are what the environment says, or the commit that git has. Only a release asks git, or each commit
//! would build the tests again. The date of the build is SOURCE_DATE_EPOCH's where that is set, so that the same source
//! makes the same program, as in the archives of a release; else the day, in UTC, on which this script ran last. That is
//! when what it depends on changed: it does not run again for each build, or each would link the program anew.

#![allow(clippy::print_stdout, reason = "how a build script speaks")]

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// Named by whoever builds without a repository, as the Dockerfile does.
const COMMIT: &str = "O11Y_LAB_COMMIT";
/// Seconds since 1970, as <https://reproducible-builds.org/specs/source-date-epoch/> has it.
const DATE: &str = "SOURCE_DATE_EPOCH";
/// What changes with each commit that is made or checked out.
const GIT_STATE: [&str; 2] = [".git/HEAD", ".git/logs/HEAD"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |part: &str| variable(&format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let release = variable("PROFILE").is_some_and(|profile| profile == "release");
    if target("OS") == "linux" && target("ENV") == "gnu" && release {
        println!("cargo:rustc-link-arg-bins=-no-pie");
        // What the profile says with `strip` Cargo forgets where the package has an override, and this one has
        // (findings/cargo-profile-override-undoes-strip.sh). Who wants debug information wants names too.
        if variable("DEBUG").is_none_or(|debug| debug == "false") {
            println!("cargo:rustc-link-arg-bins=-Wl,--strip-all");
        }
    }
    println!("cargo:rerun-if-env-changed={COMMIT}");
    println!("cargo:rerun-if-env-changed={DATE}");
    let in_git = release && GIT_STATE.iter().all(|file| Path::new(file).exists());
    if in_git {
        GIT_STATE.iter().for_each(|file| println!("cargo:rerun-if-changed={file}"));
    }
    let git = |format: &str| if in_git { shown_by_git(format) } else { None };
    let said = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    let date = variable(DATE).and_then(|seconds| seconds.parse().ok()).map(date_of);
    println!("cargo:rustc-env=O11Y_LAB_BUILD_COMMIT={}", said(variable(COMMIT).or_else(|| git("%H"))));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    let today = now.and_then(|now| u32::try_from(now.as_secs()).ok()).map(date_of);
    let of_commit = match variable(COMMIT) {
        Some(_) => date.clone().or_else(|| git("%cs")),
        None => git("%cs"),
    };
    println!("cargo:rustc-env=O11Y_LAB_BUILD_COMMIT_DATE={}", said(of_commit));
    println!("cargo:rustc-env=O11Y_LAB_BUILD_DATE={}", said(date.or(today)));
    println!("cargo:rustc-env=O11Y_LAB_BUILD_TARGET={}", said(variable("TARGET")));
}

/// A variable that is set to one line of something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty() && !value.contains('\n'))
}

/// What git says of the commit that is checked out, in UTC.
fn shown_by_git(format: &str) -> Option<String> {
    let asked = Command::new("git")
        .args(["show", "-s", "--no-show-signature", &format!("--format={format}"), "HEAD"])
        .env("TZ", "UTC")
        .output();
    let answer = asked.ok().filter(|answer| answer.status.success())?.stdout;
    let text = String::from_utf8(answer).ok()?.trim().to_owned();
    (!text.is_empty() && !text.contains('\n')).then_some(text)
}

/// `YYYY-MM-DD` of seconds since 1970, in UTC. Years are counted from March, so that the leap day is the last one; in
/// 400 years there are always 146,097 days.
fn date_of(seconds: u32) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + u32::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
