//! Which library asked for a block, on a thread that runs no Python.
//!
//! There is no unwinder here. The hook keeps the address that it returns to, which mostly lies in the
//! library that asked. Where it lies in the C or C++ library (`operator new`), the words of the stack
//! above the hook are looked at, a bounded number of them, for the first that points into the code
//! of another library. That may be a word that was left there by an earlier call, so the answer
//! is a good guess and no proof; memory is never counted by it, only named.
//!
//! A hook must not wait for the dynamic linker. So the places of the code of all libraries are written
//! down when slots are patched, and a hook only reads that table. A library that was loaded since has no
//! patched slot and asks nobody; one that was unloaded may still be named by a stale word, but nothing
//! of it is read.

#[cfg(native_hooks)]
use super::elf;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The code of one library.
#[derive(Debug, Clone, Copy)]
struct Code {
    start: usize,
    end: usize,
    name: &'static str,
}

/// The code of all libraries that are worth naming, by address.
#[derive(Debug)]
struct Table {
    code: Vec<Code>,
    loads_and_unloads: (u64, u64),
}

/// The newest table. Older ones are never freed, since a thread may be reading one: there is one for
/// each time that slots were patched after libraries came or went.
static TABLE: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

fn table() -> Option<&'static Table> {
    let table = TABLE.load(Ordering::Acquire);
    // SAFETY: null, or a table that was leaked by `learn` and is never written again.
    unsafe { table.as_ref() }
}

/// Writes down where the code of every loaded library is, if that has changed. The caller holds the
/// GIL; were two threads here at once, the later table would stay.
#[cfg(native_hooks)]
pub(super) fn learn() {
    let old = table();
    let mut new = Table { code: Vec::new(), loads_and_unloads: (0, 0) };
    let here = learn as *const () as usize;
    elf::each_library(|info| {
        new.loads_and_unloads = (info.dlpi_adds, info.dlpi_subs);
        if old.is_some_and(|old| old.loads_and_unloads == new.loads_and_unloads) {
            return false;
        }
        let path = if info.dlpi_name.is_null() {
            String::new()
        } else {
            // SAFETY: the linker keeps the name while the library is loaded, which it is during the
            // iteration.
            unsafe { std::ffi::CStr::from_ptr(info.dlpi_name) }.to_string_lossy().into_owned()
        };
        let Some(name) = name_of(&path) else { return true };
        for header in elf::program_headers(info) {
            let start = info.dlpi_addr as usize + header.p_vaddr as usize;
            let end = start + header.p_memsz as usize;
            let is_code = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
            if is_code && !(start..end).contains(&here) {
                let known = old.and_then(|old| old.at(start)).filter(|old| *old == name);
                let name = known.unwrap_or_else(|| name.clone().leak());
                new.code.push(Code { start, end, name });
            }
        }
        true
    });
    if old.is_none_or(|old| old.loads_and_unloads != new.loads_and_unloads) {
        new.code.sort_unstable_by_key(|code| code.start);
        TABLE.store(Box::into_raw(Box::new(new)), Ordering::Release);
    }
}

impl Table {
    /// The library whose code is at an address.
    fn at(&self, address: usize) -> Option<&'static str> {
        let next = self.code.partition_point(|code| code.start <= address);
        let code = self.code[..next].last()?;
        (address < code.end).then_some(code.name)
    }
}

/// What a library is called: the package that it was installed with, or its file without endings;
/// `None` for those through which all ask.
fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    if path.is_empty() {
        return Some("python".to_owned());
    }
    const FOR_ALL: [&str; 13] = [
        "libc.",
        "libc-",
        "libstdc++",
        "libc++",
        "libgcc_s",
        "ld-linux",
        "ld.so",
        "libpthread",
        "linux-vdso",
        "linux-gate",
        "libjemalloc",
        "libtcmalloc",
        "libmimalloc",
    ];
    if FOR_ALL.iter().any(|name| file.starts_with(name)) {
        return None;
    }
    let packages = ["/site-packages/", "/dist-packages/"];
    let package = packages.iter().find_map(|folder| {
        let (_, below) = path.rsplit_once(folder)?;
        let (package, _) = below.split_once('/')?;
        // `numpy.libs` holds libraries of others that a wheel brings along.
        (!package.ends_with(".libs")).then_some(package)
    });
    if let Some(package) = package {
        // A wheel may keep its compiled part apart: `_polars_runtime_32`.
        let package = package.split("_runtime").next().unwrap_or(package);
        return Some(package.trim_start_matches('_').to_owned());
    }
    let stem = file.split('.').next().unwrap_or(file);
    // A wheel adds eight digits to the name: `libscipy_openblas64_-ff651d7f.so`.
    let stem = match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => stem,
    };
    let stem = if stem.starts_with("libpython") { "python" } else { stem };
    Some(stem.trim_end_matches('_').to_owned())
}

/// Words of the stack that are looked at.
#[cfg(native_hooks)]
const WORDS: usize = 256;

/// The library that asked for the block of the hook that this thread is in, where that can be told.
pub fn library() -> Option<&'static str> {
    #[cfg(native_hooks)]
    return native::library();
    #[cfg(not(native_hooks))]
    None
}

