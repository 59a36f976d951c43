//! Files of OTLP JSON taken in, and what is kept removed: for the console's own page, and for scripts.

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::export::{LOGS, METRICS, OtlpExport, SignalExport, TRACES, UnreadableExport};
use super::state::Console;
use super::{jaeger, own_page};
use crate::otlp::RefusedItems;

/// Which signals a document has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signals {
    resource_spans: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
    resource_metrics: Option<IgnoredAny>,
}

/// What came of a file.
#[derive(Default)]
struct ImportedItems {
    spans: u64,
    records: u64,
    points: u64,
    refused: u64,
    /// Why the first was refused.
    why: Option<String>,
}

impl ImportedItems {
    fn to_json(&self) -> Value {
        let Self { spans, records, points, refused, why } = self;
        json!({"spans": spans, "logRecords": records, "dataPoints": points, "refused": refused, "why": why})
    }
}

/// Whose data is removed; everybody's where nobody is named.
#[derive(Deserialize)]
struct Removal {
    service: Option<String>,
}

/// What changes the data kept: refused to pages of other sites.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let data = web::scope("/api/data")
        .wrap(from_fn(own_page::own_page))
        .app_data(own_page::small_json())
        .service(web::resource("/import").route(web::post().to(import)))
        .service(web::resource("/remove").route(web::post().to(remove)))
        .default_service(web::to(|| async { jaeger::error(StatusCode::NOT_FOUND, "no such page") }));
    app.service(data);
}

/// `POST /api/data/import`: OTLP JSON documents one after the other, of 8 MiB together at most. They are neither
/// sampled nor sent on.
async fn import(console: web::Data<Console>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let (body, _share) = match console.bodies.read(&request, body).await {
        Ok(read) => read,
        Err(refusal) => return jaeger::error(refusal.0, &refusal.1),
    };
    let _turn = console.bodies.turn();
    let mut imported = ImportedItems::default();
    let read = console.import(&body, &mut imported);
    console.changed();
    match read {
        Ok(()) => HttpResponse::Ok().json(imported.to_json()),
        Err(why) => jaeger::error(StatusCode::BAD_REQUEST, &why),
    }
}

/// `POST /api/data/remove` `{"service":…}`: spans, lines and series of a service, or without one of all; how many.
async fn remove(console: web::Data<Console>, asked: web::Json<Removal>) -> HttpResponse {
    let service = asked.service.as_deref();
    if let Some(retention) = &console.retention {
        retention.note_removal(service);
    }
    let removed = console.remove(service);
    console.changed();
    HttpResponse::Ok().json(removed)
}

impl Console {
    /// Removes what is kept of a service, or of all: `{"spans":N,"logLines":N,"series":N}`.
    pub(super) fn remove(&self, service: Option<&str>) -> Value {
        let spans = self.traces().remove(service);
        let lines = self.logs().remove(service);
        let series = self.metrics().remove_service(service);
        json!({"spans": spans, "logLines": lines, "series": series})
    }

    /// Takes every document; those before one that cannot be read are taken.
    fn import(&self, body: &web::Bytes, imported: &mut ImportedItems) -> Result<(), String> {
        let mut documents = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
        let (mut start, mut count) = (0, 1);
        while let Some(document) = documents.next() {
            document.map_err(|why| format!("document {count} is no JSON: {why}"))?;
            let end = documents.byte_offset();
            let one = body.slice(start..end);
            self.import_one(&one, imported).map_err(|why| format!("document {count}: {why}"))?;
            (start, count) = (end, count + 1);
        }
        Ok(())
    }

    fn import_one(&self, document: &web::Bytes, imported: &mut ImportedItems) -> Result<(), String> {
        let signals: Signals = serde_json::from_slice(document).map_err(|why| why.to_string())?;
        let Signals { resource_spans, resource_logs, resource_metrics } = signals;
        if resource_spans.is_none() && resource_logs.is_none() && resource_metrics.is_none() {
            return Err("it has none of resourceSpans, resourceLogs, resourceMetrics".into());
        }
        let read = |signal: &'static SignalExport| {
            let export = OtlpExport::read(signal, document.clone(), true).map_err(|why| match why {
                UnreadableExport::TooMuch => "it holds too much".to_owned(),
                UnreadableExport::Malformed(why) => why,
            })?;
            if let Some(retention) = &self.retention {
                retention.note_export(signal.kind, true, document);
            }
            Ok::<_, String>(export)
        };
        if resource_spans.is_some() {
            let export = read(&TRACES)?;
            let items = export.items();
            imported.spans += imported.less(
                items,
                self.each_span(export, |origin, span| {
                    // Whatever the sampler would say.
                    self.traces().insert(origin, span)
                }),
            );
        }
        if resource_logs.is_some() {
            let export = read(&LOGS)?;
            let items = export.items();
            imported.records += imported.less(items, self.each_record(export, |_| true));
        }
        if resource_metrics.is_some() {
            let export = read(&METRICS)?;
            let items = export.items();
            let partial = self.take_metrics(export).partial_success;
            let refused = partial.map(|partial| (partial.rejected_data_points, partial.error_message));
            imported.points += imported.less_than(items, refused);
        }
        Ok(())
    }
}

impl ImportedItems {
    /// How many of so many items were taken; notes the others.
    fn less(&mut self, items: u64, refused: RefusedItems) -> u64 {
        self.less_than(items, refused.partial())
    }

    fn less_than(&mut self, items: u64, refused: Option<(i64, String)>) -> u64 {
        let Some((count, why)) = refused else { return items };
        let count = u64::try_from(count).unwrap_or_default();
        self.refused += count;
        self.why.get_or_insert(why);
        items.saturating_sub(count)
    }
}
