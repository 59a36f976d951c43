//! What a setting is where nothing is set and its default is not written down but computed.

use clap::ArgMatches;
use clap::FromArgMatches as _;

use crate::config::{ConsoleConfig, OtelConfig, RoleConfig, UpConfig, VariableReader, computed_data_dir};
use crate::schema::{Role, SERVICES, Service};

/// A command's arguments as they are after all defaults.
pub(super) enum ParsedCommand {
    Role(&'static Service, Box<RoleConfig>),
    Up(Box<UpConfig>),
    Console(Box<ConsoleConfig>),
}

/// A value, and what it is computed from; nothing where it is a plain default.
pub(super) type Computed = (String, Option<&'static str>);

impl ParsedCommand {
    /// # Errors
    /// Clap's own, for arguments that it has taken already: none.
    pub(super) fn of(name: &str, matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(match SERVICES.iter().find(|service| service.command == name) {
            Some(service) => Self::Role(service, Box::new(RoleConfig::from_arg_matches(matches)?)),
            None if name == "up" => Self::Up(Box::new(UpConfig::from_arg_matches(matches)?)),
            None => Self::Console(Box::new(ConsoleConfig::from_arg_matches(matches)?)),
        })
    }

    /// Whether the transport it talks to has what it needs.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Role(service, config) if [Role::Order, Role::Notify].contains(&service.role) => {
                config.queue.check()
            }
            _ => Ok(()),
        }
    }

    /// The name by which telemetry knows it, and the settings of its exporters; `up` has none.
    pub(super) fn telemetry(&self) -> Option<(&'static str, OtelConfig)> {
        match self {
            Self::Role(service, config) => Some((service.name, config.otel.clone())),
            Self::Up(_) => None,
            Self::Console(config) => Some(("console", config.forward.exporter())),
        }
    }

    /// Whether it reads a variable. Every role takes the flags of all.
    pub(super) fn reads(&self, variable: &str) -> bool {
        match self {
            Self::Role(service, _) => VariableReader::Role(service.role).may_read(variable),
            Self::Up(_) | Self::Console(_) => true,
        }
    }

    /// What the setting is where nobody set it.
    pub(super) fn computed(&self, id: &str) -> Option<Computed> {
        if id == "data_dir" {
            let (folder, from) = computed_data_dir();
            return Some((folder.display().to_string(), Some(from)));
        }
        match self {
            Self::Role(service, config) => of_role(service, config, id),
            Self::Up(config) => of_up(config, id),
            Self::Console(config) => of_console(config, id),
        }
    }
}

fn of_role(service: &Service, config: &RoleConfig, id: &str) -> Option<Computed> {
    Some(match id {
        "port" => (service.port().to_string(), None),
        "database_url" => {
            let file = config.store.data_dir().join(service.store?);
            (format!("sqlite://{}", file.display()), Some("DATA_DIR"))
        }
        "lambda_endpoint" => match (&config.queue.broker.aws_endpoint, config.local_lambda_endpoint()) {
            (Some(endpoint), _) => (endpoint.clone(), Some("AWS_ENDPOINT_URL")),
            (None, Some(local)) => (local, None),
            (None, None) => (format!("AWS's own in {}", config.lambda_region()), Some("AWS_REGION")),
        },
        "aws_region" => (config.lambda_region().to_owned(), None),
        "sqs_endpoint" => (config.queue.broker.aws_endpoint.clone()?, Some("AWS_ENDPOINT_URL")),
        "queue_ca_file" => ("the system's".to_owned(), None),
        "otel_log_level" => (config.log.log_level.clone(), Some("LOG_LEVEL")),
        _ => return None,
    })
}

fn of_up(config: &UpConfig, id: &str) -> Option<Computed> {
    Some(match id {
        "public_host" => (config.host.to_string(), Some("UP_HOST")),
        "roles" => (SERVICES.iter().map(|row| row.command).collect::<Vec<_>>().join(","), None),
        "keep" => ("all".to_owned(), None),
        _ => return None,
    })
}

fn of_console(config: &ConsoleConfig, id: &str) -> Option<Computed> {
    let port = |port: Option<u16>| (port.unwrap_or_default().to_string(), Some("PORT_BASE"));
    Some(match id {
        "otlp_port" => port(config.otlp()),
        "otlp_grpc_port" => port(config.otlp_grpc().ok()?.map(|(port, _)| port)),
        "keep" => ("all".to_owned(), None),
        _ => return None,
    })
}
