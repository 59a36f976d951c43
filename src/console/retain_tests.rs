//! The journal's bounds, and what is taken in again.
#![allow(clippy::unwrap_used)]

use prost::Message as _;

use super::*;
use crate::config::KeepRules;
use crate::console::sample::{self, START};

const SECOND: u64 = 1_000_000_000;

fn config(folder: &tempfile::TempDir) -> RetainConfig {
    RetainConfig {
        retain: Some(folder.path().to_owned()),
        retain_mib: 1,
        retain_age: Duration::from_secs(3_600),
    }
}

fn entry(at: u64, body: Vec<u8>) -> JournalEntry {
    JournalEntry { at, kind: JournalKind::Lines, is_json: true, body }
}

/// What packing does not make smaller.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(bytes)
    .collect()
}

#[tokio::test]
async fn entries_come_back_in_their_order_and_those_that_are_too_old_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(&config(&folder)).unwrap();
    let now = 10_000 * SECOND;
    let entries: Vec<_> = [5_000, 9_000, 9_999].map(|at| entry(at * SECOND, at.to_string().into())).into();
    journal.append(entries.clone(), now).await.unwrap();
    let page = journal.page(0, now).await.unwrap();
    assert_eq!(page.iter().map(|(_, entry)| entry).collect::<Vec<_>>(), [&entries[1], &entries[2]]);
    // It grew old between two starts.
    assert_eq!(journal.page(0, now + 3_000 * SECOND).await.unwrap().len(), 1);
    assert_eq!(journal.page(page[1].0, now).await.unwrap(), []);
}

#[tokio::test]
async fn beyond_its_bytes_the_oldest_go_and_the_file_gets_no_larger() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(&config(&folder)).unwrap();
    let mut kept = 0;
    for round in 0..40 {
        kept = journal.append(vec![entry(SECOND, noise(100_000, round))], SECOND).await.unwrap();
    }
    assert!((900_000..=1 << 20).contains(&kept), "{kept}");
    let page = journal.page(0, SECOND).await.unwrap();
    assert_eq!(page.last().unwrap().1.body, noise(100_000, 39));
    journal.close().await;
    let size = std::fs::metadata(folder.path().join("console.db")).unwrap().len();
    assert!(size < 1_400_000, "{size}");
}

#[tokio::test]
async fn a_console_has_what_the_one_before_it_took_in() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention::new(&config(&folder)).unwrap();
    let spans = sample::export("shop", vec![sample::span(7, 1, 0), sample::span(7, 2, 1)]).encode_to_vec();
    retention.note_export(Signal::Traces, false, &Bytes::from(spans));
    for line in ["one", "two"] {
        retention.note_line(&format!(r#"{{"service":"shop","message":"{line}"}}"#));
    }
    retention.note_export(Signal::Metrics, true, &Bytes::from_static(b"{broken"));
    let other = sample::export("other", vec![sample::span(8, 1, 0)]).encode_to_vec();
    retention.note_export(Signal::Traces, false, &Bytes::from(other));
    retention.note_removal(Some("other"));
    retention.finish().await;

    let again = Retention::new(&config(&folder)).unwrap();
    let console = sample::console();
    again.restore(&console).await.unwrap();
    assert_eq!(console.trace(7).unwrap().spans.len(), 2);
    assert!(console.trace(8).is_none(), "what was removed is back");
    let logs = console.logs();
    assert_eq!((logs.len(), logs.follows("shop")), (2, true));
}

#[tokio::test]
async fn exports_that_follow_each_other_are_joined_and_come_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention::new(&config(&folder)).unwrap();
    let spans = |trace| sample::export("shop", vec![sample::span(trace, 1, 0)]);
    for trace in 1..=3 {
        retention.note_export(Signal::Traces, false, &Bytes::from(spans(trace).encode_to_vec()));
    }
    let json = serde_json::to_string(&spans(4)).unwrap();
    retention.note_export(Signal::Traces, true, &Bytes::from(json));
    // Too large to be joined to another.
    let mut large = sample::span(5, 1, 0);
    large.name = "x".repeat(JOINED);
    for export in [sample::export("shop", vec![large]), spans(6)] {
        retention.note_export(Signal::Traces, false, &Bytes::from(export.encode_to_vec()));
    }
    let entries: Vec<_> = retention.state().waiting.iter().map(|entry| entry.is_json).collect();
    assert_eq!(entries, [false, true, false, false]);
    retention.finish().await;

    let console = sample::console();
    Retention::new(&config(&folder)).unwrap().restore(&console).await.unwrap();
    let kept: Vec<_> = (1..=6).map(|id| console.trace(id).map_or(0, |trace| trace.spans.len())).collect();
    assert_eq!(kept, [1; 6]);
}

#[tokio::test]
async fn what_a_tail_sampler_dropped_stays_dropped_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(&config(&folder)).unwrap();
    let rules = KeepRules { error: true, slower: None, ratio: None, wait: Duration::from_secs(2) };
    let spans = |trace, id, code| {
        let mut span = sample::span(trace, id, 0);
        span.status.get_or_insert_default().code = code;
        sample::export("shop", vec![span]).encode_to_vec()
    };
    let at = |seconds: u64, body| JournalEntry {
        at: START + seconds * SECOND,
        kind: JournalKind::Spans,
        is_json: false,
        body,
    };
    // The first fails too late; the second in time; of the third nothing came after its wait.
    let came = [at(0, spans(1, 1, 0)), at(1, spans(2, 1, 2)), at(3, spans(1, 2, 2)), at(3, spans(3, 1, 0))];
    journal.append(came.into(), START).await.unwrap();
    journal.close().await;
    let console = sample::console_that_keeps(rules);
    Retention::new(&RetainConfig { retain_age: Duration::from_secs(1 << 40), ..config(&folder) })
        .unwrap()
        .restore(&console)
        .await
        .unwrap();
    console.decide(now());
    assert_eq!([1, 2, 3].map(|id| console.trace(id).is_some()), [false, true, false]);
}

#[tokio::test]
async fn what_has_no_room_or_cannot_be_written_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention::new(&config(&folder)).unwrap();
    retention.note_export(Signal::Traces, false, &Bytes::from(vec![0; MOST_WAITING]));
    retention.note_export(Signal::Traces, false, &Bytes::from_static(b"x"));
    assert_eq!(retention.json()["lost"], 1);
    let nowhere = RetainConfig { retain: Some("/proc/nowhere".into()), ..config(&folder) };
    let retention = Retention::new(&nowhere).unwrap();
    retention.note_line("{}");
    retention.write().await;
    let said = retention.json();
    assert_eq!(said["lost"], 1);
    assert!(said["failing"].is_string(), "{said}");
    assert!(retention.restore(&sample::console()).await.is_err());
}
