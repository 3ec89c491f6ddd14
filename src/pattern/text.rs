//! Tests on texts: equal, prefix, suffix, wildcard, and the forms that ignore case.

use std::net::IpAddr;

use super::address::address;

/// A test that a text in an event passes or not.
#[derive(Clone, Debug)]
pub(crate) enum TextTest {
    Equals(Box<str>),
    /// Equal as addresses: never ours, only the peer's reading of a literal.
    Address(Box<IpAddr>),
    EqualsIgnoreCase(Folded),
    Prefix(Box<str>),
    PrefixIgnoreCase(Folded),
    Suffix(Box<str>),
    SuffixIgnoreCase(Folded),
    Wildcard(Wildcard),
}

impl TextTest {
    pub(crate) fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => **wanted == *text,
            Self::Address(wanted) => address(text) == Some(**wanted),
            Self::EqualsIgnoreCase(wanted) => Folded::new(text) == *wanted,
            Self::Prefix(wanted) => text.starts_with(&**wanted),
            Self::PrefixIgnoreCase(wanted) => Folded::new(text).0.starts_with(&*wanted.0),
            Self::Suffix(wanted) => text.ends_with(&**wanted),
            Self::SuffixIgnoreCase(wanted) => Folded::new(text).0.ends_with(&*wanted.0),
            Self::Wildcard(wildcard) => wildcard.passes(text),
        }
    }
}

/// A text without its case.
///
/// Each character is written in lower case, that in upper case, that in lower case again (the
/// full mappings of Unicode's SpecialCasing, no language, no context). One pass would leave
/// `ẞ`/`ß`/`ss` or `ſ`/`s` apart; after three, every spelling of a character in another case has
/// one form, so that straße = STRASSE, Σ = σ = ς and K (kelvin) = k.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Folded(Box<str>);

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        Self(fold(text).collect::<String>().into())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The characters of a text without its case.
pub(crate) fn fold(text: &str) -> impl DoubleEndedIterator<Item = char> {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// A text in which `*` stands for any characters or none, `\*` for `*` and `\\` for `\`.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    /// The literal parts between the stars; one part without any star.
    parts: Box<[Box<str>]>,
}

/// Why a text is no wildcard; with the byte offset in the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WildcardFault {
    Escape(usize),
    Adjacent(usize),
}

impl Wildcard {
    pub(super) fn new(text: &str) -> Result<Self, WildcardFault> {
        let mut parts = vec![String::new()];
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '*' if matches!(chars.peek(), Some((_, '*'))) => return Err(WildcardFault::Adjacent(at)),
                '*' => parts.push(String::new()),
                c => {
                    let literal = match c {
                        '\\' => chars.next().map(|(_, c)| c).filter(|c| matches!(c, '*' | '\\')),
                        c => Some(c),
                    };
                    let literal = literal.ok_or(WildcardFault::Escape(at))?;
                    parts.last_mut().expect("there is always one part").push(literal);
                }
            }
        }
        Ok(Self { parts: parts.into_iter().map(String::into_boxed_str).collect() })
    }

    pub(super) fn stars(&self) -> usize {
        self.parts.len() - 1
    }

    /// The literal parts between the stars, of which the first opens the text and the last closes it.
    pub(crate) fn parts(&self) -> &[Box<str>] {
        &self.parts
    }

    /// The first part opens the text, the last one closes it, and those between stand in order:
    /// the leftmost place of each leaves most room for the next, so nothing is ever tried twice.
    fn passes(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.parts else {
            return self.parts.first().is_some_and(|only| &**only == text);
        };
        let Some(rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        let step = |rest: &'_ str, part: &str| rest.find(part).map(|at| at + part.len());
        let mut from = 0;
        middle.iter().all(|part| match step(&rest[from..], part) {
            Some(length) => {
                from += length;
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_folds_as_its_other_cases_do() {
        for c in '\0'..=char::MAX {
            let folded = Folded::new(&c.to_string());
            for other in
                [c.to_lowercase().to_string(), c.to_uppercase().to_string(), folded.text().to_owned()]
            {
                assert_eq!(Folded::new(&other), folded, "{c:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_wildcard_without_a_star_is_one_part() {
        assert_eq!(Wildcard::new("").unwrap().stars(), 0);
        assert_eq!(Wildcard::new("a\\*b*").unwrap().stars(), 1);
        assert_eq!(Wildcard::new("aé\\").unwrap_err(), WildcardFault::Escape(3));
        assert_eq!(Wildcard::new("é**").unwrap_err(), WildcardFault::Adjacent(2));
    }

    /// What a wildcard means, tried out in every way: exponential, and so only for short texts.
    fn tries(wildcard: &[char], text: &[char]) -> bool {
        match (wildcard, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|n| tries(rest, &text[n..])),
            ([w, wildcard @ ..], [t, text @ ..]) => w == t && tries(wildcard, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_leftmost_place_is_enough(wildcard in "[ab]{0,3}(\\*[ab]{1,3}){0,3}\\*?", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let passes = Wildcard::new(&wildcard).unwrap().passes(&text);
            prop_assert_eq!(passes, tries(&chars(&wildcard), &chars(&text)));
        }
    }
}
