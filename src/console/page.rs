//! The console's own routes, the embedded page, and the headers that keep both safe.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::{Error, HttpRequest, HttpResponse, Route, guard, web};
use serde_json::json;

use super::live::{self, Feeds};
use super::state::Console;
use super::{
    alerts, archive, dependencies, faults, import, jaeger, lessons, many, map, metrics, own_page, start,
    suggestions, summaries, v3, views,
};

const INDEX: &str = include_str!("ui/index.html");
/// What a browser is shown where there is no page.
const NO_PAGE: &str = include_str!("ui/missing.html");

/// The page's files: name, type, text. No build step: the browser reads what stands here.
const FILES: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("ui/style.css")),
    ("trace.css", CSS, include_str!("ui/trace.css")),
    ("theme.js", SCRIPT, include_str!("ui/theme.js")),
    ("app.js", SCRIPT, include_str!("ui/app.js")),
    ("dom.js", SCRIPT, include_str!("ui/dom.js")),
    ("list.css", CSS, include_str!("ui/list.css")),
    ("filters.js", SCRIPT, include_str!("ui/filters.js")),
    ("suggest.js", SCRIPT, include_str!("ui/suggest.js")),
    ("scatter.js", SCRIPT, include_str!("ui/scatter.js")),
    ("data.js", SCRIPT, include_str!("ui/data.js")),
    ("traces.js", SCRIPT, include_str!("ui/traces.js")),
    ("model.js", SCRIPT, include_str!("ui/model.js")),
    ("stats.js", SCRIPT, include_str!("ui/stats.js")),
    ("compare.js", SCRIPT, include_str!("ui/compare.js")),
    ("zoom.js", SCRIPT, include_str!("ui/zoom.js")),
    ("trace.js", SCRIPT, include_str!("ui/trace.js")),
    ("missing.js", SCRIPT, include_str!("ui/missing.js")),
    ("details.js", SCRIPT, include_str!("ui/details.js")),
    ("logs.js", SCRIPT, include_str!("ui/logs.js")),
    ("metrics.css", CSS, include_str!("ui/metrics.css")),
    ("metrics.js", SCRIPT, include_str!("ui/metrics.js")),
    ("chart.js", SCRIPT, include_str!("ui/chart.js")),
    ("colours.js", SCRIPT, include_str!("ui/colours.js")),
    ("charts.js", SCRIPT, include_str!("ui/charts.js")),
    ("services.js", SCRIPT, include_str!("ui/services.js")),
    ("lab.css", CSS, include_str!("ui/lab.css")),
    ("alerts.js", SCRIPT, include_str!("ui/alerts.js")),
    ("markdown.js", SCRIPT, include_str!("ui/markdown.js")),
    ("glossary.js", SCRIPT, include_str!("ui/glossary.js")),
    ("act.js", SCRIPT, include_str!("ui/act.js")),
    ("start.js", SCRIPT, include_str!("ui/start.js")),
    ("map.js", SCRIPT, include_str!("ui/map.js")),
    ("labels.js", SCRIPT, include_str!("ui/labels.js")),
    ("layers.js", SCRIPT, include_str!("ui/layers.js")),
    ("faults.js", SCRIPT, include_str!("ui/faults.js")),
    ("lessons.css", CSS, include_str!("ui/lessons.css")),
    ("lessons.js", SCRIPT, include_str!("ui/lessons.js")),
];
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Telemetry comes from anywhere; whatever it says, no markup of it may run or load anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// Everything on the console's port; all of it read only but lessons, start, faults and what brings or removes data.
pub(in crate::console) fn routes(app: &mut web::ServiceConfig) {
    let headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add((header::CACHE_CONTROL, "no-store"));
    let all = web::scope("")
        .wrap(from_fn(known_host))
        .wrap(headers)
        .configure(api)
        .configure(pages)
        .default_service(web::to(unknown));
    app.app_data(web::Data::new(Feeds::default())).service(all);
}

