//! A leader publishes its epoch in one word of shared memory: also without hardware transactions, by a
//! weaker promise that is named.

use std::error::Error;

use tlease::Client;
use tlease::guard::Refusal;
use tlease::memory::Region;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let client = Client::connect(format!("embedded:{}", directory.path().display())).await?;
    let region = Region::new(512)?;
    let leader_epoch = region.word(0).ok_or("the region is too small")?;

    for _ in 0..2 {
        let lease = client.acquire("leader").await?;
        match lease.publish(&leader_epoch, lease.fence().get()) {
            Ok(published) => {
                println!("epoch {} published by {:?}", leader_epoch.load(), published.strength)
            }
            Err(Refusal::Unsupported(missing)) => println!("this machine lacks {missing}"),
            Err(refusal) => println!("not published: {refusal}"),
        }
        lease.release().await?;
    }
    client.close().await;
    Ok(())
}
