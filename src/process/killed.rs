//! Who ran out of memory: what the kernel counts when it ends a process.
//!
//! Of cgroup-v2 `memory.events`, of cgroup-v1 `memory.oom_control` and `memory.failcnt`
//! (the kernel's admin-guide), and of the machine `oom_kill` in `/proc/vmstat`.

use super::PAGE;
use super::Resident;
use super::control_group::{Group, line};
use super::proc_files::kib;
use crate::profile::Bytes;
use std::fs;

/// The control group that a process was in, and what the kernel had counted by then.
#[derive(Debug, Clone)]
pub struct OutOfMemory {
    group: Option<Group>,
    before: Counts,
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
        let group = Group::of(pid);
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

/// The resident set of a process; `None` when it is gone.
pub fn resident(pid: u32) -> Option<Resident> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split_ascii_whitespace().skip(1).map(|field| field.parse::<u64>().ok());
    let (all, of_files) = (pages.next()??, pages.next()??);
    (all > 0).then_some(Resident { all: Bytes(all * PAGE), of_files: Bytes(of_files * PAGE) })
}

impl Counts {
    fn now(group: Option<&Group>) -> Counts {
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

#[cfg(test)]
mod tests {
    use super::super::control_group::tests::tree;
    use super::*;
    use std::path::Path;

    fn watched(root: &Path, cgroup: &str) -> OutOfMemory {
        let group = Group::named(cgroup, root);
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
        assert!(
            resident(std::process::id())
                .is_some_and(|r| r.anonymous().0 > PAGE && r.all > r.anonymous())
        );
        assert_eq!(resident(u32::MAX), None);
    }
}
