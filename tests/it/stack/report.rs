//! One part's rows: what was checked, whether it holds, what was seen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

/// The report of one part, written to the folder that `STACK_REPORT` names after each row.
pub struct Report {
    part: &'static str,
    rows: Vec<Value>,
}

impl Report {
    pub fn of(part: &'static str) -> Self {
        Self { part, rows: Vec::new() }
    }

    /// A check says what it saw; one that panics does not hold, and the others are made all the same.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> String) {
        let began = Instant::now();
        let (verdict, seen) = match catch_unwind(AssertUnwindSafe(check)) {
            Ok(seen) => ("holds", seen),
            Err(panic) => ("fails", text(&*panic)),
        };
        self.row(name, verdict, &seen, began.elapsed().as_secs_f64());
    }

    /// What cannot be checked here, and why.
    pub fn left_out(&mut self, name: &str, why: &str) {
        self.row(name, "left out", why, 0.0);
    }

    fn row(&mut self, name: &str, verdict: &str, seen: &str, seconds: f64) {
        eprintln!("{:8} | {name} | {verdict} | {seen} | {seconds:.0} s", self.part);
        let seconds = (seconds * 10.0).round() / 10.0;
        self.rows.push(json!({"check": name, "verdict": verdict, "seen": seen, "seconds": seconds}));
        if let Some(folder) = std::env::var_os("STACK_REPORT").map(PathBuf::from) {
            let all = json!({"part": self.part, "rows": self.rows});
            std::fs::write(folder.join(format!("{}.json", self.part)), all.to_string()).expect("the report");
        }
    }

    /// Fails where a row did.
    #[track_caller]
    pub fn finish(self) {
        let failed: Vec<_> = self.rows.iter().filter(|row| row["verdict"] == "fails").collect();
        assert!(failed.is_empty(), "{}: {failed:#?}", self.part);
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
