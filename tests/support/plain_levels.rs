//! A second, plain implementation of levels and firings, from the words of the behaviour alone: it
//! keeps every score and asks at each instant what the whole past says. It shares nothing with the
//! library. Numbers are whole units, times are seconds, bands are numbered from the best to the
//! worst.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

/// A scale with all that keeps a subject in a band.
#[derive(Clone, Debug)]
pub struct PlainScale {
    pub low: i128,
    pub high: i128,
    /// Whether a high score is good.
    pub safe: bool,
    /// The lower bounds of the bands, the best band first.
    pub from: Vec<i128>,
    pub margin: i128,
    pub dwell: i64,
    /// Which moves margin and dwell hold back.
    pub toward_better: bool,
    pub toward_worse: bool,
    pub hold: i64,
}

/// What a rule asks.
#[derive(Clone, Debug)]
pub struct PlainRule {
    pub enters: Vec<usize>,
    pub worse: bool,
    pub better: bool,
    pub on_the_way: bool,
    pub first: bool,
    pub cooldown: i64,
}

/// A move, told with its instant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlainMove {
    pub at: i64,
    pub from: Option<usize>,
    pub to: usize,
}

impl PlainScale {
    /// The band of a score.
    pub fn band(&self, score: i128) -> usize {
        let inside = (0..self.from.len()).filter(|band| self.from[*band] <= score);
        inside.max_by_key(|band| self.from[*band]).expect("the score is in range")
    }

    fn worst(&self) -> usize {
        self.from.len() - 1
    }

    /// Whether the score has left the band for better ones (-1) or worse ones (1); 0 if not.
    fn beyond(&self, band: usize, score: i128) -> i8 {
        let lies = self.band(score);
        if lies == band {
            return 0;
        }
        let way = if lies > band { 1 } else { -1 };
        let gated = if way > 0 { self.toward_worse } else { self.toward_better };
        if !gated || lies == self.worst() {
            return way;
        }
        // The edge of the band on that side: upward where the next band begins, downward its own bound.
        let up = (way < 0) == self.safe;
        let next = if way < 0 { band - 1 } else { band + 1 };
        let far = match up {
            true => score - self.from[next] >= self.margin,
            false => self.from[band] - score > self.margin,
        };
        if far { way } else { 0 }
    }

    /// When the band is left, given all scores that counted so far.
    fn leaves(&self, band: usize, past: &[(i64, i128)]) -> Option<i64> {
        let way = past.last().map(|(_, score)| self.beyond(band, *score)).filter(|way| *way != 0)?;
        let run = past.iter().rev().take_while(|(_, score)| self.beyond(band, *score) == way);
        let since = run.last().map(|(at, _)| *at)?;
        let lies = self.band(past.last()?.1);
        let gated = if way > 0 { self.toward_worse } else { self.toward_better };
        let waits = if gated && lies != self.worst() { self.dwell } else { 0 };
        let qualified = past.iter().rev().find(|(_, score)| self.band(*score) >= band).map(|(at, _)| *at);
        let held = qualified.filter(|_| way < 0 && self.hold > 0).map(|at| at + self.hold);
        Some(held.map_or(since + waits, |held| held.max(since + waits)))
    }

    /// Every move of one subject, up to an instant.
    pub fn moves(&self, series: &[(i64, i128)], until: i64) -> Vec<PlainMove> {
        let mut past: Vec<(i64, i128)> = Vec::new();
        let mut band: Option<usize> = None;
        let mut moves = Vec::new();
        for (n, (at, score)) in series.iter().enumerate() {
            if past.last().is_some_and(|(last, _)| at < last) {
                continue;
            }
            past.push((*at, *score));
            match band {
                None => {
                    let to = self.band(*score);
                    moves.push(PlainMove { at: *at, from: None, to });
                    band = Some(to);
                }
                Some(from) if self.leaves(from, &past).is_some_and(|due| due <= *at) => {
                    let to = self.band(*score);
                    moves.push(PlainMove { at: *at, from: Some(from), to });
                    band = Some(to);
                }
                Some(_) => {}
            }
            // What time brings before the next score that counts.
            let next = series[n + 1..].iter().map(|(next, _)| *next).find(|next| next >= at);
            let horizon = next.unwrap_or(until);
            if let Some(from) = band
                && let Some(due) = self.leaves(from, &past).filter(|due| *due <= horizon)
            {
                let to = self.band(*score);
                moves.push(PlainMove { at: due, from: Some(from), to });
                band = Some(to);
            }
        }
        moves
    }

    /// Every firing of a rule on these moves: (instant, band left, band entered).
    pub fn firings(&self, rule: &PlainRule, moves: &[PlainMove]) -> Vec<(i64, Option<usize>, usize)> {
        let mut fired: Vec<(i64, Option<usize>, usize)> = Vec::new();
        for PlainMove { at, from, to } in moves {
            let mut entered = vec![*to];
            match from {
                None if !rule.first => continue,
                None => {}
                Some(from) => {
                    if !(if to > from { rule.worse } else { rule.better }) {
                        continue;
                    }
                    if rule.on_the_way {
                        entered = match to > from {
                            true => (from + 1..=*to).collect(),
                            false => (*to..*from).rev().collect(),
                        };
                    }
                }
            }
            for band in entered.into_iter().filter(|band| rule.enters.contains(band)) {
                let quiet = fired
                    .iter()
                    .any(|(when, left, into)| (left, *into) == (from, band) && at - when < rule.cooldown);
                if !quiet || band == self.worst() {
                    fired.push((*at, *from, band));
                }
            }
        }
        fired
    }
}
