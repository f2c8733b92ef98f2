//! Where the cgroup hierarchies are mounted, and where in them this process is.

use super::super::raw_clock::RawInstant;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A cgroup hierarchy that can hold a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// Version 2.
    Unified,
    /// Version 1, with the freezer controller.
    Freezer,
}

/// The directory of the cgroup that this process is in.
///
/// `None` if the hierarchy is not mounted, or this process is outside of what is mounted (in a
/// container that sees only a part of it).
pub(super) fn own_directory(hierarchy: Hierarchy) -> Option<PathBuf> {
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let within = hierarchy.path_within(&cgroups)?;
    mounts
        .split(|byte| *byte == b'\n')
        .filter_map(Mount::parse)
        .filter(|mount| hierarchy.is_mounted_by(mount))
        .find_map(|mount| mount.directory_of(within))
}

/// A name that no other run has taken: the number of this process, and the moment.
pub(super) fn fresh_leaf(parent: &Path) -> PathBuf {
    let moment = RawInstant::read().as_nanos();
    parent.join(format!("tlease-{}-{moment:x}", std::process::id()))
}

impl Hierarchy {
    /// The path of this process in the hierarchy, from lines as in `/proc/self/cgroup`.
    fn path_within(self, cgroups: &str) -> Option<&str> {
        cgroups.lines().find_map(|line| {
            let (id, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it = match self {
                Self::Unified => id == "0" && controllers.is_empty(),
                Self::Freezer => controllers.split(',').any(|name| name == "freezer"),
            };
            is_it.then_some(path)
        })
    }

    fn is_mounted_by(self, mount: &Mount) -> bool {
        match self {
            Self::Unified => mount.file_system == b"cgroup2",
            Self::Freezer => {
                let mut options = mount.options.split(|byte| *byte == b',');
                mount.file_system == b"cgroup" && options.any(|option| option == b"freezer")
            }
        }
    }
}

/// What one line of `/proc/self/mountinfo` says.
#[derive(Debug)]
struct Mount {
    /// The part of the file system that is mounted.
    root: PathBuf,
    point: PathBuf,
    file_system: Vec<u8>,
    /// Of the file system, not of the mount.
    options: Vec<u8>,
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = unescaped(fields.nth(3)?);
        let point = unescaped(fields.next()?);
        // Any number of optional fields, then a hyphen.
        let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
        let file_system = fields.next()?.to_vec();
        let options = fields.nth(1)?.to_vec();
        Some(Self { root, point, file_system, options })
    }

    fn directory_of(&self, within: &str) -> Option<PathBuf> {
        let below = Path::new(within).strip_prefix(&self.root).ok()?;
        // A path with ".." lies outside of this cgroup namespace.
        let is_inside = below.components().all(|part| part != std::path::Component::ParentDir);
        is_inside.then(|| self.point.join(below))
    }
}

/// A path of mountinfo, in which blanks and the like stand as `\040`.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        path.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "9:name=systemd:/\n6:freezer:/jobs\n0::/user.slice/a b\n";

    #[test]
    fn finds_its_own_path_in_each_hierarchy() {
        assert_eq!(Hierarchy::Unified.path_within(HYBRID), Some("/user.slice/a b"));
        assert_eq!(Hierarchy::Freezer.path_within(HYBRID), Some("/jobs"));
        assert_eq!(Hierarchy::Freezer.path_within("0::/\n"), None);
        assert_eq!(Hierarchy::Unified.path_within("6:freezer:/\n"), None);
    }

    #[test]
    fn reads_mount_points_with_optional_fields_and_blanks() {
        let line = b"31 24 0:27 / /sys/fs/c\\040g rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate";
        let mount = Mount::parse(line).unwrap();
        assert!(Hierarchy::Unified.is_mounted_by(&mount));
        assert!(!Hierarchy::Freezer.is_mounted_by(&mount));
        assert_eq!(mount.directory_of("/user.slice"), Some("/sys/fs/c g/user.slice".into()));
    }

    #[test]
    fn a_mount_of_a_part_shows_only_that_part() {
        let line = b"31 24 0:27 /docker/x /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer";
        let mount = Mount::parse(line).unwrap();
        assert!(Hierarchy::Freezer.is_mounted_by(&mount));
        let inside = mount.directory_of("/docker/x/y");
        assert_eq!(inside, Some("/sys/fs/cgroup/freezer/y".into()));
        assert_eq!(mount.directory_of("/docker/z"), None);
        assert_eq!(mount.directory_of("/docker/x/../z"), None);
    }

    #[test]
    fn lines_that_are_no_mounts_are_nothing() {
        assert!(Mount::parse(b"").is_none());
        assert!(Mount::parse(b"31 24 0:27 / /sys rw shared:1").is_none());
    }
}
