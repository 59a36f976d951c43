//! The backends' own files: they parse, and name only what is there.

use std::collections::BTreeSet;

use o11y_lab::schema::SERVICES;
use serde_json::Value;

use super::{addresses, list, read, yaml};
use crate::dashboards::check_promql;
use crate::helpers::dashboards::{dashboards, folder, text};

/// Where the containers listen for each other. The roles' ports stand in the service table.
const PORTS: &[(&str, &[u16])] = &[
    ("postgres", &[5432]),
    ("redis", &[6379]),
    ("rabbitmq", &[5672, 15672]),
    ("kafka", &[9092]),
    ("sqs", &[5000]),
    ("jaeger", &[4317, 4318, 8888, 8889, 13133, 16686]),
    ("collector", &[4317, 4318, 8888]),
    ("prometheus", &[9090]),
    ("alertmanager", &[9093]),
    ("loki", &[3100]),
    ("alloy", &[12345]),
    ("grafana", &[3100]),
    ("docker-socket-proxy", &[2375]),
];

/// Whether a container of this name listens on this port.
pub fn listens(host: &str, port: u16) -> bool {
    SERVICES.iter().any(|role| role.command == host && role.port() == port)
        || PORTS.iter().any(|(name, ports)| *name == host && ports.contains(&port))
}

