//! Who may open a connection to whom: the policies, evaluated for each pair of pods and each port.

use std::collections::BTreeSet;

use o11y_lab::schema::{QueueUse, Role, SERVICES};
use serde_json::Value;

use super::{kinds, name, objects, pod};

/// From, to, port.
type Arrow = (String, String, u64);

/// Pods by what they are made of, with their labels and ports.
fn pods(all: &[Value]) -> Vec<(&str, &Value, Vec<u64>)> {
    let workloads = kinds(all, &["Deployment", "StatefulSet"]);
    workloads
        .map(|workload| {
            let ports = pod(workload).1["ports"].as_array().unwrap().iter();
            let ports = ports.filter_map(|port| port["containerPort"].as_u64()).collect();
            (name(workload), &workload["spec"]["template"]["metadata"]["labels"], ports)
        })
        .collect()
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut exist = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|(key, value)| labels[key] == *value)
        && exist.all(|one| {
            assert_eq!(one["operator"], "Exists", "what this test knows");
            labels.get(one["key"].as_str().unwrap()).is_some()
        })
}

/// Whether a rule covers a pod on a port. Pods of other namespaces and the world outside are none of ours.
fn covers(rule: &Value, side: &str, other: &Value, port: u64) -> bool {
    let peer = |peer: &Value| {
        peer.get("ipBlock").is_none()
            && peer.get("namespaceSelector").is_none()
            && selects(&peer["podSelector"], other)
    };
    let peers = rule[side].as_array().is_none_or(|peers| peers.iter().any(peer));
    let within = |one: &Value| {
        let first = one["port"].as_u64().unwrap();
        (first..=one["endPort"].as_u64().unwrap_or(first)).contains(&port)
    };
    peers && rule["ports"].as_array().unwrap().iter().any(within)
}

/// The arrows that the policies of one direction allow.
fn allowed(all: &[Value], direction: &str, side: &str) -> BTreeSet<Arrow> {
    let pods = pods(all);
    let mut found = BTreeSet::new();
    for policy in kinds(all, &["NetworkPolicy"]) {
        for rule in policy["spec"][direction].as_array().into_iter().flatten() {
            for (ours, labels, own) in &pods {
                if !selects(&policy["spec"]["podSelector"], labels) {
                    continue;
                }
                for (other, others, ports) in pods.iter().filter(|(other, ..)| other != ours) {
                    let (from, to, ports) =
                        if direction == "egress" { (ours, other, ports) } else { (other, ours, own) };
                    let open = ports.iter().filter(|port| covers(rule, side, others, **port));
                    found.extend(open.map(|port| ((*from).to_owned(), (*to).to_owned(), *port)));
                }
            }
        }
    }
    found
}

/// What both ends allow; no end allows more, but that everybody may come to the gateway.
fn arrows(all: &[Value]) -> BTreeSet<Arrow> {
    let out = allowed(all, "egress", "to");
    let entry = Role::Gateway.as_str();
    let others = |arrows: BTreeSet<Arrow>| {
        arrows.into_iter().filter(|(_, to, _)| to != entry).collect::<BTreeSet<_>>()
    };
    let into: BTreeSet<_> = allowed(all, "ingress", "from");
    assert!(out.is_subset(&into), "{:?}", out.difference(&into));
    assert_eq!(others(out.clone()), others(into), "what may leave may come in, and the other way");
    out
}

/// The calls of the service table.
fn calls() -> BTreeSet<Arrow> {
    let call = |from: &str, to: Role| (from.to_owned(), to.to_string(), u64::from(to.service().port()));
    SERVICES.iter().flat_map(|role| role.needs.iter().map(move |to| call(role.command, *to))).collect()
}

/// Rows and messages in the cluster.
fn stores() -> BTreeSet<Arrow> {
    let rows = SERVICES.iter().filter(|role| role.store.is_some());
    let queue = SERVICES.iter().filter(|role| role.queue != QueueUse::None);
    let rows = rows.map(|role| (role.command.to_owned(), "postgres".to_owned(), 5432));
    rows.chain(queue.map(|role| (role.command.to_owned(), "redis".to_owned(), 6379))).collect()
}

#[test]
fn a_pod_reaches_what_the_service_table_says_that_it_needs_and_nothing_else() {
    assert_eq!(arrows(&objects("base")), calls());
    let with_stores = calls().into_iter().chain(stores()).collect();
    assert_eq!(arrows(&objects("overlays/otlp-vendor")), with_stores);
}

#[test]
fn the_backends_reach_and_are_reached_by_whom_they_are_for() {
    let mut expected: BTreeSet<_> = calls().into_iter().chain(stores()).collect();
    let mut open = |from: &str, to: &str, port: u16| {
        expected.insert((from.to_owned(), to.to_owned(), u64::from(port)));
    };
    for role in &SERVICES {
        open(role.command, "jaeger", 4318);
        open("prometheus", role.command, role.port());
    }
    open("prometheus", "jaeger", 8888);
    open("prometheus", "jaeger", 8889);
    open("prometheus", "alertmanager", 9093);
    open("jaeger", "prometheus", 9090);
    open("alertmanager", "notify", Role::Notify.service().port());
    assert_eq!(arrows(&objects("overlays/backends")), expected);
}

#[test]
fn whoever_has_no_policy_of_its_own_reaches_the_dns_alone() {
    let all = objects("base");
    let of_all = |policy: &&Value| policy["spec"]["podSelector"] == serde_json::json!({});
    let names: Vec<_> = kinds(&all, &["NetworkPolicy"]).filter(of_all).map(name).collect();
    assert_eq!(names, ["default-deny", "dns"]);
    let deny = super::named(&all, "NetworkPolicy", "default-deny");
    assert_eq!(super::list(&deny["spec"]["policyTypes"]), ["Ingress", "Egress"]);
    assert!(deny["spec"]["ingress"].is_null() && deny["spec"]["egress"].is_null());
    let dns = &super::named(&all, "NetworkPolicy", "dns")["spec"]["egress"];
    assert!(dns[0]["ports"].as_array().unwrap().iter().all(|port| port["port"] == 53));
}
