//! A token from the command line, or in a file.

use super::text::{BadToken, Token};
use crate::exit::{Exit, Failure};
use clap::Args;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the token is.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Given {
    /// The token, as 'tlease acquire' printed it; '-' reads it from standard input, which other users
    /// cannot see in the list of processes
    #[arg(value_name = "TOKEN")]
    token: Option<String>,

    /// The file that holds the token
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

impl Given {
    pub(super) fn token(&self) -> Result<Token, Failure> {
        let text = match (&self.token, &self.token_file) {
            (Some(dash), _) if dash == "-" => {
                let mut text = String::new();
                let read = io::stdin().take(TOKEN_MAX).read_to_string(&mut text);
                read.map_err(|why| malformed(&format!("cannot read standard input: {why}")))?;
                text
            }
            (Some(text), _) => text.clone(),
            (None, Some(path)) => fs::read_to_string(path)
                .map_err(|why| malformed(&format!("cannot read '{}': {why}", path.display())))?,
            (None, None) => return Err(malformed("no token was given")),
        };
        text.parse().map_err(|why: BadToken| malformed(&why.to_string()))
    }
}

/// Writes the token into a file that only this user can read, in place of what was there.
pub(super) fn write(token: &Token, path: &Path) -> Result<(), Failure> {
    let mut aside = path.to_path_buf().into_os_string();
    aside.push(format!(".{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| writeln!(file, "{token}"))
        .and_then(|()| fs::rename(&aside, path));
    written.map_err(|why| {
        let _ = fs::remove_file(&aside);
        Failure::broken(&format!("cannot write '{}'", path.display()), &why)
    })
}

fn malformed(sentence: &str) -> Failure {
    Failure::new(Exit::Malformed, sentence)
}

/// Far longer than any token.
const TOKEN_MAX: u64 = 64 << 10;
