//! The arguments of `o11y-lab queue`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PortBase, QueueConfig, at_least_one, default_data_dir};

/// What `o11y-lab queue` does.
#[derive(Clone, Debug, Subcommand)]
pub enum QueueAction {
    /// Count the messages that wait, that are in a consumer's hands, and that were given up
    Depth(QueueLook),
    /// The messages that were given up
    #[command(subcommand)]
    Dead(DeadAction),
}

/// What `o11y-lab queue dead` does.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadAction {
    /// List the dead letters, oldest first
    List {
        /// Most to list
        #[arg(long, default_value_t = 100, value_parser = at_least_one)]
        limit: usize,
        #[command(flatten)]
        #[allow(missing_docs)]
        look: QueueLook,
    },
    /// Show one dead letter with its headers and body
    Show {
        /// The message's id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        look: QueueLook,
    },
    /// Send dead letters back to the end of the queue, attempts counted anew
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
    Replay {
        /// Only the one with this message id
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        id: Option<String>,
        /// Every one of them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        look: QueueLook,
    },
}

/// Which queue a command looks at, and how it answers.
#[derive(Args, Clone, Debug)]
pub struct QueueLook {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Folder of the embedded queue [default: the user's state folder]
    #[arg(long, env = "DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub queue: QueueConfig,
}

impl QueueLook {
    /// The folder for files: the one named, or the user's state folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }
}

impl QueueAction {
    /// Which queue it looks at.
    pub fn look(&self) -> &QueueLook {
        match self {
            Self::Depth(look) => look,
            Self::Dead(
                DeadAction::List { look, .. }
                | DeadAction::Show { look, .. }
                | DeadAction::Replay { look, .. },
            ) => look,
        }
    }
}
