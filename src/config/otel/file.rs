//! `OTEL_CONFIG_FILE`: the declarative configuration (opentelemetry-configuration 1.1), as the variables that would say
//! the same.
//!
//! So there is one place that understands settings of telemetry, and one set of defaults. What has no variable is not
//! supported: an error that names the key's path, as the specification has it ("Parse", "Create"). Only what a schema
//! allows beside itself at the top of a file, and a newer minor version, are warnings.

mod draft;
mod exporters;
mod node;
mod providers;
mod sections;
mod substitute;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use super::OtelConfig;
use crate::config::Invalid;
use draft::Draft;
use node::Node;
use substitute::{SubstitutedVariables, substitute};

/// The most of a file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// What a file says.
#[derive(Debug)]
pub struct OtelFile {
    /// The same as variables.
    pub config: OtelConfig,
    /// What is not supported and may be ignored, one sentence each.
    pub warnings: Vec<String>,
    /// The variables that it refers to.
    pub variables: BTreeSet<String>,
    /// What it says of each variable that would say the same, and where.
    said: BTreeMap<String, (String, String)>,
}

impl OtelConfig {
    /// What the file says that `OTEL_CONFIG_FILE` names; none where it names none. All else of these settings is then
    /// without effect, but for what is no setting of OpenTelemetry's.
    ///
    /// # Errors
    /// The file cannot be read, is malformed, or asks for what is not supported here.
    pub fn file(&self) -> Result<Option<OtelFile>, Invalid> {
        let Some(name) = self.otel_config_file.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let variables = |name: &str| std::env::var(name).ok();
        let mut file = read(Path::new(name)).and_then(|text| parse(&text, &variables)).map_err(invalid)?;
        file.config.deployment_environment.clone_from(&self.deployment_environment);
        file.config.ecs_metadata_uri.clone_from(&self.ecs_metadata_uri);
        Ok(Some(file))
    }
}

impl OtelFile {
    /// What it says instead of a variable: the value that would be the same, and the path at which it stands.
    pub fn said(&self, variable: &str) -> Option<(&str, &str)> {
        self.said.get(variable).map(|(value, path)| (value.as_str(), path.as_str()))
    }

    /// What was found to be wrong with the variables is wrong with the file, at the place that says the same.
    ///
    /// # Errors
    /// There is something.
    pub fn refuse(&self, notes: &[String]) -> Result<(), Invalid> {
        let Some(note) = notes.first() else { return Ok(()) };
        let (variable, what) = note.split_once(' ').unwrap_or((note, ""));
        let path = self.said(variable).map_or(variable, |(_, path)| path);
        // What is used instead is nothing here.
        let what = what.split_once(';').map_or(what, |(what, _)| what);
        Err(invalid(format!("{path} {what}")))
    }
}

fn invalid(what: String) -> Invalid {
    Invalid(format!("--otel-config-file (OTEL_CONFIG_FILE): {what}"))
}

fn read(path: &Path) -> Result<String, String> {
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !yaml {
        return Err("a file whose name ends in .yaml or .yml is expected".to_owned());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    if text.len() as u64 > LARGEST {
        return Err(format!("{} is larger than 1 MiB", path.display()));
    }
    Ok(text)
}

fn parse(text: &str, environment: SubstitutedVariables<'_>) -> Result<OtelFile, String> {
    let mut value =
        serde_yaml_ng::from_str(text).map_err(|error| format!("the file is not YAML: {error}"))?;
    let mut variables = BTreeSet::new();
    substitute(&mut value, "", environment, &mut variables)?;
    let mut draft = Draft::default();
    sections::read(Node::root(value), &mut draft)?;
    let warnings = std::mem::take(&mut draft.warnings);
    let said = draft.said();
    Ok(OtelFile { config: draft.config()?, warnings, variables, said })
}
