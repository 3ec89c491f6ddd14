//! One rule in the place of another, without compiling the others again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compile::{Member, Rule};
use super::group::{Builder, Group, file};
use super::paths::PART;
use super::{Inner, Matcher, RuleIx};
use crate::pattern::Pattern;

impl Matcher {
    /// A matcher with another rule in the place of one, or, at the number [`len`](Self::len), one
    /// rule more; this one stays as it is.
    ///
    /// Only the groups of the two rules are compiled, so of many rules this takes about as long as
    /// copying a pointer for each. What the new rule asks for is found as soon as ever if it names
    /// what other rules name; ranges with ends that no rule had when [`new`](Self::new) compiled
    /// are checked one by one until it compiles again.
    ///
    /// # Panics
    /// If the number is greater than that.
    #[must_use]
    pub fn with(&self, rule: RuleIx, sources: &[&str], pattern: Pattern) -> Self {
        self.changed(rule, Some((sources, pattern)))
    }

    /// A matcher without a rule; the others keep their numbers.
    ///
    /// # Panics
    /// If there is no rule of that number.
    #[must_use]
    pub fn without(&self, rule: RuleIx) -> Self {
        self.changed(rule, None)
    }

    fn changed(&self, number: RuleIx, rule: Option<(&[&str], Pattern)>) -> Self {
        let mut inner = Inner::clone(&self.inner);
        if number.index() == inner.rules.len() && rule.is_some() {
            inner.rules.push(None);
        }
        let old = inner.rules[number.index()].take();
        let mut keys: BTreeSet<u64> = old.iter().flat_map(|rule| rule.keys.iter().copied()).collect();
        let mut added = BTreeSet::new();
        if let Some((sources, pattern)) = rule {
            let paths = Arc::make_mut(&mut inner.paths);
            let mut rule = Rule::new(sources, pattern, paths);
            let mut filed = BTreeSet::new();
            file(&rule, number.0, paths, |key, member| {
                filed.insert(key);
                added.insert((key, member.rule, member.conjunct));
            });
            rule.keys = filed.iter().copied().collect();
            keys.extend(filed);
            inner.rules[number.index()] = Some(Arc::new(rule));
        }
        inner.keyed.ways.resize(inner.paths.len(), 0);
        for key in keys {
            let mut conjuncts = Vec::new();
            let place = inner.root.get(key);
            if let Some(place) = place {
                inner.groups[place as usize].conjuncts(&mut conjuncts);
            }
            conjuncts.retain(|(rule, _)| *rule != number.0);
            let of_key = added.range((key, 0, 0)..=(key, u32::MAX, u32::MAX));
            conjuncts.extend(of_key.map(|(_, rule, conjunct)| (*rule, *conjunct)));
            let group = inner.group(key, conjuncts);
            match place {
                Some(place) => inner.groups[place as usize] = group,
                None => {
                    Arc::make_mut(&mut inner.root).insert(key, inner.groups.len() as u32);
                    inner.keyed.note(key, inner.groups.len() as u32);
                    inner.groups.push(group);
                }
            }
        }
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    /// The group of a key, of these conjuncts.
    fn group(&self, key: u64, conjuncts: Vec<(u32, u32)>) -> Group {
        let members = conjuncts.into_iter().filter_map(|(number, conjunct)| {
            let rule = self.rules[number as usize].as_deref()?;
            let checks = &rule.conjuncts[conjunct as usize].checks;
            let member = Member::new(number, conjunct as usize, checks.len());
            // A part of a text is not all that a test asks for, and neither is any value; both have
            // the mark of a part. Which of two checks on one path the key stands for is not known any more.
            let path = (key >> 32) as u32;
            let mut of_path = checks.iter().enumerate().filter(|(_, check)| check.path == path);
            Some(match (of_path.next(), of_path.next()) {
                (Some((i, _)), None) if key as u32 & PART == 0 => member.without(i),
                _ => member,
            })
        });
        let rules = |number: u32| self.rules[number as usize].as_deref();
        Builder { rules, paths: &self.paths }.group(members.collect(), 0)
    }
}
