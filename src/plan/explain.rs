//! Why a rule acts on a signal, or why not: part by part, with what is there and what is wanted.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{ActionOutcome, Decision, Effect, Facts, Moved, Plan, PlanError, plan};
use crate::id::RuleId;
use crate::pattern::{Explanation, Payload};
use crate::rule::{CompiledRule, Listened, Mode, Role, Trigger};
use crate::score::{Direction, ScoreTrigger};
use crate::signal::{ManualOrder, Signal};
use crate::time::Time;
use crate::words::words;

words! {
    /// A part of a rule that lets a signal pass or not, in the order in which they are asked.
    Part, "part of a rule" {
        Kind: "kind", "the kind of signal that its trigger takes";
        Active: "active", "whether it is switched on";
        Mode: "mode", "off, shadow or live";
        Source: "source", "the sources that it is bound to";
        Pattern: "pattern", "what an event must look like";
        Subject: "subject", "what must be true of the subject's attributes";
        Signal: "signal", "whether a decision can be made on the signal at all";
        Move: "move", "the bands whose entry it waits for";
        Window: "window", "how many events it waits for";
        Guards: "guards", "what holds its actions back";
    }

    /// What a rule says to a signal.
    RuleAnswer, "answer of a rule" {
        Unconcerned: "unconcerned", "the rule does not look at such a signal";
        Refused: "refused", "no decision can be made on the signal";
        Waits: "waits", "the rule looks at it, and it is not what the rule waits for, or not enough";
        HeldBack: "held_back", "the rule fires, and guards hold back all of its actions";
        Shadow: "shadow", "the rule fires in shadow: it is recorded, and nothing is carried out";
        Acts: "acts", "the rule fires, and at least one action follows";
    }
}

/// One part of a rule, and whether it lets the signal pass.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PartVerdict {
    /// Which part.
    pub part: Part,
    /// Of which of the rule's patterns, where it listens to events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether it lets the signal pass.
    pub holds: bool,
    /// What the rule wants.
    pub wanted: String,
    /// What is there.
    pub seen: String,
    /// Of a pattern: field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Explanation>,
}

/// Why a rule acts on a signal, or why not.
///
/// [`Display`](fmt::Display) tells it to people, a line a part, `+` for what lets the signal pass
/// and `-` for what does not; serialised, it is the same as data.
///
/// ```
/// use tipstaff::{RuleAnswer, Event, Part, RuleSet, Signal, UserId};
///
/// let rules = RuleSet::from_json(r#"{ "id": "vpn", "actions": [{ "key": "a", "type": "escalate_to_hr" }],
///     "trigger": { "event": { "sources": ["vpn"], "pattern": { "risk": [{ "numeric": [">", 50] }] } } } }"#)?;
/// let ana: UserId = "ana".parse()?;
/// let event = Event::new("acme".parse()?, "e1", "vpn", ana, tipstaff::Time::EPOCH, r#"{ "risk": 7 }"#)?;
/// let rule = rules.rule(&"vpn".parse()?).expect("it is there");
/// let parts = rule.parts(&Signal::from(event));
/// let fails = parts.iter().find(|part| !part.holds).expect("the risk is too low");
/// assert_eq!(fails.part, Part::Pattern);
/// println!("{fails}"); // `risk` is 7: wanted one of [{"numeric":[">",50]}]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Why {
    /// The rule.
    pub rule: RuleId,
    /// Its revision.
    pub revision: u32,
    /// What it says to the signal.
    pub answer: RuleAnswer,
    /// The part that decided: the first that did not let the signal pass. None where the rule acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Part>,
    /// Every part that could be judged. Of a rule that listens to several patterns, source and
    /// pattern stand once for each; one pair that lets the signal pass suffices.
    pub parts: Vec<PartVerdict>,
    /// What follows for each of its actions: what is held back says why, and when that lifts.
    pub actions: Vec<ActionOutcome>,
    /// The decision that stands, where the signal came before. All else is what would be decided
    /// if it came for the first time now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decision>,
}

/// Explains what a rule says to a signal, on the same facts as [`plan`](crate::plan). Pure, and
/// never another answer than the plan's: where the rule fires, it is the plan that is told.
///
/// `facts.rules` must have the rule; it may be inactive, or off.
#[must_use]
pub fn explain(rule: &Arc<CompiledRule>, signal: &Signal, facts: &Facts<'_>, now: Time) -> Why {
    let mut parts = rule.parts(signal);
    let (mut answer, mut actions) = (RuleAnswer::Unconcerned, Vec::new());
    if lets_pass(&parts) {
        match plan(signal, std::slice::from_ref(rule), facts, now) {
            Err(error) => {
                parts.push(refused(&error));
                answer = RuleAnswer::Refused;
            }
            Ok(planned) => {
                answer = fired(rule, &planned, &mut parts);
                actions = planned.decision.outcomes;
            }
        }
    }
    Why {
        rule: rule.rule.id.clone(),
        revision: rule.revision,
        answer,
        decided_by: decided_by(answer, &parts),
        parts,
        actions,
        decided: None,
    }
}

