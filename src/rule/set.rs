//! The compiled rule set: checked once, immutable, ready to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::document::{DocumentError, Faults, RuleFault};
use super::item::Item;
use super::read::Placed;
use super::{
    ApprovalPolicy, ApprovalSetting, Audience, MAX_DOCUMENT_BYTES, MAX_RULES, Mode, Rule, RuleAction,
    Settings, Trigger, check, read,
};
use crate::action::{ActionCatalog, ActionSpec};
use crate::hash::{Hash, Hasher};
use crate::id::{ActionKey, RuleId, ScaleId, Source};
use crate::json::{self, Node};
use crate::matcher::{Matcher, Scratch};
use crate::signal::{Event, ManualOrder, Signal};

/// The rules of a tenant, checked and compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RuleSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    host: ActionCatalog,
    catalog: ActionCatalog,
    rules: BTreeMap<RuleId, Arc<CompiledRule>>,
    /// Finds what acting rules listen to, by its place in `listeners`.
    matcher: Matcher,
    /// Each pattern of each acting rule: the rule, and the place in what it listens to. Those of
    /// one rule stand together.
    listeners: Vec<(Arc<CompiledRule>, usize)>,
    warnings: Vec<RuleWarning>,
}

/// A rule with all that its document leaves to defaults.
#[derive(Debug)]
pub struct CompiledRule {
    /// The rule as written.
    pub rule: Rule,
    /// Which revision of it this is, from 1.
    pub revision: u32,
    /// Whether it is active: an inactive rule does nothing, whatever its mode.
    pub active: bool,
    /// Its actions, in their order.
    pub actions: Vec<CompiledAction>,
}

/// An action with its type and the approval that it needs.
#[derive(Clone, Debug)]
pub struct CompiledAction {
    /// The action as written.
    pub action: RuleAction,
    /// Its type.
    pub spec: ActionSpec,
    /// Who must agree, the default group filled in; nobody if none.
    pub approval: Option<ApprovalPolicy>,
    /// The type that takes its effect back, where it leaves one that stands.
    pub inverse: Option<ActionSpec>,
}

/// What an author should know of a rule that loads all the same.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RuleWarning {
    /// The action's type asks for approval, and the rule does without.
    ApprovalLoosened {
        /// The rule.
        rule: RuleId,
        /// The action in it.
        key: ActionKey,
        /// The action's type, in words.
        title: String,
    },
    /// The action's effect stands until somebody lets go, and fewer than two people must agree. A
    /// strict policy refuses it.
    OpenEnded {
        /// The rule.
        rule: RuleId,
        /// The action in it.
        key: ActionKey,
        /// The action's type, in words.
        title: String,
        /// How many people must agree.
        approvers: u32,
    },
    /// The rule's rollout is 0 %: it acts on nobody.
    NobodyIn {
        /// The rule.
        rule: RuleId,
    },
}

impl fmt::Display for RuleWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApprovalLoosened { rule, key, title } => write!(
                f,
                "rule `{rule}`, action `{key}`: \"{title}\" asks for approval by default, and this rule does without"
            ),
            Self::NobodyIn { rule } => write!(f, "rule `{rule}`: its rollout is 0 %, so it acts on nobody"),
            Self::OpenEnded { rule, key, title, approvers } => write!(
                f,
                "rule `{rule}`, action `{key}`: \"{title}\" stands until somebody lets go, and {approvers} approver(s) must agree; set `for`, or ask two approvers"
            ),
        }
    }
}

