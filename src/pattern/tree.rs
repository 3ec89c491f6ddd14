//! The fields of one branch as a tree over the steps of their paths.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Field;

/// What must hold at one path, and below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// The fields whose path ends here; several where one stands inside and one outside `$or`.
    pub(super) fields: Vec<usize>,
    pub(super) below: BTreeMap<String, Self>,
    /// Whether every field below accepts that there is no value.
    pub(super) below_absent: bool,
    /// Whether every field here and below does.
    pub(super) absent: bool,
}

impl Tree {
    pub(super) fn new(all: &[Field], branch: &[usize]) -> Self {
        let mut root = Self::default();
        for field in branch {
            let steps = all[*field].path.iter();
            let place = steps.fold(&mut root, |tree, step| tree.below.entry(step.clone()).or_default());
            place.fields.push(*field);
        }
        root.mark(all);
        root
    }

    /// Every field that stands in it.
    pub(super) fn all(&self) -> BTreeSet<usize> {
        let mut all: BTreeSet<usize> = self.fields.iter().copied().collect();
        self.below.values().for_each(|tree| all.extend(tree.all()));
        all
    }

    fn mark(&mut self, all: &[Field]) {
        self.below.values_mut().for_each(|tree| tree.mark(all));
        self.below_absent = self.below.values().all(|tree| tree.absent);
        self.absent = self.below_absent && self.fields.iter().all(|field| all[*field].absent);
    }
}
