//! Stretches of memory that several hold, each byte once.

/// Where it begins, and its bytes.
pub type Stretch = (usize, usize);

/// Stretches that overlap, as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub start: usize,
    /// Its bytes.
    pub bytes: u64,
    /// Who holds a part of it, by their numbers in order.
    pub holders: Vec<u32>,
}

/// The pieces of what each of some holders has, by their places.
pub fn pieces(held: &[Vec<Stretch>]) -> Vec<Piece> {
    let mut all: Vec<(Stretch, u32)> = held
        .iter()
        .zip(0..)
        .flat_map(|(stretches, holder)| stretches.iter().map(move |&stretch| (stretch, holder)))
        .filter(|((_, bytes), _)| *bytes > 0)
        .collect();
    all.sort_unstable();
    let mut pieces: Vec<Piece> = Vec::new();
    for ((start, bytes), holder) in all {
        let end = start.saturating_add(bytes);
        match pieces.last_mut() {
            Some(last) if start < last.start + last.bytes as usize => {
                last.bytes = last.bytes.max((end - last.start) as u64);
                last.holders.push(holder);
            }
            _ => pieces.push(Piece { start, bytes: (end - start) as u64, holders: vec![holder] }),
        }
    }
    for piece in &mut pieces {
        piece.holders.sort_unstable();
        piece.holders.dedup();
    }
    pieces
}

/// Which of some stretches, in the order of their places and apart from each other, an address lies in.
pub fn holding(stretches: &[Stretch], address: usize) -> Option<usize> {
    let after = stretches.partition_point(|(start, _)| *start <= address);
    let at = after.checked_sub(1)?;
    let (start, bytes) = stretches[at];
    (address - start < bytes).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_byte_is_in_one_piece_with_all_its_holders(
            held in prop::collection::vec(prop::collection::vec((0_usize..60, 0_usize..8), 0..4), 0..5)
        ) {
            let found = pieces(&held);
            let holders = |byte: usize| -> Vec<u32> {
                let has = |of: &Vec<Stretch>| of.iter().any(|&(s, n)| (s..s + n).contains(&byte));
                (0..held.len() as u32).filter(|&h| has(&held[h as usize])).collect()
            };
            let mut covered = 0;
            for byte in 0..80 {
                let of: Vec<_> = found
                    .iter()
                    .filter(|p| (p.start..p.start + p.bytes as usize).contains(&byte))
                    .collect();
                prop_assert_eq!(of.len(), usize::from(!holders(byte).is_empty()), "byte {}", byte);
                covered += of.len() as u64;
                for piece in of {
                    prop_assert!(holders(byte).iter().all(|h| piece.holders.contains(h)));
                }
            }
            prop_assert_eq!(covered, found.iter().map(|piece| piece.bytes).sum::<u64>());
        }
    }

    #[test]
    fn an_address_is_in_the_stretch_that_holds_it() {
        let stretches = [(10, 5), (20, 1)];
        let found = [9, 10, 14, 15, 20, 21].map(|address| holding(&stretches, address));
        assert_eq!(found, [None, Some(0), Some(0), None, Some(1), None]);
    }
}
