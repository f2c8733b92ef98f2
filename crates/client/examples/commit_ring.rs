//! Orders into a ring in shared memory: each appears while the lease is valid, or not at all.

use std::error::Error;

use tlease::Client;
use tlease::guard::Refusal;
use tlease::memory::{Region, WhenFull};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let client = Client::connect(format!("embedded:{}", directory.path().display())).await?;
    println!("{}", client.clock());

    let region = Region::new(4096)?; // other processes map it through `region.fd()`
    let orders = region.create_ring(0, 64, WhenFull::Refuse)?;
    let total = region.word(4000).ok_or("the region is too small")?;

    let desk = client.acquire("desk/7").await?;
    for order in 1..=3 {
        // Both effects at one instant.
        let placed = desk.commit(&(orders, total), |act| {
            act.store(&total, act.load(&total) + order);
            act.append(&orders, [order; 6])
        });
        match placed {
            Ok(committed) => println!("order {order} is at {}", committed.value?),
            Err(Refusal::Unsupported(missing)) => {
                println!("no commits here: this machine lacks {missing}");
                break;
            }
            Err(refusal) => println!("order {order} was not placed: {refusal}"),
        }
    }

    let clone = desk.clone();
    desk.release().await?;
    let late = clone.commit(&orders, |act| act.append(&orders, [4; 6]));
    println!("after the release: {}", late.err().ok_or("it must be refused")?);

    while let Some(entry) = orders.take() {
        // A consumer that carries an entry out of memory acts later: it passes the fence on.
        println!("took order {} under fence {}", entry.payload[0], entry.fence);
    }
    client.close().await;
    Ok(())
}
