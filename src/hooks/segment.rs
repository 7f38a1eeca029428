//! Memory that a process writes and its parent reads, also when the child was killed: the latest letter
//! (`latest.rs`) in a file without a name.
//!
//! The parent makes it ([`create`]), keeps it, and lets the child inherit it by its number; the child
//! maps it ([`Segment::map`]), the parent reads it with plain reads ([`Reader`]). It cannot be cut short or
//! grown, so that neither side can make the other fail. The pages go with the last process that has them.
//!
//! Layout, in words of this machine: [`MARK`], [`LAYOUT`], the size in bytes; on the next page the letter.

use super::latest::{Latest, WORD};
use std::fs::File;
use std::io;

/// `memprof` and a byte that is no letter.
const MARK: u64 = u64::from_ne_bytes(*b"memprof\x07");

/// The number of the layout: what is written with another number is not read.
const LAYOUT: u64 = 1;

/// Bytes of a letter at most.
pub const ROOM: usize = Letter::ROOM;

type Letter = Latest<{ (32 << 10) / WORD }>;

#[repr(C, align(4096))]
struct Head([u64; 3]);

#[repr(C)]
struct Shared {
    head: Head,
    letter: Letter,
}

const SIZE: u64 = size_of::<Shared>() as u64;

/// Not what this version makes: another file, or of another version.
fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no telemetry segment of this version")
}

fn read_at(file: &File, at: u64, room: &mut [u8]) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, room, at);
    #[cfg(not(unix))]
    {
        let _ = (file, at, room);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether a file is such a segment.
fn check(file: &File) -> io::Result<()> {
    let mut head = [0; 3 * WORD];
    read_at(file, 0, &mut head)?;
    let expected: Vec<u8> = [MARK, LAYOUT, SIZE].iter().flat_map(|w| w.to_ne_bytes()).collect();
    if head != expected[..] || file.metadata()?.len() != SIZE { Err(not_ours()) } else { Ok(()) }
}

/// Reads what a process writes.
#[derive(Debug)]
pub struct Reader(File);

impl Reader {
    /// Of a segment that [`create`] made.
    ///
    /// # Errors
    /// When it cannot be read, or is none of this version (`InvalidData`).
    pub fn new(segment: File) -> io::Result<Reader> {
        check(&segment)?;
        Ok(Reader(segment))
    }

    /// The last complete letter; `None` when there is none yet. The writer may be gone.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let offset = std::mem::offset_of!(Shared, letter) as u64;
        Letter::get_by(|at, room| read_at(&self.0, offset + at, room))
    }
}

#[cfg(target_os = "linux")]
pub use imp::{Segment, create};

#[cfg(target_os = "linux")]
mod imp {
    use super::*;
    use std::ffi::c_int;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::fs::FileExt;

    const SEALS: c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

