//! A proxy between the lab and its backend that changes what passes: OTLP in JSON, one change at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use o11y_lab::console::json_to_protobuf;
use serde_json::Value;

use crate::helpers::{send, standin};

/// What becomes of an export after it was changed.
pub enum Fate {
    Pass,
    /// Accepted, and forwarded only so much later.
    Late(Duration),
}

/// What a change remembers of earlier exports.
#[derive(Default)]
pub struct Memory {
    /// The spans of each trace, in the order in which they came.
    pub spans: HashMap<String, Vec<String>>,
    /// The first value of each series.
    pub first: HashMap<String, Value>,
}

pub type Change = fn(&mut Value, &mut Memory) -> Fate;

pub struct Proxy {
    pub url: String,
    change: Arc<Mutex<(Option<Change>, Memory)>>,
}

impl Proxy {
    /// In front of this receiver.
    pub fn before(receiver: &str) -> Self {
        Self::forwarding(receiver, "application/json", |export, _| export.to_string().into_bytes())
    }

    /// In front of a receiver that takes protobuf only; the lab sends JSON all the same.
    pub fn before_protobuf(receiver: &str) -> Self {
        Self::forwarding(receiver, "application/x-protobuf", |export, path| {
            let signal = path.rsplit('/').next().unwrap();
            json_to_protobuf(&export.to_string(), signal).unwrap_or_else(|why| panic!("{why}: {export}"))
        })
    }

    fn forwarding(receiver: &str, kind: &'static str, encode: fn(&Value, &str) -> Vec<u8>) -> Self {
        let change = Arc::new(Mutex::new((None::<Change>, Memory::default())));
        let (receiver, armed) = (receiver.to_owned(), change.clone());
        let address = standin::serve(move |_, path, body| {
            let mut export: Value = serde_json::from_slice(body).expect("OTLP in JSON");
            let fate = {
                let mut armed = armed.lock().unwrap();
                let (change, memory) = &mut *armed;
                let fate = change.map_or(Fate::Pass, |change| change(&mut export, memory));
                each_span(&mut export, |_, span| {
                    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
                    memory.spans.entry(text("traceId")).or_default().push(text("spanId"));
                });
                fate
            };
            let url = format!("{receiver}{path}");
            let body = encode(&export, path);
            let forward = move || {
                let answer = send("POST", &url, &[("content-type", kind)], Some(&body));
                assert_eq!(answer.status, 200, "{answer:?} to {export}");
            };
            match fate {
                Fate::Pass => forward(),
                Fate::Late(by) => {
                    std::thread::spawn(move || {
                        std::thread::sleep(by);
                        forward();
                    });
                }
            }
            Some(standin::response("200 OK", "content-type: application/json\r\n", "{}"))
        });
        Self { url: format!("http://{address}"), change }
    }

    /// From now on this change is made, or none.
    pub fn arm(&self, change: Option<Change>) {
        let mut armed = self.change.lock().unwrap();
        armed.0 = change;
        armed.1.first.clear();
    }
}

/// Every list of items of a signal, with the service whose they are.
fn lists(
    export: &mut Value,
    [resources, scopes, items]: [&str; 3],
    mut each: impl FnMut(&str, &mut Vec<Value>),
) {
    for group in export[resources].as_array_mut().into_iter().flatten() {
        let service = service_of(group);
        for scope in group[scopes].as_array_mut().into_iter().flatten() {
            if let Some(list) = scope[items].as_array_mut() {
                each(&service, list);
            }
        }
    }
}

fn service_of(group: &Value) -> String {
    let pairs = group["resource"]["attributes"].as_array();
    let name = pairs.into_iter().flatten().find(|pair| pair["key"] == "service.name");
    name.and_then(|pair| pair["value"]["stringValue"].as_str()).unwrap_or_default().to_owned()
}

const SPANS: [&str; 3] = ["resourceSpans", "scopeSpans", "spans"];
const RECORDS: [&str; 3] = ["resourceLogs", "scopeLogs", "logRecords"];
const METRICS: [&str; 3] = ["resourceMetrics", "scopeMetrics", "metrics"];

pub fn span_lists(export: &mut Value, each: impl FnMut(&str, &mut Vec<Value>)) {
    lists(export, SPANS, each);
}

pub fn each_span(export: &mut Value, mut each: impl FnMut(&str, &mut Value)) {
    lists(export, SPANS, |service, list| list.iter_mut().for_each(|span| each(service, span)));
}

pub fn record_lists(export: &mut Value, each: impl FnMut(&str, &mut Vec<Value>)) {
    lists(export, RECORDS, each);
}

pub fn each_record(export: &mut Value, mut each: impl FnMut(&str, &mut Value)) {
    lists(export, RECORDS, |service, list| list.iter_mut().for_each(|record| each(service, record)));
}

pub fn metric_lists(export: &mut Value, each: impl FnMut(&str, &mut Vec<Value>)) {
    lists(export, METRICS, each);
}

/// Every point of a metric, of whatever kind.
pub fn each_point(export: &mut Value, name: &str, mut each: impl FnMut(&mut Value)) {
    lists(export, METRICS, |_, list| {
        for metric in list.iter_mut().filter(|metric| metric["name"] == name) {
            for kind in ["sum", "histogram", "gauge"] {
                if let Some(points) = metric.get_mut(kind).and_then(|kind| kind["dataPoints"].as_array_mut())
                {
                    points.iter_mut().for_each(&mut each);
                }
            }
        }
    });
}

/// The value of an attribute, to be changed.
pub fn attribute<'a>(item: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let pairs = item["attributes"].as_array_mut()?;
    pairs.iter_mut().find(|pair| pair["key"] == key).map(|pair| &mut pair["value"])
}

pub fn rename_service(export: &mut Value, resources: &str, from: &str, to: &str) {
    for group in export[resources].as_array_mut().into_iter().flatten() {
        for pair in group["resource"]["attributes"].as_array_mut().into_iter().flatten() {
            if pair["key"] == "service.name" && pair["value"]["stringValue"] == from {
                pair["value"]["stringValue"] = to.into();
            }
        }
    }
}
