//! What the store has of a tenant's rules, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Engine, EngineError, not_found};
use crate::hash::Hash;
use crate::id::{RuleId, ScaleId, TenantId};
use crate::rule::{Rule, RuleSet, Settings};
use crate::score::Scale;
use crate::state::{BandSet, Book, Entry};
use crate::store::{Key, Kind, Order, Query, RuleDocument, Store, StoreError, decode};
use crate::time::Time;

/// A tenant's rules as they stood at a version of its book.
pub(super) struct Installed {
    pub(super) tenant: TenantId,
    pub(super) version: u64,
    pub(super) rules: RuleSet,
    pub(super) book: Book,
    /// The change of bands that was applied last.
    pub(super) change: Option<Hash>,
}

/// The rules of the tenants that were served last.
pub(super) struct Kept {
    of: BTreeMap<TenantId, (u64, Arc<Installed>)>,
    most: usize,
    /// How often any was asked for.
    asked: u64,
}

impl Kept {
    /// Nothing yet, and later of so many tenants.
    pub(super) const fn of(most: usize) -> Self {
        Self { of: BTreeMap::new(), most, asked: 0 }
    }

    pub(super) fn get(&mut self, tenant: &TenantId) -> Option<Arc<Installed>> {
        self.asked += 1;
        let (asked, installed) = self.of.get_mut(tenant)?;
        *asked = self.asked;
        Some(Arc::clone(installed))
    }

    /// Keeps a tenant's rules; where there are too many then, those go that nobody asked for the longest.
    pub(super) fn insert(&mut self, installed: Arc<Installed>) {
        self.asked += 1;
        self.of.insert(installed.tenant.clone(), (self.asked, installed));
        if self.of.len() > self.most
            && let Some(oldest) = self.of.iter().min_by_key(|(_, (asked, _))| *asked)
        {
            let oldest = oldest.0.clone();
            self.of.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, tenant: &TenantId) {
        self.of.remove(tenant);
    }

    /// Any tenant whose rules are kept.
    pub(super) fn first(&self) -> Option<TenantId> {
        self.of.keys().next().cloned()
    }
}

impl Installed {
    /// The same with other sets of bands.
    pub(super) fn with_bands(&self, bands: BTreeMap<ScaleId, BandSet>) -> Self {
        Self {
            tenant: self.tenant.clone(),
            version: self.version,
            rules: self.rules.clone(),
            book: Book { bands, ..self.book.clone() },
            change: self.change,
        }
    }

    /// Since when a scale has its bands.
    pub(super) fn since(&self, scale: &ScaleId) -> Time {
        self.book.bands.get(scale).map_or(Time::EPOCH, |set| set.since)
    }
}

impl Engine {
    /// Reads and compiles what the store has; none where the tenant has no book.
    pub(super) async fn read_rules(&self, tenant: &TenantId) -> Result<Option<Installed>, EngineError> {
        let mut before = self.tx(tenant);
        before.load([book_key(tenant)]).await?;
        let Some(book) = before.get::<Book>(&book_key(tenant))? else { return Ok(None) };
        let version = before.version(&book_key(tenant));
        let entries = self.entries(tenant).await?;
        let keys: Vec<Key> = entries.values().map(|entry| document_key(tenant, entry)).collect();
        let documents = self.store.load(&keys).await?;
        let mut rules = Vec::new();
        for ((entry, key), document) in entries.values().zip(&keys).zip(documents) {
            let missing =
                || StoreError::Corrupt { place: key.to_string(), fault: "the rule is missing".into() };
            let document = decode::<RuleDocument>(&document.ok_or_else(missing)?)?.body.document;
            let rule = Rule { revision: Some(entry.revision), ..Rule::from_json(&document)? };
            rules.push((rule, entry.active));
        }
        // Entries were read page by page; if the book moved meanwhile they do not belong together.
        let mut after = self.tx(tenant);
        after.load([book_key(tenant)]).await?;
        if after.version(&book_key(tenant)) != version {
            return Err(StoreError::Conflict(book_key(tenant)).into());
        }
        let settings = numbered(Settings::from_json(&book.body.settings)?, &book.body.bands);
        let rules = RuleSet::with_activity(settings, rules, self.seed.host_catalog())?;
        let (book, change) = (book.body.clone(), book.body.change);
        Ok(Some(Installed { tenant: tenant.clone(), version, rules, book, change }))
    }

    async fn entries(&self, tenant: &TenantId) -> Result<BTreeMap<RuleId, Entry>, EngineError> {
        let mut entries = BTreeMap::new();
        let mut after = None;
        loop {
            let query = Query {
                tenant: tenant.clone(),
                kind: Kind::Entry,
                from: None,
                until: None,
                facets: Vec::new(),
                order: Order::Oldest,
                after,
                limit: crate::store::MAX_PAGE,
            };
            let page = self.store.query(&query).await?;
            for record in &page.rows {
                let entry = decode::<Entry>(record)?.body;
                entries.insert(entry.rule.clone(), entry);
            }
            after = page.next;
            if after.is_none() {
                return Ok(entries);
            }
        }
    }
}

/// The settings with the revisions of their scales.
pub(super) fn numbered(settings: Settings, sets: &BTreeMap<ScaleId, BandSet>) -> Settings {
    let revision = |scale: &Scale| sets.get(scale.id()).map_or(1, |set| set.revision);
    let scales = settings.scales.into_iter().map(|scale| {
        let revision = revision(&scale);
        scale.numbered(revision)
    });
    Settings { scales: scales.collect(), ..settings }
}

pub(super) fn book_key(tenant: &TenantId) -> Key {
    Key::new(tenant, Kind::Book, "book")
}

pub(super) fn timer_key(tenant: &TenantId, rule: &RuleId) -> Key {
    Key::new(tenant, Kind::Timer, rule.as_str())
}

pub(super) fn entry_key(tenant: &TenantId, rule: &RuleId) -> Key {
    Key::new(tenant, Kind::Entry, rule.as_str())
}

pub(super) fn document_key(tenant: &TenantId, entry: &Entry) -> Key {
    Key::new(tenant, Kind::Rule, format!("{}@{}", entry.rule, entry.revision))
}

/// The rule at an earlier revision, compiled beside the settings of today.
pub(super) async fn rule_at(
    engine: &Engine,
    tenant: &TenantId,
    installed: &Installed,
    rule: &RuleId,
    revision: u32,
) -> Result<RuleSet, EngineError> {
    let known = installed.rules.rule(rule);
    if known.is_some_and(|known| known.revision == revision && known.active) {
        return Ok(installed.rules.clone());
    }
    let key = Key::new(tenant, Kind::Rule, format!("{rule}@{revision}"));
    let record = engine.store.load(std::slice::from_ref(&key)).await?.pop().flatten();
    let record = record.ok_or_else(|| not_found("revision of a rule", &key.id))?;
    let document = decode::<RuleDocument>(&record)?.body.document;
    let rule = Rule { revision: Some(revision), ..Rule::from_json(&document)? };
    let settings = installed.rules.settings().clone();
    Ok(RuleSet::with_activity(settings, vec![(rule, true)], engine.seed.host_catalog())?)
}
