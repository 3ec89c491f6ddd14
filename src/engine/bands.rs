//! A changed band set: a preview with counts first, then a run through every subject, page by page.
//!
//! A change of the bands moves people without anything having happened, so it is never silent:
//! [`Engine::add_rules`] refuses settings that change the bands of a scale on which anybody has a
//! score. [`Engine::preview_bands`] counts who would move and what would follow;
//! [`Engine::apply_bands`] takes the digest of that preview and the number of moves that was agreed
//! to. A world that has changed since is another preview.
//!
//! The change is a record with a cursor, stepped by [`Engine::run_due`] like any timer: a process
//! that ends takes nothing with it. Each subject's move is one decision, whose id is that of
//! (scale, revision, subject); whoever has a score in between is read again first.

use std::collections::BTreeMap;
use std::fmt;

use super::installed::Installed;
use super::intake::{replace, subject_key};
use super::preview::Agreement;
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::hash::Hash;
use crate::id::{ActorId, ScaleId, TenantId};
use crate::ready::Answer;
use crate::rule::{RuleSet, Settings};
use crate::score::{BandName, Scale, Transition};
use crate::signal::{LevelTurn, LevelWhy, MAX_REASON_BYTES};
use crate::state::{BandRun, BandSet, Book, SubjectState};
use crate::store::{Cursor, Facet, Key, Kind, Order, Query, Record, Store, StoreError, decode};
use crate::time::Time;

/// How many subjects one commit visits.
const SUBJECTS: usize = 50;

/// Scales, as an error names them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScaleList(pub Vec<ScaleId>);

impl fmt::Display for ScaleList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|id| format!("`{id}`")).collect();
        f.write_str(&names.join(", "))
    }
}

