//! The local granter: one for each user, started on demand, shared by all of the user's commands.
//!
//! It lives in `$XDG_STATE_HOME/tlease` (by default `~/.local/state/tlease`), a directory of mode 0700:
//! `socket` is where it listens, `granter/` its record, `log` what it logged, and `start.lock` is held
//! by a command that is starting it. Not in the runtime directory, which a logout erases under jobs
//! that go on. Names are per user: two users, or two containers, do not exclude each other.
//!
//! - `place`: the directory, and that it is nobody else's;
//! - `start`: finds the granter that runs, or starts one: at most one, however many commands come;
//! - `serve`: the granter itself, a detached process of this program.

mod place;
mod serve;
mod start;

pub(crate) use place::Place;
pub(crate) use serve::{ROLE, serve};
pub(crate) use start::reach;
