//! Which program reads which environment variable, so that none is passed on to where nobody reads it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::{Args, Command};

use super::{
    ConsoleConfig, FaultConfig, HealthcheckConfig, HttpConfig, LoadConfig, LogConfig, NotifyConfig,
    OtelConfig, QueueConfig, RUST_LOG_VARIABLE, ScenarioTarget, StoreConfig, UpConfig, UpstreamConfig,
    VerifyConfig,
};
use crate::schema::Role;

/// Adds the arguments of a group of settings to a command.
type ArgumentGroup = fn(Command) -> Command;

const EVERY_ROLE: &[Role] = &[Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda];

/// The groups of a role's settings and the roles that read them.
const GROUPS: [(ArgumentGroup, &[Role]); 8] = [
    (HttpConfig::augment_args, EVERY_ROLE),
    (LogConfig::augment_args, EVERY_ROLE),
    (OtelConfig::augment_args, EVERY_ROLE),
    (FaultConfig::augment_args, EVERY_ROLE),
    (UpstreamConfig::augment_args, &[Role::Gateway, Role::Order]),
    (StoreConfig::augment_args, &[Role::User, Role::Order, Role::Notify]),
    (QueueConfig::augment_args, &[Role::Order, Role::Notify]),
    (NotifyConfig::augment_args, &[Role::Notify]),
];

/// The groups of the lab commands that are no children of `up`.
const COMMANDS: [ArgumentGroup; 5] = [
    UpConfig::augment_args,
    LoadConfig::augment_args,
    HealthcheckConfig::augment_args,
    VerifyConfig::augment_args,
    ScenarioTarget::augment_args,
];

/// Roles that call AWS; its SDK reads variables of its own, credentials among them.
const AWS_CALLERS: [Role; 3] = [Role::Gateway, Role::Order, Role::Notify];

/// A program that can be a child of `up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VariableReader {
    /// A role.
    Role(Role),
    /// The console.
    Console,
    /// Not one of ours.
    Stranger,
}

/// Each of our variables with its readers.
static READERS: LazyLock<BTreeMap<String, Vec<VariableReader>>> = LazyLock::new(|| {
    let mut found = BTreeMap::from([(RUST_LOG_VARIABLE.to_owned(), Vec::new())]);
    let roles =
        GROUPS.map(|(group, roles)| (group, roles.iter().copied().map(VariableReader::Role).collect()));
    let console = (ConsoleConfig::augment_args as ArgumentGroup, vec![VariableReader::Console]);
    let others = COMMANDS.map(|group| (group, Vec::new()));
    for (group, readers) in roles.into_iter().chain([console]).chain(others) {
        for name in group(Command::new("group")).get_arguments().filter_map(|arg| arg.get_env()?.to_str()) {
            found.entry(name.to_owned()).or_default().extend(&readers);
        }
    }
    found
});

impl VariableReader {
    /// Whether a variable may be of use to it: one of its own settings, or none of ours at all.
    pub(crate) fn may_read(self, name: &str) -> bool {
        if name.starts_with("AWS_") {
            return matches!(self, Self::Role(role) if AWS_CALLERS.contains(&role));
        }
        READERS.get(name).is_none_or(|readers| readers.contains(&self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RoleConfig;

    #[test]
    fn every_setting_of_a_role_belongs_to_a_group_here_and_all_that_its_heading_names_read_it() {
        let command = RoleConfig::augment_args(Command::new("role"));
        for arg in command.get_arguments() {
            let Some(name) = arg.get_env().and_then(|name| name.to_str()) else { continue };
            let readers = EVERY_ROLE.iter().filter(|role| VariableReader::Role(**role).may_read(name));
            let readers: Vec<_> = readers.map(|role| role.as_str()).collect();
            assert!(READERS.contains_key(name) && !readers.is_empty(), "{name}");
            let heading = arg.get_help_heading().unwrap_or_default();
            if let Some((_, named)) = heading.split_once('(').filter(|_| !name.starts_with("AWS_")) {
                let named = named.trim_end_matches(')');
                // One more may accept a setting, as user does that of retention, which is part of storage.
                let read = |role| readers.contains(&role);
                assert!(named.split(", ").all(read) || named.contains("specification"), "{name}: {heading}");
            }
        }
    }

    #[test]
    fn credentials_reach_only_who_uses_them_and_what_is_not_ours_reaches_everybody() {
        let role = |role| VariableReader::Role(role);
        for reader in
            [role(Role::User), role(Role::Lambda), VariableReader::Console, VariableReader::Stranger]
        {
            for name in ["AWS_SECRET_ACCESS_KEY", "REDIS_URL", "LOAD_URL", "RUST_LOG"] {
                assert!(!reader.may_read(name), "{reader:?} {name}");
            }
            assert!(reader.may_read("PATH") && reader.may_read("HTTPS_PROXY"));
        }
        assert!(role(Role::Notify).may_read("REDIS_URL") && role(Role::Order).may_read("AWS_PROFILE"));
        assert!(!role(Role::Gateway).may_read("DATABASE_URL") && role(Role::User).may_read("DATABASE_URL"));
        assert!(VariableReader::Console.may_read("CONSOLE_MAX_SPANS"));
        assert!(!VariableReader::Stranger.may_read("OTEL_EXPORTER_OTLP_HEADERS"));
    }
}
