//! What a changed band set would do, counted before anything is done.

use std::collections::BTreeMap;

use super::bands::{Reread, band_sets, reread, subjects};
use super::installed::{Installed, numbered};
use super::rules::next_settings;
use super::{Engine, EngineError, until_settled};
use crate::action::ActionType;
use crate::guard::{Cause, Suppression};
use crate::hash::{Hash, Hasher};
use crate::id::{RuleId, ScaleId, Subject, TenantId};
use crate::pattern::Payload;
use crate::plan::{Effect, Facts, plan};
use crate::ready::Answer;
use crate::rule::{Rule, RuleSet};
use crate::score::BandName;
use crate::signal::Signal;
use crate::state::{Administrators, Away, CapCounter, Control, Roster, SubjectState};
use crate::store::{MAX_PAGE, Store, decode};
use crate::time::Time;

/// How many subjects of each move a preview names.
pub const MAX_MOVE_SAMPLE: usize = 5;

/// What a changed band set would do. Its size does not grow with the number of subjects.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BandPreview {
    /// Binds [`Engine::apply_bands`] to what was shown: the change, the rules in force, who moves
    /// from where to where, and what follows.
    pub digest: Hash,
    /// The scales whose bands change.
    pub scales: Vec<ScaleId>,
    /// How many subjects there are.
    pub subjects: u64,
    /// How many moves there would be; a subject may move on several scales.
    pub moved: u64,
    /// How many last scores lie outside the new range: these subjects would be unknown on the scale.
    pub unreadable: u64,
    /// How many records are damaged, and would be left as they are.
    pub damaged: u64,
    /// The moves.
    pub moves: BTreeMap<BandMove, MoveCount>,
    /// What would follow.
    pub actions: BTreeMap<(RuleId, ActionType), ActionCount>,
    /// How many requests for approval that would open.
    pub approvals: u64,
    /// Which caps would hold how many actions, if all moves came in one window in which nothing had been
    /// made yet. What is counted for each subject by itself is told together.
    pub caps: BTreeMap<String, u64>,
}

/// A move between bands of a scale.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BandMove {
    /// The scale.
    pub scale: ScaleId,
    /// The band that is left.
    pub from: BandName,
    /// The band that is entered.
    pub to: BandName,
}

/// Who would make a move.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MoveCount {
    /// How many.
    pub subjects: u64,
    /// Some of them; at most [`MAX_MOVE_SAMPLE`].
    pub sample: Vec<Subject>,
}

/// What would follow by one rule and action type.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ActionCount {
    /// Enforcements that would be made.
    pub created: u64,
    /// Those of them that would wait for approval. Rules that want the same restriction of a subject
    /// share one request: [`BandPreview::approvals`] counts each once.
    pub ask: u64,
    /// What shadow mode would keep from being carried out.
    pub shadow: u64,
    /// What guards would hold back.
    pub suppressed: u64,
}

/// What limits moves, as a preview goes through the subjects.
#[derive(Default)]
struct Limits {
    control: Control,
    caps: BTreeMap<Hash, Option<CapCounter>>,
    population: Option<u64>,
}

/// What somebody agreed to.
pub(super) struct Agreement {
    pub(super) preview: BandPreview,
    /// The version of the book that the preview saw.
    pub(super) version: u64,
    pub(super) max_moves: u64,
    pub(super) reason: String,
}

