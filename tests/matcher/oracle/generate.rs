//! Rules and events from the words of a set.

use std::fmt::Write as _;

use tipstaff::Pattern;

use super::random::Random;
use super::words::Words;

/// How events of a set are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// Names repeat, are dotted, are written with escapes; arrays hold objects and arrays.
    Wild,
    /// As `Wild`, but no name repeats or has a dot: what stopping early asks for.
    Single,
    /// As products have them, and no name repeats: the same few scalars, seldom an array.
    Plain,
}

pub(crate) struct Generator<'w> {
    pub(crate) words: &'w Words,
    pub(crate) shape: Shape,
}

/// Writes one of a list.
type One<'w> = fn(&Generator<'w>, &mut Random, &mut String);

impl<'w> Generator<'w> {
    /// A pattern of the words. Some texts make none: a field twice, an empty range.
    pub(crate) fn pattern(&self, random: &mut Random) -> Pattern {
        loop {
            let mut text = String::new();
            match self.shape {
                Shape::Plain => self.alike(random, &mut text),
                _ => self.fields(random, 3, 2, &mut text),
            }
            if let Ok(pattern) = Pattern::parse(&text) {
                return pattern;
            }
        }
    }

    fn list(&self, random: &mut Random, out: &mut String, one: One<'w>) {
        out.push('[');
        let count = if random.one_in(40) { 50 } else { 1 + random.below(4) };
        for i in 0..count {
            if i > 0 {
                out.push(',');
            }
            one(self, random, out);
        }
        out.push(']');
    }

    fn text(&self, random: &mut Random, out: &mut String) {
        self.words.text(random, out);
    }

    fn number(&self, random: &mut Random, out: &mut String) {
        self.words.number(random, out);
    }

    fn wildcard(&self, random: &mut Random, out: &mut String) {
        self.words.wildcard(random, out);
    }

