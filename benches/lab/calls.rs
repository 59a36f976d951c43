//! System calls for one request, by process.
//!
//! Two windows of the same length are counted, one with many requests and one with few. Both hold the
//! same share of what a lab does by itself, of the attaching and of the first request; their difference,
//! by the difference in requests, is what one request costs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::load::{GET, POST};
use super::requests::Connection;
use super::running::{ByProcess, RunningLab};
use super::strace::{Calls, Counter};

const FEW: u32 = 20;
const MANY: u32 = 220;
/// From the last answer to the end of the window: deliveries and exports are over by then.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// The console does not scrape while calls are counted: once more or less would be seen in the difference.
pub const NO_SCRAPES: (&str, &str) = ("CONSOLE_SCRAPE_INTERVAL", "86400");

/// Names of calls with how many one request costs, the most frequent first, by process.
pub type PerRequest = ByProcess<Vec<(String, f64)>>;

/// The calls for one GET /api/users, by process and name.
pub fn get(lab: &RunningLab) -> anyhow::Result<PerRequest> {
    one(lab, GET, None)
}

/// The calls for one POST /api/orders, until its notification is sent.
pub fn post(lab: &RunningLab, order: &str) -> anyhow::Result<PerRequest> {
    one(lab, POST, Some(order))
}

fn one(lab: &RunningLab, path: &str, body: Option<&str>) -> anyhow::Result<PerRequest> {
    let mut connection = Connection::open(lab.gateway(), path, body)?;
    for _ in 0..FEW {
        connection.ask()?;
    }
    lab.settle()?;
    let (many, length) = window(lab, &mut connection, MANY, Duration::ZERO)?;
    lab.settle()?;
    let (few, _) = window(lab, &mut connection, FEW, length)?;
    lab.settle()?;
    Ok(many.into_iter().map(|(name, calls)| (name.clone(), difference(&calls, few.get(&name)))).collect())
}

/// Counts a window of at least this length; how long it was.
fn window(
    lab: &RunningLab,
    connection: &mut Connection,
    requests: u32,
    length: Duration,
) -> anyhow::Result<(ByProcess<Calls>, Duration)> {
    let attach = |(name, pid): (&String, &u32)| Ok((name.clone(), Counter::attach(*pid, lab.folder())?));
    let counters: ByProcess<_> = lab.processes().iter().map(attach).collect::<anyhow::Result<_>>()?;
    let began = Instant::now();
    for _ in 0..requests {
        connection.ask()?;
    }
    std::thread::sleep(AFTERWARDS.max(length.saturating_sub(began.elapsed())));
    let length = began.elapsed();
    let finish = |(name, counter): (String, Counter)| Ok((name, counter.finish()?));
    Ok((counters.into_iter().map(finish).collect::<anyhow::Result<_>>()?, length))
}

/// For one request, the most frequent first.
fn difference(many: &Calls, few: Option<&Calls>) -> Vec<(String, f64)> {
    let nothing = Calls::new();
    let few = few.unwrap_or(&nothing);
    let of = |calls: &Calls, name: &str| calls.get(name).copied().unwrap_or(0) as f64;
    let names: BTreeSet<_> = many.keys().chain(few.keys()).collect();
    let one = |name: &String| (name.clone(), (of(many, name) - of(few, name)) / f64::from(MANY - FEW));
    let mut all: Vec<_> = names.into_iter().map(one).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}
