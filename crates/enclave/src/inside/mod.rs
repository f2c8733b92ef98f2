//! The programs in the enclave. Each starts timekeepers, and is then what its arguments say.

mod act;
mod clock;
mod granter;
mod holder;
mod page;
mod peer;

use crate::config::Config;
use crate::course::Wish;
use crate::role::Role;
use page::Page;
use std::fmt::Display;
use std::process::exit;

pub(crate) fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let role = Role::of(&words).unwrap_or_else(|usage| end(usage));
    let config = Config::measured().unwrap_or_else(|why| end(why));
    for warning in config.peers.warnings() {
        println!("{warning}");
    }
    let page = |address| Page::at(address).unwrap_or_else(|| end("the page is not the host's"));
    match role {
        Role::Clock { times } => clock::show(&config, times),
        Role::Granter { listen, page: address } => granter::serve(&config, &listen, page(address)),
        Role::Holder { granter, page: address, log, name, acts, way } => {
            let log = page(address).log(log);
            let wish = Wish { name, term: config.limits.term_max, acts };
            holder::hold(&config, &granter, log, wish, way)
        }
    }
}

/// Says why, and ends the enclave.
fn end(why: impl Display) -> ! {
    println!("{why}");
    exit(1)
}
