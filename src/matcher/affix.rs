//! What a text must have for a test to accept it: a beginning, an end, a few bytes inside. Rules
//! that ask for such texts are filed under it, so that an event meets only those whose part it
//! has.

use super::table::{Table, hash};
use crate::pattern::{Test, TextTest, fold};

/// The longest beginning or end that rules are filed under, in bytes; of a longer one the outer
/// bytes count.
const LONGEST: usize = 32;

/// The most bytes inside.
const INSIDE: usize = 4;

/// Where a part stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Begin,
    End,
    Inside,
    FoldedWhole,
    FoldedBegin,
    FoldedEnd,
}

const PLACES: [Place; 6] =
    [Place::Begin, Place::End, Place::Inside, Place::FoldedWhole, Place::FoldedBegin, Place::FoldedEnd];

/// The parts that the rules of one path ask for. Their numbers are unique among all paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Affixes {
    table: Table,
    parts: Vec<(Place, Box<[u8]>, u32)>,
    /// For each place the lengths of its parts, a bit each.
    lengths: [u64; PLACES.len()],
}

/// A part of a text, as a test needs it.
struct Part(Place, Vec<u8>);

impl Part {
    /// What every text that a test accepts has; none where there is no such part.
    fn of<'t>(test: &'t Test) -> Option<Self> {
        let Test::Text(test) = test else { return None };
        let (place, text) = match test {
            TextTest::Prefix(text) => (Place::Begin, text.as_bytes()),
            TextTest::Suffix(text) => (Place::End, text.as_bytes()),
            TextTest::EqualsIgnoreCase(text) => {
                return Some(Self(Place::FoldedWhole, text.text().as_bytes().to_vec()));
            }
            TextTest::PrefixIgnoreCase(text) => (Place::FoldedBegin, text.text().as_bytes()),
            TextTest::SuffixIgnoreCase(text) => (Place::FoldedEnd, text.text().as_bytes()),
            TextTest::Wildcard(wildcard) => {
                let longest = |parts: &'t [Box<str>]| {
                    parts.iter().map(|part| part.as_bytes()).max_by_key(|part| part.len())
                };
                let (ends, inside) = match wildcard.parts() {
                    [first, middle @ .., last] => ((first.as_bytes(), last.as_bytes()), longest(middle)),
                    [only] => ((only.as_bytes(), &b""[..]), None),
                    [] => return None,
                };
                let inside = inside.unwrap_or_default();
                // An end costs one look-up for a text, what stands inside one for each of its bytes.
                let (place, end) =
                    if ends.0.len() >= ends.1.len() { (Place::Begin, ends.0) } else { (Place::End, ends.1) };
                if end.len() >= inside.len().min(INSIDE) { (place, end) } else { (Place::Inside, inside) }
            }
            TextTest::Equals(_) | TextTest::Address(_) => return None,
        };
        let n = text.len();
        let text = match place {
            Place::Begin | Place::FoldedBegin => &text[..n.min(LONGEST)],
            Place::Inside => &text[n.saturating_sub(INSIDE)..],
            _ => &text[n.saturating_sub(LONGEST)..],
        };
        (!text.is_empty()).then(|| Self(place, text.to_vec()))
    }

    fn hash(place: Place, text: &[u8]) -> u32 {
        hash(text) ^ (place as u32 + 1).wrapping_mul(0x9e37_79b9)
    }
}

impl Affixes {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// The number of the part that a test needs.
    pub(super) fn of(&self, test: &Test) -> Option<u32> {
        let Part(place, text) = Part::of(test)?;
        self.find(place, &text)
    }

    /// Notes the part that a test needs, if it is new, under the next number.
    pub(super) fn add(&mut self, test: &Test, next: &mut u32) {
        let Some(Part(place, text)) = Part::of(test) else { return };
        if self.find(place, &text).is_none() {
            self.table.insert(Part::hash(place, &text), self.parts.len() as u32);
            self.lengths[place as usize] |= 1 << text.len().min(LONGEST + 1);
            self.parts.push((place, text.into(), *next));
            *next += 1;
        }
    }

    fn find(&self, place: Place, text: &[u8]) -> Option<u32> {
        let is = |id: u32| {
            let (other, part, _) = &self.parts[id as usize];
            *other == place && **part == *text
        };
        self.table.find(Part::hash(place, text), is).map(|id| self.parts[id as usize].2)
    }

    /// The numbers of the parts that a text has; some may come several times. `folded` is
    /// overwritten.
    pub(super) fn each(&self, text: &str, folded: &mut String, mut each: impl FnMut(u32)) {
        if self.lengths[Place::FoldedWhole as usize..].iter().any(|lengths| *lengths != 0) {
            folded.clear();
            folded.extend(fold(text));
        }
        for place in PLACES {
            let text = match place {
                Place::FoldedWhole | Place::FoldedBegin | Place::FoldedEnd => folded.as_bytes(),
                _ => text.as_bytes(),
            };
            let mut lengths = self.lengths[place as usize];
            if place == Place::FoldedWhole && lengths != 0 {
                self.find(place, text).into_iter().for_each(&mut each);
                continue;
            }
            while lengths != 0 {
                let length = lengths.trailing_zeros() as usize;
                lengths &= lengths - 1;
                if length > text.len() {
                    break;
                }
                match place {
                    Place::Inside => {
                        text.windows(length).filter_map(|part| self.find(place, part)).for_each(&mut each);
                    }
                    Place::Begin | Place::FoldedBegin => {
                        self.find(place, &text[..length]).into_iter().for_each(&mut each);
                    }
                    _ => self.find(place, &text[text.len() - length..]).into_iter().for_each(&mut each),
                }
            }
        }
    }
}