#[test]
fn every_address_in_the_backends_files_is_one_where_a_service_listens() {
    let services = yaml("compose.yaml")["services"].clone();
    assert!(PORTS.iter().all(|(name, _)| services[*name].is_object()));
    let mut seen = 0;
    for file in [
        "deploy/collector/config.yaml",
        "deploy/jaeger/config.yaml",
        "deploy/alloy/config.alloy",
        "deploy/grafana/provisioning/datasources/lab.yaml",
        "deploy/prometheus/prometheus.yml",
        "deploy/alertmanager/alertmanager.yml",
    ] {
        // Comments may name the world outside.
        let lines = read(file);
        for line in lines.lines().filter(|line| !line.trim_start().starts_with(['#', '/'])) {
            for (host, port) in addresses(line) {
                assert!(listens(&host, port), "{file}: {host}:{port}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}

/// The groups of a file of targets.
fn targets(name: &str) -> Vec<Value> {
    let file = read(&format!("deploy/prometheus/targets/{name}.json"));
    serde_json::from_str(&file).unwrap()
}

#[test]
fn whoever_leaves_loki_and_alloy_out_is_not_paged_for_them() {
    let hosts = |name: &str| -> BTreeSet<String> {
        let host = |group: &Value| list(&group["targets"])[0].split(':').next().unwrap().to_owned();
        targets(name).iter().map(host).collect()
    };
    assert_eq!(hosts("logs"), ["alloy", "loki"].map(str::to_owned).into());
    let every = hosts("compose");
    for part in ["loki", "alloy", "grafana", "docker-socket-proxy", "collector"] {
        assert!(!every.contains(part), "{part} is not part of every stack");
    }
    let prometheus = yaml("compose.yaml")["services"]["prometheus"]["volumes"].clone();
    for mount in [
        "compose.json:/etc/prometheus/targets/compose.json:ro",
        "logs.json:/etc/prometheus/targets/part.json:ro",
    ] {
        let mount = format!("./deploy/prometheus/targets/{mount}");
        assert!(list(&prometheus).contains(&mount.as_str()), "{mount}");
    }
}

#[test]
fn prometheus_scrapes_what_is_there_under_the_names_that_dashboards_use() {
    let mut jobs = BTreeSet::new();
    for group in targets("compose").into_iter().chain(targets("logs")) {
        let (host, port) = list(&group["targets"])[0].split_once(':').unwrap();
        assert!(listens(host, port.parse().unwrap()), "{host}:{port}");
        assert_eq!(group["labels"]["job"], group["labels"]["service"]);
        jobs.insert(text(&group["labels"], "job").to_owned());
    }
    for role in &SERVICES {
        assert!(jobs.contains(role.name), "{} is not scraped", role.name);
    }
    assert!(jobs.contains("jaeger-spanmetrics"), "the Monitor tab would be empty");
    let interval = &yaml("deploy/prometheus/prometheus.yml")["global"]["scrape_interval"];
    let sources = yaml("deploy/grafana/provisioning/datasources/lab.yaml");
    assert_eq!(&sources["datasources"][0]["jsonData"]["timeInterval"], interval, "Grafana's idea of it");
}

#[test]
fn trap_13_jaeger_makes_the_span_metrics_that_its_monitor_tab_reads() {
    let config = yaml("deploy/jaeger/config.yaml");
    let pipelines = &config["service"]["pipelines"];
    let connectors = &config["connectors"];
    for (name, pipeline) in pipelines.as_object().unwrap() {
        for (part, kinds) in
            [("receivers", "receivers"), ("processors", "processors"), ("exporters", "exporters")]
        {
            for one in list(&pipeline[part]) {
                let known = config[kinds].get(one).or_else(|| connectors.get(one));
                assert!(known.is_some(), "{name}: no {part} {one}");
            }
        }
    }
    for one in list(&config["service"]["extensions"]) {
        assert!(config["extensions"].get(one).is_some(), "no extension {one}");
    }
    assert!(list(&pipelines["traces"]["exporters"]).contains(&"spanmetrics"));
    assert_eq!(list(&pipelines["metrics/spanmetrics"]["receivers"]), ["spanmetrics"]);
    assert_eq!(list(&pipelines["metrics/spanmetrics"]["exporters"]), ["prometheus"]);
    let spans = &connectors["spanmetrics"];
    assert_eq!((&spans["histogram"]["unit"], &spans["exemplars"]["enabled"]), (&"ms".into(), &true.into()));
    let exporter = &config["exporters"]["prometheus"];
    assert_eq!(
        (&exporter["endpoint"], &exporter["enable_open_metrics"]),
        (&"0.0.0.0:8889".into(), &true.into())
    );
    let storage = &config["extensions"]["jaeger_query"]["storage"];
    let kept = &config["extensions"]["jaeger_storage"];
    assert!(kept["backends"].get(text(storage, "traces")).is_some());
    let metrics = &kept["metric_backends"][text(storage, "metrics")]["prometheus"];
    assert_eq!(metrics["endpoint"], "http://prometheus:9090");
    assert_eq!(config["exporters"]["jaeger_storage_exporter"]["trace_storage"], storage["traces"]);
}

#[test]
fn jaeger_listens_where_the_others_look_for_it() {
    let config = yaml("deploy/jaeger/config.yaml").to_string();
    for port in [4317, 4318, 8889, 13133, 16686] {
        assert!(config.contains(&format!("\"0.0.0.0:{port}\"")), "{port}");
    }
}

#[test]
fn trap_15_the_shipper_keeps_the_line_and_makes_no_stream_of_a_trace_id() {
    let config = read("deploy/alloy/config.alloy");
    let block = |name: &str| {
        let start = config.find(&format!("{name} {{")).unwrap_or_else(|| panic!("no {name}"));
        &config[start..start + config[start..].find("\n  }").unwrap()]
    };
    assert!(
        !config.contains("stage.output") && !config.contains("stage.template"),
        "the line is kept as it is"
    );
    let labels = block("stage.labels");
    assert!(labels.contains("level") && !labels.contains("traceId") && !labels.contains("spanId"));
    let metadata = block("stage.structured_metadata");
    assert!(metadata.contains("traceId") && metadata.contains("spanId"));
    // The label that compose gives a role's container, as Docker's discovery spells it.
    assert!(config.contains("__meta_docker_container_label_lab_o11y_service"));
    let project = yaml("compose.yaml")["name"].as_str().unwrap().to_owned();
    assert!(config.contains(&format!("com.docker.compose.project={project}")));
}

#[test]
fn the_shippers_file_is_whole_and_its_references_lead_somewhere() {
    let config = read("deploy/alloy/config.alloy");
    let code: String = config
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|l| format!("{l}\n"))
        .collect();
    for (open, close) in [('{', '}'), ('[', ']')] {
        assert_eq!(code.matches(open).count(), code.matches(close).count(), "{open}{close}");
    }
    let named: Vec<String> = code
        .lines()
        .filter(|line| !line.starts_with(' ') && line.ends_with('{'))
        .map(|line| line.trim_end_matches(" {").replace(" \"", ".").replace('"', ""))
        .collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for end in [".targets\n", ".output\n", ".receiver]\n"] {
        for (position, _) in code.match_indices(end) {
            let reference = code[..position].rsplit([' ', '[']).next().unwrap();
            assert!(named.iter().any(|name| name == reference), "{reference} in {named:?}");
        }
    }
}

#[test]
fn loki_keeps_structured_metadata_and_tells_nobody() {
    let config = yaml("deploy/loki/config.yaml");
    assert_eq!(config["auth_enabled"], false);
    assert_eq!(config["server"]["http_listen_port"], 3100);
    assert_eq!(config["limits_config"]["allow_structured_metadata"], true);
    assert_eq!(config["analytics"]["reporting_enabled"], false);
    let schema = &config["schema_config"]["configs"][0];
    assert_eq!(
        (&schema["store"], &schema["schema"]),
        (&"tsdb".into(), &"v13".into()),
        "or metadata is refused"
    );
    let paths = [&config["common"]["path_prefix"], &config["compactor"]["working_directory"]];
    assert!(paths.iter().all(|path| path.as_str().unwrap().starts_with("/loki")), "the one volume");
}

#[test]
fn grafana_links_every_signal_to_the_others() {
    let file = yaml("deploy/grafana/provisioning/datasources/lab.yaml");
    let sources = file["datasources"].as_array().unwrap();
    let ids: BTreeSet<_> = sources.iter().map(|source| text(source, "uid")).collect();
    assert_eq!(ids, BTreeSet::from(["alertmanager", "jaeger", "loki", "prometheus"]));
    let data = |uid: &str| &sources.iter().find(|source| source["uid"] == uid).unwrap()["jsonData"];

    assert_eq!(data("prometheus")["exemplarTraceIdDestinations"][0]["datasourceUid"], "jaeger");
    let field = &data("loki")["derivedFields"][0];
    assert_eq!((&field["datasourceUid"], &field["matcherRegex"]), (&"jaeger".into(), &"traceId".into()));
    let logs = &data("jaeger")["tracesToLogsV2"];
    assert_eq!((&logs["datasourceUid"], &logs["tags"][0]["value"]), (&"loki".into(), &"service".into()));
    assert_eq!(logs["query"], r#"{$${__tags}} | traceId="$${__trace.traceId}""#);
    let metrics = &data("jaeger")["tracesToMetrics"];
    assert_eq!(metrics["datasourceUid"], "prometheus");
    for query in metrics["queries"].as_array().unwrap() {
        let expr = text(query, "query").replace("$$__tags", r#"service="api-gateway""#);
        check_promql(&expr).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn grafana_finds_the_dashboards_where_compose_puts_them() {
    let path =
        yaml("deploy/grafana/provisioning/dashboards/lab.yaml")["providers"][0]["options"]["path"].clone();
    let grafana = &yaml("compose.yaml")["services"]["grafana"];
    let mount = format!("./dashboards:{}:ro", path.as_str().unwrap());
    assert!(list(&grafana["volumes"]).contains(&mount.as_str()));
    let home = text(&grafana["environment"], "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH");
    assert!(folder("dashboards").join(home.rsplit('/').next().unwrap()).exists());
    assert_eq!(dashboards().len(), 5);
}
