//! A path's line of numbers or addresses, with marks where the ranges of rules begin or end.

/// How many stretches a ruler has at most.
pub(super) const STRETCHES: usize = 96;

/// The mark of a range without an upper end: no value reaches it.
pub(super) const OPEN: u64 = u64::MAX;

/// The most pieces of a line.
const PIECES: usize = 8;

/// How many marks a piece has at most.
const PIECE: u128 = 1 << 58;

/// Measures places in the steps of the ranges that the rules of a path name, all of which are
/// whole, and cuts the line into stretches that hold about the same number of ends.
///
/// Where nothing begins or ends for long, as between zero and the least other number, the ruler
/// has a gap: so that 64 bits suffice.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    pieces: Box<[Piece]>,
    shift: u32,
    /// Where each stretch but the first begins.
    begins: Box<[u64]>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u128,
    /// The mark of its first place.
    mark: u64,
    /// How many marks come after the first.
    length: u64,
}

impl Ruler {
    /// From the places where ranges begin and behind which they end; none where 64 bits cannot
    /// tell them apart.
    pub(super) fn new(mut places: Vec<u128>) -> Option<Self> {
        places.sort_unstable();
        places.dedup();
        let first = *places.first()?;
        let shift = places.iter().fold(0, |all, place| all | (place - first)).trailing_zeros();
        let shift = if shift == u128::BITS { 0 } else { shift };
        let mut pieces = vec![Piece { first, mark: 1, length: 0 }];
        for place in &places {
            let made = pieces.len();
            let last = pieces.last_mut()?;
            let steps = (place - last.first) >> shift;
            if steps < PIECE {
                last.length = steps as u64;
            } else if made == PIECES {
                return None;
            } else {
                let mark = last.mark + last.length + 1;
                pieces.push(Piece { first: *place, mark, length: 0 });
            }
        }
        let mut ruler = Self { pieces: pieces.into(), shift, begins: Box::default() };
        let most = STRETCHES - 1;
        let count = places.len();
        let begins = match count <= most {
            true => places,
            false => (0..most).map(|i| places[i * count / most]).collect(),
        };
        ruler.begins = begins.iter().map(|place| ruler.mark(*place)).collect();
        Some(ruler)
    }

    /// The mark at a place or the last one before it; 0 before the first.
    pub(super) fn mark(&self, place: u128) -> u64 {
        match self.pieces.iter().rev().find(|piece| piece.first <= place) {
            None => 0,
            Some(piece) => {
                let steps = (place - piece.first) >> self.shift;
                piece.mark + u64::try_from(steps).map_or(piece.length, |steps| steps.min(piece.length))
            }
        }
    }

    /// The mark at a place; none where there is none.
    pub(super) fn exact(&self, place: u128) -> Option<u64> {
        let piece = self.pieces.iter().rev().find(|piece| piece.first <= place)?;
        let beyond = place - piece.first;
        let steps = u64::try_from(beyond >> self.shift).ok()?;
        let whole = u128::from(steps) << self.shift == beyond;
        (whole && steps <= piece.length).then_some(piece.mark + steps)
    }

    pub(super) fn stretch(&self, mark: u64) -> usize {
        self.begins.partition_point(|begin| *begin <= mark)
    }

    pub(super) fn stretches(&self) -> usize {
        self.begins.len() + 1
    }

    /// Whether a stretch begins or, for an open end, the line ends here.
    pub(super) fn is_edge(&self, mark: u64) -> bool {
        mark == OPEN || self.begins.binary_search(&mark).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_between_two_marks_has_the_lower_one() {
        let ruler = Ruler::new(vec![1 << 70, (1 << 70) + 48, (1 << 70) + 16]).unwrap();
        let mark = |beyond: i128| ruler.mark(((1_i128 << 70) + beyond) as u128);
        assert_eq!([-1, 0, 15, 16, 47, 48, 1_000].map(mark), [0, 1, 1, 2, 3, 4, 4]);
        assert_eq!(ruler.mark(u128::MAX), 4);
        assert_eq!(ruler.exact((1 << 70) + 16), Some(2));
        assert_eq!(ruler.exact((1 << 70) + 15), None);
        assert_eq!([0, 1, 2, 3, 4].map(|mark| ruler.stretch(mark)), [0, 1, 2, 2, 3]);
    }

    #[test]
    fn gaps_and_what_64_bits_cannot_tell_apart() {
        let ruler = Ruler::new(vec![0, 1 << 100, (1 << 100) + 4]).unwrap();
        let marks = [0, 4, 1 << 99, (1 << 100) - 1, 1 << 100, (1 << 100) + 3, (1 << 100) + 4];
        assert_eq!(marks.map(|place| ruler.mark(place)), [1, 1, 1, 1, 2, 2, 3]);
        assert_eq!([0, 4, (1 << 100) + 8].map(|place| ruler.exact(place)), [Some(1), None, None]);
        let scattered = (0..=PIECES as u32).flat_map(|i| [1 << (60 + 7 * i), (1 << (60 + 7 * i)) + 1]);
        assert!(Ruler::new(scattered.collect()).is_none());
        // So many pieces that their marks would not fit into 64 bits.
        let far = (0..100).flat_map(|i: u128| [i << 121, (i << 121) + (1 << 58) - 1]);
        assert!(Ruler::new(far.collect()).is_none());
        assert!(Ruler::new(Vec::new()).is_none());
        assert_eq!(Ruler::new((0..10_000).collect()).unwrap().stretches(), STRETCHES);
    }
}
