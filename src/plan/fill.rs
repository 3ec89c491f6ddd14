//! The values of variables in an action's parameters.

use crate::action::{ActionSpec, ParamValue, Params, Stage, Template, check_params};
use crate::guard::{Suppressed, Suppression};
use crate::json::{Node, Value};
use crate::rule::CompiledRule;
use crate::score::Fire;
use crate::signal::Signal;

/// Where variables take their values from.
pub(super) struct Source<'a> {
    pub(super) signal: &'a Signal,
    pub(super) rule: &'a CompiledRule,
    pub(super) fire: Option<&'a Fire>,
    /// The event's payload, read once for all actions.
    pub(super) tree: Option<&'a Node<'a>>,
}

/// The parameters with their variables filled in, checked against their types.
pub(super) fn fill(params: &Params, spec: &ActionSpec, source: &Source<'_>) -> Result<Params, Suppressed> {
    let mut filled = Params::new();
    for (name, value) in params {
        let value = match value {
            ParamValue::Text(text) => ParamValue::Text(fill_text(text, source)?),
            other => other.clone(),
        };
        filled.insert(name.clone(), value);
    }
    match check_params(spec, &filled, Stage::Filled) {
        Ok(()) => Ok(filled),
        Err(problems) => {
            let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Err(Suppressed::new(Suppression::BadParameter).detail(told.join("; ")))
        }
    }
}

fn fill_text(text: &str, source: &Source<'_>) -> Result<String, Suppressed> {
    // The rule's check has read the template already; one that cannot be read stays as it is.
    let Ok(template) = text.parse::<Template>() else { return Ok(text.to_owned()) };
    template
        .fill(|name| source.value(name))
        .map_err(|missing| Suppressed::new(Suppression::MissingVariable).detail(missing))
}

impl Source<'_> {
    fn value(&self, name: &str) -> Option<String> {
        if let Some(path) = name.strip_prefix("event.") {
            return found(self.tree?, path).and_then(shown);
        }
        let info = self.signal.info();
        match name {
            "subject" => Some(info.subject.to_string()),
            "user" => Some(info.subject.user.to_string()),
            "session" => info.subject.session.map(|session| session.to_string()),
            "signal.id" => Some(info.id),
            "signal.source" => Some(info.source),
            "signal.time" => Some(info.at.to_string()),
            "rule" => Some(self.rule.rule.id.to_string()),
            "rule.title" => Some(self.rule.rule.title.clone()),
            "occurrence.time" => Some(info.at.to_string()),
            "absent.since" => match self.signal {
                Signal::Schedule(turn) => turn.absence.as_ref().map(|absence| absence.since.to_string()),
                _ => None,
            },
            "band" => self.fire.map(|fire| fire.to.to_string()),
            "band.from" => self.fire.and_then(|fire| fire.from.as_ref()).map(ToString::to_string),
            "score" => match self.signal {
                Signal::Score(reading) => Some(reading.score.to_string()),
                Signal::Level(turn) => Some(turn.score.to_string()),
                _ => None,
            },
            "operator" | "reason" => match self.signal {
                Signal::Manual(start) if name == "operator" => Some(start.operator.to_string()),
                Signal::Manual(start) => Some(start.reason.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The value at a dotted path: the first one, where a name repeats. A name that itself has dots is
/// found as well.
pub(super) fn found<'a>(node: &'a Node<'a>, path: &str) -> Option<&'a Node<'a>> {
    let Value::Object(members) = &node.value else { return None };
    members.iter().find_map(|member| {
        let rest = path.strip_prefix(&*member.name)?;
        match rest.strip_prefix('.') {
            Some(rest) => found(&member.node, rest),
            None if rest.is_empty() => Some(&member.node),
            None => None,
        }
    })
}

/// A value as a text; null is no value.
fn shown(node: &Node<'_>) -> Option<String> {
    match &node.value {
        Value::Null => None,
        Value::Text(text) => Some(text.to_string()),
        _ => Some(node.to_string()),
    }
}
