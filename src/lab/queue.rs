//! `o11y-lab queue`: the depth of the queue, and its dead letters.
//!
//! Opens the transport itself, with the settings the roles have: it works while they are down, and
//! then matters most. Standard output is data, as a table or with `--json`; remarks go to standard
//! error.

mod render;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::output::CommandOutput;
use crate::config::{DeadAction, QueueAction, QueueTarget, Transport};
use crate::queue::{self, DeadLetter, Queue, embedded};
use crate::runtime::oneshot::OneShot;
use crate::schema::Role;
use crate::terminal::escaped;

/// Most dead letters searched for one id.
const SEARCHED: usize = 100_000;
/// Longest wait for a running lab to say which queue it uses.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Largest answer of `/stats`, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Runs one action.
///
/// # Errors
/// The queue cannot be asked, or there is no dead letter with the id.
pub async fn run(action: QueueAction) -> anyhow::Result<()> {
    let target = action.target().clone();
    let queue = open(&target).await?;
    let answer = answer(&action, &target, &*queue).await;
    queue.close().await;
    let answer = answer?;
    warn_of_another_queue(&target, &*queue).await;
    answer.print(target.json)
}

async fn open(target: &QueueTarget) -> anyhow::Result<Arc<dyn Queue>> {
    let folder = target.data_dir();
    if target.queue.queue_transport == Transport::Embedded {
        // Opening would make an empty one, and its zeros would be taken for an answer.
        let there = folder.join(embedded::FILE_NAME).exists();
        ensure!(there, "no embedded queue in {} (--data-dir, DATA_DIR)", folder.display());
    }
    Ok(queue::open(&target.queue, &folder).await?)
}

async fn answer(
    action: &QueueAction,
    target: &QueueTarget,
    queue: &dyn Queue,
) -> anyhow::Result<CommandOutput> {
    match action {
        QueueAction::Depth(_) => {
            let depth = queue.depth().await?;
            let transport = target.queue.queue_transport.as_str();
            let text = render::depth(transport, queue.name(), depth);
            let mut json = json!(depth);
            json["transport"] = json!(transport);
            json["queue"] = json!(queue.name());
            Ok(CommandOutput { text, json })
        }
        QueueAction::Dead(DeadAction::List { limit, .. }) => {
            let letters = queue.dead_letters(*limit).await?;
            let all: Vec<_> = letters.iter().map(render::object).collect();
            Ok(CommandOutput {
                text: render::list(&letters),
                json: json!({ "count": all.len(), "deadLetters": all }),
            })
        }
        QueueAction::Dead(DeadAction::Show { id, .. }) => {
            let letter = find(queue, id).await?;
            Ok(CommandOutput { text: render::show(&letter), json: render::object(&letter) })
        }
        QueueAction::Dead(DeadAction::Replay { id, .. }) => {
            let replayed = queue.replay(id.as_deref()).await?;
            if let (Some(id), 0) = (id, replayed) {
                bail!("there is no dead letter with the id {id:?}");
            }
            let text = format!("{replayed} sent back to the queue\n");
            Ok(CommandOutput { text, json: json!({ "replayed": replayed }) })
        }
    }
}

async fn find(queue: &dyn Queue, id: &str) -> anyhow::Result<DeadLetter> {
    let letters = queue.dead_letters(SEARCHED).await?;
    let found = letters.into_iter().find(|letter| letter.message.id == id);
    found.with_context(|| format!("there is no dead letter with the id {id:?}"))
}

/// Notes that the lab on this machine uses another queue than the one that was read.
async fn warn_of_another_queue(target: &QueueTarget, queue: &dyn Queue) {
    let url = format!("http://127.0.0.1:{}/stats", target.ports.ports().of(Role::Notify));
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    let Ok(Some(stats)) = http.get(&url).await.map(|answer| answer.json::<Value>()) else { return };
    let (Some(transport), Some(name)) = (stats["transport"].as_str(), stats["queue"].as_str()) else {
        return;
    };
    let ours = (target.queue.queue_transport.as_str(), queue.name());
    if (transport, name) != ours {
        let _ = writeln!(
            std::io::stderr(),
            "note: the lab on this machine uses {}/{}, this was {}/{}",
            escaped(transport),
            escaped(name),
            ours.0,
            ours.1
        );
    }
}
