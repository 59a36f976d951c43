//! The Lambda Invoke API, as far as a synchronous caller sees it (AWS Lambda API Reference,
//! Invoke).

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Invocation, ValidatorFunction};
use crate::api::lambda::{ERROR_TYPE, FUNCTION_ERROR, INVOKE_PATH, REQUEST_ID, function_name};
use crate::runtime::body::{PARSED, read_at_most};
use crate::schema::Route;

/// The largest event, in bytes. AWS's own limit is 6 MiB; an order of the largest size takes a quarter of
/// this, and what is parsed may take twenty times its size in memory.
const MAX_EVENT: usize = 512 * 1024;

/// What the router below serves.
pub const ROUTES: &[Route] = &[Route { method: "POST", path: INVOKE_PATH, statuses: &[200, 202, 204, 404] }];

/// Invoke API and the function behind it.
#[derive(Clone)]
pub(super) struct InvokeApi {
    validator: ValidatorFunction,
    function: Arc<str>,
}

impl InvokeApi {
    pub(super) fn new(validator: ValidatorFunction, function: &str) -> Self {
        Self { validator, function: function_name(function).into() }
    }

    /// A function is named by its name, its ARN, and either with a version or alias behind it.
    fn is_named(&self, name: &str) -> bool {
        name.split(':').any(|part| part == &*self.function)
    }
}

pub(super) fn router(app: &mut ServiceConfig, api: &InvokeApi) {
    app.app_data(Data::new(api.clone())).service(web::resource(INVOKE_PATH).post(invoke));
}

async fn invoke(
    api: Data<InvokeApi>,
    path: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if !api.is_named(&path) {
        return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", "Function not found");
    }
    let (event, _room) = match read_at_most(&request, payload.into_inner(), MAX_EVENT, PARSED).await {
        Ok((bytes, room)) if bytes.is_empty() => (Value::Null, room),
        Ok((bytes, room)) => match serde_json::from_slice(&bytes) {
            Ok(event) => (event, room),
            Err(_) => {
                let text = "Could not parse request body into json";
                return refused(StatusCode::BAD_REQUEST, "InvalidRequestContentException", text);
            }
        },
        Err(problem) => {
            let text = problem.detail().to_owned();
            return refused(problem.status(), "RequestTooLargeException", &text);
        }
    };
    let id = Uuid::new_v4().to_string();
    let (client, xray) = (client_context(header("x-amz-client-context")), header("x-amzn-trace-id"));
    let invocation =
        Invocation { id: id.clone(), client, xray: xray.map(str::to_owned), ..Invocation::default() };
    let mut response = match header("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "DryRun" => HttpResponse::NoContent().finish(),
        "RequestResponse" => match api.validator.answer(&event, invocation).await {
            Ok(answer) => HttpResponse::Ok().json(answer),
            Err(failure) => HttpResponse::Ok()
                .insert_header((FUNCTION_ERROR, "Unhandled"))
                .json(json!({ "errorType": failure.kind, "errorMessage": failure.message })),
        },
        "Event" => {
            let validator = api.validator.clone();
            actix_web::rt::spawn(async move { validator.answer(&event, invocation).await });
            HttpResponse::Accepted().finish()
        }
        _ => refused(StatusCode::BAD_REQUEST, "InvalidParameterValueException", "Unknown invocation type"),
    };
    let headers = [(REQUEST_ID, id.as_str()), ("x-amz-executed-version", "$LATEST")];
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(actix_web::http::header::HeaderName::from_static(name), value);
        }
    }
    response
}

/// The `custom` map of a client context; one that cannot be read counts as absent.
fn client_context(header: Option<&str>) -> BTreeMap<String, String> {
    use base64::Engine;
    let decoded = header
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .unwrap_or_default();
    let custom = decoded.get("custom").and_then(Value::as_object).cloned().unwrap_or_default();
    custom.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
}

fn refused(status: StatusCode, kind: &'static str, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((ERROR_TYPE, kind))
        .json(json!({ "Type": "User", "Message": message }))
}
