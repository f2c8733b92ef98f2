//! The files of the repository, as they lie in the working tree.

use std::fs;
use std::path::{Path, PathBuf};

/// Every file below the root but build output and what hidden directories hold.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// Text files by their path from the root, with `/` between the parts, sorted.
    pub(crate) files: Vec<File>,
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads the workspace that this program belongs to.
    ///
    /// # Errors
    /// When a directory or a file of it cannot be read.
    pub(crate) fn of_workspace() -> std::io::Result<Self> {
        let root = root();
        let mut files = Vec::new();
        collect(&root, &root, &mut files)?;
        files.sort_by(|a: &File, b: &File| a.path.cmp(&b.path));
        Ok(Self { root, files })
    }

    /// The text of a file, if it is there.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Files whose path starts and ends so.
    pub(crate) fn matching<'a>(
        &'a self,
        starts: &'a str,
        ends: &'a str,
    ) -> impl Iterator<Item = &'a File> {
        self.files
            .iter()
            .filter(move |file| file.path.starts_with(starts) && file.path.ends_with(ends))
    }
}

/// The workspace's directory: the parent of this package's.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let parent = package.as_deref().and_then(Path::parent);
    parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<File>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !is_skipped(&name) {
            collect(root, &entry.path(), files)?;
        } else if kind.is_file() {
            let path = entry.path();
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            // What is not text has nothing to check. A file that went away meanwhile has not either.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}

/// Build output, and hidden directories but the two that are ours.
fn is_skipped(directory: &str) -> bool {
    let is_ours = matches!(directory, ".ci" | ".cargo");
    (directory.starts_with('.') && !is_ours)
        || directory == "target"
        || directory.starts_with("target-")
}
