//! A rule's conditions in words, for people who do not read JSON.

use super::{Listened, Rule, Trigger, Window};
use crate::json::{self, Node, Value};
use crate::score::{Direction, ScoreTrigger};

impl Rule {
    /// When the rule runs, in words: `an event from okta where eventType is
    /// "user.mfa.factor.deactivate"`.
    #[must_use]
    pub fn conditions(&self) -> String {
        let trigger = match &self.trigger {
            Trigger::Event { window, .. } => {
                let events: Vec<_> = self.trigger.listens().iter().map(event).collect();
                let counted = window.as_ref().map(Window::describe).unwrap_or_default();
                format!("{counted}{}", events.join(", then "))
            }
            Trigger::Score(trigger) => score(trigger),
            Trigger::Schedule { timetable, audience, absent, .. } => {
                let whom = super::schedule::whom(audience, fields);
                let unless = absent.as_ref().map_or_else(String::new, |absent| {
                    let events = super::absence::events(&absent.awaited, fields);
                    format!(", if no {events} was seen within {}", absent.within)
                });
                format!("{} ({}), for {whom}{unless}", timetable.describe(), timetable.line())
            }
            Trigger::Deadline(deadline) => format!(
                "{} after an {}, unless an {} comes before",
                deadline.within,
                super::absence::events(&deadline.opens, fields),
                super::absence::events(&deadline.closes, fields),
            ),
            Trigger::Manual => "only when a person starts it".to_owned(),
        };
        let whom = self.subject.as_ref();
        let whom = whom.map(|pattern| format!("only for subjects where {}", fields(pattern.text())));
        let share = self.guards.rollout.map(|share| format!("only for {share} % of users"));
        let when = super::times::describe(&self.guards.times);
        let caps = self.guards.caps.iter().map(|cap| format!("at most {}", cap.describe()));
        let parts: Vec<String> =
            [trigger].into_iter().chain(whom).chain(share).chain(when).chain(caps).collect();
        parts.join("; ")
    }
}

fn event(listened: &Listened<'_>) -> String {
    let sources: Vec<&str> = listened.sources.iter().map(|source| source.as_str()).collect();
    let from = if sources.is_empty() { "any source".to_owned() } else { sources.join(" or ") };
    match fields(listened.pattern.text()) {
        conditions if conditions.is_empty() => format!("any event from {from}"),
        conditions => format!("an event from {from} where {conditions}"),
    }
}

fn score(trigger: &ScoreTrigger) -> String {
    let bands: Vec<&str> = trigger.enters.iter().map(|band| band.as_str()).collect();
    let way = match trigger.direction {
        Direction::Worse => " from a better band",
        Direction::Better => " from a worse band",
        Direction::Either => "",
    };
    let first = if trigger.first { ", or begins there" } else { "" };
    format!("a score on scale {} enters {}{way}{first}", trigger.scale, bands.join(" or "))
}

fn fields(pattern: &str) -> String {
    match json::parse(pattern.as_bytes()) {
        Ok(node) => object(&node, ""),
        Err(_) => pattern.to_owned(),
    }
}

fn object(node: &Node<'_>, path: &str) -> String {
    let Value::Object(members) = &node.value else { return node.to_string() };
    let parts = members.iter().map(|member| {
        let below = if path.is_empty() { member.name.to_string() } else { format!("{path}.{}", member.name) };
        match &member.node.value {
            Value::Array(branches) if member.name == "$or" && branches.iter().all(is_object) => {
                let branches: Vec<_> = branches.iter().map(|branch| object(branch, path)).collect();
                format!("({})", branches.join("; or "))
            }
            Value::Array(alternatives) => list(&below, alternatives),
            _ => object(&member.node, &below),
        }
    });
    parts.collect::<Vec<_>>().join(" and ")
}

const fn is_object(node: &Node<'_>) -> bool {
    matches!(node.value, Value::Object(_))
}

fn list(path: &str, alternatives: &[Node<'_>]) -> String {
    let words: Vec<_> = alternatives.iter().map(alternative).collect();
    format!("{path} {}", words.join(" or "))
}

fn alternative(node: &Node<'_>) -> String {
    let Value::Object(members) = &node.value else { return format!("is {node}") };
    let operators = members.iter().map(|member| operator(&member.name, &member.node));
    operators.collect::<Vec<_>>().join(" and ")
}

fn operator(name: &str, value: &Node<'_>) -> String {
    match (name, &value.value) {
        ("exists", Value::Bool(false)) => "is absent".to_owned(),
        ("exists", _) => "is present".to_owned(),
        ("anything-but", Value::Object(_)) => format!("is present and not one that {}", alternative(value)),
        ("anything-but", _) => format!("is none of {value}"),
        ("numeric", Value::Array(items)) => {
            let words: Vec<_> = items
                .chunks(2)
                .map(|pair| match pair {
                    [Node { value: Value::Text(sign), .. }, bound] => format!("{sign} {bound}"),
                    other => other.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                })
                .collect();
            format!("is {}", words.join(" and "))
        }
        ("prefix", Value::Object(_)) => format!("starts, whatever its case, with {}", inner(value)),
        ("suffix", Value::Object(_)) => format!("ends, whatever its case, with {}", inner(value)),
        ("prefix", _) => format!("starts with {value}"),
        ("suffix", _) => format!("ends with {value}"),
        ("equals-ignore-case", _) => format!("is, whatever its case, {value}"),
        ("wildcard", _) => format!("is like {value}"),
        ("cidr", _) => format!("is an address in {value}"),
        (other, _) => format!("{other} {value}"),
    }
}

fn inner(value: &Node<'_>) -> String {
    match &value.value {
        Value::Object(members) => members.iter().map(|member| member.node.to_string()).collect(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_as_sentences() {
        let pattern = r#"{"a":{"b":["x",{"prefix":"y"}]},"n":[{"numeric":[">",1,"<=",5]}],"$or":[{"c":[{"exists":false}]},{"c":[{"anything-but":["q"]}]}]}"#;
        assert_eq!(
            fields(pattern),
            r#"a.b is "x" or starts with "y" and n is > 1 and <= 5 and (c is absent; or c is none of ["q"])"#
        );
    }
}
