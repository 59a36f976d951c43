//! Each service keeps its own name: what in our environment would give all children the same one.

use percent_encoding::percent_decode_str;

use super::environment::Inherited;
use crate::config::{RUST_LOG_VARIABLE, child as var};

/// Resource attributes without `service.name`: one name for all services would make them one.
pub(super) fn without_name(attributes: &str) -> String {
    let members = attributes.split(',').filter(|member| !names_service(member));
    members.collect::<Vec<_>>().join(",")
}

fn names_service(member: &str) -> bool {
    let key = member.split('=').next().unwrap_or_default().trim();
    percent_decode_str(key).decode_utf8_lossy() == "service.name"
}

/// One sentence each on variables that have no effect on the children.
pub(super) fn without_effect(inherited: Inherited<'_>) -> Vec<String> {
    let mut said = Vec::new();
    let attributes = inherited(var::OTEL_RESOURCE_ATTRIBUTES).unwrap_or_default();
    let names = [
        inherited(var::OTEL_SERVICE_NAME).map(|_| var::OTEL_SERVICE_NAME),
        attributes.split(',').any(names_service).then_some("service.name in OTEL_RESOURCE_ATTRIBUTES"),
    ];
    for name in names.into_iter().flatten() {
        said.push(format!("{name} has no effect: each service keeps its own name"));
    }
    if inherited(RUST_LOG_VARIABLE).is_some() {
        said.push(format!("{RUST_LOG_VARIABLE} has no effect; LOG_LEVEL takes the same directives"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_gives_all_services_one_name_and_the_rest_of_the_attributes_stays() {
        let theirs = |name: &str| match name {
            "OTEL_RESOURCE_ATTRIBUTES" => Some("team=a,service%2Ename=x, service.name = y ,k=v".to_owned()),
            "OTEL_SERVICE_NAME" => Some("z".to_owned()),
            _ => None,
        };
        let attributes = theirs("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        assert_eq!(without_name(&attributes), "team=a,k=v");
        let said = without_effect(&theirs);
        assert!(said.len() == 2 && said.iter().all(|line| line.contains("its own name")), "{said:?}");
        assert!(without_effect(&|_| None).is_empty());
    }
}
