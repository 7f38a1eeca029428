//! Who ran out of memory: what the kernel counts when it ends a process.
//!
//! Of cgroup-v2 `memory.events`, of cgroup-v1 `memory.oom_control` and `memory.failcnt`
//! (the kernel's admin-guide), and of the machine `oom_kill` in `/proc/vmstat`.

use super::PAGE;
use super::proc_files::kib;
use crate::profile::Bytes;
use std::fs;
use std::path::{Path, PathBuf};

/// A limit of no use: "as much as there is".
const NONE: u64 = 1 << 60;

/// The control group that a process was in, and what the kernel had counted by then.
#[derive(Debug, Clone)]
pub struct OutOfMemory {
    group: Option<Group>,
    before: Counts,
}

#[derive(Debug, Clone)]
struct Group {
    folder: PathBuf,
    unified: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    /// Processes ended in the group.
    ended_in_group: Option<u64>,
    /// How often the group's own limit was in the way.
    limit_met: Option<u64>,
    /// Processes ended on the machine.
    ended_at_all: Option<u64>,
}

/// Whose memory was at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The control group's: a container's, or a job's.
    Group(Option<Bytes>),
    /// The machine's.
    Machine(Option<Bytes>),
}

impl OutOfMemory {
    /// Begins to watch for the end of the process.
    pub fn watch(pid: u32) -> OutOfMemory {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let group = group_of(&text, Path::new("/sys/fs/cgroup"));
        OutOfMemory { before: Counts::now(group.as_ref()), group }
    }

    /// Whether the kernel has ended a process for want of memory since then, and whose that was;
    /// `None` where it has not, or does not say. The process itself need not have been it.
    pub fn seen(&self) -> Option<Whose> {
        let now = Counts::now(self.group.as_ref());
        let grown =
            |of: fn(&Counts) -> Option<u64>| of(&now).zip(of(&self.before)).map(|(a, b)| a > b);
        let anywhere = grown(|c| c.ended_at_all) == Some(true);
        match grown(|c| c.ended_in_group) {
            Some(false) => None,
            None if !anywhere => None,
            ended if ended.is_some() && grown(|c| c.limit_met) == Some(true) => {
                Some(Whose::Group(self.limit()))
            }
            _ => Some(Whose::Machine(machine())),
        }
    }

    /// How much the group may take; `None` without a limit.
    pub fn limit(&self) -> Option<Bytes> {
        self.group.as_ref().and_then(Group::limit)
    }
}

/// What the machine has.
fn machine() -> Option<Bytes> {
    kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:").map(Bytes)
}

/// The resident set size of a process; `None` when it is gone.
pub fn resident(pid: u32) -> Option<Bytes> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(Bytes(text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()? * PAGE))
        .filter(|b| b.0 > 0)
}

impl Group {
    fn number(folder: &Path, file: &str) -> Option<u64> {
        fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
    }

    /// The least of its own limit and those of the groups that it is in.
    fn limit(&self) -> Option<Bytes> {
        let file = if self.unified { "memory.max" } else { "memory.limit_in_bytes" };
        let limits = self.folder.ancestors().filter_map(|folder| Group::number(folder, file));
        limits.filter(|limit| *limit < NONE).min().map(Bytes)
    }
}

impl Counts {
    fn now(group: Option<&Group>) -> Counts {
        let line = |text: &str, label: &str| -> Option<u64> {
            // Labels begin alike: `oom_kill_disable`.
            let value =
                |line: &'_ str| line.strip_prefix(label)?.strip_prefix(' ')?.trim().parse().ok();
            text.lines().find_map(value)
        };
        let counted = |file: &str, label: &str| {
            line(&fs::read_to_string(group?.folder.join(file)).ok()?, label)
        };
        let unified = group.is_some_and(|group| group.unified);
        let (ended_in_group, limit_met) = if unified {
            (counted("memory.events", "oom_kill"), counted("memory.events", "oom"))
        } else {
            let failed = group.and_then(|g| Group::number(&g.folder, "memory.failcnt"));
            (counted("memory.oom_control", "oom_kill"), failed)
        };
        let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        Counts { ended_in_group, limit_met, ended_at_all: line(&vmstat, "oom_kill") }
    }
}

/// The group that counts memory, from `/proc/<pid>/cgroup`. In a container the path may be that
/// of the machine outside; then what is mounted is the group itself.
fn group_of(text: &str, root: &Path) -> Option<Group> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("memprofile-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
            fs::write(path, text).expect("it can be written");
        }
        root
    }

    fn watched(root: &Path, cgroup: &str) -> OutOfMemory {
        let group = group_of(cgroup, root);
        OutOfMemory { before: Counts::now(group.as_ref()), group }
    }

    #[test]
    fn a_group_whose_limit_was_met_is_named_with_it() {
        let root = tree(
            "unified",
            &[
                ("a/b/memory.events", "low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n"),
                ("a/b/memory.max", "max\n"),
                ("a/memory.max", "1073741824\n"),
            ],
        );
        let watched = watched(&root, "0::/a/b\n");
        assert_eq!(watched.seen(), None);
        fs::write(root.join("a/b/memory.events"), "oom 1\noom_kill 1\noom_group_kill 0\n")
            .expect("it can be written");
        assert_eq!(watched.seen(), Some(Whose::Group(Some(Bytes(1 << 30)))));
        fs::write(root.join("a/b/memory.events"), "oom 0\noom_kill 1\n")
            .expect("it can be written");
        assert!(matches!(watched.seen(), Some(Whose::Machine(Some(_)))));
        fs::remove_dir_all(root).expect("it is there");
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_root() {
        let counted = "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n";
        let files = [("memory/memory.oom_control", counted), ("memory/memory.failcnt", "7\n")];
        let root = tree("container", &files);
        let watched = watched(&root, "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n");
        assert_eq!(watched.before.ended_in_group, Some(4));
        fs::write(root.join("memory/memory.oom_control"), counted.replace('4', "5"))
            .expect("writable");
        fs::write(root.join("memory/memory.failcnt"), "9\n").expect("writable");
        assert_eq!(watched.seen(), Some(Whose::Group(None)));
        fs::remove_dir_all(root).expect("it is there");
    }

    #[test]
    fn this_process_has_a_resident_set() {
        assert!(resident(std::process::id()).is_some_and(|rss| rss.0 > PAGE));
        assert_eq!(resident(u32::MAX), None);
    }
}