impl Engine {
    /// Puts changed bands in force, as they were previewed, and begins to move the subjects; the
    /// rules and settings of the set are added as [`Engine::add_rules`] does. A set that declares
    /// scales and nothing else changes these scales, and leaves every other setting as it is.
    ///
    /// `digest` is that of the [preview](Engine::preview_bands) that was shown, `max_moves` how many
    /// moves are agreed to: more are refused here, and should more come about while the run is on
    /// its way, these are recorded and nothing follows from them
    /// ([`Suppression::OverAgreed`](crate::Suppression::OverAgreed)).
    ///
    /// The subjects are visited by [`Engine::run_due`]. The same call again gives the run back.
    ///
    /// # Errors
    /// [`EngineError::PreviewStale`] where the world has changed since the preview,
    /// [`EngineError::TooManyMoves`], [`EngineError::BandsMoving`] where an earlier change is still
    /// on its way, [`EngineError::Reason`], and those of [`Engine::add_rules`]. Nothing is changed
    /// then.
    #[expect(clippy::too_many_arguments, reason = "an order of that weight names all of it")]
    pub fn apply_bands<'a>(
        &'a self,
        tenant: &'a TenantId,
        set: &'a RuleSet,
        digest: Hash,
        max_moves: u64,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<BandRun, EngineError>> {
        Box::pin(async move {
            if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
                return Err(EngineError::Reason(reason.len()));
            }
            until_settled!({
                match self.band_run(tenant, digest).await {
                    Err(EngineError::NotFound { .. }) => {}
                    known => return known,
                }
                let (preview, version) = self.preview(tenant, set, now).await?;
                if preview.digest != digest {
                    return Err(EngineError::PreviewStale { given: digest, found: preview.digest });
                }
                if preview.moved > max_moves {
                    return Err(EngineError::TooManyMoves { moves: preview.moved, agreed: max_moves });
                }
                let agreement = Agreement { preview, version, max_moves, reason: reason.to_owned() };
                let actor = Actor::Person(actor.clone());
                self.write_rules(tenant, set, &actor, now, Some(&agreement)).await?;
                self.band_run(tenant, digest).await
            })
        })
    }

    /// How far a change of bands has come, by the digest that it was applied with.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn band_run<'a>(
        &'a self,
        tenant: &'a TenantId,
        digest: Hash,
    ) -> Answer<'a, Result<BandRun, EngineError>> {
        Box::pin(async move {
            let key = change_key(tenant, digest);
            let record = self.store.load(std::slice::from_ref(&key)).await?.pop().flatten();
            let record = record.ok_or_else(|| not_found("change of bands", &digest))?;
            Ok(decode::<BandRun>(&record)?.body)
        })
    }

    /// Puts the change itself into the transaction that puts the bands in force.
    pub(super) async fn begin_bands(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        scales: BTreeMap<ScaleId, u32>,
        agreement: &Agreement,
        actor: &Actor,
        now: Time,
    ) -> Result<(), EngineError> {
        let preview = &agreement.preview;
        let draft = AuditDraft::new(tenant.clone(), AuditCode::PolicyBandsChanged, actor.clone(), now)
            .target(ScaleList(scales.keys().cloned().collect()).to_string())
            .detail("digest", preview.digest.to_string())
            .detail("moves", i64::try_from(preview.moved).unwrap_or(i64::MAX))
            .detail("approvals", i64::try_from(preview.approvals).unwrap_or(i64::MAX))
            .detail("agreed", i64::try_from(agreement.max_moves).unwrap_or(i64::MAX))
            .personal("reason", agreement.reason.as_str());
        tx.log([draft]);
        let run = BandRun {
            digest: preview.digest,
            at: now,
            by: actor.clone(),
            scales,
            agreed: agreement.max_moves,
            moved: 0,
            visited: 0,
            cursor: None,
            done: false,
        };
        let key = change_key(tenant, preview.digest);
        tx.load([key.clone()]).await?;
        tx.put_new(key, run);
        Ok(())
    }

    /// Whether the last change of bands is still on its way.
    pub(super) async fn bands_are_moving(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        book: &Book,
    ) -> Result<bool, EngineError> {
        let Some(digest) = book.change else { return Ok(false) };
        let key = change_key(tenant, digest);
        tx.load([key.clone()]).await?;
        Ok(tx.get::<BandRun>(&key)?.is_some_and(|run| !run.body.done))
    }

    /// Whether anybody is in one of these bands.
    pub(super) async fn anybody_in(
        &self,
        tenant: &TenantId,
        scale: &ScaleId,
        bands: &[BandName],
    ) -> Result<bool, EngineError> {
        let values = bands.iter().map(|band| format!("{scale}/{band}")).collect();
        let facets = vec![(Facet::Band, values)];
        Ok(!self.store.query(&subjects(tenant, facets, None, 1)).await?.rows.is_empty())
    }

    /// Visits the next page of subjects.
    pub(super) async fn step_bands(&self, mut tx: Tx<'_>, key: &Key, now: Time) -> Result<(), EngineError> {
        let tenant = &key.tenant;
        let Some(stored) = tx.get::<BandRun>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        let mut run = stored.body;
        let after = run.cursor.as_ref().and_then(|cursor| cursor.parse().ok());
        let page = self.store.query(&subjects(tenant, Vec::new(), after, SUBJECTS)).await?;
        for record in &page.rows {
            self.move_by_bands(&mut tx, &installed, &mut run, record, now).await?;
        }
        run.visited += page.rows.len() as u64;
        run.cursor = page.next.map(|cursor| cursor.to_string());
        run.done = run.cursor.is_none();
        if run.done {
            let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            let draft = AuditDraft::new(tenant.clone(), AuditCode::PolicyBandsCompleted, Actor::Engine, now)
                .target(ScaleList(run.scales.keys().cloned().collect()).to_string())
                .detail("digest", run.digest.to_string())
                .detail("visited", count(run.visited))
                .detail("moved", count(run.moved));
            tx.log([draft]);
        }
        replace(&mut tx, key.clone(), run)?;
        tx.commit(id).await?;
        Ok(())
    }

    async fn move_by_bands(
        &self,
        tx: &mut Tx<'_>,
        installed: &Installed,
        run: &mut BandRun,
        record: &Record,
        now: Time,
    ) -> Result<(), EngineError> {
        for id in run.scales.clone().keys() {
            let Some(scale) = installed.rules.settings().scale(id) else { continue };
            let seen = decode::<SubjectState>(record).map(|stored| stored.body);
            let (subject, skipped) = match seen {
                // A damaged record holds up nobody else.
                Err(_) => (None, "damaged"),
                Ok(state) if !needs_look(installed, &state, &scale) => continue,
                Ok(state) => {
                    let key = subject_key(&installed.tenant, &state.subject);
                    tx.load([key.clone()]).await?;
                    // The page may be older than the transaction.
                    let Some(fresh) = tx.get::<SubjectState>(&key)? else { continue };
                    match reread(installed, &fresh.body, &scale) {
                        Reread::Nothing => continue,
                        Reread::Look { mut turn, moves } => {
                            let over = moves && run.moved >= run.agreed;
                            turn.why = LevelWhy::Reread { revision: scale.revision(), over };
                            match self.look(tx, installed, *turn, now).await {
                                Ok(_) => {
                                    run.moved += u64::from(moves);
                                    continue;
                                }
                                Err(EngineError::Store(StoreError::Corrupt { .. })) => {
                                    (Some(state.subject), "decided before")
                                }
                                Err(other) => return Err(other),
                            }
                        }
                        Reread::Unreadable => {
                            let mut state = fresh.body.clone();
                            state.scores.remove(id);
                            replace(tx, key, state.clone())?;
                            (Some(state.subject), "the last score is out of range")
                        }
                    }
                }
            };
            let actor = Actor::Engine;
            let mut draft =
                AuditDraft::new(installed.tenant.clone(), AuditCode::PolicyBandsSkipped, actor, now)
                    .target(id.as_str())
                    .detail("reason", skipped)
                    .detail("record", record.key.id.chars().take(300).collect::<String>());
            draft.subject = subject;
            tx.log([draft]);
        }
        Ok(())
    }

    /// A look that somebody's score asked for before the run came to them counts for the run.
    pub(super) async fn counted(
        &self,
        tx: &mut Tx<'_>,
        installed: &Installed,
        turn: LevelTurn,
    ) -> Result<LevelTurn, EngineError> {
        let (Some(digest), LevelWhy::Reread { revision, .. }) = (installed.change, &turn.why) else {
            return Ok(turn);
        };
        let revision = *revision;
        let (run, subject) = (change_key(&turn.tenant, digest), subject_key(&turn.tenant, &turn.subject));
        tx.load([run.clone(), subject.clone()]).await?;
        let scale = installed.rules.settings().scale(&turn.scale);
        let (Some(stored), Some(state), Some(scale)) =
            (tx.get::<BandRun>(&run)?, tx.get::<SubjectState>(&subject)?, scale)
        else {
            return Ok(turn);
        };
        if !matches!(reread(installed, &state.body, &scale), Reread::Look { moves: true, .. }) {
            return Ok(turn);
        }
        let over = stored.body.moved >= stored.body.agreed;
        let moved = stored.body.moved + 1;
        let next = BandRun { moved, ..stored.body.clone() };
        tx.put(run, &stored.with(next));
        Ok(LevelTurn { why: LevelWhy::Reread { revision, over }, ..turn })
    }
}