impl RuleSet {
    /// Reads a document of rules with the built-in action types: an array of rules, one rule, or
    /// an object with `approvers`, `scales`, `types` and `rules`.
    ///
    /// # Errors
    /// [`DocumentError`] with every fault of the document, each with its JSON pointer, its line
    /// and column, and what would be accepted.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        Self::from_json_with(text, &ActionCatalog::default())
    }

    /// Reads a document of rules; `catalog` has the host's own action types beside the built-in
    /// ones.
    ///
    /// # Errors
    /// As [`RuleSet::from_json`].
    pub fn from_json_with(text: &str, catalog: &ActionCatalog) -> Result<Self, DocumentError> {
        let root = parse(text)?;
        let mut faults = Faults::default();
        let draft = read::document(&Item::root(&root), &mut faults);
        let rules = draft.rules.into_iter().map(|rule| (rule, true)).collect();
        Self::compile(draft.settings, rules, catalog, faults, text, Some(&root))
    }

    /// Compiles rules that were built in Rust. The pointers of errors are those of the document
    /// that the rules would make.
    ///
    /// # Errors
    /// [`DocumentError`] with every fault.
    pub fn new(settings: Settings, rules: Vec<Rule>, catalog: &ActionCatalog) -> Result<Self, DocumentError> {
        // The store keeps rules as documents: what is built must be what its document says.
        let mut faults = Faults::default();
        reread(&settings.to_json(), "", &mut faults);
        for (i, rule) in rules.iter().enumerate() {
            reread(&rule.to_json(), &format!("/rules/{i}"), &mut faults);
        }
        let rules = rules.into_iter().map(|rule| (rule, true)).collect();
        Self::compile(settings, numbered(rules), catalog, faults, "", None)
    }

    /// Compiles rules of which some are not active.
    pub(crate) fn with_activity(
        settings: Settings,
        rules: Vec<(Rule, bool)>,
        catalog: &ActionCatalog,
    ) -> Result<Self, DocumentError> {
        Self::compile(settings, numbered(rules), catalog, Faults::default(), "", None)
    }

    fn compile(
        settings: Settings,
        rules: Vec<(Placed, bool)>,
        host: &ActionCatalog,
        mut faults: Faults,
        text: &str,
        root: Option<&Node<'_>>,
    ) -> Result<Self, DocumentError> {
        let mut catalog = host.clone();
        check::settings(&settings, &mut catalog, &mut faults);
        let mut inner = Inner {
            settings,
            host: host.clone(),
            catalog,
            rules: BTreeMap::new(),
            matcher: Matcher::default(),
            listeners: Vec::new(),
            warnings: Vec::new(),
        };
        if rules.len() > MAX_RULES {
            faults.add("", RuleFault::Count { what: "rules", found: rules.len(), least: 0, most: MAX_RULES });
        }
        let mut ids = BTreeSet::new();
        for (placed, active) in rules {
            let before = faults.count();
            check::rule(&placed, &inner.settings, &inner.catalog, &mut faults);
            let Placed { pointer, rule, unread } = placed;
            if unread.id {
                continue;
            }
            if !ids.insert(rule.id.clone()) {
                faults.add(format!("{pointer}/id"), RuleFault::RepeatedRule(rule.id.clone()));
            }
            if faults.count() == before {
                inner.add(rule, active);
            }
        }
        if faults.count() > 0 {
            return Err(faults.into_error(text, root));
        }
        inner.index();
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every rule, by id, active or not.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<CompiledRule>> {
        self.inner.rules.values()
    }

    /// The rule of that id.
    #[must_use]
    pub fn rule(&self, id: &RuleId) -> Option<&Arc<CompiledRule>> {
        self.inner.rules.get(id)
    }

    /// What holds for all rules.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The action types that the rules may use.
    #[must_use]
    pub fn catalog(&self) -> &ActionCatalog {
        &self.inner.catalog
    }

    /// The action types without the tenant's own: the built-in ones and the host's.
    #[must_use]
    pub fn host_catalog(&self) -> &ActionCatalog {
        &self.inner.host
    }

    /// What authors should know.
    #[must_use]
    pub fn warnings(&self) -> &[RuleWarning] {
        &self.inner.warnings
    }

    /// The rules that a signal concerns, by id. Pure: it needs no store and no time. A score
    /// concerns the rules on its scale, whether it enters a band or not.
    #[must_use]
    pub fn concerned(&self, signal: &Signal) -> Vec<Arc<CompiledRule>> {
        let mut found = match signal {
            Signal::Event(event) => self.of_event(event),
            Signal::Score(reading) => self.on_scale(&reading.scale),
            Signal::Level(turn) => self.on_scale(&turn.scale),
            Signal::Manual(start) => match &start.order {
                ManualOrder::Rule(id) => {
                    self.acting(id).filter(|r| r.rule.trigger == Trigger::Manual).into_iter().collect()
                }
                ManualOrder::Action { .. } => Vec::new(),
            },
            Signal::Schedule(turn) => {
                let timed = |rule: &Arc<CompiledRule>| {
                    matches!(rule.rule.trigger, Trigger::Schedule { .. } | Trigger::Deadline(_))
                };
                self.acting(&turn.rule).filter(timed).into_iter().collect()
            }
        };
        // What a rule watches for concerns it, whoever the person is known to be by then: that is asked
        // when it fires.
        let watched = |rule: &CompiledRule| matches!(signal, Signal::Event(_)) && rule.rule.trigger.watches();
        found.retain(|rule| watched(rule) || rule.fits_attributes(signal));
        found.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
        found
    }

    /// Whether any acting rule reads this scale: only then is a score kept.
    #[must_use]
    pub fn reads_scale(&self, scale: &ScaleId) -> bool {
        self.rules().filter(|rule| rule.acts()).any(|rule| match &rule.rule.trigger {
            Trigger::Score(trigger) => &trigger.scale == scale,
            Trigger::Schedule { audience: Audience::Bands { scale: of, .. }, .. } => of == scale,
            _ => false,
        })
    }

    fn acting(&self, id: &RuleId) -> Option<Arc<CompiledRule>> {
        self.rule(id).filter(|rule| rule.acts()).cloned()
    }

    /// The matcher finds them at a cost that does not grow with the number of rules; the plain
    /// interpreter confirms each, so that nobody is acted upon by a mistake of the faster one.
    fn of_event(&self, event: &Event) -> Vec<Arc<CompiledRule>> {
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        let text = event.payload.text().as_bytes();
        let walked = self.inner.matcher.matches(Some(event.source.as_str()), text, &mut scratch, &mut found);
        if walked.is_err() || found.is_empty() {
            return Vec::new();
        }
        let tree = event.payload.tree();
        let mut rules: Vec<Arc<CompiledRule>> = Vec::new();
        for (rule, place) in found.iter().filter_map(|ix| self.inner.listeners.get(ix.index())) {
            // A rule that hears the event in several roles is concerned once.
            if rules.last().is_some_and(|last| Arc::ptr_eq(last, rule)) {
                continue;
            }
            let listens = rule.rule.trigger.listens();
            if listens.get(*place).is_some_and(|listened| listened.hears(&event.source, &tree)) {
                rules.push(Arc::clone(rule));
            }
        }
        rules
    }

    fn on_scale(&self, scale: &ScaleId) -> Vec<Arc<CompiledRule>> {
        let on_scale = |rule: &&Arc<CompiledRule>| {
            rule.acts() && matches!(&rule.rule.trigger, Trigger::Score(trigger) if &trigger.scale == scale)
        };
        self.rules().filter(on_scale).cloned().collect()
    }
}

