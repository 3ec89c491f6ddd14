//! The rules of a tenant: in the store, versioned, audited; compiled here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bands::{ScaleList, band_sets};
use super::counts::{stats_keys, sum};
use super::defects::write_refusal;
use super::installed::{Installed, book_key, document_key, entry_key};
use super::intake::replace;
use super::preview::Agreement;
use super::sweeps::{begin_sweep, rule_sweep};
use super::tx::Tx;
use super::winding::Wound;
use super::{Engine, EngineError, not_found, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::hash::Hasher;
use crate::id::{ActorId, CommitId, RuleId, TenantId};
use crate::ready::Answer;
use crate::rule::{CompiledRule, MAX_TITLE_BYTES, Mode, Rule, RuleSet, RuleWarning, Settings};
use crate::score::Scale;
use crate::state::{Book, Entry, Pause, RuleStats};
use crate::store::{Key, Record, RuleDocument, Store, StoreError, decode};
use crate::time::Time;

/// Of how many rules the counts are read at once.
const ROWS_AT_ONCE: usize = 32;

/// The settings that follow when a set is added: its own, if it declares any, or else those that
/// are in force. With `merge`, a set of scales alone changes these scales. A scale that was declared
/// once stays declared: the standard one comes in the place of a `default` of the tenant's own.
pub(super) fn next_settings(set: &RuleSet, known: Option<&Installed>, merge: bool) -> Settings {
    let given = set.settings();
    let Some(known) = known else { return given.clone() };
    let old = known.rules.settings();
    let scales_alone = Settings { scales: given.scales.clone(), ..Settings::default() };
    let mut next = if *given == Settings::default() {
        old.clone()
    } else if merge && *given == scales_alone && set.rules().next().is_none() {
        let others = old.scales.iter().filter(|scale| given.scales.iter().all(|new| new.id() != scale.id()));
        let scales = others.chain(&given.scales).cloned().collect();
        Settings { scales, ..old.clone() }
    } else {
        given.clone()
    };
    let standard = Scale::standard();
    let declared = next.scales.iter().any(|scale| scale.id() == standard.id());
    if !declared && known.book.bands.contains_key(standard.id()) {
        next.scales.push(standard);
    }
    next
}

/// What adding rules changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleChange {
    /// Rules that are new, or have a new revision now.
    pub added: Vec<(RuleId, u32)>,
    /// Rules that said the same already.
    pub unchanged: Vec<RuleId>,
    /// What their authors should know.
    pub warnings: Vec<RuleWarning>,
}

/// A rule as a list shows it.
#[derive(Clone, Debug)]
pub struct RuleRow {
    /// The rule with its revision and activity.
    pub rule: Arc<CompiledRule>,
    /// Since when this revision or activity is in force.
    pub since: Time,
    /// What it has done.
    pub stats: RuleStats,
    /// Why it rests, if it does.
    pub paused: Option<Pause>,
}

