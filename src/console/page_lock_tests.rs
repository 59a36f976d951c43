//! Answers are searched and rendered without the stores' locks, but for the copying of what is shown: what comes in
//! meanwhile does not wait for them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body};

use super::*;
use crate::config::KeepRules;
use crate::console::export::{METRICS, OtlpExport};
use crate::console::params::now;
use crate::console::sample;
use crate::runtime::Shutdown;

/// Looks at the stores while an answer is made, at least.
const LOOKS: usize = 300;

/// A console with a tail sampler, with enough in each store that an answer takes a while.
fn filled() -> web::Data<Console> {
    let console = sample::console_that_keeps(KeepRules {
        error: false,
        slower: None,
        ratio: Some(1.0),
        wait: Duration::from_millis(1),
    });
    let at = now();
    for trace in 1..=80_u64 {
        let spans = (1..=12).map(|id| {
            let mut span = sample::span(trace.into(), id, u64::from(id > 1));
            (span.start_time_unix_nano, span.end_time_unix_nano) = (at - 2_000_000, at - 1_000_000);
            span.attributes = (0..8).map(|key| sample::text(&format!("key-{key}"), "value")).collect();
            span
        });
        console.take_spans(sample::received(&sample::export("shop", spans.collect())));
    }
    console.decide(at + 1_000_000_000);
    for line in 0..900 {
        let text = "x".repeat(200);
        console
            .keep_line(&format!(r#"{{"service":"shop","level":"info","number":{line},"message":"{text}"}}"#));
    }
    let point = |n: u64| {
        let attributes = json!([{"key": "n", "value": {"intValue": n}}]);
        json!({"timeUnixNano": at.to_string(), "asInt": n, "attributes": attributes})
    };
    let points: Vec<_> = (0..400).map(point).collect();
    let metrics = json!([{"name": "level", "gauge": {"dataPoints": points}}]);
    let export = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string();
    console.take_metrics(OtlpExport::read(&METRICS, export.into(), true).unwrap());
    console
}

/// Looks at one store while answers are made.
struct Watch {
    console: web::Data<Console>,
    store: usize,
    all: AtomicUsize,
    held: AtomicUsize,
    over: AtomicBool,
}

impl Watch {
    fn look(&self) {
        while !self.over.load(Ordering::Relaxed) {
            self.held.fetch_add(usize::from(!self.console.free()[self.store]), Ordering::Relaxed);
            self.all.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// In how many of a hundred looks a store was held while the answer to `path` was made.
async fn held(console: &web::Data<Console>, path: &str, store: usize) -> usize {
    let (all, held, over) = Default::default();
    let watch = Arc::new(Watch { console: console.clone(), store, all, held, over });
    let shutdown = web::Data::new(Shutdown::new(Duration::ZERO));
    let app = App::new().app_data(console.clone()).app_data(shutdown).configure(routes);
    let app = init_service(app).await;
    let looking = std::thread::spawn({
        let watch = watch.clone();
        move || watch.look()
    });
    while watch.all.load(Ordering::Relaxed) < LOOKS {
        let request = TestRequest::get().uri(path).insert_header(("host", "localhost:7005"));
        let answer = call_service(&app, request.to_request()).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(read_body(answer).await.len() > 300, "{path} has nothing to render");
    }
    watch.over.store(true, Ordering::Relaxed);
    looking.join().unwrap();
    watch.held.load(Ordering::Relaxed) * 100 / watch.all.load(Ordering::Relaxed)
}

#[actix_web::test]
async fn answers_are_rendered_without_the_locks_of_the_stores() {
    let console = filled();
    for (path, store) in [
        ("/api/traces?service=shop&limit=1000", 0),
        ("/api/summaries?limit=1000", 0),
        ("/api/map", 0),
        ("/api/logs?limit=1000", 1),
        ("/api/export/metrics", 2),
        ("/api/overview", 3),
    ] {
        let held = held(&console, path, store).await;
        assert!(held < 80, "{path}: the store was held in {held} of 100 looks");
    }
}
