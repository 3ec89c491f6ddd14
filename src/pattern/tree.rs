//! The fields of one branch as a tree over the steps of their paths.

use std::collections::BTreeSet;

use super::read::Field;

/// What must hold at one path, and below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// The fields whose path ends here; several where one stands inside and one outside `$or`.
    pub(super) fields: Vec<usize>,
    /// By the next step, in the order of the steps.
    below: Vec<(Box<str>, Self)>,
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
            let place = steps.fold(&mut root, |tree, step| tree.grow(step));
            place.fields.push(*field);
        }
        root.mark(all);
        root
    }

    /// Whether anything is named below that step.
    pub(super) fn names(&self, step: &str) -> bool {
        self.place(step).is_ok()
    }

    /// What is named below, by the next step.
    pub(super) fn below(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.below.iter().map(|(step, tree)| (&**step, tree))
    }

    fn place(&self, step: &str) -> Result<usize, usize> {
        self.below.binary_search_by(|(known, _)| (**known).cmp(step))
    }

    fn grow(&mut self, step: &str) -> &mut Self {
        let place = self.place(step).unwrap_or_else(|place| {
            self.below.insert(place, (step.into(), Self::default()));
            place
        });
        &mut self.below[place].1
    }

    /// Every field that stands in it.
    pub(super) fn all(&self) -> BTreeSet<usize> {
        let mut all: BTreeSet<usize> = self.fields.iter().copied().collect();
        self.below.iter().for_each(|(_, tree)| all.extend(tree.all()));
        all
    }

    fn mark(&mut self, all: &[Field]) {
        // There may be very many patterns, and each lives long.
        self.below.shrink_to_fit();
        self.fields.shrink_to_fit();
        self.below.iter_mut().for_each(|(_, tree)| tree.mark(all));
        self.below_absent = self.below.iter().all(|(_, tree)| tree.absent);
        self.absent = self.below_absent && self.fields.iter().all(|field| all[*field].absent);
    }
}
