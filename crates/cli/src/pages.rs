//! `tlease completions` and `tlease man`: made from the definition of the command line.

use crate::args::Tlease;
use crate::exit::{Exit, Failure};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Prints completions for a shell.
///
/// For bash: tlease completions bash > ~/.local/share/bash-completion/completions/tlease
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Tlease::command(), "tlease", &mut script);
        io::stdout().write_all(&script).map_err(|why| Failure::output(&why))?;
        Ok(Exit::Done)
    }
}

/// Prints the manual page, or writes one for each command.
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// Write tlease.1, tlease-run.1 and so on into this directory
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl ManArgs {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let mut root = Tlease::command();
        root.build();
        match &self.directory {
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(root)
                    .render(&mut page)
                    .and_then(|()| io::stdout().write_all(&page))
                    .map_err(|why| Failure::output(&why))?;
            }
            Some(directory) => write_all(root, directory).map_err(|why| {
                Failure::broken(&format!("cannot write into '{}'", directory.display()), &why)
            })?,
        }
        Ok(Exit::Done)
    }
}

fn write_all(root: clap::Command, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let commands: Vec<_> = root
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .map(|command| {
            let name = format!("tlease-{}", command.get_name());
            (name.clone(), command.clone().name(name))
        })
        .collect();
    write(directory, "tlease", root)?;
    commands.into_iter().try_for_each(|(name, command)| write(directory, &name, command))
}

fn write(directory: &Path, name: &str, command: clap::Command) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)
}
