//! Who may change something: the console's own page.
//!
//! Such a request has JSON, which a browser sends to another origin only after asking, and the page's own origin where a
//! browser names one. What acts on the lab also carries the token of this console, which a page of another site cannot
//! read; what brings or removes data does not, so that programs can send it.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde_json::json;

use super::jaeger;
use super::state::Console;

/// The largest body, in bytes: an answer, or a fault with its settings, has some dozens.
pub(super) const LARGEST_BODY: usize = 1024;
/// The header field of the token.
const TOKEN_FIELD: &str = "x-console-token";
const FOREIGN: &str = "this is for the console's own page";

/// What the page proves by that it is this console's: another one after every start.
pub(super) struct PageToken(String);

impl Default for PageToken {
    fn default() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string())
    }
}

/// Refuses what a page of another site could send.
pub(super) async fn own_page<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let why = foreign(request.request());
    unless(why, request, next).await
}

/// The same, and what has not the token.
pub(super) async fn own_page_with_token<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let why = foreign(request.request()).or_else(|| without_token(request.request()));
    unless(why, request, next).await
}

async fn unless<B: MessageBody + 'static>(
    why: Option<&'static str>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    match why.map(|why| jaeger::error(StatusCode::FORBIDDEN, why)) {
        None => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Some(refusal) => Ok(request.into_response(refusal).map_into_right_body()),
    }
}

fn field(request: &HttpRequest, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Whether a browser says that another site asks.
fn is_from_elsewhere(request: &HttpRequest) -> bool {
    let site = field(request, header::HeaderName::from_static("sec-fetch-site"));
    let origin = field(request, header::ORIGIN);
    let origin = origin.map(|origin| origin.split_once("://").map_or("?", |(_, host)| host));
    site.is_some_and(|site| site != "same-origin")
        || origin.is_some_and(|origin| Some(origin) != field(request, header::HOST))
}

fn foreign(request: &HttpRequest) -> Option<&'static str> {
    if is_from_elsewhere(request) {
        return Some(FOREIGN);
    }
    let json = field(request, header::CONTENT_TYPE)
        .is_some_and(|kind| kind.split(';').next() == Some("application/json"));
    (!json).then_some("the body has to be JSON (content-type: application/json)")
}

fn without_token(request: &HttpRequest) -> Option<&'static str> {
    let token = field(request, header::HeaderName::from_static(TOKEN_FIELD));
    let console = request.app_data::<web::Data<Console>>();
    let known = console.is_some_and(|console| token == Some(console.page_token.0.as_str()));
    (!known).then_some("the token of this console is missing (GET /api/token, x-console-token)")
}

/// `GET /api/token`: `{"token":…}`. No other site's page can read it: nothing here allows that, and a browser that says
/// where it asks from is not answered elsewhere.
pub(super) async fn token(request: HttpRequest, console: web::Data<Console>) -> HttpResponse {
    if is_from_elsewhere(&request) {
        return jaeger::error(StatusCode::FORBIDDEN, FOREIGN);
    }
    HttpResponse::Ok().json(json!({ "token": console.page_token.0 }))
}

/// How bodies of such requests are read.
pub(super) fn small_json() -> web::JsonConfig {
    web::JsonConfig::default().limit(LARGEST_BODY).error_handler(|_, _| {
        let answer = jaeger::error(StatusCode::BAD_REQUEST, "the body is not what is expected");
        actix_web::error::InternalError::from_response("unreadable", answer).into()
    })
}
