//! JSON as it stands in the text: every value with its offset, repeated names kept, numbers exact.
//!
//! `serde_json` reads what this crate wrote. What people and sources write comes through here,
//! because their errors need a place, a repeated name must be seen, and a number must not pass
//! through a double.

use std::borrow::Cow;
use std::fmt;

use crate::hash::Hasher;

/// The deepest nesting of arrays and objects that is read.
pub const MAX_JSON_DEPTH: usize = 512;

/// Where a JSON text stops being one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("offset {offset} (line {line}, column {column}): {fault}")]
pub struct SyntaxError {
    /// Bytes before the fault.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What is wrong there, and what would be accepted.
    pub fault: SyntaxFault,
}

/// What is wrong with a JSON text (RFC 8259).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxFault {
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The text ends inside a value.
    #[error("the text ends inside a value")]
    Unfinished,
    /// Something else was expected.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A control character stands unescaped in a string.
    #[error("an unescaped control character in a string; write it as \\u00XX")]
    Control,
    /// No such escape sequence.
    #[error(r#"no such escape; accepted: \" \\ \/ \b \f \n \r \t \uXXXX"#)]
    Escape,
    /// A number in a form that JSON does not have.
    #[error("no JSON number")]
    Number,
    /// Nested deeper than [`MAX_JSON_DEPTH`].
    #[error("nested deeper than 512 levels")]
    TooDeep,
    /// Text after the value.
    #[error("text after the value's end")]
    Trailing,
}

/// A value and the offset of its first byte.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) at: usize,
    pub(crate) value: Value<'a>,
}

/// One JSON value; names may repeat in an object, and stay in the order of the text.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// As written; its form has been checked.
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

/// One member of an object; `at` is the offset of its name.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) at: usize,
    pub(crate) name: Cow<'a, str>,
    pub(crate) node: Node<'a>,
}

impl Node<'_> {
    /// What errors call a value of this kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// Feeds the content to a hash: the same for the same value, whatever its white space,
    /// escapes, order of members or spelling of numbers.
    pub(crate) fn feed(&self, hasher: Hasher) -> Hasher {
        match &self.value {
            Value::Null => hasher.text("null"),
            Value::Bool(b) => hasher.text(if *b { "true" } else { "false" }),
            Value::Number(text) => {
                let exact = text.parse::<crate::decimal::Decimal>().map(|d| d.to_string());
                hasher.text("number").text(exact.as_deref().unwrap_or(text))
            }
            Value::Text(text) => hasher.text("text").text(text),
            Value::Array(items) => {
                items.iter().fold(hasher.text("array").number(items.len() as u64), |h, item| item.feed(h))
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|a, b| a.name.cmp(&b.name));
                let hasher = hasher.text("object").number(members.len() as u64);
                sorted.iter().fold(hasher, |h, m| m.node.feed(h.text(&m.name)))
            }
        }
    }
}

/// Writes the value as compact JSON, members in the order of the text.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Number(text) => f.write_str(text),
            Value::Text(text) => write_text(f, text),
            Value::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("{")?;
                for (i, member) in members.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    write_text(f, &member.name)?;
                    write!(f, ":{}", member.node)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Writes a JSON string literal.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
    f.write_str(&quoted)
}

/// Reads one JSON value, which must be the whole text.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node<'_>, SyntaxError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => return Err(error(bytes, e.valid_up_to(), SyntaxFault::NotUtf8)),
    };
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let node = reader.value(0).and_then(|node| {
        reader.space();
        if reader.at < text.len() { Err(SyntaxFault::Trailing) } else { Ok(node) }
    });
    let at = reader.at;
    node.map_err(|fault| error(bytes, at, fault))
}