impl Engine {
    /// The rules of a tenant that are in force.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn rules<'a>(&'a self, tenant: &'a TenantId, now: Time) -> Answer<'a, Result<RuleSet, EngineError>> {
        Box::pin(async move {
            let installed = until_settled!({ self.rules_in(&mut self.tx(tenant), tenant, now).await })?;
            Ok(installed.rules.clone())
        })
    }

    /// Adds rules, new or as new revisions of known ones, and replaces the settings if the set
    /// declares any. Rules of the tenant that the set does not name stay as they are.
    ///
    /// A rule that names no revision becomes the next one of its id, unless it says what the
    /// revision in force says. What is added is active.
    ///
    /// # Errors
    /// [`EngineError::RevisionTaken`]; [`EngineError::Rules`] where the rules do not fit beside
    /// those that stay; [`EngineError::BandsChanged`] where the settings change the bands of a scale
    /// on which anybody has a score: [`Engine::preview_bands`] tells what that would do, and
    /// [`Engine::apply_bands`] does it. Nothing is changed then.
    pub fn add_rules<'a>(
        &'a self,
        tenant: &'a TenantId,
        rules: &'a RuleSet,
        actor: &'a Actor,
        now: Time,
    ) -> Answer<'a, Result<RuleChange, EngineError>> {
        Box::pin(async move {
            self.rules_of(tenant, now).await?;
            until_settled!({ self.write_rules(tenant, rules, actor, now, None).await })
        })
    }

    /// Makes a rule active again. It acts then as its mode says.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn activate<'a>(
        &'a self,
        tenant: &'a TenantId,
        rule: &'a RuleId,
        actor: &'a ActorId,
        now: Time,
    ) -> Answer<'a, Result<(), EngineError>> {
        Box::pin(async move { until_settled!({ self.set_active(tenant, rule, true, actor, now).await }) })
    }

    /// Makes a rule inactive: it does nothing until it is activated again. It lets go of the effects
    /// that it holds, at the next [`Engine::run_due`]; what it asked for before goes on, but for access
    /// control that is checked again before it is carried out.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn deactivate<'a>(
        &'a self,
        tenant: &'a TenantId,
        rule: &'a RuleId,
        actor: &'a ActorId,
        now: Time,
    ) -> Answer<'a, Result<(), EngineError>> {
        Box::pin(async move { until_settled!({ self.set_active(tenant, rule, false, actor, now).await }) })
    }

    /// Every rule of a tenant, by id, with what it has done.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn rule_rows<'a>(
        &'a self,
        tenant: &'a TenantId,
        now: Time,
    ) -> Answer<'a, Result<Vec<RuleRow>, EngineError>> {
        Box::pin(async move {
            let installed = until_settled!({ self.rules_in(&mut self.tx(tenant), tenant, now).await })?;
            let control = self.control(tenant).await?;
            let mut rows = Vec::new();
            // Some rules at a time: each has many places where hosts count.
            let mut rules = installed.rules.rules().peekable();
            while rules.peek().is_some() {
                let some: Vec<_> = rules.by_ref().take(ROWS_AT_ONCE).collect();
                let of = |id| std::iter::once(entry_key(tenant, id)).chain(stats_keys(tenant, id));
                let keys: Vec<Vec<Key>> = some.iter().map(|rule| of(&rule.rule.id).collect()).collect();
                let mut records = self.store.load(&keys.concat()).await?.into_iter();
                for (rule, keys) in some.into_iter().zip(keys) {
                    let mut of_rule = records.by_ref().take(keys.len());
                    let entry = of_rule.next().flatten().as_ref().map(decode::<Entry>).transpose()?;
                    let counts: Vec<Record> = of_rule.flatten().collect();
                    rows.push(RuleRow {
                        rule: Arc::clone(rule),
                        since: entry.map_or(Time::EPOCH, |stored| stored.body.since),
                        stats: sum(&counts)?,
                        paused: control.paused.get(&rule.rule.id).cloned(),
                    });
                }
            }
            Ok(rows)
        })
    }

    /// The compiled rules: from the cache, from the store, or, for a tenant that has none, the
    /// engine's own, which are written to the store first.
    pub(super) async fn rules_of(&self, tenant: &TenantId, now: Time) -> Result<Arc<Installed>, EngineError> {
        if let Some(installed) = self.lock(&self.installed).get(tenant) {
            return Ok(installed);
        }
        let installed = until_settled!({
            match self.read_rules(tenant).await? {
                Some(installed) => Ok(installed),
                None => {
                    self.write_rules(tenant, &self.seed, &Actor::Engine, now, None).await?;
                    Err(StoreError::Conflict(book_key(tenant)).into())
                }
            }
        })?;
        let installed = Arc::new(installed);
        self.lock(&self.installed).insert(Arc::clone(&installed));
        Ok(installed)
    }

    /// The engine's own rules, for a tenant of whom the store knows none yet; nothing is written.
    pub(super) async fn own_rules(&self, tenant: &TenantId) -> Result<Option<Installed>, EngineError> {
        if self.lock(&self.installed).get(tenant).is_some() {
            return Ok(None);
        }
        let mut tx = self.tx(tenant);
        tx.load([book_key(tenant)]).await?;
        Ok(match tx.get::<Book>(&book_key(tenant))? {
            Some(_) => None,
            None => Some(Installed {
                tenant: tenant.clone(),
                version: 0,
                rules: self.seed.clone(),
                book: Book::default(),
                change: None,
            }),
        })
    }

    /// The rules that are in force now, whichever process brought them there. What the transaction
    /// commits then depends on their staying so.
    pub(super) async fn rules_in(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        now: Time,
    ) -> Result<Arc<Installed>, EngineError> {
        let installed = self.rules_of(tenant, now).await?;
        tx.load([book_key(tenant)]).await?;
        if tx.version(&book_key(tenant)) != installed.version {
            self.forget(tenant);
            return Err(StoreError::Conflict(book_key(tenant)).into());
        }
        Ok(installed)
    }

    /// Forgets what was compiled; the next use reads the store.
    pub(super) fn forget(&self, tenant: &TenantId) {
        self.lock(&self.installed).forget(tenant);
    }

    /// Adds a set. The bands of a scale on which anybody has a score change only as agreed.
    pub(super) async fn write_rules(
        &self,
        tenant: &TenantId,
        set: &RuleSet,
        actor: &Actor,
        now: Time,
        agreed: Option<&Agreement>,
    ) -> Result<RuleChange, EngineError> {
        let known = self.read_rules(tenant).await?;
        if agreed.is_some_and(|agreed| known.as_ref().is_none_or(|known| known.version != agreed.version)) {
            return Err(StoreError::Conflict(book_key(tenant)).into());
        }
        let mut tx = self.tx(tenant);
        let entry_keys = set.rules().map(|rule| entry_key(tenant, &rule.rule.id));
        tx.load(entry_keys.chain([book_key(tenant)])).await?;
        if tx.version(&book_key(tenant)) != known.as_ref().map_or(0, |known| known.version) {
            return Err(StoreError::Conflict(book_key(tenant)).into());
        }
        let mut change = RuleChange { warnings: set.warnings().to_vec(), ..RuleChange::default() };
        let mut all: BTreeMap<RuleId, (Rule, bool)> = BTreeMap::new();
        let mut content = Hasher::new("rules");
        let mut behind = Vec::new();
        if let Some(known) = &known {
            let rules = known.rules.rules();
            all.extend(rules.map(|rule| (rule.rule.id.clone(), (rule.rule.clone(), rule.active))));
        }
        for rule in set.rules() {
            let id = &rule.rule.id;
            let entry = tx.get::<Entry>(&entry_key(tenant, id))?.map(|stored| stored.body);
            let digest = rule.rule.digest();
            let Some(revision) = next_revision(&rule.rule, digest, entry.as_ref())? else {
                change.unchanged.push(id.clone());
                continue;
            };
            let numbered = Rule { revision: Some(revision), ..rule.rule.clone() };
            let next = Entry { rule: id.clone(), revision, digest, active: true, since: now };
            let document = document_key(tenant, &next);
            // It must not be there: a revision never changes.
            tx.load([document.clone()]).await?;
            if tx.record(&document).is_some() {
                return Err(EngineError::RevisionTaken { rule: id.clone(), revision });
            }
            tx.put_new(document, RuleDocument { document: numbered.to_json() });
            replace(&mut tx, entry_key(tenant, id), next)?;
            let before = known.as_ref().and_then(|known| known.rules.rule(id));
            if self.set_timer(&mut tx, tenant, before, &numbered, true, now).await? == Wound::Behind {
                behind.extend(before.cloned());
            }
            // One that was live and is not any more lets go of what it holds.
            if numbered.mode != Mode::Live && before.is_some_and(|old| old.rule.mode == Mode::Live) {
                begin_sweep(&mut tx, tenant, rule_sweep(id, actor, now)).await?;
            }
            let draft = AuditDraft::new(tenant.clone(), AuditCode::PolicyRuleAdded, actor.clone(), now)
                .target(id.as_str())
                .detail("revision", i64::from(revision))
                .detail("mode", numbered.mode.as_str())
                .detail("digest", digest.to_string());
            tx.log([draft]);
            content = content.text(id.as_str()).number(revision.into()).hash(&digest);
            all.insert(id.clone(), (numbered, true));
            change.added.push((id.clone(), revision));
        }
        for warning in set.warnings() {
            let RuleWarning::ApprovalLoosened { rule, key, title } = warning else { continue };
            if change.added.iter().any(|(added, _)| added == rule) {
                let draft =
                    AuditDraft::new(tenant.clone(), AuditCode::PolicyApprovalLoosened, actor.clone(), now)
                        .target(rule.as_str())
                        .detail("key", key.as_str())
                        .detail("action", title.chars().take(MAX_TITLE_BYTES).collect::<String>());
                tx.log([draft]);
            }
        }
        let book = tx.get::<Book>(&book_key(tenant))?.map(|stored| stored.body);
        let old = book.clone().unwrap_or_default();
        let next = next_settings(set, known.as_ref(), agreed.is_some());
        let settings = next.to_json();
        if change.added.is_empty() && book.is_some() && settings == old.settings && agreed.is_none() {
            return Ok(change);
        }
        // All together must make a set: a group that another rule needs must still be there.
        let checked = Settings::from_json(&settings)?;
        let before = known.as_ref().map(|known| known.rules.settings());
        let (bands, changed) = band_sets(book.as_ref(), before, &checked, now);
        match agreed {
            Some(agreed) => {
                if self.bands_are_moving(&mut tx, tenant, &old).await? {
                    return Err(EngineError::BandsMoving);
                }
                let revised =
                    changed.into_keys().filter_map(|id| Some((id.clone(), bands.get(&id)?.revision)));
                self.begin_bands(&mut tx, tenant, revised.collect(), agreed, actor, now).await?;
            }
            None => {
                let mut moving = Vec::new();
                for (scale, names) in &changed {
                    if self.anybody_in(tenant, scale, names).await? {
                        moving.push(scale.clone());
                    }
                }
                if !moving.is_empty() {
                    return Err(EngineError::BandsChanged(ScaleList(moving)));
                }
            }
        }
        let set = RuleSet::with_activity(checked, all.into_values().collect(), self.seed.host_catalog())?;
        // A type that asked for approval and does so no more loosens rules that stay as they are.
        for was in known.iter().flat_map(|known| known.rules.catalog().iter()).filter(|was| was.approval) {
            if set.catalog().get(&was.name).is_some_and(|spec| !spec.approval) {
                let code = AuditCode::PolicyApprovalLoosened;
                let draft = AuditDraft::new(tenant.clone(), code, actor.clone(), now);
                tx.log([draft.target(was.name.as_str()).detail("type", was.name.as_str())]);
            }
        }
        let draft = AuditDraft::new(tenant.clone(), AuditCode::PolicyRulesInstalled, actor.clone(), now)
            .detail("added", change.added.len())
            .detail("unchanged", change.unchanged.len())
            .detail("settings", Hasher::new("tipstaff/settings/1").text(&settings).finish().to_string())
            .detail("settings_changed", settings != old.settings);
        tx.log([draft]);
        if !behind.is_empty() {
            return Err(self.catch_up_first(tenant, &behind, now).await?.into());
        }
        let version = tx.version(&book_key(tenant));
        let changed = agreed.map(|agreed| agreed.preview.digest).or(old.change);
        let book = Book { settings: settings.clone(), changes: old.changes + 1, bands, change: changed };
        replace(&mut tx, book_key(tenant), book)?;
        let content = content.text(&settings).finish();
        tx.commit(CommitId::derive(|h| h.text("rules").number(version).hash(&content))).await?;
        self.forget(tenant);
        Ok(change)
    }

    async fn set_active(
        &self,
        tenant: &TenantId,
        rule: &RuleId,
        active: bool,
        actor: &ActorId,
        now: Time,
    ) -> Result<(), EngineError> {
        let mut tx = self.tx(tenant);
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        tx.load([entry_key(tenant, rule)]).await?;
        let entry = tx.get::<Entry>(&entry_key(tenant, rule))?;
        let (Some(entry), Some(compiled)) = (entry, installed.rules.rule(rule)) else {
            if broken::is(Defect::RefusalWrites) {
                write_refusal(tx, tenant, rule.as_str(), now).await?;
            }
            return Err(not_found("rule", rule));
        };
        if entry.body.active == active {
            return Ok(());
        }
        let (code, version) = match active {
            true => (AuditCode::PolicyRuleActivated, tx.version(&entry_key(tenant, rule))),
            false => (AuditCode::PolicyRuleDeactivated, tx.version(&entry_key(tenant, rule))),
        };
        let revision = entry.body.revision;
        let next = Entry { active, since: now, ..entry.body };
        replace(&mut tx, entry_key(tenant, rule), next)?;
        if self.set_timer(&mut tx, tenant, Some(compiled), &compiled.rule, active, now).await?
            == Wound::Behind
        {
            return Err(self.catch_up_first(tenant, std::slice::from_ref(compiled), now).await?.into());
        }
        // One whose only revision leaves nothing that stands has nothing to let go of.
        let held = compiled.revision > 1 || compiled.actions.iter().any(|action| action.inverse.is_some());
        if !active && held {
            begin_sweep(&mut tx, tenant, rule_sweep(rule, &Actor::Person(actor.clone()), now)).await?;
        }
        let book = tx.get::<Book>(&book_key(tenant))?.map(|stored| stored.body).unwrap_or_default();
        replace(&mut tx, book_key(tenant), Book { changes: book.changes + 1, ..book })?;
        let draft = AuditDraft::new(tenant.clone(), code, Actor::Person(actor.clone()), now)
            .target(rule.as_str())
            .detail("revision", i64::from(revision));
        tx.log([draft]);
        let id =
            CommitId::derive(|h| h.text("active").text(rule.as_str()).number(version).text(actor.as_str()));
        tx.commit(id).await?;
        self.forget(tenant);
        Ok(())
    }
}

/// The revision that a rule becomes; none where it is in force as it is.
fn next_revision(
    rule: &Rule,
    digest: crate::hash::Hash,
    entry: Option<&Entry>,
) -> Result<Option<u32>, EngineError> {
    let Some(entry) = entry else { return Ok(Some(rule.revision.unwrap_or(1))) };
    let taken = |revision| EngineError::RevisionTaken { rule: rule.id.clone(), revision };
    match rule.revision {
        _ if entry.digest == digest && rule.revision.is_none_or(|n| n == entry.revision) => Ok(None),
        None => entry.revision.checked_add(1).map(Some).ok_or_else(|| taken(entry.revision)),
        Some(revision) if revision > entry.revision => Ok(Some(revision)),
        Some(revision) => Err(taken(revision)),
    }
}
