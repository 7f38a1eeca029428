//! The control group that counts a process's memory: of cgroup-v2, or of v1 (the kernel's admin-guide).

use super::memory_left::Left;
use crate::profile::Bytes;
use std::fs;
use std::path::{Path, PathBuf};

/// A limit of no use: "as much as there is".
const NONE: u64 = 1 << 60;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) folder: PathBuf,
    pub(super) unified: bool,
}

impl Group {
    /// That of a process; `None` where the kernel counts none.
    pub(super) fn of(pid: u32) -> Option<Group> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        Group::named(&text, Path::new("/sys/fs/cgroup"))
    }

    /// The group that counts memory, from `/proc/<pid>/cgroup`. In a container the path may be that
    /// of the machine outside; then what is mounted is the group itself.
    pub(super) fn named(text: &str, root: &Path) -> Option<Group> {
        let mut found = None;
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let unified = controllers.is_empty();
            if !unified && !controllers.split(',').any(|name| name == "memory") {
                continue;
            }
            let mounted = if unified { root.to_owned() } else { root.join("memory") };
            let counts = if unified { "memory.events" } else { "memory.oom_control" };
            let inner = mounted.join(path.trim_start_matches('/'));
            let folder = [inner, mounted].into_iter().find(|folder| folder.join(counts).exists());
            if let Some(folder) = folder {
                let group = Group { folder, unified };
                if !unified {
                    return Some(group);
                }
                found = Some(group);
            }
        }
        found
    }

    /// A file that holds one number.
    pub(super) fn number(folder: &Path, file: &str) -> Option<u64> {
        fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
    }

    /// The groups that have a limit, this one and those that it is in, each with it.
    fn limited(&self) -> impl Iterator<Item = (&Path, u64)> {
        let file = if self.unified { "memory.max" } else { "memory.limit_in_bytes" };
        let limit = move |folder| Some((folder, Group::number(folder, file)?));
        self.folder.ancestors().filter_map(limit).filter(|(_, limit)| *limit < NONE)
    }

    /// The least of its own limit and those of the groups that it is in.
    pub(super) fn limit(&self) -> Option<Bytes> {
        self.limited().map(|(_, limit)| Bytes(limit)).min()
    }

    /// What the group may still take, where `swap` bytes of swap space are free: the least of its own and
    /// of those that it is in. Pages of files and slabs that the kernel can drop are none that it has
    /// taken for good. Of v1 swap is left out: there it has no limit of its own.
    pub(super) fn left(&self, swap: u64) -> Option<Left> {
        let left = |(folder, limit): (&Path, u64)| {
            let file = if self.unified { "memory.current" } else { "memory.usage_in_bytes" };
            let taken = Group::number(folder, file)?;
            let kept = taken.saturating_sub(self.reclaimable(folder));
            let swap = if self.unified {
                let most = Group::number(folder, "memory.swap.max");
                let used = Group::number(folder, "memory.swap.current");
                most.zip(used).map_or(swap, |(most, used)| swap.min(most.saturating_sub(used)))
            } else {
                0
            };
            let bytes = Bytes(limit.saturating_sub(kept));
            Some(Left { bytes, swap: Bytes(swap), all: Bytes(limit), of_group: true })
        };
        self.limited().filter_map(left).min_by_key(|left| left.bytes.0 + left.swap.0)
    }

    /// Of v1 the figures that begin with `total_` are those of the groups in it, too, as its usage is.
    fn reclaimable(&self, folder: &Path) -> u64 {
        let labels: &[&str] = if self.unified {
            &["inactive_file", "active_file", "slab_reclaimable"]
        } else {
            &["total_inactive_file", "total_active_file"]
        };
        let text = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        labels.iter().filter_map(|label| line(&text, label)).sum()
    }
}

/// The number on the line of a label.
pub(super) fn line(text: &str, label: &str) -> Option<u64> {
    let of_label = |line: &str| -> Option<u64> {
        line.strip_prefix(label)?.strip_prefix(' ')?.trim().parse().ok()
    };
    text.lines().find_map(of_label)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with these files; whoever makes it removes it.
    pub(in crate::process) fn tree(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("memprofile-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }
        root
    }

    #[test]
    fn what_the_kernel_can_drop_is_left() {
        let files = [
            ("a/b/memory.events", ""),
            ("a/b/memory.max", "max\n"),
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "700\n"),
            (
                "a/memory.stat",
                "anon 100\nfile 500\ninactive_file 300\nactive_file 150\nslab_reclaimable 50\nslab_unreclaimable 40\n",
            ),
            ("a/memory.swap.max", "64\n"),
            ("a/memory.swap.current", "60\n"),
        ];
        let root = tree("left", &files);
        let group = Group::named("0::/a/b\n", &root).expect("it is there");
        let expected = Left { bytes: Bytes(800), swap: Bytes(4), all: Bytes(1000), of_group: true };
        assert_eq!(group.left(1 << 30), Some(expected));
        assert_eq!(group.left(0).map(|left| left.swap), Some(Bytes(0)));
        fs::remove_dir_all(root).expect("it is there");
    }

    #[test]
    fn the_older_hierarchy_counts_what_is_below_it() {
        let files = [
            ("memory/memory.oom_control", ""),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/job/memory.oom_control", ""),
            ("memory/job/memory.limit_in_bytes", "1000\n"),
            ("memory/job/memory.usage_in_bytes", "900\n"),
            (
                "memory/job/memory.stat",
                "inactive_file 1\ntotal_inactive_file 200\ntotal_active_file 50\n",
            ),
        ];
        let root = tree("left-v1", &files);
        let of = |text: &str| Group::named(text, &root).expect("it is there").left(1 << 30);
        let expected = Left { bytes: Bytes(350), swap: Bytes(0), all: Bytes(1000), of_group: true };
        assert_eq!(of("4:memory:/job\n"), Some(expected));
        assert_eq!(of("4:memory:/\n"), None, "a limit of all that there is is none");
        fs::remove_dir_all(root).expect("it is there");
    }
}
