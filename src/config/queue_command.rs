//! The arguments of `o11y-lab queue`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PortBase, QueueConfig, at_least_one, default_data_dir};

/// What `o11y-lab queue` does.
#[derive(Clone, Debug, Subcommand)]
pub enum QueueAction {
    /// Count the messages: waiting, in flight, dead-lettered
    Depth(QueueTarget),
    /// The dead letters: list, show, replay
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
        target: QueueTarget,
    },
    /// Show one dead letter with its headers and body
    Show {
        /// The message's id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        target: QueueTarget,
    },
    /// Send dead letters back to the end of the queue, attempts counted from 0 again
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
        target: QueueTarget,
    },
}

/// Which queue a command works on, and how it answers.
#[derive(Args, Clone, Debug)]
pub struct QueueTarget {
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

impl QueueTarget {
    /// The folder for files: the one named, or the user's state folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(default_data_dir)
    }
}

impl QueueAction {
    /// Which queue it works on.
    pub fn target(&self) -> &QueueTarget {
        match self {
            Self::Depth(target) => target,
            Self::Dead(
                DeadAction::List { target, .. }
                | DeadAction::Show { target, .. }
                | DeadAction::Replay { target, .. },
            ) => target,
        }
    }
}