impl Engine {
    /// Counts what adding this set would do to subjects whose scale's bands it changes: who moves
    /// from where to where, what follows by which rule, and how many approvals that asks for.
    /// Nothing is written. All subjects are read, in pages.
    ///
    /// A change of the bands moves people without anything having happened, so it is never silent:
    /// [`Engine::add_rules`] refuses it where anybody has a score on the scale. The last score of
    /// each subject is read by the new bands ([`Scale::reread`](crate::Scale::reread)): a dwell under
    /// way ends, a hold that is in force stays; whose band has no name on the new scale enters from
    /// "unknown", which fires only where a rule says so. Margin, dwell and hold are part of a band
    /// set: to change them is to change the bands.
    ///
    /// Caps hold what follows as they hold anything else; they are counted from nothing, so that a preview
    /// stays valid while windows come and go.
    ///
    /// Rules that ask for attributes judge those that came with the last score.
    ///
    /// # Errors
    /// [`EngineError::Rules`] where the rules do not fit the new bands.
    pub fn preview_bands<'a>(
        &'a self,
        tenant: &'a TenantId,
        set: &'a RuleSet,
        now: Time,
    ) -> Answer<'a, Result<BandPreview, EngineError>> {
        Box::pin(async move {
            let (preview, _) = until_settled!({ self.preview(tenant, set, now).await })?;
            Ok(preview)
        })
    }

    /// The preview, and the version of the book that it saw.
    pub(super) async fn preview(
        &self,
        tenant: &TenantId,
        set: &RuleSet,
        now: Time,
    ) -> Result<(BandPreview, u64), EngineError> {
        let mut tx = self.tx(tenant);
        let known = self.rules_in(&mut tx, tenant, now).await?;
        let mut limits = Limits { control: self.control(tenant).await?, ..Limits::default() };
        let settings = next_settings(set, Some(&known), true);
        let (sets, changed) = band_sets(Some(&known.book), Some(known.rules.settings()), &settings, now);
        let text = settings.to_json();
        let rules = RuleSet::with_activity(
            numbered(settings, &sets),
            combined(&known, set),
            self.seed.host_catalog(),
        )?;
        let next = Installed { rules, ..known.with_bands(sets) };
        let all: Vec<_> = next.rules.rules().cloned().collect();
        limits.population = self.population(tenant, &next.rules, &all).await?;
        let mut preview = BandPreview::of(changed.into_keys().collect());
        let content = Hasher::new("tipstaff/bands/1").text(tenant.as_str()).number(known.version).text(&text);
        let mut content =
            set.rules().fold(content, |h, rule| h.text(rule.rule.id.as_str()).hash(&rule.rule.digest()));
        let mut after = None;
        loop {
            let page = self.store.query(&subjects(tenant, Vec::new(), after, MAX_PAGE)).await?;
            preview.subjects += page.rows.len() as u64;
            for record in &page.rows {
                match decode::<SubjectState>(record) {
                    Ok(stored) => {
                        content = preview.subject(&next, &mut limits, stored.body, content, now)?;
                    }
                    Err(_) => preview.damaged += 1,
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        preview.digest = preview.outcome(content);
        Ok((preview, known.version))
    }
}

impl BandPreview {
    /// Nobody counted yet.
    const fn of(scales: Vec<ScaleId>) -> Self {
        Self {
            digest: Hash::ZERO,
            scales,
            subjects: 0,
            moved: 0,
            unreadable: 0,
            damaged: 0,
            moves: BTreeMap::new(),
            actions: BTreeMap::new(),
            approvals: 0,
            caps: BTreeMap::new(),
        }
    }

    /// Counts what would become of one subject.
    fn subject(
        &mut self,
        next: &Installed,
        limits: &mut Limits,
        mut state: SubjectState,
        mut content: Hasher,
        now: Time,
    ) -> Result<Hasher, EngineError> {
        for id in self.scales.clone() {
            let Some(scale) = next.rules.settings().scale(&id) else { continue };
            let (turn, moves) = match reread(next, &state, &scale) {
                Reread::Nothing => continue,
                Reread::Unreadable => {
                    self.unreadable += 1;
                    state.scores.remove(&id);
                    continue;
                }
                Reread::Look { turn, moves } => (turn, moves),
            };
            let from = state.scores.get(&id).map(|level| level.band.clone());
            let attributes = state.known_attributes().or_else(|| Payload::new("{}").ok());
            let signal = Signal::Level(*turn);
            let concerned = next.rules.concerned(&signal);
            let facts = Facts {
                rules: &next.rules,
                subject: state,
                control: limits.control.clone(),
                stats: BTreeMap::new(),
                // Rules on scores keep no windows.
                tallies: BTreeMap::new(),
                roster: Roster::default(),
                // Who is exempt, or an administrator, counts as moved: a preview may show too much, never
                // too little.
                exemptions: Vec::new(),
                attributes,
                administrators: Some(Administrators::default()),
                away: Away::default(),
                caps: std::mem::take(&mut limits.caps),
                population: limits.population,
                cause: Cause::None,
            };
            let planned = plan(&signal, &concerned, &facts, now)?;
            limits.caps = facts.caps;
            limits.caps.extend(planned.caps.into_iter().map(|(id, counter)| (id, Some(counter))));
            limits.control.paused.extend(planned.pauses);
            state = planned.subject;
            let to = state.scores.get(&id).map(|level| level.band.clone());
            if let (true, Some(from), Some(to)) = (moves, from, to) {
                self.moved += 1;
                content = state.subject.feed(content.text(id.as_str()).text(from.as_str()).text(to.as_str()));
                let count = self.moves.entry(BandMove { scale: id, from, to }).or_default();
                count.subjects += 1;
                if count.sample.len() < MAX_MOVE_SAMPLE {
                    count.sample.push(state.subject.clone());
                }
            }
            self.approvals += planned.approvals.len() as u64;
            for outcome in &planned.decision.outcomes {
                let Some(rule) = &outcome.rule else { continue };
                let count = self.actions.entry((rule.id.clone(), outcome.action.clone())).or_default();
                let held = match &outcome.effect {
                    Effect::Created { because, .. } => because.as_slice(),
                    Effect::Suppressed(held) => std::slice::from_ref(held),
                    Effect::Shadow { .. } => &[],
                };
                for held in held.iter().filter(|held| held.reason == Suppression::Cap) {
                    *self.caps.entry(held.detail.clone().unwrap_or_default()).or_default() += 1;
                }
                match &outcome.effect {
                    Effect::Created { approval, .. } => {
                        count.created += 1;
                        count.ask += u64::from(approval.is_some());
                    }
                    Effect::Shadow { .. } => count.shadow += 1,
                    Effect::Suppressed(_) => count.suppressed += 1,
                }
            }
        }
        Ok(content)
    }

    fn outcome(&self, content: Hasher) -> Hash {
        let content = content.number(self.moved).number(self.unreadable).number(self.approvals);
        let counts = self.actions.iter().fold(content, |h, ((rule, action), count)| {
            let h = h.text(rule.as_str()).text(action.as_str()).number(count.created).number(count.ask);
            h.number(count.shadow).number(count.suppressed)
        });
        let held = |h: Hasher, (cap, held): (&String, &u64)| h.text(cap).number(*held);
        self.caps.iter().fold(counts, held).finish()
    }
}

/// The rules of the tenant with those of the set, which are active; what is unchanged stays as it is.
fn combined(known: &Installed, set: &RuleSet) -> Vec<(Rule, bool)> {
    let own = known.rules.rules().map(|rule| (rule.rule.id.clone(), (rule.rule.clone(), rule.active)));
    let mut all: BTreeMap<RuleId, (Rule, bool)> = own.collect();
    for rule in set.rules() {
        if known.rules.rule(&rule.rule.id).is_none_or(|old| old.rule.digest() != rule.rule.digest()) {
            all.insert(rule.rule.id.clone(), (rule.rule.clone(), true));
        }
    }
    all.into_values().collect()
}
