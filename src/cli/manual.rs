//! `o11y-lab completions` and `o11y-lab man`: both are made of the commands as they are parsed, without the hidden ones.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::completions;
use crate::config::{CompletionsConfig, ManConfig};
use crate::lab::tolerate_closed_pipe;

/// Prints the script by which a shell completes commands, flags and their values.
///
/// # Errors
/// Standard output takes nothing.
pub(super) fn completions(config: &CompletionsConfig) -> anyhow::Result<()> {
    print(&script(config.shell))
}

fn script(shell: Shell) -> Vec<u8> {
    // Into memory, for it would panic where standard output is a pipe that was closed.
    let mut script = Vec::new();
    let mut command = completions::offered(shown());
    clap_complete::generate(shell, &mut command, super::NAME, &mut script);
    if shell == Shell::Fish {
        script.extend(completions::fish_positionals(&command).into_bytes());
    }
    if shell != Shell::Bash {
        return script;
    }
    // clap_complete 4.6 writes the hyphen of the program's name in two ways, and then finds no command below it.
    let [wrong, right] = ["__subcmd__", "__"].map(|hyphen| super::NAME.replace('-', hyphen));
    String::from_utf8_lossy(&script).replace(&wrong, &right).into_bytes()
}

/// Prints one page, or writes a page for each command.
///
/// # Errors
/// There is no such command, or no place for the pages.
pub(super) fn man(config: &ManConfig) -> anyhow::Result<()> {
    let mut root = shown().disable_help_subcommand(true);
    root.build();
    if let Some(folder) = &config.out {
        let named = || format!("the folder {} (--out)", folder.display());
        std::fs::create_dir_all(folder).with_context(named)?;
        for command in all(&root) {
            let page = Man::new(command.clone());
            std::fs::write(folder.join(page.get_filename()), rendered(&page)?).with_context(named)?;
        }
        return Ok(());
    }
    let mut command = &root;
    for word in &config.command {
        let Some(below) = command.find_subcommand(word) else {
            let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            bail!("there is no command '{word}' here: expected one of {}", names.join(", "));
        };
        command = below;
    }
    print(&rendered(&Man::new(command.clone()))?)
}

/// In ASCII, with groff's names for all other characters: not every reader of pages knows their encoding.
fn rendered(page: &Man) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render(&mut text)?;
    let mut ascii = String::with_capacity(text.len());
    for c in String::from_utf8_lossy(&text).chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            ascii.push_str(&format!("\\[u{:04X}]", u32::from(c)));
        }
    }
    Ok(ascii.into_bytes())
}

fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    tolerate_closed_pipe(stdout.write_all(text).and_then(|()| stdout.flush()))
}

/// The command and all below it.
fn all(command: &Command) -> Vec<&Command> {
    std::iter::once(command).chain(command.get_subcommands().flat_map(all)).collect()
}

/// The program's commands without those that no help shows: the shells' scripts would have them.
fn shown() -> Command {
    let whole = super::command();
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new(super::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .after_help(whole.get_after_help().cloned().unwrap_or_default())
        .subcommand_required(true)
        .subcommands(shown.collect::<Vec<_>>())
}
