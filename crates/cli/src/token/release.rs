//! `tlease release`: gives the lease of a token back.

use super::given::Given;
use super::prove;
use super::renew::which;
use crate::ask::Context;
use crate::exit::{Exit, Failure};
use crate::show::{Form, object, text};
use clap::Args;
use std::fs;

/// Gives the lease of a token back: the name is free for others at once.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    given: Given,

    #[command(flatten)]
    form: Form,
}

impl ReleaseArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let token = self.given.token()?;
        let was_held = prove::release(&token, &which(context, &token), context.notes)?;
        if let Some(path) = &self.given.token_file {
            // It proves nothing any more; left behind it only misleads.
            let _ = fs::remove_file(path);
        }
        if !was_held {
            let sentence = format!(
                "the lease {} was over already: it had ended, was given back, or the granter restarted",
                token.name
            );
            return Err(Failure::new(Exit::Lost, sentence));
        }
        if self.form.json {
            let fields = object([
                ("event", "released".into()),
                ("name", text(token.name.as_bytes())),
                ("fence", token.fence.get().into()),
            ]);
            self.form.print("", &fields)?;
        }
        context.notes.news(&format!("{} released", token.name));
        Ok(Exit::Done)
    }
}
