//! The test that an image depends on its sources alone: built again in another folder, it measures the
//! same.

use super::Stop;
use super::build::{self, Image, Source};
use crate::tree::Tree;
use std::fs;
use std::path::Path;

/// Builds a copy of the workspace elsewhere, from nothing, and compares.
pub(super) fn measures_the_same(here: &Source, image: &Image) -> Result<(), Stop> {
    let root = here.target.join("elsewhere/and-deeper");
    let failed = |error: std::io::Error| Stop::Failed(format!("{}: {error}", root.display()));
    if root.exists() {
        fs::remove_dir_all(&root).map_err(failed)?;
    }
    copy(&root).map_err(failed)?;
    let target = root.join("target/other");
    let there = Source { target, root: root.clone(), fences: here.fences };
    let again = build::image(&there, "")?;
    fs::remove_dir_all(&root).map_err(failed)?;
    if again.measurement == image.measurement {
        println!("the same in another folder: {}", again.measurement);
        return Ok(());
    }
    let (one, other) = (&image.measurement, &again.measurement);
    Err(Stop::Failed(format!(
        "one source, two measurements: {one} here, {other} in another folder"
    )))
}

fn copy(to: &Path) -> std::io::Result<()> {
    for file in Tree::of_workspace()?.files {
        let path = to.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, file.text)?;
    }
    Ok(())
}
