//! What a rule asks of a move between bands, and when it fires on one.

use crate::id::ScaleId;
use crate::score::{BandName, Change, Confidence, Scale, Transition};
use crate::time::{Span, Time};

/// Which moves a rule looks at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// Moves into a worse band.
    #[default]
    Worse,
    /// Moves into a better band.
    Better,
    /// Both.
    Either,
}

/// What a jump over several bands does with those between.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Skipped {
    /// Only the band where the jump ends is entered.
    #[default]
    Ignore,
    /// Each band on the way counts as entered, from the band where the jump began.
    Fire,
}

/// The score trigger of a rule: it fires on *entering* one of its bands, never on staying there.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScoreTrigger {
    /// The scale whose scores it looks at.
    pub scale: ScaleId,
    /// The bands whose entry fires.
    pub enters: Vec<BandName>,
    /// Which moves count; [`Direction::Worse`] unless said otherwise. The first score ever seen has
    /// no direction.
    pub direction: Direction,
    /// Whether a band that a jump skips counts as entered; [`Skipped::Ignore`] unless said otherwise.
    pub skipped: Skipped,
    /// Whether the first score ever seen, an entry from "unknown", fires; `false` unless said
    /// otherwise.
    pub first: bool,
    /// How long the same move of the same subject stays quiet after it fired;
    /// [`ScoreTrigger::COOLDOWN`] unless said otherwise, [`Span::ZERO`] for never.
    pub cooldown: Span,
    /// The least confidence that enforces; any, unless said otherwise.
    pub min_confidence: Option<Confidence>,
}

/// One entry on which a rule fires, or would if it were not cooling down.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fire {
    /// The band that the subject was in; `None` for the first score ever seen.
    pub from: Option<BandName>,
    /// The band whose entry this is.
    pub to: BandName,
    /// Whether that is the worst band of the scale: no cooldown suppresses this entry.
    pub worst: bool,
    /// Until when the rule's cooldown suppresses this entry; `None` if it does not.
    pub cooling_until: Option<Time>,
}

/// Why a score trigger does not fit its scale.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerFault {
    /// It looks at another scale.
    #[error("the trigger is for scale `{wanted}`, not `{given}`")]
    OtherScale {
        /// The scale that it names.
        wanted: ScaleId,
        /// The scale that was given.
        given: ScaleId,
    },
    /// It names no band.
    #[error("no band to enter; accepted: at least one of the scale's bands")]
    NoBand,
    /// The scale has no such band.
    #[error("scale `{scale}` has no band `{band}`; accepted: {known}")]
    UnknownBand {
        /// The scale.
        scale: ScaleId,
        /// The name that it does not have.
        band: BandName,
        /// The names that it has, from the best to the worst, separated by commas.
        known: String,
    },
    /// A band stands twice in the list.
    #[error("band `{0}` is listed twice; accepted: each band once")]
    RepeatedBand(BandName),
    /// None of its bands can be entered in its direction: the best band from a better one, say.
    #[error("none of these bands can be entered that way; accepted: another direction, or more bands")]
    Never,
}

impl ScoreTrigger {
    /// The cooldown of a rule that names none: 24 hours.
    pub const COOLDOWN: Span = Span::hours(24);

    /// A trigger on entering these bands of that scale, everything else by default.
    #[must_use]
    pub const fn new(scale: ScaleId, enters: Vec<BandName>) -> Self {
        Self {
            scale,
            enters,
            direction: Direction::Worse,
            skipped: Skipped::Ignore,
            first: false,
            cooldown: Self::COOLDOWN,
            min_confidence: None,
        }
    }

    /// Why this trigger does not fit the scale; empty if it does. For the moment when a rule loads.
    #[must_use]
    pub fn faults(&self, scale: &Scale) -> Vec<TriggerFault> {
        if self.scale != *scale.id() {
            return vec![TriggerFault::OtherScale { wanted: self.scale.clone(), given: scale.id().clone() }];
        }
        if self.enters.is_empty() {
            return vec![TriggerFault::NoBand];
        }
        let mut faults = Vec::new();
        for (place, band) in self.enters.iter().enumerate() {
            if self.enters[..place].contains(band) {
                faults.push(TriggerFault::RepeatedBand(band.clone()));
            } else if scale.rank(band).is_none() {
                let known: Vec<_> = scale.bands().iter().map(|band| band.name.as_str()).collect();
                faults.push(TriggerFault::UnknownBand {
                    scale: scale.id().clone(),
                    band: band.clone(),
                    known: known.join(", "),
                });
            }
        }
        let last = scale.bands().len() - 1;
        let reachable = |band: &BandName| match (scale.rank(band), self.direction) {
            (None, _) => true,
            (Some(rank), Direction::Worse) => rank > 0,
            (Some(rank), Direction::Better) => rank < last,
            (Some(_), Direction::Either) => last > 0,
        };
        if !self.first && !self.enters.iter().any(reachable) {
            faults.push(TriggerFault::Never);
        }
        faults
    }

