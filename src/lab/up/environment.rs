//! A child's environment: how it differs from ours.
//!
//! Children inherit our environment, so that `LOG_LEVEL=debug o11y-lab up` and the standard
//! `OTEL_*` work; what would give every child the same address or name is taken out, and of our
//! settings and AWS's each gets only those that it reads.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::own_names::without_name;
use super::plan::LabPlan;
use crate::config::{
    BackendProgram, CHOSEN_VARIABLE, DETACHED_VARIABLE, HOST_OF_CONTAINERS, LIFELINE_VARIABLE, PORT_VARIABLE,
    ROLE_VARIABLE, VariableReader, child as var,
};
use crate::schema::{Endpoint, Role};

/// Reads a variable of our own environment; a set but empty one counts as not set.
pub(super) type Inherited<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Variables to set (`Some`) or to take out (`None`), and who reads what else is there.
#[derive(Clone, Debug)]
pub(super) struct Environment(BTreeMap<&'static str, Option<OsString>>, VariableReader);

impl Environment {
    /// The console gets the roles' log lines on standard input, which is its lifeline as well.
    pub(super) fn of_console(plan: &LabPlan, inherited: Inherited<'_>) -> Self {
        let mut env = Self::common(plan, VariableReader::Console);
        env.set(LIFELINE_VARIABLE, "stdin-logs");
        env.set(var::PORT_BASE, plan.ports.of(Role::Gateway).to_string());
        env.set(var::CONSOLE_OTLP_PORT, plan.otlp.port.unwrap_or(0).to_string());
        env.set(var::CONSOLE_OTLP_GRPC_PORT, plan.otlp.grpc.unwrap_or(0).to_string());
        env.answer_to_the_public_name(plan, inherited);
        if let Some(url) = &plan.export {
            env.set(var::CONSOLE_FORWARD, url);
        }
        if let Some(rules) = &plan.keep {
            env.set(var::CONSOLE_KEEP, rules.to_string());
        }
        if plan.with.contains(&BackendProgram::Prometheus) {
            env.set(var::CONSOLE_PROMETHEUS, plan.url(plan.ports.at(Endpoint::Prometheus)));
        }
        if plan.retain {
            env.set(var::CONSOLE_RETAIN, &plan.data_dir);
        }
        env
    }

    /// What a role needs to find its port, its data, its neighbours and its trace backend.
    pub(super) fn of_role(plan: &LabPlan, role: Role, inherited: Inherited<'_>) -> Self {
        let mut env = Self::common(plan, VariableReader::Role(role));
        env.set(LIFELINE_VARIABLE, "stdin");
        env.set(PORT_VARIABLE, plan.ports.of(role).to_string());
        env.answer_to_the_public_name(plan, inherited);
        env.set(var::USER_SERVICE_URL, upstream(plan, Role::User, var::USER_SERVICE_URL, inherited));
        env.set(var::ORDER_SERVICE_URL, upstream(plan, Role::Order, var::ORDER_SERVICE_URL, inherited));
        if role.service().needs.contains(&Role::Lambda) {
            env.call_lambda(plan, inherited);
        }
        if let Some(port) = plan.otlp.port {
            let theirs = inherited(var::OTLP_ENDPOINT).filter(|_| plan.export.is_none());
            if theirs.is_none() {
                env.speak_http(plan, inherited);
            }
            env.set(var::OTLP_ENDPOINT, theirs.unwrap_or(plan.url(port)));
        }
        env.read_by_the_console(plan, inherited);
        if plan.export.is_some() {
            env.export_by_the_console();
        }
        if let Some(attributes) = inherited(var::OTEL_RESOURCE_ATTRIBUTES) {
            env.set(var::OTEL_RESOURCE_ATTRIBUTES, without_name(&attributes));
        }
        for (name, value) in [
            // Traces show up in the console half a second after they happen, not five; metrics not after a minute.
            (var::BSP_SCHEDULE_DELAY, "500".to_owned()),
            (var::METRIC_EXPORT_INTERVAL, "5000".to_owned()),
            (var::FAULTS_ENABLED, "true".to_owned()),
        ] {
            env.set(name, inherited(name).unwrap_or(value));
        }
        env
    }

    /// A program that is not ours has no use for any variable of ours.
    pub(super) fn of_stranger() -> Self {
        Self(BTreeMap::new(), VariableReader::Stranger)
    }

    fn common(plan: &LabPlan, reader: VariableReader) -> Self {
        let mut env = Self(BTreeMap::new(), reader);
        // One name, one role or one Lambda runtime for all children would be wrong for most.
        for name in
            [ROLE_VARIABLE, DETACHED_VARIABLE, PORT_VARIABLE, var::OTEL_SERVICE_NAME, var::LAMBDA_RUNTIME_API]
        {
            env.remove(name);
        }
        env.set(var::HOST, plan.host.to_string());
        env.set(var::DATA_DIR, &plan.data_dir);
        env.set(var::SHUTDOWN_GRACE, plan.grace.as_secs_f64().to_string());
        env.set(var::LOG_FORMAT, "json");
        env
    }

    /// Beside the names that are answered to already.
    fn answer_to_the_public_name(&mut self, plan: &LabPlan, inherited: Inherited<'_>) {
        if let Some(name) = &plan.public_host {
            let known = inherited(var::ALLOWED_HOSTS).unwrap_or(HOST_OF_CONTAINERS.to_owned());
            self.set(var::ALLOWED_HOSTS, format!("{known},{name}"));
        }
    }

    /// For the console's port, which takes HTTP. A signal that has an endpoint of its own keeps the protocol that
    /// the user has chosen for that, also where the general variable says which one it is.
    fn speak_http(&mut self, plan: &LabPlan, inherited: Inherited<'_>) {
        let grpc = |name| inherited(name).filter(|protocol| protocol.eq_ignore_ascii_case("grpc"));
        let general = grpc(var::OTLP_PROTOCOL);
        for (endpoint, protocol) in var::OTLP_PROTOCOLS {
            let elsewhere = plan.export.is_none() && inherited(endpoint).is_some();
            match inherited(protocol) {
                Some(theirs) if elsewhere => self.set(protocol, theirs),
                None if elsewhere => general.iter().for_each(|theirs| self.set(protocol, theirs)),
                _ if grpc(protocol).is_some() => self.set(protocol, "http/protobuf"),
                _ => {}
            }
        }
        if general.is_some() {
            self.set(var::OTLP_PROTOCOL, "http/protobuf");
        }
    }

    /// The console reads what the roles log. It scrapes their metrics for its figures, and where it is the
    /// receiver gets them too, with their exemplars. All else is exported only where the user says to, or names a
    /// receiver for it and the console is none.
    fn read_by_the_console(&mut self, plan: &LabPlan, inherited: Inherited<'_>) {
        let elsewhere = plan.otlp.port.is_none() && inherited(var::OTLP_ENDPOINT).is_some();
        let metrics = if plan.otlp.port.is_some() { "otlp,prometheus" } else { "prometheus" };
        for (exporter, value, endpoint) in [
            (var::OTEL_LOGS_EXPORTER, "none", var::OTLP_LOGS_ENDPOINT),
            (var::OTEL_METRICS_EXPORTER, metrics, var::OTLP_METRICS_ENDPOINT),
        ] {
            if let Some(theirs) = inherited(exporter) {
                self.set(exporter, theirs);
            } else if !elsewhere && inherited(endpoint).is_none() {
                self.set(exporter, value);
            }
        }
    }

    /// All signals go to the console, which sends them on: what is for that receiver, its credentials among it, is
    /// not for the roles.
    fn export_by_the_console(&mut self) {
        for name in [var::OTEL_LOGS_EXPORTER, var::OTEL_METRICS_EXPORTER] {
            self.set(name, "otlp");
        }
        for name in var::OF_THE_RECEIVER {
            self.remove(name);
        }
    }

    /// Points the AWS SDK at the lab's own Lambda. The user's credentials must not travel to a
    /// stand-in, and neither a profile nor the metadata service is worth asking for made-up ones.
    fn call_lambda(&mut self, plan: &LabPlan, inherited: Inherited<'_>) {
        let endpoint = upstream(plan, Role::Lambda, var::LAMBDA_ENDPOINT, inherited);
        let stand_in = endpoint == plan.url(plan.ports.of(Role::Lambda));
        self.set(var::LAMBDA_ENDPOINT, endpoint);
        if inherited(var::AWS_REGION).or_else(|| inherited(var::AWS_DEFAULT_REGION)).is_none() {
            self.set(var::AWS_REGION, "us-east-1");
        }
        if stand_in {
            self.set(var::AWS_ACCESS_KEY_ID, "local");
            self.set(var::AWS_SECRET_ACCESS_KEY, "local");
            self.set(var::AWS_EC2_METADATA_DISABLED, "true");
            for name in [var::AWS_SESSION_TOKEN, var::AWS_PROFILE, var::AWS_IGNORE_ENDPOINTS] {
                self.remove(name);
            }
        }
    }

    /// Sets a variable, if whoever this is for reads it.
    fn set(&mut self, name: &'static str, value: impl AsRef<OsStr>) {
        if self.1.may_read(name) {
            self.0.insert(name, Some(value.as_ref().to_owned()));
        }
    }

    /// The names of OpenTelemetry's variables that are ours and not the user's.
    fn chosen(&self, is_set: impl Fn(&str) -> bool) -> String {
        let ours = self.0.iter().filter(|(name, value)| value.is_some() && name.starts_with("OTEL_"));
        ours.map(|(name, _)| *name).filter(|name| !is_set(name)).collect::<Vec<_>>().join(",")
    }

    fn remove(&mut self, name: &'static str) {
        self.0.insert(name, None);
    }

    /// Applies the difference to a command about to be started.
    pub(super) fn apply(&self, command: &mut tokio::process::Command) {
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for foreign in inherited.filter(|name| !name.to_str().is_none_or(|name| self.1.may_read(name))) {
            command.env_remove(foreign);
        }
        let chosen = self.chosen(|name| std::env::var_os(name).is_some());
        if !chosen.is_empty() {
            command.env(CHOSEN_VARIABLE, chosen);
        }
        for (name, value) in &self.0 {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
}

/// Where a role is: here if we start it, else where the user says it runs.
fn upstream(plan: &LabPlan, role: Role, variable: &str, inherited: Inherited<'_>) -> String {
    let elsewhere = if plan.runs(role) { None } else { inherited(variable) };
    elsewhere.unwrap_or_else(|| plan.url(plan.ports.of(role)))
}

/// One sentence if the user's own settings keep traces from being sent, or say where to.
pub(super) fn no_traces(inherited: Inherited<'_>) -> Option<String> {
    if inherited(var::OTEL_CONFIG_FILE).is_some() {
        return Some(format!(
            "telemetry goes where {} says; the console's address is ${{{}}} there",
            var::OTEL_CONFIG_FILE,
            var::OTLP_ENDPOINT
        ));
    }
    if inherited(var::OTEL_SDK_DISABLED).is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return Some(format!("there are no traces: {} is true", var::OTEL_SDK_DISABLED));
    }
    match inherited(var::OTEL_TRACES_EXPORTER)?.as_str() {
        "none" => Some(format!("there are no traces: {} is none", var::OTEL_TRACES_EXPORTER)),
        "console" => Some(format!(
            "traces are lines on standard output and not in the console: {} is console",
            var::OTEL_TRACES_EXPORTER
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Args as _;

    use super::*;
    use crate::lab::up::otlp::choose;

    fn plan(roles: &[Role]) -> LabPlan {
        LabPlan::example(7000, roles)
    }

    fn value(env: &Environment, name: &str) -> Option<String> {
        env.0.get(name)?.as_ref()?.to_str().map(str::to_owned)
    }

    fn removes(env: &Environment, name: &str) -> bool {
        env.0.get(name).is_some_and(Option::is_none)
    }

    #[test]
    fn a_role_learns_its_port_its_neighbours_and_where_traces_go() {
        let env = Environment::of_role(&plan(&[]), Role::Order, &|_| None);
        assert_eq!(value(&env, "PORT").as_deref(), Some("7002"));
        assert_eq!(value(&env, "USER_SERVICE_URL").as_deref(), Some("http://127.0.0.1:7001"));
        assert_eq!(value(&env, "OTEL_EXPORTER_OTLP_ENDPOINT").as_deref(), Some("http://127.0.0.1:7006"));
        assert_eq!(value(&env, "SHUTDOWN_GRACE").as_deref(), Some("2.5"));
        assert_eq!(value(&env, "LOG_FORMAT").as_deref(), Some("json"));
        assert!(removes(&env, "OTEL_SERVICE_NAME"));
        assert_eq!(value(&env, "FAULTS_ENABLED").as_deref(), Some("true"));
        assert!(!env.0.contains_key("DATABASE_URL"));
    }

    #[test]
    fn a_public_name_is_one_that_console_and_roles_answer_to_beside_the_others() {
        let plan = LabPlan { public_host: Some("lab.example".to_owned()), ..plan(&[]) };
        let theirs = |name: &str| (name == "ALLOWED_HOSTS").then(|| "other.example".to_owned());
        for (known, expected) in [
            (&(|_: &str| None) as Inherited<'_>, "host.docker.internal,lab.example"),
            (&theirs, "other.example,lab.example"),
        ] {
            for env in
                [Environment::of_console(&plan, known), Environment::of_role(&plan, Role::Gateway, known)]
            {
                assert_eq!(value(&env, "ALLOWED_HOSTS").as_deref(), Some(expected));
            }
        }
    }

    #[test]
    fn what_is_exported_goes_to_the_console_by_http_and_the_receivers_secrets_to_the_console_alone() {
        let plan = LabPlan { export: Some("https://vendor".to_owned()), ..plan(&[]) };
        let theirs = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://collector:4317".to_owned()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".to_owned()),
            "OTEL_LOGS_EXPORTER" => Some("none".to_owned()),
            _ => None,
        };
        let role = Environment::of_role(&plan, Role::Order, &theirs);
        for (name, expected) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:7006"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
        ] {
            assert_eq!(value(&role, name).as_deref(), Some(expected), "{name}");
        }
        assert!(removes(&role, "OTEL_EXPORTER_OTLP_HEADERS") && !role.0.contains_key("CONSOLE_FORWARD"));
        for signal in ["", "TRACES_", "LOGS_", "METRICS_"] {
            for of in ["HEADERS", "TIMEOUT", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
                let name = format!("OTEL_EXPORTER_OTLP_{signal}{of}");
                assert!(removes(&role, &name), "{name}");
            }
        }
        let console = Environment::of_console(&plan, &|_| None);
        assert_eq!(value(&console, "CONSOLE_FORWARD").as_deref(), Some("https://vendor"));
        assert!(!removes(&console, "OTEL_EXPORTER_OTLP_HEADERS"));
    }

    #[test]
    fn a_signal_with_an_endpoint_of_its_own_keeps_the_protocol_that_is_spoken_there() {
        let protocols = |set: &[(&str, &str)], export: Option<&str>| {
            let theirs =
                |name: &str| set.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
            let plan = LabPlan { export: export.map(str::to_owned), ..plan(&[]) };
            let env = Environment::of_role(&plan, Role::Order, &theirs);
            ["PROTOCOL", "TRACES_PROTOCOL", "LOGS_PROTOCOL", "METRICS_PROTOCOL"].map(|of| {
                let name = format!("OTEL_EXPORTER_OTLP_{of}");
                value(&env, &name).unwrap_or_default()
            })
        };
        let metrics = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4317");
        let logs = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc");
        let general = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let http = "http/protobuf";
        for (set, export, expected) in [
            (&[metrics, general][..], None, [http, "", "", "grpc"]),
            (&[metrics, ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"), logs], None, ["", "", http, "grpc"]),
            (&[metrics], None, ["", "", "", ""]),
            // All of it goes to the console then.
            (&[metrics, general], Some("https://vendor"), [http, "", "", ""]),
        ] {
            assert_eq!(protocols(set, export), expected, "{set:?}");
        }
    }

    #[test]
    fn a_program_gets_no_variable_that_it_does_not_read() {
        let of = |role| Environment::of_role(&plan(&[]), role, &|_| None);
        for (env, unread) in [
            (of(Role::Gateway), &["DATA_DIR"][..]),
            (of(Role::User), &["USER_SERVICE_URL", "ORDER_SERVICE_URL"]),
            (of(Role::Notify), &["USER_SERVICE_URL", "ORDER_SERVICE_URL"]),
            (of(Role::Lambda), &["DATA_DIR", "USER_SERVICE_URL", "ORDER_SERVICE_URL"]),
            (Environment::of_console(&plan(&[]), &|_| None), &["DATA_DIR", "SHUTDOWN_GRACE"]),
        ] {
            let set = unread.iter().find(|name| env.0.contains_key(**name));
            assert_eq!(set, None, "{env:?}");
        }
        assert!(of(Role::User).0.contains_key("DATA_DIR"));
    }

    #[test]
    fn the_users_aws_credentials_never_reach_the_local_stand_in_but_stay_for_other_roles() {
        let theirs = |_: &str| Some("theirs".to_owned());
        let gateway = Environment::of_role(&plan(&[]), Role::Gateway, &theirs);
        assert_eq!(value(&gateway, "AWS_ENDPOINT_URL_LAMBDA").as_deref(), Some("http://127.0.0.1:7004"));
        assert_eq!(value(&gateway, "AWS_ACCESS_KEY_ID").as_deref(), Some("local"));
        assert_eq!(value(&gateway, "AWS_SECRET_ACCESS_KEY").as_deref(), Some("local"));
        assert!(removes(&gateway, "AWS_SESSION_TOKEN") && removes(&gateway, "AWS_PROFILE"));
        let order = Environment::of_role(&plan(&[]), Role::Order, &theirs);
        assert!(!order.0.keys().any(|name| name.starts_with("AWS_") && *name != "AWS_LAMBDA_RUNTIME_API"));
    }

    #[test]
    fn a_role_that_runs_elsewhere_is_called_where_the_user_says() {
        let theirs = |name: &str| (name == "USER_SERVICE_URL").then(|| "http://127.0.0.1:9".to_owned());
        let subset = Environment::of_role(&plan(&[Role::Order]), Role::Order, &theirs);
        assert_eq!(value(&subset, "USER_SERVICE_URL").as_deref(), Some("http://127.0.0.1:9"));
        let all = Environment::of_role(&plan(&[]), Role::Order, &theirs);
        assert_eq!(value(&all, "USER_SERVICE_URL").as_deref(), Some("http://127.0.0.1:7001"));
    }

    #[test]
    fn a_trace_endpoint_of_the_users_own_is_kept_and_named_without_its_secrets() {
        let theirs = |name: &str| {
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT")
                .then(|| "http://me:token@collector:4318/x?key=1".to_owned())
        };
        let env = Environment::of_role(&plan(&[]), Role::User, &theirs);
        assert_eq!(value(&env, "OTEL_EXPORTER_OTLP_ENDPOINT"), theirs("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let choice = choose(7000, std::net::Ipv4Addr::LOCALHOST.into(), false, &theirs);
        let said = choice.note.unwrap();
        assert!(
            said.contains("collector:4318") && !said.contains("token") && !said.contains("key"),
            "{said}"
        );
        assert_eq!(choice.port, None);
    }

    #[test]
    fn where_only_traces_go_elsewhere_logs_and_metrics_are_not_sent_to_a_port_that_nobody_named() {
        let exporters = |named: &[&str]| {
            let theirs = |name: &str| named.contains(&name).then(|| "http://collector:4318".to_owned());
            let mut plan = plan(&[]);
            plan.otlp = choose(7000, std::net::Ipv4Addr::LOCALHOST.into(), false, &theirs);
            assert_eq!(plan.otlp.port, None);
            let env = Environment::of_role(&plan, Role::User, &theirs);
            ["OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER"].map(|name| value(&env, name).unwrap_or_default())
        };
        let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        assert_eq!(exporters(&[traces]), ["none", "prometheus"]);
        assert_eq!(exporters(&[traces, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]), ["", "prometheus"]);
        assert_eq!(exporters(&[traces, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"]), ["none", ""]);
        // One receiver for all.
        assert_eq!(exporters(&["OTEL_EXPORTER_OTLP_ENDPOINT"]), ["", ""]);
    }

    #[test]
    fn what_keeps_traces_from_the_console_is_one_sentence() {
        let said = |name: &'static str, value: &'static str| {
            no_traces(&|asked: &str| (asked == name).then(|| value.to_owned()))
        };
        let file = said("OTEL_CONFIG_FILE", "/otel.yaml").unwrap();
        assert!(
            file.contains("OTEL_CONFIG_FILE") && file.contains("${OTEL_EXPORTER_OTLP_ENDPOINT}"),
            "{file}"
        );
        assert!(said("OTEL_TRACES_EXPORTER", "console").unwrap().contains("is console"));
        assert!(said("OTEL_TRACES_EXPORTER", "none").unwrap().contains("is none"));
        assert_eq!(said("OTEL_TRACES_EXPORTER", "otlp,console"), None);
    }

    #[test]
    fn the_console_gets_the_metrics_that_it_is_the_receiver_of() {
        let env = Environment::of_role(&plan(&[]), Role::User, &|_| None);
        let set = |name: &str| value(&env, name);
        assert_eq!(set("OTEL_METRICS_EXPORTER").as_deref(), Some("otlp,prometheus"));
        assert_eq!(set("OTEL_METRIC_EXPORT_INTERVAL").as_deref(), Some("5000"));
        assert_eq!(set("OTEL_LOGS_EXPORTER").as_deref(), Some("none"));
    }

    #[test]
    fn what_up_chose_and_nobody_set_is_named_to_its_children() {
        let inherited = |name: &str| (name == "OTEL_LOGS_EXPORTER").then(|| "otlp".to_owned());
        let env = Environment::of_role(&plan(&[]), Role::Order, &inherited);
        let chosen = env.chosen(|name| name == "OTEL_LOGS_EXPORTER");
        let names: Vec<_> = chosen.split(',').collect();
        assert!(names.contains(&"OTEL_EXPORTER_OTLP_ENDPOINT") && names.contains(&"OTEL_BSP_SCHEDULE_DELAY"));
        assert!(
            names.iter().all(|name| name.starts_with("OTEL_") && *name != "OTEL_LOGS_EXPORTER"),
            "{chosen}"
        );
    }

    #[test]
    fn every_variable_up_sets_is_one_that_the_children_read() {
        let command = crate::config::RoleConfig::augment_args(clap::Command::new("role"));
        let mut known: Vec<_> = command.get_arguments().filter_map(|a| a.get_env()).collect();
        let console = crate::config::ConsoleConfig::augment_args(clap::Command::new("console"));
        known.extend(console.get_arguments().filter_map(|a| a.get_env()));
        known.extend([OsStr::new("PORT_BASE"), LIFELINE_VARIABLE.as_ref(), ROLE_VARIABLE.as_ref()]);
        known.push(DETACHED_VARIABLE.as_ref());
        let ours = Environment::of_role(&plan(&[]), Role::Gateway, &|_| None);
        let console = Environment::of_console(&plan(&[]), &|_| None);
        for name in ours.0.keys().chain(console.0.keys()) {
            let sdk = name.starts_with("AWS_");
            assert!(sdk || known.contains(&OsStr::new(name)), "{name}");
        }
    }
}