/// An error with its line and column.
pub(crate) fn error(bytes: &[u8], offset: usize, fault: SyntaxFault) -> SyntaxError {
    let before = &bytes[..offset.min(bytes.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
    SyntaxError {
        offset,
        line: before.iter().filter(|b| **b == b'\n').count() + 1,
        column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        fault,
    }
}

/// On an error `at` stands where the fault is.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault<T>(&self, expected: &'static str) -> Result<T, SyntaxFault> {
        Err(match self.peek() {
            None => SyntaxFault::Unfinished,
            Some(_) => SyntaxFault::Expected(expected),
        })
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, SyntaxFault> {
        let at = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return self.fault("a JSON value"),
        };
        Ok(Node { at, value })
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, SyntaxFault> {
        for byte in word.bytes() {
            if self.peek() != Some(byte) {
                return self.fault("`true`, `false` or `null`");
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, SyntaxFault> {
        let mut members = Vec::new();
        self.open(depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            let at = self.at;
            if self.peek() != Some(b'"') {
                return self.fault("a member's name in double quotes");
            }
            let name = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return self.fault("`:`");
            }
            self.at += 1;
            self.space();
            let node = self.value(depth + 1)?;
            members.push(Member { at, name, node });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fault("`,` or `}`"),
            }
            self.space();
        }
        self.at += 1;
        Ok(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, SyntaxFault> {
        let mut items = Vec::new();
        self.open(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fault("`,` or `]`"),
            }
            self.space();
        }
        self.at += 1;
        Ok(Value::Array(items))
    }

    fn open(&mut self, depth: usize) -> Result<(), SyntaxFault> {
        if depth >= MAX_JSON_DEPTH {
            return Err(SyntaxFault::TooDeep);
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, SyntaxFault> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while reader.peek().is_some_and(|b| b.is_ascii_digit()) {
                reader.at += 1;
            }
            match reader.peek() {
                _ if reader.at > from => Ok(reader.at - from),
                None => Err(SyntaxFault::Unfinished),
                Some(_) => Err(SyntaxFault::Number),
            }
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.at;
        if digits(self)? > 1 && self.text.as_bytes()[whole] == b'0' {
            self.at = whole + 1;
            return Err(SyntaxFault::Number);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits(self)?;
        }
        Ok(&self.text[start..self.at])
    }

    /// A string, borrowed unless it has escapes. Half of a surrogate pair standing alone becomes
    /// U+FFFD: the grammar of RFC 8259 allows it, Unicode text does not.
    fn string(&mut self) -> Result<Cow<'a, str>, SyntaxFault> {
        self.at += 1;
        let start = self.at;
        let mut plain = start;
        let mut owned = String::new();
        loop {
            match self.peek() {
                None => return Err(SyntaxFault::Unfinished),
                Some(b'"') => {
                    let tail = &self.text[plain..self.at];
                    self.at += 1;
                    return Ok(if plain == start { Cow::Borrowed(tail) } else { Cow::Owned(owned + tail) });
                }
                Some(b'\\') => {
                    owned.push_str(&self.text[plain..self.at]);
                    owned.push(self.escape()?);
                    plain = self.at;
                }
                Some(0..=0x1f) => return Err(SyntaxFault::Control),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxFault> {
        let byte = self.text.as_bytes().get(self.at + 1).copied();
        let plain = match byte {
            None => {
                self.at += 1;
                return Err(SyntaxFault::Unfinished);
            }
            Some(b'u') => return self.unicode_escape(),
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) => return Err(SyntaxFault::Escape),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, SyntaxFault> {
        let first = self.hex(self.at + 2)?;
        let mut code = first;
        let mut length = 6;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at + 6..].starts_with("\\u") {
            let second = self.hex(self.at + 8)?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                length = 12;
            }
        }
        self.at += length;
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, from: usize) -> Result<u32, SyntaxFault> {
        let digits = self.text.as_bytes().get(from..from + 4);
        let Some(digits) = digits else {
            self.at = self.text.len();
            return Err(SyntaxFault::Unfinished);
        };
        digits
            .iter()
            .try_fold(0, |n, d| char::from(*d).to_digit(16).map(|d| n * 16 + d))
            .ok_or(SyntaxFault::Escape)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> (usize, SyntaxFault) {
        let e = parse(text.as_bytes()).unwrap_err();
        (e.offset, e.fault)
    }

    #[test]
    fn a_fault_names_its_offset_line_and_column() {
        use SyntaxFault::*;
        assert_eq!(fault(""), (0, Unfinished));
        assert_eq!(fault("{\"a\": }"), (6, Expected("a JSON value")));
        assert_eq!(fault("{\"a\""), (4, Unfinished));
        assert_eq!(fault("[1,]"), (3, Expected("a JSON value")));
        assert_eq!(fault("{\"a\":1,}"), (7, Expected("a member's name in double quotes")));
        assert_eq!(fault("01"), (1, Number));
        assert_eq!(fault("1.x"), (2, Number));
        assert_eq!(fault("1 2"), (2, Trailing));
        assert_eq!(fault("\"\\x\""), (1, Escape));
        assert_eq!(fault("\"\\u12"), (5, Unfinished));
        assert_eq!(fault("\"\t\""), (1, Control));
        assert_eq!(fault("nul"), (3, Unfinished));
        assert_eq!(fault(&"[".repeat(MAX_JSON_DEPTH + 1)), (MAX_JSON_DEPTH, TooDeep));
        assert_eq!(parse(b"\"\xff\"").unwrap_err().fault, NotUtf8);
        let e = parse("{\n \"é\": x}".as_bytes()).unwrap_err();
        assert_eq!((e.line, e.column), (2, 7));
    }

    #[test]
    fn escapes_surrogates_and_repeated_names_survive() {
        let text = r#"{"a":"\ud83d\ude00\n","a":"\ud800x","b":1.0}"#;
        let node = parse(text.as_bytes()).unwrap();
        assert_eq!(node.to_string(), "{\"a\":\"😀\\n\",\"a\":\"\u{fffd}x\",\"b\":1.0}");
    }

    #[test]
    fn equal_content_has_one_hash() {
        let hash = |text: &str| parse(text.as_bytes()).unwrap().feed(Hasher::new("t")).finish();
        assert_eq!(hash(r#"{"a":1.0,"b":[ "A" ]}"#), hash(r#"{"b":["\u0041"],"a":1e0}"#));
        assert_ne!(hash(r#"["a","b"]"#), hash(r#"["b","a"]"#));
        assert_ne!(hash("[[],[]]"), hash("[[[]]]"));
        assert_ne!(hash("1"), hash("\"1\""));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_serde_json_agrees(
            text in "[\\[\\]{}:,\"a0-9eE.+\\\\nu d8-]{0,24}"
        ) {
            let ours = parse(text.as_bytes()).is_ok();
            // serde_json refuses a lone surrogate and a number beyond a double.
            if let Err(e) = serde_json::from_str::<serde_json::Value>(&text) {
                let known = e.to_string().contains("surrogate") || e.to_string().contains("out of range")
                    || e.to_string().contains("hex escape");
                prop_assert!(!ours || known, "{text}: {e}");
            } else {
                prop_assert!(ours, "{text}");
            }
        }

        #[test]
        fn random_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes);
        }
    }
}
