//! What `--version` says.

use std::sync::LazyLock;

/// The version, and below it what this program was built of.
pub(super) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(text);
    &LONG
}

fn text() -> String {
    let features: Vec<_> = FEATURES.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let commit = match (env!("O11Y_LAB_BUILD_COMMIT"), env!("O11Y_LAB_BUILD_COMMIT_DATE")) {
        (commit, "unknown") => commit.to_owned(),
        (commit, date) => format!("{commit} of {date}"),
    };
    format!(
        "{}\ncommit:   {commit}\nbuilt:    {}\nfeatures: {features}\ntarget:   {}",
        env!("CARGO_PKG_VERSION"),
        env!("O11Y_LAB_BUILD_DATE"),
        env!("O11Y_LAB_BUILD_TARGET"),
    )
}

/// The Cargo features, and whether they are built in.
const FEATURES: [(&str, bool); 2] = [("kafka", cfg!(feature = "kafka")), ("grpc", cfg!(feature = "grpc"))];