    fn done(result: c_int) -> io::Result<c_int> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }

    /// A new one. It is inherited by every process that this one executes, under the same number.
    ///
    /// # Errors
    /// When the kernel has none to give.
    pub fn create() -> io::Result<File> {
        // SAFETY: the name ends with a zero; the new descriptor is nobody's yet.
        let file = unsafe {
            let flags = libc::MFD_ALLOW_SEALING;
            File::from_raw_fd(done(libc::memfd_create(c"memprofile".as_ptr(), flags))?)
        };
        file.set_len(SIZE)?;
        for (index, word) in [MARK, LAYOUT, SIZE].iter().enumerate() {
            file.write_all_at(&word.to_ne_bytes(), (index * WORD) as u64)?;
        }
        // SAFETY: it only changes what may be done with this file.
        done(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
        Ok(file)
    }

    /// A segment that this process writes. It stays mapped, also in forked children, which must not
    /// write to it.
    #[derive(Clone, Copy)]
    pub struct Segment(&'static Shared);

    impl std::fmt::Debug for Segment {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Segment")
        }
    }

    impl Segment {
        /// Takes over an inherited descriptor and closes it, so that no process of the user's gets it.
        ///
        /// # Errors
        /// When there is none by this number that [`create`] made in this version: then it is left alone.
        pub fn inherit(descriptor: i32) -> io::Result<Segment> {
            // SAFETY: it asks whether there is such a descriptor, and of what kind.
            let seals = done(unsafe { libc::fcntl(descriptor, libc::F_GET_SEALS) })?;
            if descriptor <= libc::STDERR_FILENO || seals & SEALS != SEALS {
                return Err(not_ours());
            }
            // SAFETY: it is open, as was just seen; it is given back below unless it is ours.
            let file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
            let mapped = check(&file).and_then(|()| Segment::map(&file));
            if mapped.is_err() {
                std::mem::forget(file);
            }
            mapped
        }

        /// Maps a segment that [`create`] made.
        ///
        /// # Errors
        /// When the kernel refuses.
        pub fn map(segment: &File) -> io::Result<Segment> {
            let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            let size = size_of::<Shared>();
            check(segment)?;
            // SAFETY: a new mapping where nothing else is.
            let start = unsafe {
                libc::mmap(std::ptr::null_mut(), size, prot, flags, segment.as_raw_fd(), 0)
            };
            if start == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: it is as long as a `Shared`, for ever (its seals), aligned to a page, and never
            // unmapped; zeros are a `Latest` without a letter, and all that use it do so by atomics.
            Ok(Segment(unsafe { &*start.cast::<Shared>() }))
        }

        /// Writes a letter; one at a time. Returns whether it fits.
        pub fn put(self, letter: &[u8]) -> bool {
            self.0.letter.put(letter)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};

    #[test]
    fn what_is_written_is_read() {
        let file = create().expect("the kernel has memfd_create");
        let reader = Reader::new(file.try_clone().expect("a second one")).expect("it is ours");
        let segment = Segment::map(&file).expect("it can be mapped");
        assert_eq!(reader.read().expect("it is there"), None);
        for letter in [b"one".to_vec(), Vec::new(), vec![7; ROOM]] {
            assert!(segment.put(&letter));
            assert_eq!(reader.read().expect("it is there"), Some(letter));
        }
        assert!(!segment.put(&[0; ROOM + 1]));
        assert!(file.set_len(1).is_err(), "nobody can cut it");
    }

    #[test]
    fn the_letter_of_a_killed_process_is_read() {
        let file = create().expect("the kernel has memfd_create");
        let reader = Reader::new(file.try_clone().expect("a second one")).expect("it is ours");
        let segment = Segment::map(&file).expect("it can be mapped");
        // SAFETY: the child does nothing but store to memory until it is killed.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let letters = [[1; 3000], [2; 3000]];
            loop {
                letters.iter().for_each(|letter| _ = segment.put(letter));
            }
        }
        while reader.read().expect("it is there").is_none() {}
        let mut status = 0;
        // SAFETY: a child of this process that was not waited for yet.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, &raw mut status, 0);
        }
        let letter = reader.read().expect("it is there").expect("the last complete one");
        assert!(letter.len() == 3000 && letter.iter().all(|byte| *byte == letter[0]), "{letter:?}");
    }

    #[test]
    fn another_file_is_left_alone() {
        let other = File::open("/proc/self/maps").expect("any file");
        assert!(Segment::inherit(other.as_raw_fd()).is_err());
        assert!(Reader::new(other.try_clone().expect("open still")).is_err());
        assert!(Segment::inherit(-1).is_err());
        // SAFETY: it makes a file of no name, which is nobody's yet.
        let unmarked = unsafe {
            let flags = libc::MFD_ALLOW_SEALING;
            File::from_raw_fd(libc::memfd_create(c"other".as_ptr(), flags))
        };
        unmarked.set_len(SIZE).expect("it can grow");
        assert!(Segment::inherit(unmarked.as_raw_fd()).is_err());
        assert!(unmarked.metadata().is_ok(), "it is open still");
    }

    #[test]
    fn an_inherited_descriptor_is_closed_once_it_is_mapped() {
        let file = create().expect("the kernel has memfd_create");
        let reader = Reader::new(file.try_clone().expect("a second one")).expect("it is ours");
        let segment = Segment::inherit(file.into_raw_fd()).expect("it is ours");
        assert!(segment.put(b"told"));
        assert_eq!(reader.read().expect("it is there"), Some(b"told".to_vec()));
    }
}
