//! The session in the README compiles, line by line as it stands there. What its calls do is for the
//! other tests.

use std::error::Error;
use std::time::Duration;

use tlease::enclave::{EnclaveSim, MachineProfile};
use tlease::memory::Ring;
use tlease::{Fence, FenceGate, Mode};

/// A resource that refuses older fences.
struct Store(FenceGate);

impl Store {
    async fn put(&mut self, _: &str, _: &str, fence: Fence) -> Result<(), tlease::StaleFence> {
        self.0.admit(fence, Mode::Exclusive)
    }
}

#[rustfmt::skip]
#[expect(dead_code, reason = "only compiled: there is no granter at that address")]
async fn session(
    mut store: Store, key: &str, value: &str, ring: Ring<'_>, order: [u64; 6],
) -> Result<(), Box<dyn Error>> {
let client = tlease::Client::connect("tcp://127.0.0.1:7420").await?;
let lease = client.acquire("jobs/nightly").term(Duration::from_secs(5)).await?; // renews itself

lease.ensure(Duration::from_millis(200)).await?; // at least this much is left, or an error
store.put(key, value, lease.fence()).await?;     // the resource refuses older fences
lease.commit(&ring, |act| act.append(&ring, order))?; // in memory: all of it, or nothing after the end
lease.check()?;                                  // valid for how long, or why not: no system call
lease.lost().await;                              // with the reason
Ok(())
}

#[rustfmt::skip]
#[expect(dead_code, reason = "only compiled: there is no such file")]
async fn timekeepers(address: &str) -> Result<tlease::Client, Box<dyn Error>> {
let machine: MachineProfile = std::fs::read_to_string("machine.toml")?.parse()?;
let client = tlease::Client::builder().profile(EnclaveSim::new(machine)).connect(address).await?;
Ok(client)
}

#[test]
fn what_the_readme_shows_in_rust_is_the_code_above() {
    let readme = include_str!("../../../README.md");
    let snippets = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    let snippets: Vec<&str> = snippets.collect();
    assert!(snippets[0].lines().count() > 5, "{snippets:?}");
    for snippet in snippets {
        assert!(include_str!("readme.rs").contains(snippet), "not compiled here:\n{snippet}");
    }
}
