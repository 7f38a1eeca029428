//! Something for each of many objects, by their addresses.
//!
//! Objects lie side by side in the heap, and those that are looked at one after the other often do, too.
//! So the table is one of pages of the address space, found by an open hash, and in a page each place
//! where an object can begin has its own entry: neighbours share a cache line, and there is no probing.

/// Bytes of the address space that a page of the table stands for.
const PAGE_BITS: u32 = 12;
/// An object has a reference count and a type: none begins within 16 bytes of another.
const PLACE_BITS: u32 = 4;
const PLACES: usize = 1 << (PAGE_BITS - PLACE_BITS);

/// What one page holds: an entry for each place, all zero when it is made.
trait Page: Copy {
    const EMPTY: Self;
}

impl Page for [u32; PLACES] {
    const EMPTY: Self = [0; PLACES];
}

impl Page for [u64; PLACES / 64] {
    const EMPTY: Self = [0; PLACES / 64];
}

/// Pages by number. Page 0 of the address space holds nothing, so the number 0 stands for an empty slot.
#[derive(Debug)]
struct Pages<P> {
    slots: Vec<(usize, u32)>,
    pages: Vec<P>,
    last: (usize, u32),
}

impl<P: Page> Pages<P> {
    fn new() -> Pages<P> {
        Pages { slots: vec![(0, 0); 64], pages: Vec::new(), last: (0, 0) }
    }

    fn slot(&self, number: usize) -> usize {
        // Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4): the highest bits are the best.
        let hash = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mask = self.slots.len() - 1;
        let mut at = (hash >> (64 - self.slots.len().trailing_zeros())) as usize;
        while self.slots[at].0 != number && self.slots[at].0 != 0 {
            at = (at + 1) & mask;
        }
        at
    }

    #[inline]
    fn page(&mut self, address: usize) -> &mut P {
        let number = address >> PAGE_BITS;
        if self.last.0 != number {
            self.last = (number, self.find(number));
        }
        &mut self.pages[self.last.1 as usize]
    }

    fn find(&mut self, number: usize) -> u32 {
        let mut at = self.slot(number);
        if self.slots[at].0 == number {
            return self.slots[at].1;
        }
        if self.pages.len() * 2 >= self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![(0, 0); old.len() * 2];
            for slot in old.into_iter().filter(|slot| slot.0 != 0) {
                let to = self.slot(slot.0);
                self.slots[to] = slot;
            }
            at = self.slot(number);
        }
        let page = self.pages.len() as u32;
        self.pages.push(P::EMPTY);
        self.slots[at] = (number, page);
        page
    }

    fn get(&self, address: usize) -> Option<&P> {
        let (number, page) = self.slots[self.slot(address >> PAGE_BITS)];
        (number != 0).then(|| &self.pages[page as usize])
    }

    /// Bytes that the table takes.
    fn bytes(&self) -> u64 {
        (self.slots.len() * size_of::<(usize, u32)>() + self.pages.len() * size_of::<P>()) as u64
    }
}

fn place(address: usize) -> usize {
    (address >> PLACE_BITS) % PLACES
}

/// A set of addresses of objects.
#[derive(Debug)]
pub struct Seen(Pages<[u64; PLACES / 64]>);

impl Seen {
    /// The empty set.
    pub fn new() -> Seen {
        Seen(Pages::new())
    }

    /// Adds an address, and says whether it is new.
    #[inline]
    pub fn insert(&mut self, address: usize) -> bool {
        let place = place(address);
        let word = &mut self.0.page(address)[place / 64];
        let bit = 1 << (place % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes an address out.
    pub fn remove(&mut self, address: usize) {
        let place = place(address);
        self.0.page(address)[place / 64] &= !(1 << (place % 64));
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

/// A number for each of many addresses of objects; 0 where none was set.
#[derive(Debug)]
pub struct Numbers(Pages<[u32; PLACES]>);

impl Numbers {
    /// No number for any address.
    pub fn new() -> Numbers {
        Numbers(Pages::new())
    }

    /// The number of an address, to be read and written.
    #[inline]
    pub fn of(&mut self, address: usize) -> &mut u32 {
        &mut self.0.page(address)[place(address)]
    }

    /// The number of an address.
    pub fn get(&self, address: usize) -> u32 {
        self.0.get(address).map_or(0, |page| page[place(address)])
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    proptest! {
        #[test]
        fn both_are_what_a_map_and_a_set_are(
            addresses in proptest::collection::vec((1_usize..1 << 20, 0_usize..1 << 12), 1..2000)
        ) {
            let (mut seen, mut numbers) = (Seen::new(), Numbers::new());
            let (mut set, mut map) = (HashSet::new(), HashMap::new());
            for (at, (page, offset)) in addresses.into_iter().enumerate() {
                let address = (page << 12) + (offset & !15);
                prop_assert_eq!(seen.insert(address), set.insert(address));
                if at % 3 == 0 {
                    seen.remove(address);
                    set.remove(&address);
                }
                prop_assert_eq!(*numbers.of(address), map.get(&address).copied().unwrap_or(0));
                *numbers.of(address) = at as u32;
                map.insert(address, at as u32);
            }
            for (&address, &number) in &map {
                prop_assert_eq!(numbers.get(address), number);
                prop_assert_eq!(numbers.get(address + (1 << 40)), 0);
            }
        }
    }

    #[test]
    fn neighbours_have_entries_of_their_own() {
        let mut numbers = Numbers::new();
        // Static objects begin at any multiple of 8.
        for address in (0x1008..0x9008).step_by(16) {
            assert_eq!(*numbers.of(address), 0);
            *numbers.of(address) = 1;
        }
    }
}
