//! The few names, texts and numbers that a rule set and its events draw from, so that they meet,
//! and nearly meet, often.

use super::random::Random;

const NAMES: &[&str] =
    &["a", "b", "c", "ab", "abc", "", "é", "longer-name", "longer-nam3", "a-name-of-seventeen", "\\\"", "A"];

/// As JSON writes them: shared beginnings and ends, other cases, addresses, what looks like a number.
const TEXTS: &[&str] = &[
    "x",
    "xyzw",
    "yz",
    "Xy",
    "straße",
    "STRASSE",
    "Σας",
    "ς",
    "ǅ",
    "İi",
    "",
    "*",
    "a*b",
    "5",
    "null",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.1",
    "10.127.255.255",
    "10.128.0.0",
    "192.168.0.1",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:a00:1",
    "2001:db8::5",
    "2001:DB8:0::5",
    "01.2.3.4",
    "256.0.0.1",
    "abcdefgh",
    "abcdefghijklmnop",
    "abcdefghijklmnopq",
    "abcdefghij-and-a-good-deal-more-than-thirty-two",
    "\\u0061",
    "\\ud83d\\ude00",
    "😀",
    "\\n",
    "\\\"",
    "\\\\",
    "\\/x",
    "\\ud800",
    "\\udc00\\ud800",
    "x.y",
    "aXbXc",
    "aaaaaaaaab",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "0e5",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "0.001e3",
    "5.5",
    "-5",
    "-5.5",
    "99",
    "1e2",
    "9007199254740992",
    "9007199254740993",
    "-122.42916360922355",
    "1e400",
    "-1e400",
    "9999999999999999999",
    "12345678901234567890",
    "12345678901234567890.5",
    "1234567890123456789",
    "-12345678901234567890",
    "0.1",
    "0.10000000000000001",
    "0.100000000000000000001",
    "1e-400",
    "1e999999999999999",
    "-1e-999999999999998",
];

const NETWORKS: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.0.0.0/24",
    "10.0.0.1/32",
    "10.0.1.0/24",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "::ffff:0:0/96",
    "::ffff:10.0.0.0/104",
    "::1/128",
    "::/90",
    "192.168.0.0/16",
];

/// The words of one rule set.
pub(crate) struct Words {
    pub(crate) names: Vec<&'static str>,
    /// Paths of rules, as dotted names.
    pub(crate) paths: Vec<String>,
    texts: Vec<String>,
    numbers: Vec<String>,
    networks: Vec<&'static str>,
}

impl Words {
    pub(crate) fn new(random: &mut Random) -> Self {
        let names: Vec<_> = (0..2 + random.below(4)).map(|_| random.of(NAMES)).collect();
        let mut texts: Vec<String> = (0..1 + random.below(3)).map(|_| random.of(TEXTS).to_owned()).collect();
        while texts.len() < 6 {
            let near = near_text(random.text(&texts).to_owned(), random);
            texts.push(if random.one_in(3) { random.of(TEXTS).to_owned() } else { near });
        }
        let mut numbers: Vec<String> =
            (0..1 + random.below(3)).map(|_| random.of(NUMBERS).to_owned()).collect();
        while numbers.len() < 6 {
            let near = near_number(random.text(&numbers).to_owned(), random);
            numbers.push(if random.one_in(3) { random.below(20).to_string() } else { near });
        }
        let mut paths: Vec<String> = Vec::new();
        let deepest = if random.one_in(40) { 60 } else { 3 };
        for _ in 0..2 + random.below(5) {
            // Paths share their beginnings.
            let mut path = if random.one_in(2) { String::new() } else { random.of(&NAMES[..3]).to_string() };
            if let Some(other) = paths.last().filter(|_| random.one_in(2)) {
                path.clone_from(other);
            }
            for _ in 0..1 + random.below(deepest) {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(random.of(&names));
            }
            paths.push(path);
        }
        let networks = (0..3).map(|_| random.of(NETWORKS)).collect();
        Self { names, paths, texts, numbers, networks }
    }

    /// A text between quotes.
    pub(crate) fn text(&self, random: &mut Random, out: &mut String) {
        out.push('"');
        if random.one_in(8) {
            out.push_str(&near_text(random.text(&self.texts).to_owned(), random));
        } else {
            out.push_str(random.text(&self.texts));
        }
        out.push('"');
    }

    pub(crate) fn number(&self, random: &mut Random, out: &mut String) {
        if random.one_in(8) {
            out.push_str(&near_number(random.text(&self.numbers).to_owned(), random));
        } else {
            out.push_str(random.text(&self.numbers));
        }
    }

    pub(crate) fn network(&self, random: &mut Random) -> &'static str {
        random.of(&self.networks)
    }

    /// A text with stars in places of its own.
    pub(crate) fn wildcard(&self, random: &mut Random, out: &mut String) {
        out.push('"');
        let text = random.text(&self.texts);
        let mut star = false;
        for c in text.chars() {
            match c {
                // Escapes are the business of texts; the pattern would be refused.
                '\\' | '*' => break,
                _ if !star && random.one_in(4) => {
                    out.push('*');
                    star = true;
                    if random.one_in(2) {
                        out.push(c);
                        star = false;
                    }
                }
                c => {
                    out.push(c);
                    star = false;
                }
            }
        }
        if !star && random.one_in(2) {
            out.push('*');
        }
        out.push('"');
    }
}

/// A text that differs a little. Escapes stay whole: only what stands before the first is changed.
fn near_text(mut text: String, random: &mut Random) -> String {
    let plain = text.find('\\').unwrap_or(text.len());
    let places: Vec<usize> = text[..plain].char_indices().map(|(at, _)| at).collect();
    match random.below(6) {
        0 => text.push('x'),
        1 => text.insert(0, 'x'),
        2 if !places.is_empty() => {
            text.remove(random.of(&places));
        }
        3 if !places.is_empty() => text.insert(random.of(&places), random.of(&['a', 'b', 'é', '.', '*'])),
        4 => {
            let (head, tail) = text.split_at(plain);
            text = head.to_uppercase() + tail;
        }
        _ => {
            let (head, tail) = text.split_at(plain);
            text = head.to_lowercase() + tail;
        }
    }
    text
}

/// The same number written otherwise, or one beside it.
fn near_number(text: String, random: &mut Random) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let fraction = if mantissa.contains('.') { "" } else { "." };
    match random.below(6) {
        0 => format!("{mantissa}{fraction}0e{exponent}"),
        1 => format!("{mantissa}{fraction}0000000000000000000000e+{exponent}"),
        2 => format!("{mantissa}{fraction}0000000000000000000001e{exponent}"),
        3 => format!("{mantissa}{fraction}1e{exponent}"),
        4 => match text.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None => format!("-{text}"),
        },
        _ => {
            let mut near = text.into_bytes();
            let digits: Vec<usize> = (0..near.len())
                .take_while(|at| near[*at] != b'e')
                .filter(|at| near[*at].is_ascii_digit())
                .collect();
            if let Some(last) = digits.last() {
                near[*last] = if near[*last] == b'9' { b'8' } else { near[*last] + 1 };
            }
            String::from_utf8(near).unwrap_or_default()
        }
    }
}