    /// Whether a score of that confidence may be enforced. Where the rule asks for a minimum, a
    /// score that states no confidence does not reach it: what is unknown is recorded, not acted on.
    #[must_use]
    pub fn is_confident(&self, confidence: Option<&Confidence>) -> bool {
        match &self.min_confidence {
            None => true,
            Some(least) => confidence.is_some_and(|given| given >= least),
        }
    }

    /// The entries on which the rule fires, in the order of the move, those that are cooling down
    /// included and marked.
    ///
    /// `last_fired` answers when this rule last fired for the same subject on the same move; `at` is
    /// the signal's own time. The cooldown has passed when it is over at `at`.
    #[must_use]
    pub fn fires(
        &self,
        transition: &Transition,
        scale: &Scale,
        last_fired: impl Fn(Option<&BandName>, &BandName) -> Option<Time>,
        at: Time,
    ) -> Vec<Fire> {
        let wanted = |change| match self.direction {
            Direction::Worse => change == Change::Worse,
            Direction::Better => change == Change::Better,
            Direction::Either => true,
        };
        let (from, skipped, to) = match transition {
            Transition::First { to } if self.first => (None, &[][..], to),
            Transition::Moved { from, to, change, skipped } if wanted(*change) => match self.skipped {
                Skipped::Fire => (Some(from), &skipped[..], to),
                Skipped::Ignore => (Some(from), &[][..], to),
            },
            Transition::First { .. }
            | Transition::Moved { .. }
            | Transition::Stayed { .. }
            | Transition::Late => return Vec::new(),
        };
        let entered = skipped.iter().chain([to]).filter(|band| self.enters.contains(band));
        let fire = |to: &BandName| {
            let worst = *to == scale.worst().name;
            let cooling = |last: &Time| !worst && at - *last < self.cooldown;
            let last = last_fired(from, to).filter(cooling);
            Fire {
                from: from.cloned(),
                to: to.clone(),
                worst,
                cooling_until: last.map(|last| last.after(self.cooldown)),
            }
        };
        entered.map(fire).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(text: &str) -> BandName {
        text.parse().unwrap()
    }

    fn trigger(enters: &[&str]) -> ScoreTrigger {
        ScoreTrigger::new("default".parse().unwrap(), enters.iter().map(|e| b(e)).collect())
    }

    fn step(from: Option<&str>, to: &str) -> Transition {
        let scale = Scale::standard();
        let at = |name: &str| scale.bands()[scale.rank(&b(name)).unwrap()].from.clone().into();
        let last = from.map(|name| scale.reading(at(name), Time::EPOCH, "s".parse().unwrap()).unwrap());
        scale.transition(last.as_ref(), &at(to), Time::EPOCH).unwrap()
    }

    /// What fires without any memory, as `from>to` texts.
    fn fired(trigger: &ScoreTrigger, transition: &Transition) -> Vec<String> {
        let fires = trigger.fires(transition, &Scale::standard(), |_, _| None, Time::EPOCH);
        let name = |band: &Option<BandName>| band.as_ref().map_or("?".to_owned(), ToString::to_string);
        fires.iter().map(|fire| format!("{}>{}", name(&fire.from), fire.to)).collect()
    }

    #[test]
    fn a_rule_fires_on_entering_its_bands() {
        let plain = trigger(&["orange", "critical"]);
        let better = ScoreTrigger { direction: Direction::Better, ..plain.clone() };
        let either = ScoreTrigger { direction: Direction::Either, ..plain.clone() };
        let skip = ScoreTrigger { skipped: Skipped::Fire, ..either.clone() };
        let first = ScoreTrigger { first: true, ..plain.clone() };
        for (trigger, from, to, expected) in [
            (&plain, Some("yellow"), "orange", &["yellow>orange"][..]),
            (&plain, Some("orange"), "orange", &[]),
            (&plain, Some("red"), "orange", &[]),
            (&plain, Some("orange"), "red", &[]),
            (&plain, Some("green"), "critical", &["green>critical"]),
            (&plain, Some("green"), "red", &[]),
            (&plain, None, "critical", &[]),
            (&better, Some("red"), "orange", &["red>orange"]),
            (&better, Some("yellow"), "orange", &[]),
            (&better, Some("red"), "critical", &[]),
            (&either, Some("red"), "orange", &["red>orange"]),
            (&either, Some("yellow"), "orange", &["yellow>orange"]),
            (&skip, Some("green"), "critical", &["green>orange", "green>critical"]),
            (&skip, Some("critical"), "green", &["critical>orange"]),
            (&skip, Some("green"), "red", &["green>orange"]),
            (&skip, None, "critical", &[]),
            (&first, None, "critical", &["?>critical"]),
            (&first, None, "green", &[]),
        ] {
            assert_eq!(fired(trigger, &step(from, to)), expected, "{trigger:?} {from:?} {to}");
        }
        assert_eq!(fired(&skip, &Transition::Late), [""; 0]);
    }

    #[test]
    fn a_move_stays_quiet_while_it_cools_down() {
        let trigger = trigger(&["orange", "critical"]);
        let scale = Scale::standard();
        let hour = |n: u64| Time::EPOCH.after(Span::hours(n));
        let cooling = |from: &str, to: &str, at: Time| {
            // The rule fired on yellow → orange and on yellow → critical at the epoch.
            let memory =
                |from: Option<&BandName>, _: &BandName| (from == Some(&b("yellow"))).then_some(Time::EPOCH);
            let fires = trigger.fires(&step(Some(from), to), &scale, memory, at);
            assert_eq!(fires.len(), 1);
            fires[0].cooling_until
        };
        assert_eq!(cooling("yellow", "orange", hour(23)), Some(hour(24)));
        assert_eq!(cooling("yellow", "orange", Time::from_micros(hour(24).micros() - 1)), Some(hour(24)));
        assert_eq!(cooling("yellow", "orange", hour(24)), None);
        assert_eq!(cooling("green", "orange", hour(1)), None, "another move has a cooldown of its own");
        assert_eq!(cooling("yellow", "critical", hour(1)), None, "the worst band always fires");
    }

    #[test]
    fn no_cooldown_means_none() {
        let trigger = ScoreTrigger { cooldown: Span::ZERO, ..trigger(&["orange"]) };
        let step = step(Some("yellow"), "orange");
        let fires = trigger.fires(&step, &Scale::standard(), |_, _| Some(Time::EPOCH), Time::EPOCH);
        assert_eq!(fires[0].cooling_until, None);
    }

    #[test]
    fn confidence_is_a_gate_only_where_the_rule_asks() {
        let c = |text: &str| text.parse::<Confidence>().unwrap();
        let open = trigger(&["red"]);
        let gated = ScoreTrigger { min_confidence: Some(c("0.8")), ..open.clone() };
        assert!(open.is_confident(None) && open.is_confident(Some(&c("0"))));
        for (given, passes) in [(None, false), (Some("0.79"), false), (Some("0.80"), true), (Some("1"), true)]
        {
            assert_eq!(gated.is_confident(given.map(c).as_ref()), passes, "{given:?}");
        }
    }

    #[test]
    fn what_does_not_fit_the_scale_is_told() {
        let scale = Scale::standard();
        let unknown = |band: &str| TriggerFault::UnknownBand {
            scale: scale.id().clone(),
            band: b(band),
            known: "green, yellow, orange, red, critical".into(),
        };
        let better = |bands: &[&str]| ScoreTrigger { direction: Direction::Better, ..trigger(bands) };
        let first = ScoreTrigger { first: true, ..trigger(&["green"]) };
        let other: ScaleId = "other".parse().unwrap();
        let wanted = TriggerFault::OtherScale { wanted: other.clone(), given: scale.id().clone() };
        for (trigger, expected) in [
            (trigger(&["red", "critical"]), vec![]),
            (trigger(&["green", "red"]), vec![]),
            (first, vec![]),
            (trigger(&[]), vec![TriggerFault::NoBand]),
            (trigger(&["pink", "red", "red"]), vec![unknown("pink"), TriggerFault::RepeatedBand(b("red"))]),
            (trigger(&["green"]), vec![TriggerFault::Never]),
            (better(&["critical"]), vec![TriggerFault::Never]),
            (better(&["green"]), vec![]),
            (ScoreTrigger { scale: other, ..trigger(&["red"]) }, vec![wanted]),
        ] {
            assert_eq!(trigger.faults(&scale), expected, "{trigger:?}");
        }
    }
}
