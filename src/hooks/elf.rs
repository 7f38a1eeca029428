//! Finding and writing the slots of the global offset table (GOT) through which loaded libraries
//! call `malloc` and its kin.
//!
//! A library calls a function of another one through a slot that the dynamic linker fills. We
//! write our hook into the slot of each library, and put the old value back afterwards. What is
//! true here:
//! - A slot is written only while it holds the real function, or still its own library's lazy
//!   binding stub; it is restored only while it holds ours. Another tool's patch stays.
//! - All reading and writing happens inside `dl_iterate_phdr`, which keeps a library from being
//!   unloaded meanwhile.
//! - Pages that the linker made read-only (PT_GNU_RELRO) are made writable for the write and
//!   read-only again after it.
//! - The dynamic linker itself, the vdso and our own library are left alone.
//! - The slots of a library are looked up once. The linker's count of loads and unloads tells
//!   whether the list has to be made anew.
//!
//! Layouts: System V ABI, chapter 5 ("Dynamic Linking"); the GNU hash section, whose `symoffset`
//! is the number of undefined symbols that stand before it, so that only these are compared.

/// A function whose slots are to hold something else.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    name: &'static std::ffi::CStr,
    hook: usize,
}

impl Target {
    /// Slots of `name` are to hold `hook`.
    pub const fn new(name: &'static std::ffi::CStr, hook: usize) -> Target {
        Target { name, hook }
    }
}

#[cfg(native_hooks)]
pub(super) use imp::{each_library, libraries, program_headers};
#[cfg(native_hooks)]
pub use imp::{known_lock, libraries_changed, library_at, own, patch, restore};

#[cfg(native_hooks)]
mod imp {
    use super::Target;
    use crate::hooks::fork::Held;
    use crate::hooks::lock::ForkLock;
    use libc::{Elf64_Phdr, Elf64_Rela, Elf64_Sym, dl_phdr_info};
    use std::collections::HashMap;
    use std::ffi::{CStr, c_int, c_void};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const PAGE: usize = 4096;
    const DT_PLTRELSZ: i64 = 2;
    const DT_HASH: i64 = 4;
    const DT_STRTAB: i64 = 5;
    const DT_SYMTAB: i64 = 6;
    const DT_RELA: i64 = 7;
    const DT_RELASZ: i64 = 8;
    const DT_JMPREL: i64 = 23;
    const DT_GNU_HASH: i64 = 0x6fff_fef5;
    const DT_RELACOUNT: i64 = 0x6fff_fff9;

    #[cfg(target_arch = "x86_64")]
    const SLOT_RELOCATIONS: [u32; 2] = [6, 7]; // R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT
    #[cfg(target_arch = "aarch64")]
    const SLOT_RELOCATIONS: [u32; 2] = [1025, 1026]; // R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT

    /// A slot of one library.
    #[derive(Debug, Clone, Copy)]
    struct Slot {
        address: usize,
        /// Index into the targets.
        target: usize,
        /// What it held before we wrote; 0 while it is not patched.
        before: usize,
    }

    /// What is known of a loaded library.
    #[derive(Debug, Default)]
    struct Library {
        slots: Vec<Slot>,
        /// Addresses that the linker made read-only.
        read_only: (usize, usize),
        /// The addresses that it occupies.
        span: (usize, usize),
    }

    #[derive(Default)]
    struct Known {
        /// By load address and address of the program headers.
        libraries: HashMap<(usize, usize), Library>,
        loads_and_unloads: (u64, u64),
    }

    static KNOWN: ForkLock<Option<Known>> = ForkLock::new(None);

