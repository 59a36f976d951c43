//! The gateway as the function's caller: where it calls, and what it says when there is no verdict.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::standin::{response, serve};
use crate::helpers::{get, metric, post, single};

fn order() -> Value {
    json!({"userId": 1, "items": ["a"], "total": 1})
}

/// What a function returns that found nothing wrong.
fn valid() -> String {
    let verdict = json!({"valid": true, "errors": [], "warnings": [], "timestamp": "now", "requestId": "r"});
    json!({"statusCode": 200, "body": verdict.to_string()}).to_string()
}

#[test]
fn the_standard_variables_say_where_the_function_is_and_each_reason_for_no_verdict_has_its_name() {
    let (_function, there, _folder) = single(Role::Lambda, &[]);
    let nowhere = "http://127.0.0.1:9";
    for (variables, name, expected) in [
        (vec![("AWS_ENDPOINT_URL", there.as_str())], "order-validator", None),
        // The service's own variable is nearer than the one for all.
        (vec![("AWS_ENDPOINT_URL", nowhere), ("AWS_ENDPOINT_URL_LAMBDA", &there)], "order-validator", None),
        (vec![("AWS_ENDPOINT_URL", nowhere)], "order-validator", Some("unreachable")),
        (vec![("AWS_ENDPOINT_URL_LAMBDA", there.as_str())], "somebody-else", Some("refused")),
    ] {
        let mut env = variables.clone();
        env.extend([
            ("LAMBDA_FUNCTION_NAME", name),
            ("ORDER_SERVICE_URL", nowhere),
            ("AWS_REGION", "eu-west-1"),
        ]);
        let (_gateway, gateway, _folder) = single(Role::Gateway, &env);
        let order = json!({"userId": 1, "items": ["a"], "total": 1});
        let verdict = post(&format!("{gateway}/api/orders/validate"), &order);
        assert_eq!(verdict.status, if expected.is_some() { 503 } else { 200 }, "{variables:?}: {verdict:?}");
        assert!(!verdict.text.contains("127.0.0.1"), "{verdict:?}");
        // There is no order-service either: what counts is how far the order got.
        assert_eq!(post(&format!("{gateway}/api/orders"), &order).status, 503);
        let page = get(&format!("{gateway}/metrics")).text;
        for reason in ["timeout", "unreachable", "refused", "function_error", "bad_answer"] {
            let series = format!("gateway_validation_skipped_total{{reason=\"{reason}\"}}");
            let count = f64::from(u8::from(expected == Some(reason)));
            assert_eq!(metric(&page, &series), Some(count), "{reason} with {variables:?}");
        }
    }
}

#[test]
fn a_busy_api_is_asked_twice_and_a_failing_function_is_told_from_it() {
    const FAILED: &str = "{\"errorType\":\"E\",\"errorMessage\":\"m\"}";
    for (first, second, asked, status, detail) in [
        (response("429 Too Many Requests", "", "{}"), response("200 OK", "", &valid()), 2, 200, Value::Null),
        (response("502 Bad Gateway", "", "<html>"), response("200 OK", "", &valid()), 2, 200, Value::Null),
        (
            response("429 Too Many Requests", "", "{}"),
            response("429 Too Many Requests", "", "{}"),
            2,
            503,
            json!("the validator cannot be called"),
        ),
        (
            response("200 OK", "x-amz-function-error: Unhandled\r\n", FAILED),
            response("200 OK", "", &valid()),
            1,
            503,
            json!("the validator failed"),
        ),
        (
            response("403 Forbidden", "x-amzn-errortype: AccessDeniedException\r\n", "{}"),
            response("200 OK", "", &valid()),
            1,
            503,
            json!("the validator cannot be called"),
        ),
    ] {
        let count = Arc::<AtomicUsize>::default();
        let counted = count.clone();
        let said = first.clone();
        let api = serve(move |method, path, body| {
            assert_eq!((method, path), ("POST", "/2015-03-31/functions/order-validator/invocations"));
            let event: Value = serde_json::from_slice(body).unwrap();
            assert_eq!(serde_json::from_str::<Value>(event["body"].as_str().unwrap()).unwrap(), order());
            let number = counted.fetch_add(1, Ordering::SeqCst);
            Some(if number == 0 { first.clone() } else { second.clone() })
        });
        let (_gateway, gateway, _folder) =
            single(Role::Gateway, &[("AWS_ENDPOINT_URL_LAMBDA", &format!("http://{api}"))]);
        let answer = post(&format!("{gateway}/api/orders/validate"), &order());
        assert_eq!((answer.status, &answer.json["detail"]), (status, &detail), "{said}: {answer:?}");
        assert_eq!(count.load(Ordering::SeqCst), asked, "{said}");
    }
}

/// The Lambda API as AWS has it, behind TLS: answers `valid` and tells the heads of what it got.
fn api_with_tls() -> (u16, String, Receiver<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let tls = Arc::new(tls.with_single_cert(vec![cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(tls.clone()).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(session, stream));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let length = |line: &str| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok();
            let mut body = vec![0; head.lines().find_map(length).unwrap_or(0)];
            // Without a head there was no session: the client did not trust this server.
            if !head.is_empty() && stream.read_exact(&mut body).is_ok() && told.send(head).is_ok() {
                let answer = response("200 OK", "connection: close\r\n", &valid());
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        }
    });
    (port, cert.pem(), heads)
}

#[test]
fn on_aws_a_call_is_signed_with_the_standard_credentials_and_goes_over_tls() {
    let (port, authority, heads) = api_with_tls();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:order-validator:live";
    let env = [
        ("AWS_ENDPOINT_URL_LAMBDA", format!("https://localhost:{port}")),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_SESSION_TOKEN", "session".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("LAMBDA_FUNCTION_NAME", arn.to_owned()),
        ("SSL_CERT_FILE", file.display().to_string()),
    ];
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (gateway_process, gateway, _folder) = single(Role::Gateway, &env);
    let answer = post(&format!("{gateway}/api/orders/validate"), &order());
    assert_eq!((answer.status, &answer.json["valid"]), (200, &json!(true)), "{}", gateway_process.stdout());
    let head = heads.recv().unwrap();
    let path = format!("/2015-03-31/functions/{}/invocations", arn.replace(':', "%3A"));
    assert!(head.starts_with(&format!("POST {path} ")), "{head}");
    for part in [
        "Credential=AKIDEXAMPLE/",
        "/eu-west-1/lambda/aws4_request",
        "x-amz-security-token: session",
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }

    // A server that nobody vouches for gets nothing.
    let env: Vec<_> = env.into_iter().filter(|(name, _)| *name != "SSL_CERT_FILE").collect();
    let (_gateway, gateway, _folder) = single(Role::Gateway, &env);
    assert_eq!(post(&format!("{gateway}/api/orders/validate"), &order()).status, 503);
    assert!(heads.try_recv().is_err());
}