impl CompiledRule {
    /// Whether the rule looks at such a signal at all, part by part: all that can be said without
    /// knowing anything of the subject. The rule is [concerned](crate::RuleSet::concerned) when
    /// each part lets the signal pass; of several patterns, when one does with its source.
    #[must_use]
    pub fn parts(&self, signal: &Signal) -> Vec<PartVerdict> {
        let mut parts = vec![self.kind(signal)];
        let verdict = |part, holds, wanted: &str, seen: &str| PartVerdict {
            part,
            role: None,
            holds,
            wanted: wanted.to_owned(),
            seen: seen.to_owned(),
            fields: None,
        };
        let active = if self.active { "active" } else { "inactive" };
        parts.push(verdict(Part::Active, self.active, "active", active));
        let mode = self.rule.mode;
        parts.push(verdict(Part::Mode, mode != Mode::Off, "shadow or live", mode.as_str()));
        if let Signal::Event(event) = signal {
            for listened in self.rule.trigger.listens() {
                parts.push(source(&listened, event.source.as_str()));
                parts.push(pattern(&listened, &event.payload));
            }
        }
        // What a rule watches for is noted of anybody; whom it fires for is asked at its own time.
        let asked = !(matches!(signal, Signal::Event(_)) && self.rule.trigger.watches());
        if let Some(wanted) = self.rule.subject.as_ref().filter(|_| asked) {
            // Of a subject of whom nothing is known, only `exists: false` is true.
            let nothing = Payload::new("{}").ok();
            let known = signal.attributes().or(nothing.as_ref());
            if let Some(explained) = known.map(|attributes| wanted.explain(attributes)) {
                parts.push(fields(Part::Subject, None, wanted.text(), explained));
            }
        }
        parts
    }

    fn kind(&self, signal: &Signal) -> PartVerdict {
        let listens = !self.rule.trigger.listens().is_empty();
        let (holds, seen) = match (signal, &self.rule.trigger) {
            (Signal::Event(event), _) => (listens, format!("event {}", event.id)),
            (Signal::Score(reading), Trigger::Score(trigger)) => {
                (trigger.scale == reading.scale, format!("a score on scale {}", reading.scale))
            }
            (Signal::Score(reading), _) => (false, format!("a score on scale {}", reading.scale)),
            (Signal::Level(turn), Trigger::Score(trigger)) => {
                (trigger.scale == turn.scale, format!("a level on scale {}", turn.scale))
            }
            (Signal::Level(turn), _) => (false, format!("a level on scale {}", turn.scale)),
            (Signal::Manual(start), trigger) => match &start.order {
                ManualOrder::Rule(id) => {
                    let ours = *id == self.rule.id && *trigger == Trigger::Manual;
                    (ours, format!("an order to start rule {id}"))
                }
                ManualOrder::Action { action, .. } => (false, format!("an order of {action}, by no rule")),
            },
            (Signal::Schedule(turn), trigger) => {
                let timed = matches!(trigger, Trigger::Schedule { .. } | Trigger::Deadline(_));
                (timed && turn.rule == self.rule.id, format!("an occurrence of rule {}", turn.rule))
            }
        };
        let wanted = self.rule.conditions();
        PartVerdict { part: Part::Kind, role: None, holds, wanted, seen, fields: None }
    }
}

fn source(listened: &Listened<'_>, seen: &str) -> PartVerdict {
    let names: Vec<&str> = listened.sources.iter().map(|source| source.as_str()).collect();
    PartVerdict {
        part: Part::Source,
        role: Some(listened.role),
        holds: names.is_empty() || names.contains(&seen),
        wanted: if names.is_empty() { "any".to_owned() } else { names.join(" or ") },
        seen: seen.to_owned(),
        fields: None,
    }
}

fn pattern(listened: &Listened<'_>, payload: &Payload) -> PartVerdict {
    let explained = listened.pattern.explain(payload);
    fields(Part::Pattern, Some(listened.role), listened.pattern.text(), explained)
}

fn fields(part: Part, role: Option<Role>, wanted: &str, explained: Explanation) -> PartVerdict {
    let values = explained.fields.iter().map(|field| field.seen.to_string());
    PartVerdict {
        part,
        role,
        holds: explained.matched,
        wanted: wanted.to_owned(),
        seen: values.collect::<Vec<_>>().join(", "),
        fields: Some(explained),
    }
}

/// Whether all parts hold; of those of several patterns, the source and the pattern of one.
fn lets_pass(parts: &[PartVerdict]) -> bool {
    first_failing(parts).is_none()
}

