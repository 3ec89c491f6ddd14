//! What a walk has met, beside the groups that it leads to.

use super::bits::{self, Left};
use super::check;
use super::column::View;
use super::compile::{Check, Member, Rule, Wanted, any_key, key};
use super::group::{COLUMNS, Group};
use super::paths::UNNAMED;
use super::values::Values;
use super::{Inner, RuleIx};
use crate::json::{self, Node};

/// Groups of at most this many words are intersected without buffers.
const FEW_WORDS: usize = 8;

/// One event on its way through the groups.
pub(super) struct Run<'r> {
    inner: &'r Inner,
    event: &'r [u8],
    values: &'r Values,
    /// Read where the interpreter is needed.
    tree: Option<Node<'r>>,
}

impl<'r> Run<'r> {
    pub(super) fn new(inner: &'r Inner, event: &'r [u8], values: &'r Values) -> Self {
        Self { inner, event, values, tree: None }
    }

    /// Finds the rules of a group, and of those below, that accept the event.
    pub(super) fn group(&mut self, group: &Group, left: &mut Left, found: &mut Vec<RuleIx>) {
        if group.columns.is_empty() {
            for member in group.slots.iter() {
                if self.accepts(*member) {
                    found.push(RuleIx(member.rule));
                }
            }
        } else {
            self.columns(group, left, found);
        }
        let Some(below) = &group.below else { return };
        let values = self.values;
        for (i, seen) in values.list.iter().enumerate() {
            let named = (seen.literal != UNNAMED).then(|| key(seen.path, seen.literal));
            let any = values.is_first(i).then(|| any_key(seen.path));
            for group in [named, any].into_iter().flatten().filter_map(|key| below.get(key)) {
                self.group(group, left, found);
            }
        }
        for group in values.parts.keys.iter().filter_map(|key| below.get(*key)) {
            self.group(group, left, found);
        }
    }

    /// Intersects what each column accepts, and finds what is left.
    fn columns(&mut self, group: &Group, left: &mut Left, found: &mut Vec<RuleIx>) {
        // All are looked up before any is used, so that the look-ups wait for memory together.
        let mut views = [View::NONE; COLUMNS];
        let mut plain = group.words() <= FEW_WORDS;
        for (column, view) in group.columns.iter().zip(&mut views) {
            *view = column.view(self.values);
            plain &= view.is_plain();
        }
        let views = &views[..group.columns.len()];
        if plain {
            for i in 0..group.words() {
                let (mut left, mut unsure) = (u64::MAX, 0);
                for (column, view) in group.columns.iter().zip(views) {
                    let View::One(one) = view else { continue };
                    let (accepting, doubtful) = column.word(one, i);
                    left &= accepting;
                    unsure |= doubtful;
                }
                self.word(i, (left, unsure), group, views, false, found);
            }
            return;
        }
        left.begin(group.words());
        let mut recheck = false;
        for (column, view) in group.columns.iter().zip(views) {
            let any = match view {
                View::One(one) => column.meet_one(one, left),
                View::Many => {
                    recheck |= column.has_ranges();
                    column.meet_many(self.values, left)
                }
            };
            if !any {
                return;
            }
        }
        for (i, words) in left.left.iter().zip(&left.unsure).enumerate() {
            self.word(i, (*words.0, *words.1), group, views, recheck, found);
        }
    }

    /// Finds what is left in one word of slots, of which some are unsure.
    #[inline]
    fn word(
        &mut self,
        i: usize,
        (mut word, unsure): (u64, u64),
        group: &Group,
        views: &[View],
        recheck: bool,
        found: &mut Vec<RuleIx>,
    ) {
        while word != 0 {
            let bit = word.trailing_zeros() as usize;
            let slot = i * bits::WORD + bit;
            word &= word - 1;
            // Bits beyond the last slot are set.
            let Some(member) = group.slots.get(slot) else { break };
            let mut looked_up = group.columns.iter().zip(views);
            if unsure >> bit & 1 == 1 && !looked_up.all(|(column, view)| column.is_within(view, slot)) {
                continue;
            }
            if recheck && !self.holds_ranges(*member, group, views) {
                continue;
            }
            if self.accepts(*member) {
                found.push(RuleIx(member.rule));
            }
        }
    }

    /// Checks a member at the paths where the event has several values and rules have ranges.
    fn holds_ranges(&self, member: Member, group: &Group, views: &[View]) -> bool {
        let Some(rule) = self.inner.rules[member.rule as usize].as_deref() else { return false };
        let several = |check: &&Check| {
            let columns = group.columns.iter().zip(views);
            columns.into_iter().any(|(column, view)| column.path == check.path && matches!(view, View::Many))
        };
        rule.conjunct(member).checks.iter().filter(several).all(|check| self.holds(rule, *check))
    }

    #[inline]
    fn accepts(&mut self, member: Member) -> bool {
        member.open == 0 && self.values.tangled == 0 || self.checks(member)
    }

    fn checks(&mut self, member: Member) -> bool {
        let Some(rule) = self.inner.rules[member.rule as usize].as_deref() else { return false };
        let conjunct = rule.conjunct(member);
        if !rule.open(member).all(|(_, check)| self.holds(rule, check)) {
            return false;
        }
        if conjunct.joined & self.values.tangled == 0 {
            return true;
        }
        if self.tree.is_none() {
            self.tree = json::parse(self.event).ok();
        }
        self.tree.as_ref().is_some_and(|tree| rule.pattern.branch_accepts(conjunct.branch, tree))
    }

    fn holds(&self, rule: &Rule, check: Check) -> bool {
        match rule.wanted(check) {
            Wanted::Sources(sources) => {
                self.values.first(check.path).is_some_and(|seen| sources.contains(&seen.literal))
            }
            Wanted::Field(field) => {
                let mut none = true;
                for seen in self.values.at(check.path) {
                    none = false;
                    if check::passes(field, self.values.value(seen, self.event)) {
                        return true;
                    }
                }
                field.absent && (none || self.inner.paths.path(check.path).part & self.values.tangled != 0)
            }
        }
    }
}