/// What reading a subject again would do.
pub(super) enum Reread {
    /// Nothing.
    Nothing,
    /// Their level changes; `moves` if it is another band.
    Look { turn: Box<LevelTurn>, moves: bool },
    /// Their last score is no score of this scale.
    Unreadable,
}

/// What reading a subject's level again by these bands would do, at the moment when they came.
pub(super) fn reread(installed: &Installed, state: &SubjectState, scale: &Scale) -> Reread {
    let level = match state.scores.get(scale.id()) {
        Some(level) if level.revision != scale.revision() => level,
        _ => return Reread::Nothing,
    };
    let at = installed.since(scale.id()).max(level.at);
    let Ok(step) = scale.reread(level, at) else { return Reread::Unreadable };
    if step.only_numbers(level) {
        return Reread::Nothing;
    }
    let why = LevelWhy::Reread { revision: scale.revision(), over: false };
    let turn = LevelTurn::new(&installed.tenant, &state.subject, scale.id(), level, at, why);
    Reread::Look { turn: Box::new(turn), moves: !matches!(step.transition, Transition::Stayed { .. }) }
}

fn needs_look(installed: &Installed, state: &SubjectState, scale: &Scale) -> bool {
    !matches!(reread(installed, state, scale), Reread::Nothing)
}

/// The band sets that follow from new settings, and the scales whose bands are others than before,
/// each with the names of its bands till then.
pub(super) fn band_sets(
    book: Option<&Book>,
    old: Option<&Settings>,
    next: &Settings,
    now: Time,
) -> (BTreeMap<ScaleId, BandSet>, BTreeMap<ScaleId, Vec<BandName>>) {
    let mut sets = book.map(|book| book.bands.clone()).unwrap_or_default();
    let mut changed = BTreeMap::new();
    for scale in &next.scales {
        let unnumbered =
            || old.and_then(|old| old.scale(scale.id())).map(|scale| set_of(&scale, 1, Time::EPOCH));
        let known = sets.get(scale.id()).cloned().or_else(unnumbered);
        let set = match known {
            Some(known) if known.digest == scale.digest() => known,
            Some(known) => {
                changed.insert(scale.id().clone(), known.names);
                set_of(scale, known.revision.saturating_add(1), now)
            }
            None => set_of(scale, 1, now),
        };
        sets.insert(scale.id().clone(), set);
    }
    (sets, changed)
}

fn set_of(scale: &Scale, revision: u32, since: Time) -> BandSet {
    let names = scale.bands().iter().map(|band| band.name.clone()).collect();
    BandSet { revision, digest: scale.digest(), since, names }
}

pub(super) fn subjects(
    tenant: &TenantId,
    facets: Vec<(Facet, Vec<String>)>,
    after: Option<Cursor>,
    limit: usize,
) -> Query {
    let (kind, order) = (Kind::Subject, Order::Oldest);
    Query { tenant: tenant.clone(), kind, from: None, until: None, facets, order, after, limit }
}

fn change_key(tenant: &TenantId, digest: Hash) -> Key {
    Key::new(tenant, Kind::Change, digest.to_string())
}
