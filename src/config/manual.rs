//! The arguments of `o11y-lab completions` and `o11y-lab man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Which shell is to complete the program's words.
#[derive(Args, Clone, Debug)]
pub struct CompletionsConfig {
    /// The shell that is to read the script
    pub shell: Shell,
}

/// Which pages of the manual are wanted, and where.
#[derive(Args, Clone, Debug)]
pub struct ManConfig {
    /// The command whose page goes to standard output, such as `queue depth` [default: the program's own]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub command: Vec<String>,
    /// Write a page for each command into this folder instead, made where there is none
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