/// The first part that does not let the signal pass. Of several patterns, the one that came
/// nearest tells: a source that fits with a pattern that does not.
fn first_failing(parts: &[PartVerdict]) -> Option<Part> {
    let (heard, plain): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.role.is_some());
    let of_events = || {
        let pairs: Vec<_> = heard.chunks(2).collect();
        let fits = |pair: &&[&PartVerdict]| pair.iter().all(|part| part.holds);
        if pairs.is_empty() || pairs.iter().any(fits) {
            return None;
        }
        let some_source = pairs.iter().any(|pair| pair.first().is_some_and(|source| source.holds));
        Some(if some_source { Part::Pattern } else { Part::Source })
    };
    let early = |part: &&PartVerdict| matches!(part.part, Part::Kind | Part::Active | Part::Mode);
    let fails = |part: &&PartVerdict| !part.holds;
    let (before, after): (Vec<_>, Vec<_>) = plain.into_iter().partition(early);
    let before = before.into_iter().find(fails).map(|part| part.part);
    before.or_else(of_events).or_else(|| after.into_iter().find(fails).map(|part| part.part))
}

fn decided_by(answer: RuleAnswer, parts: &[PartVerdict]) -> Option<Part> {
    match answer {
        RuleAnswer::Acts | RuleAnswer::Shadow => None,
        _ => first_failing(parts),
    }
}

fn refused(error: &PlanError) -> PartVerdict {
    PartVerdict {
        part: Part::Signal,
        role: None,
        holds: false,
        wanted: "a signal that a decision can be made on".to_owned(),
        seen: error.to_string(),
        fields: None,
    }
}

/// What the plan of a rule that is concerned comes to; adds the parts that need what is known.
fn fired(rule: &CompiledRule, planned: &Plan, parts: &mut Vec<PartVerdict>) -> RuleAnswer {
    let outcomes = &planned.decision.outcomes;
    let fires = !outcomes.is_empty();
    if let (Trigger::Score(trigger), Some(moved)) = (&rule.rule.trigger, &planned.decision.moved) {
        parts.push(entry(trigger, moved, fires));
    }
    for stand in &planned.decision.windows {
        parts.push(PartVerdict {
            part: Part::Window,
            role: None,
            holds: fires,
            wanted: format!("{} within {}", stand.of, stand.within),
            seen: stand.to_string(),
            fields: None,
        });
    }
    if !fires && rule.rule.trigger.watches() {
        parts.push(PartVerdict {
            part: Part::Window,
            role: None,
            holds: false,
            wanted: "the rule's own time".to_owned(),
            seen: "an event, which is noted until then".to_owned(),
            fields: None,
        });
    }
    if !fires {
        return RuleAnswer::Waits;
    }
    let held = |outcome: &&ActionOutcome| matches!(outcome.effect, Effect::Suppressed(_));
    let count = outcomes.iter().filter(held).count();
    parts.push(PartVerdict {
        part: Part::Guards,
        role: None,
        holds: count < outcomes.len(),
        wanted: "nothing that holds back".to_owned(),
        seen: format!("{count} of {} actions held back", outcomes.len()),
        fields: None,
    });
    let any = |of: fn(&Effect) -> bool| outcomes.iter().any(|outcome| of(&outcome.effect));
    if any(|effect| matches!(effect, Effect::Created { .. })) {
        RuleAnswer::Acts
    } else if any(|effect| matches!(effect, Effect::Shadow { .. })) {
        RuleAnswer::Shadow
    } else {
        RuleAnswer::HeldBack
    }
}

/// Why the move of a subject is the entry that a rule waits for, or is not.
fn entry(trigger: &ScoreTrigger, moved: &Moved, fires: bool) -> PartVerdict {
    let bands: Vec<&str> = trigger.enters.iter().map(|band| band.as_str()).collect();
    let way = match trigger.direction {
        Direction::Worse => "entered from a better band",
        Direction::Better => "entered from a worse band",
        Direction::Either => "entered",
    };
    let first = if trigger.first { ", or the first score there" } else { "" };
    let seen = match &moved.from {
        _ if moved.late => format!("a late score in {}: a newer one is known", moved.to),
        None => format!("the first score, in {}", moved.to),
        Some(from) if *from == moved.to => format!("it stays in {from}"),
        Some(from) => format!("from {from} to {}", moved.to),
    };
    PartVerdict {
        part: Part::Move,
        role: None,
        holds: fires,
        wanted: format!("{} {way}{first}", bands.join(" or ")),
        seen,
        fields: None,
    }
}

impl fmt::Display for PartVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.part)?;
        if let Some(role) = self.role {
            write!(f, " ({role})")?;
        }
        match &self.fields {
            Some(explained) => write!(f, ": {}", explained.to_string().replace('\n', "\n  ")),
            None if self.holds => write!(f, ": {}", self.seen),
            None => write!(f, ": {}; wanted: {}", self.seen, self.wanted),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}` revision {}: {}", self.rule, self.revision, self.answer)?;
        if let Some(part) = self.decided_by {
            write!(f, ", because of its {part}")?;
        }
        for part in &self.parts {
            write!(f, "\n  {} {part}", if part.holds { "+" } else { "-" })?;
        }
        for action in &self.actions {
            write!(f, "\n  {action}")?;
        }
        match &self.decided {
            Some(decided) => write!(f, "\nIt came before, and this stands: {decided}"),
            None => Ok(()),
        }
    }
}
