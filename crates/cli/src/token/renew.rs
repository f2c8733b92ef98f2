//! `tlease renew`: extends the lease of a token.

use super::given::{self, Given};
use super::{clock, prove, say};
use crate::ask::Context;
use crate::exit::{Exit, Failure};
use crate::granter::Which;
use crate::show::{self, Form};
use crate::span;
use clap::Args;
use tlease_core::time::Span;

/// Extends the lease of a token, and prints the token anew.
///
/// The old token goes on to work, but its deadline is the old one. If the granter has restarted, the lease
/// is reclaimed, provided that it is not over yet.
#[derive(Debug, Clone, Args)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    given: Given,

    /// A longer term from now on; a shorter one changes nothing
    #[arg(long, value_name = "SPAN", value_parser = span::parse_term)]
    term: Option<Span>,

    #[command(flatten)]
    form: Form,
}

impl RenewArgs {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let token = self.given.token()?;
        let clock = clock()?;
        let which = which(context, &token);
        let extended = prove::renew(&token, self.term, &which, &clock, context.notes)?;
        let token = extended.token;
        if let Some(path) = &self.given.token_file {
            given::write(&token, path)?;
        }
        context.notes.news(&say::sentence("renewed", &token, &clock));
        if let Some(recall) = extended.recall {
            let until = span::show(recall.until);
            context.notes.news(&format!(
                "{} is wanted back: it can be renewed no further than {until} from now; release it",
                token.name
            ));
        }
        match (self.form.json, &self.given.token_file) {
            (true, _) => {
                let mut fields = say::as_json("renewed", &token, &clock);
                fields.insert("recalled".into(), extended.recall.is_some().into());
                self.form.print("", &fields)?;
            }
            (false, Some(_)) => {}
            (false, None) => show::print(&token.to_string())?,
        }
        Ok(Exit::Done)
    }
}

/// The granter that was named, or else the one that gave the token.
pub(super) fn which(context: &Context, token: &super::text::Token) -> Which {
    match &context.which {
        Which::At(address) => Which::At(address.clone()),
        Which::Local => Which::of_token(&token.address),
    }
}