#[cfg(native_hooks)]
mod native {
    use super::{WORDS, table};

    /// `struct memprofile_entry` of `native.c`: where this thread's last hook was entered.
    #[repr(C)]
    struct Entry {
        /// The frame of the hook.
        frame: usize,
        /// The address that the hook returns to.
        caller: usize,
    }

    unsafe extern "C" {
        // SAFETY (of the declaration): it returns the address of a variable of this thread.
        safe fn memprofile_entry() -> *mut Entry;
    }

    /// Addresses have no more than 48 bits; above them AArch64 may keep a signature.
    const ADDRESS: usize = (1 << 48) - 1;

    pub(super) fn library() -> Option<&'static str> {
        let table = table()?;
        // SAFETY: this thread's own variable, which no other thread and no caller of ours holds.
        let entry = unsafe { &*memprofile_entry() };
        if let Some(name) = table.at(entry.caller & ADDRESS) {
            return Some(name);
        }
        let mut words = [0; WORDS];
        let mut seen_caller = false;
        words_at(entry.frame, &mut words).iter().find_map(|word| {
            let found = seen_caller.then(|| table.at(word & ADDRESS)).flatten();
            seen_caller |= word & ADDRESS == entry.caller & ADDRESS;
            found
        })
    }

    const PAGE: usize = 4096;

    /// The words from an address on, as far as they are there. The kernel copies them
    /// (process_vm_readv(2)): what is not mapped ends the copy and faults nobody, on any kind of stack.
    /// glibc's own way to a thread's bounds waits for a lock that the thread's maker may hold,
    /// while the maker waits for ours.
    pub(super) fn words_at(from: usize, words: &mut [usize; WORDS]) -> &[usize] {
        let length = size_of_val(words);
        // In two pieces: of a piece that is not wholly there nothing may be copied.
        let first = (from.next_multiple_of(PAGE) - from).min(length);
        let piece = |start: usize, length: usize| libc::iovec {
            iov_base: start as *mut libc::c_void,
            iov_len: length,
        };
        let here = piece(words.as_mut_ptr() as usize, length);
        let there = [piece(from, first), piece(from + first, length - first)];
        // SAFETY: the kernel writes at most `length` bytes, which `words` has; it only reads the other.
        let copied = unsafe {
            libc::process_vm_readv(libc::getpid(), &raw const here, 1, there.as_ptr(), 2, 0)
        };
        let count = usize::try_from(copied).unwrap_or(0) / size_of::<usize>();
        &words[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_called_by_its_package_or_its_file() {
        let lib = "/usr/lib/python3.13/site-packages";
        for (path, name) in [
            ("", Some("python")),
            ("/usr/lib/libpython3.13.so.1.0", Some("python")),
            ("/lib/x86_64-linux-gnu/libc.so.6", None),
            ("/lib64/ld-linux-x86-64.so.2", None),
            ("/usr/lib/libstdc++.so.6", None),
            ("/usr/lib/libgomp.so.1", Some("libgomp")),
            ("/usr/lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", Some("_ssl")),
            (&format!("{lib}/polars/_polars.abi3.so"), Some("polars")),
            (&format!("{lib}/_polars_runtime_32/_polars_runtime.abi3.so"), Some("polars")),
            (&format!("{lib}/pyarrow/libarrow.so.2600"), Some("pyarrow")),
            (
                &format!("{lib}/numpy.libs/libscipy_openblas64_-ff651d7f.so"),
                Some("libscipy_openblas64"),
            ),
            (
                &format!("{lib}/_cffi_backend.cpython-313-x86_64-linux-gnu.so"),
                Some("_cffi_backend"),
            ),
        ] {
            assert_eq!(name_of(path).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn an_address_belongs_to_the_code_that_it_lies_in() {
        let code = |start, end, name| Code { start, end, name };
        let table = Table {
            code: vec![code(100, 200, "a"), code(300, 400, "b")],
            loads_and_unloads: (0, 0),
        };
        for (address, name) in
            [(99, None), (100, Some("a")), (200, None), (399, Some("b")), (400, None)]
        {
            assert_eq!(table.at(address), name, "{address}");
        }
    }

    #[cfg(native_hooks)]
    #[test]
    fn words_are_copied_as_far_as_they_are_there() {
        // SAFETY: a mapping of two pages of which the second goes at once; nobody else uses it.
        let end = unsafe {
            let both = libc::mmap(
                std::ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(both, libc::MAP_FAILED);
            assert_eq!(libc::munmap(both.add(4096), 4096), 0);
            both as usize + 4096
        };
        let mut words = [1; WORDS];
        assert_eq!(native::words_at(end - 24, &mut words), [0, 0, 0]);
        assert!(native::words_at(end, &mut words).is_empty());
        let stack = [7usize; WORDS];
        assert_eq!(native::words_at(stack.as_ptr() as usize, &mut words), stack);
    }

    #[cfg(native_hooks)]
    #[test]
    fn the_code_of_this_program_is_ours_and_not_named() {
        learn();
        let table = table().expect("it was learnt");
        assert_eq!(table.at(learn as *const () as usize), None);
        assert!(table.code.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}
