//! The gateway as the function's caller: where it calls, and what it says when there is no verdict.

use o11y_lab::schema::Role;
use serde_json::json;

use crate::helpers::{get, metric, post, single};

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