impl Inner {
    fn add(&mut self, rule: Rule, active: bool) {
        let actions = rule.actions.iter().filter_map(|action| {
            let spec = self.catalog.get(&action.action)?.clone();
            let approval = check::required(action, &spec).and_then(|policy| self.settings.resolve(&policy));
            let inverse = if spec.restricts { self.catalog.inverse(&spec) } else { None };
            Some(CompiledAction { action: action.clone(), spec, approval, inverse })
        });
        let compiled = Arc::new(CompiledRule {
            revision: rule.revision.unwrap_or(1),
            active,
            actions: actions.collect(),
            rule,
        });
        if compiled.rule.guards.rollout == Some(0) && compiled.acts() {
            self.warnings.push(RuleWarning::NobodyIn { rule: compiled.rule.id.clone() });
        }
        for action in &compiled.actions {
            if action.spec.approval && action.action.approval == ApprovalSetting::None {
                self.warnings.push(RuleWarning::ApprovalLoosened {
                    rule: compiled.rule.id.clone(),
                    key: action.action.key.clone(),
                    title: action.spec.title.clone(),
                });
            }
            if let Some(approvers) =
                check::open_ended(&action.action, &action.spec, &self.settings, &self.catalog)
            {
                self.warnings.push(RuleWarning::OpenEnded {
                    rule: compiled.rule.id.clone(),
                    key: action.action.key.clone(),
                    title: action.spec.title.clone(),
                    approvers,
                });
            }
        }
        self.rules.insert(compiled.rule.id.clone(), compiled);
    }

