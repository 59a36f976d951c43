//! Fault request, judged by the table: every wrong field is named.

use std::time::Duration;

use serde_json::Value;

use super::FaultSettings;
use crate::schema::{Checked, FAULTS, Fault, Parameter, Role, Route, SECONDS};

/// Fault to set.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultRequest {
    pub(super) fault: &'static Fault,
    pub(super) settings: FaultSettings,
    pub(super) lasts: Duration,
}

impl FaultRequest {
    /// Reads `{"fault": …}` with its parameters, for `role` with its routes.
    ///
    /// # Errors
    /// One line for each field that is wrong.
    pub(super) fn parse(body: &Value, role: Role, routes: &'static [Route]) -> Result<Self, Vec<String>> {
        let Some(fields) = body.as_object() else {
            return Err(vec!["body must be a JSON object".to_owned()]);
        };
        let mut errors = Vec::new();
        let name = fields.get("fault").and_then(Value::as_str);
        let fault = Fault::of(role).find(|fault| Some(fault.name) == name);
        if fault.is_none() {
            let all: Vec<_> = Fault::of(role).map(|fault| fault.name).collect();
            errors.push(format!("fault must be one of {}", all.join(", ")));
        }
        let mut taken = GivenParameters::default();
        let parameters = fault.map_or(&[][..], |fault| fault.parameters);
        for parameter in parameters.iter().chain([&SECONDS]) {
            parameter.values.default().into_iter().for_each(|value| taken.put(parameter.name, value));
        }
        for (name, value) in fields.iter().filter(|(name, _)| *name != "fault") {
            match parameter(fault, name).map(|parameter| parameter.values.check(value, routes)) {
                Some(Ok(value)) => taken.put(name, value),
                Some(Err(must)) => errors.push(format!("{name} must be {must}")),
                None => errors.push(unknown(fault, name)),
            }
        }
        match fault {
            Some(fault) if errors.is_empty() => {
                Ok(Self { fault, settings: taken.settings, lasts: Duration::from_secs(taken.seconds) })
            }
            _ => Err(errors),
        }
    }
}

/// The parameter with this name: of the fault, or where that is not known, of any.
fn parameter(fault: Option<&'static Fault>, name: &str) -> Option<&'static Parameter> {
    let all = FAULTS.iter().filter(|one| fault.is_none_or(|fault| fault.name == one.name));
    all.flat_map(|fault| fault.parameters).chain([&SECONDS]).find(|parameter| parameter.name == name)
}

fn unknown(fault: Option<&Fault>, name: &str) -> String {
    match fault {
        Some(fault) => format!("{name} is not a parameter of {}", fault.name),
        None => format!("{name} is not a parameter of any fault"),
    }
}

#[derive(Default)]
struct GivenParameters {
    settings: FaultSettings,
    seconds: u64,
}

impl GivenParameters {
    fn put(&mut self, name: &str, value: Checked) {
        match (name, value) {
            ("seconds", Checked::Whole(seconds)) => self.seconds = seconds,
            (name, Checked::Whole(number)) => {
                if let Some(own) = self.settings.number(name) {
                    *own = Some(number);
                }
            }
            (_, Checked::Ratio(ratio)) => self.settings.ratio = Some(ratio),
            (_, Checked::Route(route)) => self.settings.route = Some(route),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    const ROUTES: &[Route] = &[Route { method: "GET", path: "/orders", statuses: &[] }];

    fn parse(body: &Value) -> Result<FaultRequest, Vec<String>> {
        FaultRequest::parse(body, Role::Order, ROUTES)
    }

    #[test]
    fn what_is_not_given_is_the_tables_default() {
        let wanted = parse(&json!({"fault": "error"})).unwrap();
        assert_eq!(wanted.lasts, Duration::from_secs(60));
        let expected = FaultSettings { ratio: Some(1.0), status: Some(500), ..FaultSettings::default() };
        assert_eq!(wanted.settings, expected);
        let all = json!({"fault": "error", "ratio": 0.5, "route": "/orders", "status": 503, "seconds": 3600});
        let wanted = parse(&all).unwrap();
        assert_eq!(wanted.lasts, Duration::from_secs(3600));
        let expected = FaultSettings {
            ratio: Some(0.5),
            status: Some(503),
            route: Some("/orders"),
            ..Default::default()
        };
        assert_eq!(wanted.settings, expected);
    }

    #[test]
    fn every_parameter_of_the_table_reaches_the_settings() {
        for fault in &FAULTS {
            let given = |parameter: &Parameter| match parameter.values.default() {
                Some(Checked::Whole(n)) => json!(n),
                Some(Checked::Ratio(r)) => json!(r),
                _ => json!("/orders"),
            };
            let mut body: serde_json::Map<_, _> =
                fault.parameters.iter().map(|p| (p.name.to_owned(), given(p))).collect();
            body.insert("fault".to_owned(), json!(fault.name));
            let wanted = FaultRequest::parse(&Value::Object(body.clone()), fault.roles[0], ROUTES).unwrap();
            body.remove("fault");
            assert_eq!(json!(wanted.settings), Value::Object(body), "{}", fault.name);
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = json!({"fault": "latency", "ms": 0, "ratio": 2, "route": "/x", "seconds": 3601, "y": 1});
        let errors = parse(&wrong).unwrap_err();
        assert_eq!(errors.len(), 5, "{errors:?}");
        for field in ["ms", "ratio", "route", "seconds", "y"] {
            assert!(errors.iter().any(|e| e.starts_with(&format!("{field} "))), "{field}: {errors:?}");
        }
        let errors = parse(&json!({"fault": "poison", "ms": -1})).unwrap_err();
        assert_eq!(errors.len(), 2, "poison is notify's alone: {errors:?}");
        assert_eq!(parse(&json!({"fault": "slow-db", "ratio": 1})).unwrap_err().len(), 1);
        for bad in [json!([]), json!(null), json!("error"), json!({}), json!({"fault": 3})] {
            assert_eq!(parse(&bad).unwrap_err().len(), 1, "{bad}");
        }
    }
}
