//! A folder that only its owner can enter, for the child's sockets and connection files.
//!
//! Who is killed cleans nothing up. So a folder is locked (`flock`) as long as its supervisor
//! lives, and the next supervisor removes those that are not.

use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const PREFIX: &str = "memprofile-kernel-";
/// A socket's path has at most 107 bytes, of which what comes after the base takes this many.
const LONGEST_BASE: usize = 50;

/// The folder; it goes with what is in it when this is dropped.
#[derive(Debug)]
pub struct PrivateFolder {
    path: PathBuf,
    _lock: File,
}

impl PrivateFolder {
    /// Makes one in the folder for temporary files, and removes what dead supervisors left there.
    pub fn make() -> io::Result<PrivateFolder> {
        let base = std::env::temp_dir();
        let fits = base.as_os_str().len() <= LONGEST_BASE;
        PrivateFolder::make_in(if fits { &base } else { Path::new("/tmp") })
    }

    fn make_in(base: &Path) -> io::Result<PrivateFolder> {
        remove_abandoned(base);
        loop {
            let now = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_err(io::Error::other)?;
            let path =
                base.join(format!("{PREFIX}{}-{:08x}", std::process::id(), now.subsec_nanos()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Before it is locked another one may take it for abandoned.
            if let Ok(lock) = File::open(&path)
                && flock(&lock, FlockOperation::LockExclusive).is_ok()
                && is_at(&lock, &path)
            {
                return Ok(PrivateFolder { path, _lock: lock });
            }
        }
    }

    /// A new folder inside of it.
    pub fn subfolder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a folder with all that is in it, and says where it cannot.
pub fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        eprintln!("memprofile kernel: {} stays, remove it by hand: {error}", path.display());
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => open.ino() == there.ino() && open.dev() == there.dev(),
        _ => false,
    }
}

fn remove_abandoned(base: &Path) {
    let mine = rustix::process::getuid().as_raw();
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|m| m.is_dir() && m.uid() == mine);
        if !ours {
            continue;
        }
        let path = entry.path();
        if let Ok(folder) = File::open(&path)
            && flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()
            && is_at(&folder, &path)
        {
            remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("memprofile-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        path
    }

    fn kept(base: &Path) -> usize {
        std::fs::read_dir(base).expect("the base").count()
    }

    #[test]
    fn nobody_else_may_enter_and_it_goes_with_its_owner() {
        let base = base("owner");
        let folder = PrivateFolder::make_in(&base).expect("a folder");
        let inner = folder.subfolder("1").expect("a subfolder");
        for path in [&folder.path, &inner] {
            let mode = std::fs::metadata(path).expect("it is there").mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        drop(folder);
        assert_eq!(kept(&base), 0);
        remove(&base);
    }

    #[test]
    fn what_a_dead_supervisor_left_is_removed_and_what_a_live_one_has_is_not() {
        let base = base("abandoned");
        let live = PrivateFolder::make_in(&base).expect("a folder");
        let abandoned = base.join(format!("{PREFIX}1-00000000"));
        std::fs::create_dir(&abandoned).expect("an abandoned folder");
        std::fs::write(abandoned.join("socket-1"), "").expect("a file in it");
        let other = PrivateFolder::make_in(&base).expect("another folder");
        assert!(live.path.exists() && other.path.exists() && !abandoned.exists());
        drop((live, other));
        assert_eq!(kept(&base), 0);
        remove(&base);
    }
}