    fn alternative(&self, random: &mut Random, out: &mut String) {
        let operator = |random: &mut Random, all: &[&'static str]| random.of(all);
        match random.below(22) {
            0..=3 => self.text(random, out),
            4..=5 => self.number(random, out),
            6 => out.push_str(operator(random, &["null", "true", "false"])),
            7..=8 => {
                let _ = write!(out, "{{\"{}\":", operator(random, &["prefix", "suffix"]));
                self.text(random, out);
                out.push('}');
            }
            9 => {
                let _ = write!(
                    out,
                    "{{\"{}\":{{\"equals-ignore-case\":",
                    operator(random, &["prefix", "suffix"])
                );
                self.text(random, out);
                out.push_str("}}");
            }
            10 => {
                out.push_str("{\"equals-ignore-case\":");
                self.text(random, out);
                out.push('}');
            }
            11 => {
                out.push_str("{\"wildcard\":");
                self.wildcard(random, out);
                out.push('}');
            }
            12 | 13 => {
                out.push_str("{\"anything-but\":");
                let one = if random.one_in(2) { Self::text } else { Self::number };
                self.list(random, out, one);
                out.push('}');
            }
            14 => {
                let _ = write!(
                    out,
                    "{{\"anything-but\":{{\"{}\":",
                    operator(random, &["prefix", "suffix", "equals-ignore-case"])
                );
                self.list(random, out, Self::text);
                out.push_str("}}");
            }
            15 => {
                out.push_str("{\"anything-but\":{\"wildcard\":");
                self.list(random, out, Self::wildcard);
                out.push_str("}}");
            }
            16 => {
                let (a, b) = (operator(random, &[">", ">="]), operator(random, &["<", "<="]));
                let _ = write!(out, "{{\"numeric\":[\"{a}\",");
                self.number(random, out);
                let _ = write!(out, ",\"{b}\",");
                self.number(random, out);
                out.push_str("]}");
            }
            17 => {
                let _ = write!(out, "{{\"numeric\":[\"{}\",", operator(random, &["=", "<", "<=", ">", ">="]));
                self.number(random, out);
                out.push_str("]}");
            }
            18 => {
                let _ = write!(out, "{{\"cidr\":\"{}\"}}", self.words.network(random));
            }
            19 => out.push_str("{\"exists\":true}"),
            _ => out.push_str("{\"exists\":false}"),
        }
    }

    fn alternatives(&self, random: &mut Random, out: &mut String) {
        out.push('[');
        for i in 0..=random.below(3) {
            if i > 0 {
                out.push(',');
            }
            self.alternative(random, out);
        }
        out.push(']');
    }

    fn fields(&self, random: &mut Random, most: usize, depth: usize, out: &mut String) {
        out.push('{');
        for i in 0..=random.below(most) {
            if i > 0 {
                out.push(',');
            }
            let _ = write!(out, "\"{}\":", random.text(&self.words.paths));
            self.alternatives(random, out);
        }
        if depth > 0 && random.one_in(5) {
            out.push_str(",\"$or\":[");
            for i in 0..2 + random.below(2) {
                if i > 0 {
                    out.push(',');
                }
                self.fields(random, 2, depth - 1, out);
            }
            out.push(']');
        }
        out.push('}');
    }

    /// One key, several predicates on the same paths.
    fn alike(&self, random: &mut Random, out: &mut String) {
        out.push_str("{\"a\":[\"xyz\"]");
        for name in ["b", "c.a", "c.b", "ab"] {
            if !random.one_in(3) {
                let _ = write!(out, ",\"{name}\":");
                self.alternatives(random, out);
            }
        }
        out.push('}');
    }

    fn scalar(&self, random: &mut Random, out: &mut String) {
        match random.below(6) {
            0..=2 => self.text(random, out),
            3..=4 => self.number(random, out),
            _ => out.push_str(random.of(&["null", "true", "false"])),
        }
    }

    fn value(&self, random: &mut Random, depth: usize, out: &mut String) {
        match random.below(if depth == 0 { 6 } else { 11 }) {
            0..=5 => self.scalar(random, out),
            6..=7 => {
                out.push('[');
                for i in 0..random.below(4) {
                    if i > 0 {
                        out.push(',');
                    }
                    self.value(random, depth - 1, out);
                }
                out.push(']');
            }
            _ => self.object(random, depth - 1, out),
        }
    }

    fn seldom_deep(&self, random: &mut Random, out: &mut String) {
        let depth = usize::from(random.one_in(4));
        self.value(random, depth, out);
    }

    fn object(&self, random: &mut Random, depth: usize, out: &mut String) {
        let space = |random: &mut Random| if random.one_in(12) { random.of(&[" ", "\n\t"]) } else { "" };
        let mut used = 0_u64;
        out.push('{');
        let mut first = true;
        for _ in 0..random.below(6) {
            let which = random.below(self.words.names.len());
            let mut name = self.words.names[which];
            if self.shape != Shape::Wild {
                // The same word may be there twice.
                let mark = self.words.names.iter().position(|other| *other == name).unwrap_or_default();
                if used >> mark & 1 == 1 {
                    continue;
                }
                used |= 1 << mark;
            } else if random.one_in(30) && !name.is_empty() {
                name = if name.starts_with('a') { "\\u0061" } else { "\\u002e" };
            }
            if !first {
                out.push(',');
            }
            first = false;
            out.push('"');
            out.push_str(name);
            while self.shape == Shape::Wild && random.one_in(8) {
                let dot = if random.one_in(9) { "\\u002e" } else { "." };
                out.push_str(dot);
                out.push_str(random.of(&self.words.names));
            }
            out.push('"');
            out.push_str(space(random));
            out.push(':');
            out.push_str(space(random));
            self.value(random, depth, out);
            out.push_str(space(random));
        }
        out.push('}');
    }

    /// A value at the end of one of the rules' paths, with brackets around some of the steps.
    fn deep(&self, random: &mut Random, out: &mut String) {
        let path = random.text(&self.words.paths);
        let mut closing = Vec::new();
        for step in path.split('.') {
            while random.one_in(6) {
                out.push('[');
                closing.push(']');
            }
            let _ = write!(out, "{{\"{step}\":");
            closing.push('}');
        }
        self.value(random, 2, out);
        out.extend(closing.iter().rev());
    }

    pub(crate) fn event(&self, random: &mut Random, out: &mut String) {
        match self.shape {
            Shape::Plain => {
                out.push_str(if random.one_in(8) { "{\"a\":[\"xyz\"]" } else { "{\"a\":\"xyz\"" });
                for name in ["b", "ab"] {
                    if !random.one_in(6) {
                        let _ = write!(out, ",\"{name}\":");
                        self.seldom_deep(random, out);
                    }
                }
                out.push_str(",\"c\":{\"a\":");
                self.scalar(random, out);
                out.push_str(",\"b\":");
                self.seldom_deep(random, out);
                out.push_str("}}");
            }
            Shape::Wild if random.one_in(4) => {
                let from = out.len();
                self.deep(random, out);
                if !out[from..].starts_with('{') {
                    out.insert_str(from, "{\"a\":");
                    out.push('}');
                }
            }
            _ => self.object(random, 3, out),
        }
    }
}
