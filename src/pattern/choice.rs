//! The points in which the language differs on purpose from its peers, each of which can be
//! switched to the peer's answer: so a tool can show that a difference is this choice and no fault.

use std::borrow::Cow;

use crate::json::{self, SyntaxFault};

macro_rules! choices {
    ($($(#[$doc:meta])+ $name:ident, $text:literal;)+) => {
        /// One point in which the language differs on purpose from event-ruler or quamina.
        ///
        /// For tools that compare; a rule never has anything but our answer.
        #[doc(hidden)]
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Choice {
            $($(#[$doc])+ $name,)+
        }

        impl Choice {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The choice in a few words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

choices! {
    /// Text after the pattern's closing brace is refused; peers ignore it.
    TrailingText, "text after the closing brace";
    /// Unescaped control characters are refused; quamina reads them.
    ControlCharacters, "unescaped control characters";
    /// A field inside `$or` is required beside the same field outside; in event-ruler the later
    /// one replaces the earlier.
    FieldInAndOutOfOr, "a field inside and outside `$or`";
    /// A repeated key in a pattern is refused; in peers the last one of a path stands.
    RepeatedKeys, "a repeated key in a pattern";
    /// `/32`, `/128` and ranges of one number are accepted; event-ruler refuses them.
    Points, "/32, /128 and ranges of one number";
    /// Numbers are exact; event-ruler compares those that a double holds, the others as text.
    Numbers, "exact numbers";
    /// Text literals compare as text; event-ruler compares those that are addresses as addresses.
    Addresses, "addresses as text";
    /// An empty list is refused; quamina accepts one for a field, event-ruler one in `anything-but`.
    EmptyLists, "an empty list";
}

impl Choice {
    /// The text that a peer reads, where this choice is about the text itself.
    #[must_use]
    pub fn read(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::TrailingText => match json::parse(text.as_bytes()) {
                Err(e) if e.fault == SyntaxFault::Trailing => Cow::Borrowed(&text[..e.offset]),
                _ => Cow::Borrowed(text),
            },
            Self::ControlCharacters => Cow::Owned(escape_controls(text)),
            _ => Cow::Borrowed(text),
        }
    }
}

/// Writes the control characters inside JSON strings as `\u00XX`.
fn escape_controls(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0'..='\x1f' if inside => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
    }
    out
}