/// A GET, and the HEAD that asks for its head; the server leaves the body out.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn api(app: &mut web::ServiceConfig) {
    app.route("/health", get().to(health))
        .route("/ready", get().to(health))
        .route("/api/services", get().to(jaeger::services))
        .route("/api/operations", get().to(jaeger::operations))
        .route("/api/services/{service}/operations", get().to(jaeger::service_operations))
        .route("/api/traces", get().to(jaeger::search))
        .route("/api/traces/{id}", get().to(jaeger::trace))
        .route("/api/dependencies", get().to(dependencies::answer))
        .route("/api/v3/services", get().to(v3::services))
        .route("/api/v3/operations", get().to(v3::operations))
        .route("/api/v3/trace-summaries", get().to(v3::summaries))
        .route("/api/v3/traces", get().to(v3::search))
        .route("/api/v3/traces/{id}", get().to(v3::trace))
        .route("/api/many/counts", get().to(many::counts))
        .route("/api/many/spans", get().to(many::spans))
        .route("/api/logs", get().to(views::logs))
        .route("/api/logs/histogram", get().to(views::log_histogram))
        .route("/api/charts", get().to(metrics::charts))
        .route("/api/metrics", get().to(metrics::list))
        .route("/api/metrics/{name:.+}", get().to(metrics::metric))
        .route("/api/summaries", get().to(summaries::answer))
        .route("/api/suggestions", get().to(suggestions::answer))
        .route("/api/export/traces", get().to(archive::traces))
        .route("/api/export/logs", get().to(archive::logs))
        .route("/api/export/metrics", get().to(archive::metrics))
        .route("/api/export/traces/{id}", get().to(archive::trace))
        .route("/api/view/{id}", get().to(views::view))
        .route("/api/overview", get().to(views::overview))
        .route("/api/lessons", get().to(lessons::list))
        .route("/api/alerts", get().to(alerts::list))
        .route("/api/alerts/runbook/{name}", get().to(alerts::runbook))
        .route("/api/map", get().to(map::answer))
        .route("/api/start", get().to(start::state))
        .route("/api/faults", get().to(faults::list))
        .route("/api/faults/table", get().to(faults::table))
        .route("/api/token", get().to(own_page::token))
        .route("/api/live", web::get().to(live::feed))
        .configure(import::routes)
        .configure(lessons::routes)
        .configure(start::routes)
        .configure(faults::routes);
}

fn pages(app: &mut web::ServiceConfig) {
    for path in
        ["/", "/logs", "/services", "/metrics", "/lessons", "/faults", "/map", "/alerts", "/trace/{id}"]
    {
        app.route(path, get().to(index));
    }
    app.route("/assets/{name}", get().to(file));
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "healthy", "service": "console"}))
}

async fn index() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(INDEX)
}

async fn file(name: web::Path<String>, request: HttpRequest) -> HttpResponse {
    match FILES.iter().find(|(known, _, _)| *known == *name) {
        Some((_, kind, text)) => HttpResponse::Ok().content_type(*kind).body(*text),
        None => unknown(request).await,
    }
}

/// In a browser as a page, else as the API says what is wrong.
async fn unknown(request: HttpRequest) -> HttpResponse {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        return HttpResponse::NotFound().content_type("text/html; charset=utf-8").body(NO_PAGE);
    }
    jaeger::error(StatusCode::NOT_FOUND, "no such page")
}

/// Refuses names that a foreign page could have made point here (DNS rebinding).
async fn known_host<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let known = request.app_data::<web::Data<Console>>();
    if host.is_none_or(|host| known.is_some_and(|console| console.hosts.include(host))) {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    }
    let why = "unknown host name; use localhost, an address, or a name in ALLOWED_HOSTS";
    let refusal = jaeger::error(StatusCode::MISDIRECTED_REQUEST, why);
    Ok(request.into_response(refusal).map_into_right_body())
}

#[cfg(test)]
#[path = "page_api_tests.rs"]
mod api_tests;
#[cfg(test)]
#[path = "page_data_tests.rs"]
mod data_tests;
#[cfg(test)]
#[path = "page_list_tests.rs"]
mod list_tests;
#[cfg(test)]
#[path = "page_lock_tests.rs"]
mod lock_tests;
#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