    /// Compiles the patterns of the acting rules together.
    fn index(&mut self) {
        let acting = self.rules.values().filter(|rule| rule.acts());
        self.listeners = acting
            .flat_map(|rule| (0..rule.rule.trigger.listens().len()).map(|place| (Arc::clone(rule), place)))
            .collect();
        self.matcher = Matcher::new(self.listeners.iter().filter_map(|(rule, place)| {
            let listened = rule.rule.trigger.listens().into_iter().nth(*place)?;
            Some((listened.sources.iter().map(Source::as_str).collect::<Vec<_>>(), listened.pattern.clone()))
        }));
    }
}

impl Settings {
    /// Reads the settings of a document.
    ///
    /// # Errors
    /// [`DocumentError`] with every fault.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        draft(text).map(|draft| draft.settings)
    }
}

/// Rules at the places that they would have in a document.
fn numbered(rules: Vec<(Rule, bool)>) -> Vec<(Placed, bool)> {
    let placed = |(i, rule)| Placed { pointer: format!("/rules/{i}"), rule, unread: read::Unread::default() };
    let (rules, active): (Vec<Rule>, Vec<bool>) = rules.into_iter().unzip();
    rules.into_iter().enumerate().map(placed).zip(active).collect()
}

/// The JSON of a document, if it is not too large.
fn parse(text: &str) -> Result<Node<'_>, DocumentError> {
    let refused = |offset, fault: RuleFault| {
        let mut faults = Faults::default();
        faults.add_at("", offset, fault);
        faults.into_error(text, None)
    };
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(refused(0, RuleFault::TooLarge(text.len())));
    }
    json::parse(text.as_bytes()).map_err(|error| refused(error.offset, error.fault.into()))
}

/// Reads a document without checking it as a set.
fn draft(text: &str) -> Result<read::Draft, DocumentError> {
    let root = parse(text)?;
    let mut faults = Faults::default();
    let draft = read::document(&Item::root(&root), &mut faults);
    if faults.count() == 0 { Ok(draft) } else { Err(faults.into_error(text, Some(&root))) }
}

/// The faults of a document that this crate wrote, at the pointers below `above`.
fn reread(text: &str, above: &str, faults: &mut Faults) {
    let found = draft(text).err().map(|error| error.faults).unwrap_or_default();
    for fault in found {
        faults.add(format!("{above}{}", fault.pointer), fault.fault);
    }
}

impl CompiledRule {
    /// Whether it does anything: active, and not off.
    #[must_use]
    pub fn acts(&self) -> bool {
        self.active && self.rule.mode != Mode::Off
    }

    fn fits_attributes(&self, signal: &Signal) -> bool {
        let Some(pattern) = &self.rule.subject else { return true };
        pattern.matches_known(signal.attributes())
    }
}

impl Rule {
    /// Reads one rule's document. What it means beside other rules and settings is checked when a
    /// set is compiled.
    ///
    /// # Errors
    /// [`DocumentError`] with every fault.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        let mut rules = draft(text)?.rules;
        let found = rules.len();
        match rules.pop() {
            Some(Placed { rule, .. }) if found == 1 => Ok(rule),
            _ => {
                let mut faults = Faults::default();
                faults.add_at("", 0, RuleFault::Count { what: "rules", found, least: 1, most: 1 });
                Err(faults.into_error(text, None))
            }
        }
    }

    /// The digest of what the rule says, whatever its revision's number.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let text = Self { revision: None, ..self.clone() }.to_json();
        let hasher = Hasher::new("tipstaff/rule/1");
        // One that was built in Rust may be too deep to be read back, and is refused for that.
        match json::parse(text.as_bytes()) {
            Ok(node) => node.feed(hasher),
            Err(_) => hasher.text(&text),
        }
        .finish()
    }
}
