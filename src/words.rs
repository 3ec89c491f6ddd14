//! Enumerations whose values are words: each is one table, and everything else comes from it.

/// A text that is none of the words of a fixed list.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no {what}; accepted: {accepted}")]
pub struct WordError {
    /// What it was to be, such as `severity`.
    pub what: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
    /// The words of the list.
    pub accepted: String,
}

/// Declares an enum whose values are words; from each row come the constant, its text and its doc.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident, $what:literal { $($variant:ident: $text:literal, $about:literal;)+ })+) => {$(
        $(#[$meta])*
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`: ", $about, ".")] $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word itself.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::WordError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| $crate::words::WordError {
                    what: $what,
                    text: text.chars().take(80).collect(),
                    accepted: [$($text),+].join(", "),
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        $crate::words::serde_as_text!($name);
    )+};
}

/// Serialise a value as its `Display` text and read it back by `FromStr`.
macro_rules! serde_as_text {
    ($($type:ty),+ $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

pub(crate) use {serde_as_text, words};