    /// The lock that must not be held by another thread when the process forks.
    pub fn known_lock() -> &'static dyn Held {
        &KNOWN
    }

    #[repr(C)]
    struct Dyn {
        tag: i64,
        value: u64,
    }

    /// Calls `visit` for each loaded library until it returns false.
    pub(in crate::hooks) fn each_library(mut visit: impl FnMut(&dl_phdr_info) -> bool) {
        unsafe extern "C" fn trampoline<F: FnMut(&dl_phdr_info) -> bool>(
            info: *mut dl_phdr_info,
            _size: usize,
            visit: *mut c_void,
        ) -> c_int {
            // SAFETY: `visit` is the closure below, alive during the iteration, which calls us
            // one library at a time; `info` is the linker's, valid for this call.
            let (visit, info) = unsafe { (&mut *visit.cast::<F>(), &*info) };
            c_int::from(!visit(info))
        }
        fn start<F: FnMut(&dl_phdr_info) -> bool>(visit: &mut F) {
            // SAFETY: the pointer is to `visit`, which outlives the call.
            unsafe {
                libc::dl_iterate_phdr(Some(trampoline::<F>), std::ptr::from_mut(visit).cast())
            };
        }
        start(&mut visit);
    }

    fn loads_and_unloads() -> (u64, u64) {
        let mut counts = (0, 0);
        each_library(|info| {
            counts = (info.dlpi_adds, info.dlpi_subs);
            false
        });
        LIBRARIES.store(counts.0.saturating_sub(counts.1) as usize, Relaxed);
        counts
    }

    /// How many libraries were loaded when the linker was last asked.
    static LIBRARIES: AtomicUsize = AtomicUsize::new(0);

    pub(in crate::hooks) fn libraries() -> usize {
        LIBRARIES.load(Relaxed)
    }

    /// Whether a library was loaded or unloaded since the last [`patch`].
    pub fn libraries_changed() -> bool {
        let now = loads_and_unloads();
        KNOWN.lock().as_ref().is_some_and(|known| known.loads_and_unloads != now)
    }

    /// The file name of the library that an address lies in. Not for a hook: it waits for the linker.
    pub fn library_at(address: usize) -> Option<String> {
        let mut found = None;
        each_library(|info| {
            let holds = holds(info, address);
            if holds && !info.dlpi_name.is_null() {
                // SAFETY: the linker keeps the name while the library is loaded, which it is during
                // the iteration.
                let name = unsafe { CStr::from_ptr(info.dlpi_name) };
                found = Some(name.to_string_lossy().into_owned());
            }
            !holds
        });
        found
    }

    fn holds(info: &dl_phdr_info, address: usize) -> bool {
        program_headers(info).iter().filter(|header| header.p_type == libc::PT_LOAD).any(|header| {
            let start = info.dlpi_addr as usize + header.p_vaddr as usize;
            (start..start + header.p_memsz as usize).contains(&address)
        })
    }

    pub(in crate::hooks) fn program_headers(info: &dl_phdr_info) -> &[Elf64_Phdr] {
        if info.dlpi_phdr.is_null() {
            return &[];
        }
        // SAFETY: the linker keeps `dlpi_phnum` headers there while the library is loaded, which
        // it is during the iteration.
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) }
    }

    /// The parts of a library's dynamic section that lead to its slots.
    #[derive(Default)]
    struct Dynamic {
        symbols: usize,
        strings: usize,
        hash: usize,
        gnu_hash: usize,
        /// (address, bytes) of the two relocation tables.
        relocations: [(usize, usize); 2],
        /// So many of the first table's come first and name no symbol: most of them.
        relative: usize,
    }

    fn dynamic(info: &dl_phdr_info, section: &Elf64_Phdr) -> Dynamic {
        let base = info.dlpi_addr as usize;
        let mut found = Dynamic::default();
        let mut entry = (base + section.p_vaddr as usize) as *const Dyn;
        // glibc relocates these addresses in place, for most libraries; where it did not
        // (a read-only dynamic section), they are below the load address.
        let absolute = |value: u64| {
            let value = value as usize;
            if value < base { base + value } else { value }
        };
        loop {
            // SAFETY: the dynamic section is mapped while the library is loaded and ends with a
            // DT_NULL entry, at which we stop.
            let Dyn { tag, value } = unsafe { &*entry };
            match *tag {
                0 => break,
                DT_SYMTAB => found.symbols = absolute(*value),
                DT_STRTAB => found.strings = absolute(*value),
                DT_HASH => found.hash = absolute(*value),
                DT_GNU_HASH => found.gnu_hash = absolute(*value),
                DT_RELA => found.relocations[0].0 = absolute(*value),
                DT_RELASZ => found.relocations[0].1 = *value as usize,
                DT_JMPREL => found.relocations[1].0 = absolute(*value),
                DT_RELACOUNT => found.relative = *value as usize,
                DT_PLTRELSZ => found.relocations[1].1 = *value as usize,
                _ => {}
            }
            entry = entry.wrapping_add(1);
        }
        found
    }

    impl Dynamic {
        /// How many symbols may be undefined: those before the GNU hash table's first, else all.
        fn undefined_symbols(&self) -> usize {
            let word = |address: usize, index: usize| {
                // SAFETY: both hash sections begin with at least two 32-bit words and are mapped
                // read-only with the library.
                unsafe { *(address as *const u32).add(index) as usize }
            };
            if self.gnu_hash != 0 {
                // nbuckets, symoffset, ... ; 0 buckets of real symbols still give symoffset.
                word(self.gnu_hash, 1)
            } else if self.hash != 0 {
                word(self.hash, 1)
            } else {
                0
            }
        }

        /// Which target a symbol is named as. Nearly all of a library's symbols are none, and differ from each
        /// by their first letters: none of them is read to its end.
        fn target_of(&self, symbol: usize, targets: &[Target]) -> Option<usize> {
            // SAFETY: a symbol's number is an index of the symbol table, and its name a NUL-terminated string
            // of the string table: both are mapped with the library, and `is_name` reads no further than the NUL.
            unsafe {
                let symbol = &*(self.symbols as *const Elf64_Sym).add(symbol);
                let name = (self.strings + symbol.st_name as usize) as *const u8;
                targets.iter().position(|target| is_name(name, target.name))
            }
        }

        fn slots(&self, base: usize, targets: &[Target]) -> Vec<Slot> {
            if self.symbols == 0 || self.strings == 0 {
                return Vec::new();
            }
            // Most slots are those of undefined symbols, each of which has several.
            let undefined = self.undefined_symbols();
            let wanted: Vec<(usize, usize)> = (1..undefined)
                .filter_map(|symbol| Some((symbol, self.target_of(symbol, targets)?)))
                .collect();
            let mut slots = Vec::new();
            for (&(table, bytes), nameless) in self.relocations.iter().zip([self.relative, 0]) {
                if table == 0 {
                    continue;
                }
                let count = bytes / size_of::<Elf64_Rela>();
                // SAFETY: DT_RELA/DT_JMPREL and their sizes describe a table that is mapped with
                // the library.
                let table =
                    unsafe { std::slice::from_raw_parts(table as *const Elf64_Rela, count) };
                for relocation in &table[nameless.min(count)..] {
                    let kind = (relocation.r_info & 0xffff_ffff) as u32;
                    if !SLOT_RELOCATIONS.contains(&kind) {
                        continue;
                    }
                    let symbol = (relocation.r_info >> 32) as usize;
                    let target = if symbol < undefined {
                        let at = wanted.binary_search_by_key(&symbol, |(symbol, _)| *symbol);
                        at.ok().map(|at| wanted[at].1)
                    } else {
                        // A library that defines a target itself (libc) calls it through a defined symbol.
                        self.target_of(symbol, targets)
                    };
                    if let Some(target) = target {
                        let address = base + relocation.r_offset as usize;
                        slots.push(Slot { address, target, before: 0 });
                    }
                }
            }
            slots
        }
    }

    /// Whether a string is this name.
    ///
    /// # Safety
    ///
    /// It ends with a NUL.
    unsafe fn is_name(string: *const u8, name: &CStr) -> bool {
        // SAFETY: as the caller says; the first byte that differs, at the latest the string's NUL, is the last
        // to be read.
        name.to_bytes_with_nul()
            .iter()
            .enumerate()
            .all(|(at, &byte)| unsafe { *string.add(at) } == byte)
    }

    /// What our own library's slots for calls of these functions hold.
    ///
    /// Not what the usual search finds: in an executable that is not position-independent that may be a
    /// stub, which jumps by a slot that is patched.
    pub fn own<const N: usize>(names: [&'static CStr; N]) -> [usize; N] {
        let targets = names.map(|name| Target::new(name, 0));
        let mut found = [0; N];
        each_library(|info| {
            let is_ours = holds(info, here());
            if let Some(section) = is_ours.then(|| extent(info).1).flatten() {
                let mut dynamic = dynamic(info, section);
                // The other table has slots of addresses.
                dynamic.relocations[0] = (0, 0);
                for slot in dynamic.slots(info.dlpi_addr as usize, &targets) {
                    found[slot.target] = read(slot.address);
                }
            }
            !is_ours
        });
        // In a test our code is part of an executable, whose slots may be another kind.
        let search =
            |(found, target): (usize, &Target)| if found == 0 { real(target)[0] } else { found };
        std::array::from_fn(|index| search((found[index], &targets[index])))
    }

    /// An address in our own library.
    fn here() -> usize {
        here as *const () as usize
    }

    fn is_linker_or_vdso(info: &dl_phdr_info, span: (usize, usize)) -> bool {
        // SAFETY: getauxval only reads the auxiliary vector.
        let (linker, vdso) =
            unsafe { (libc::getauxval(libc::AT_BASE), libc::getauxval(libc::AT_SYSINFO_EHDR)) };
        let holds = |address: u64| address != 0 && (span.0..span.1).contains(&(address as usize));
        info.dlpi_addr == linker && linker != 0 || holds(linker) || holds(vdso)
    }

    /// What the headers say of a library: one without slots, and its dynamic section.
    fn extent(info: &dl_phdr_info) -> (Library, Option<&Elf64_Phdr>) {
        let base = info.dlpi_addr as usize;
        let mut library = Library { span: (usize::MAX, 0), ..Library::default() };
        let mut section = None;
        for header in program_headers(info) {
            let start = base + header.p_vaddr as usize;
            let end = start + header.p_memsz as usize;
            match header.p_type {
                libc::PT_LOAD => {
                    library.span = (library.span.0.min(start), library.span.1.max(end));
                }
                libc::PT_DYNAMIC => section = Some(header),
                libc::PT_GNU_RELRO => {
                    // The linker protects whole pages: up to the last one that it fills.
                    library.read_only = (start & !(PAGE - 1), end & !(PAGE - 1));
                }
                _ => {}
            }
        }
        (library, section)
    }

    fn examine(info: &dl_phdr_info, targets: &[Target]) -> Library {
        let (mut library, section) = extent(info);
        if let Some(section) = section
            && !holds(info, here())
            && !is_linker_or_vdso(info, library.span)
        {
            library.slots = dynamic(info, section).slots(info.dlpi_addr as usize, targets);
        }
        library
    }

    /// Writes `value` into a slot. Returns false where the kernel refused to make it writable.
    fn write(address: usize, value: usize, read_only: (usize, usize)) -> bool {
        let page = address & !(PAGE - 1);
        let protected = (read_only.0..read_only.1).contains(&address);
        let protect = |prot| {
            // SAFETY: the page belongs to a loaded library and holds only relocated data, which
            // stays readable throughout.
            unsafe { libc::mprotect(page as *mut c_void, PAGE, prot) == 0 }
        };
        if protected && !protect(libc::PROT_READ | libc::PROT_WRITE) {
            return false;
        }
        // SAFETY: an aligned word in a writable page; other threads read it whole, before or
        // after, and both values are callable with the same signature.
        unsafe { (*(address as *const AtomicUsize)).store(value, Relaxed) };
        !protected || protect(libc::PROT_READ)
    }

    fn read(address: usize) -> usize {
        // SAFETY: a slot of a library that is loaded: we are inside `dl_iterate_phdr`.
        unsafe { (*(address as *const AtomicUsize)).load(Relaxed) }
    }

    /// What a slot of the target may hold: what the usual search finds, which is an allocator that
    /// was preloaded, or, in an executable that is not position-independent, a stub of its own;
    /// and libc's own function, which slots hold behind such a stub.
    fn real(target: &Target) -> [usize; 2] {
        // SAFETY: NUL-terminated names; a library that is loaded already is only looked up.
        unsafe {
            let libc = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            let of = |library| libc::dlsym(library, target.name.as_ptr()) as usize;
            let found = [of(libc::RTLD_DEFAULT), if libc.is_null() { 0 } else { of(libc) }];
            if !libc.is_null() {
                libc::dlclose(libc);
            }
            found
        }
    }

    /// Makes every slot of the targets, in every loaded library, hold its hook. Returns how many do.
    pub fn patch(targets: &[Target]) -> usize {
        let real: Vec<[usize; 2]> = targets.iter().map(real).collect();
        let mut lock = KNOWN.lock();
        let known = lock.get_or_insert_default();
        let counts = loads_and_unloads();
        if known.loads_and_unloads.1 != counts.1 {
            // Something was unloaded: another library may now be at its address.
            known.libraries.retain(|_, library| library.slots.iter().any(|s| s.before != 0));
        }
        known.loads_and_unloads = counts;
        let mut patched = 0;
        each_library(|info| {
            let key = (info.dlpi_addr as usize, info.dlpi_phdr as usize);
            let library = known.libraries.entry(key).or_insert_with(|| examine(info, targets));
            for slot in &mut library.slots {
                let (hook, value) = (targets[slot.target].hook, read(slot.address));
                let own_stub = (library.span.0..library.span.1).contains(&value);
                if value == hook {
                    patched += 1;
                } else if (real[slot.target].contains(&value) || own_stub)
                    && write(slot.address, hook, library.read_only)
                {
                    slot.before = value;
                    patched += 1;
                }
            }
            true
        });
        patched
    }

    /// Puts back what [`patch`] replaced, wherever it is still ours.
    pub fn restore(targets: &[Target]) {
        let mut lock = KNOWN.lock();
        let Some(known) = lock.as_mut() else { return };
        each_library(|info| {
            let key = (info.dlpi_addr as usize, info.dlpi_phdr as usize);
            if let Some(library) = known.libraries.get_mut(&key) {
                for slot in library.slots.iter_mut().filter(|s| s.before != 0) {
                    if read(slot.address) == targets[slot.target].hook {
                        write(slot.address, slot.before, library.read_only);
                    }
                    slot.before = 0;
                }
            }
            true
        });
    }
}
