//! Hysteresis and hold: when a score beyond a band's bound counts as having left the band.

use crate::decimal::Decimal;
use crate::score::{Change, Direction, Polarity, Scale, ScaleFault, Score};
use crate::time::Span;

/// The longest dwell: as long as the longest hold.
pub const MAX_DWELL: Span = Span::days(30);
/// The shortest dwell: the shortest deadline of a rule.
pub const MIN_DWELL: Span = Span::secs(1);
/// The shortest hold. Microsoft Purview's adaptive protection lets a risk level stand for 5 to 30
/// days, 7 unless said otherwise, extends it when the user meets its criteria again, and resets it
/// when the alert is dismissed.
pub const MIN_HOLD: Span = Span::days(5);
/// The longest hold, as in Purview; see [`MIN_HOLD`].
pub const MAX_HOLD: Span = Span::days(30);

/// What a score must do before a band counts as left.
///
/// A score that moves to and fro across a bound would enter a band with every reading, and a rule
/// would fire with each. Three settings of a [`Scale`] hold a subject in the band where they are;
/// what holds them is state of the scale, so all rules on it see one settled band. Each answers
/// another question:
///
/// | setting | a band is left when the score … | known elsewhere as |
/// |---|---|---|
/// | margin | lies that many points beyond the band's bound | Schmitt trigger; Grafana's recovery threshold |
/// | dwell | has stayed beyond the bound (and margin) for that long | Prometheus `for`, Grafana's pending period |
/// | hold | has not fallen in the band, or in a worse one, for that long | Purview's risk level timeframe, Prometheus `keep_firing_for` |
///
/// - **Which way.** Margin and dwell hold back moves in the direction `toward`: `better` unless said
///   otherwise, because a subject who gets worse is a finding at once, and only getting better must
///   be proved; that alone ends the to and fro. `worse` and `either` delay findings as well. A hold
///   holds back moves to better bands only.
/// - **The worst band waits for nothing**, whatever `toward` says: as with the cooldown, entry into
///   it always counts.
/// - **Where a move ends.** A margin is asked of the band that is left, not of those beyond: the
///   move ends in the band where the score lies. A dwell ends in the band of the last score then.
/// - **A score back within the bound (or its margin) ends a dwell**; so does one beyond the other
///   bound. Out of range is an error, and ends nothing. A score older than the last one seen is
///   recorded and changes nothing, inside a dwell as well.
/// - **Together.** All three must be satisfied, and run side by side: a band is left at the later of
///   the dwell's end and the hold's. Every score that falls in the band or in a worse one extends
///   the hold to that score's time plus the hold. A score within the margin does not: it holds the
///   band, but does not qualify for it again.
/// - **By time.** A dwell or hold that ends while no score comes is a timer: the subject moves at
///   the instant when it ends, in signal time. The move depends only on the scores and their times,
///   not on when the engine is run: one that is overdue when a score comes is made first.
///
/// # What it saves
/// Recorded scores of anomaly detectors, each series and detector one subject, and a rule on
/// entering any band but the best from a better one. `cargo run --release --example score_replay --
/// ../shared/data/open/score_series.ndjson` prints this table; the columns add up from left to right:
///
/// | bands | scores | moves | firings | + cooldown 24h | + hysteresis | + hold 7d |
/// |---|--:|--:|--:|--:|--:|--:|
/// | detectors, 0 to 1, high is risky; margin 0.05, dwell 30m | 44872 | 3407 | 1700 | 670 | 394 | 23 |
/// | the same read as well-being, high is safe; margin 0.1, dwell 2h | 44872 | 1403 | 696 | 235 | 69 | 0 |
/// | msticpy, -8 to 6, high is safe; margin 0.25, dwell 3h | 840 | 139 | 71 | 37 | 32 | 7 |
///
/// (The series last from one to five weeks, so that a hold of a week leaves little to fire on; the
/// first score of a series fires on none of them.)
///
/// A rule on worse bands without a cooldown never fires more often with hysteresis (toward better)
/// or a hold than without. With a cooldown it may: the cooldown is per move, and a subject who was
/// kept in a band leaves it by another move.
///
/// ```
/// use tipstaff::{RuleSet, Score};
/// let rules = RuleSet::from_json(r#"{ "scales": [{
///     "id": "sales", "low": 0, "high": 1, "high_is": "risky",
///     "bands": [{ "name": "low", "from": 0 }, { "name": "raised", "from": 0.5 }, { "name": "high", "from": 0.9 }],
///     "hysteresis": { "margin": 0.05, "dwell": "30m" },
///     "hold": "7d" }] }"#)?;
/// let scale = rules.settings().scale(&"sales".parse()?).expect("declared above");
/// assert_eq!(scale.hysteresis().map(|h| h.margin.to_string()), Some("0.05".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hysteresis {
    /// How many points beyond the bound; zero for none.
    pub margin: Decimal,
    /// For how long; [`Span::ZERO`] for none.
    pub dwell: Span,
    /// Which moves it holds back.
    pub toward: Direction,
}

impl Default for Hysteresis {
    /// No margin and no dwell, toward better bands.
    fn default() -> Self {
        Self { margin: Decimal::zero(), dwell: Span::ZERO, toward: Direction::Better }
    }
}

impl Hysteresis {
    /// Whether it holds back moves of that kind.
    pub(super) fn gates(&self, change: Change) -> bool {
        match self.toward {
            Direction::Either => true,
            Direction::Better => change == Change::Better,
            Direction::Worse => change == Change::Worse,
        }
    }
}

/// From where on a score has left a band, margin included; none where there is no band that way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Exits {
    better: Option<Decimal>,
    worse: Option<Decimal>,
}

impl Scale {
    /// How long a level is held where a host wants Purview's default: 7 days.
    pub const HOLD: Span = Span::days(7);

    /// What a score must do before a band counts as left, if anything is asked.
    #[must_use]
    pub const fn hysteresis(&self) -> Option<&Hysteresis> {
        self.hysteresis.as_ref()
    }

    /// How long after the last score that fell in a band, or in a worse one, the subject stays in it
    /// even if the score gets better.
    #[must_use]
    pub const fn hold(&self) -> Option<Span> {
        self.hold
    }

    /// The scale with this hysteresis.
    ///
    /// # Errors
    /// [`ScaleFault::Hysteresis`] if it asks for nothing or for less than nothing,
    /// [`ScaleFault::Dwell`], [`ScaleFault::Margin`].
    pub fn with_hysteresis(mut self, hysteresis: Hysteresis) -> Result<Self, Vec<ScaleFault>> {
        let mut faults = Vec::new();
        let (nothing, dwell) = (Decimal::zero(), hysteresis.dwell);
        let has_margin = hysteresis.margin != nothing;
        if hysteresis.margin < nothing || (!has_margin && dwell == Span::ZERO) {
            faults.push(ScaleFault::Hysteresis);
        }
        if dwell != Span::ZERO && !(MIN_DWELL..=MAX_DWELL).contains(&dwell) {
            faults.push(ScaleFault::Dwell { found: dwell });
        }
        let exits = self.exits(&hysteresis);
        if let Some(fault) = self.margin_fault(&hysteresis, exits.as_deref()) {
            faults.push(fault);
        }
        match exits {
            Some(exits) if faults.is_empty() => {
                (self.hysteresis, self.exits) = (Some(hysteresis), exits);
                Ok(self)
            }
            _ => Err(faults),
        }
    }

    /// The scale with levels that are held for this long.
    ///
    /// # Errors
    /// [`ScaleFault::Hold`].
    pub fn with_hold(mut self, hold: Span) -> Result<Self, ScaleFault> {
        if !(MIN_HOLD..=MAX_HOLD).contains(&hold) {
            return Err(ScaleFault::Hold { found: hold });
        }
        self.hold = Some(hold);
        Ok(self)
    }

    /// Which way the score has left the band of that rank, margin included; none if it has not.
    /// Whoever falls in the worst band has left every other.
    pub(super) fn left(&self, rank: usize, score: &Score, lies_in: usize) -> Option<Change> {
        let change = match lies_in.cmp(&rank) {
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Less => Change::Better,
            std::cmp::Ordering::Greater => Change::Worse,
        };
        let gated = self.hysteresis.as_ref().is_some_and(|hysteresis| hysteresis.gates(change));
        if !gated || self.is_worst(lies_in) {
            return Some(change);
        }
        let exits = self.exits.get(rank)?;
        let bound = match change {
            Change::Better => exits.better.as_ref()?,
            Change::Worse => exits.worse.as_ref()?,
        };
        // A band holds its lower bound: upward the bound itself is beyond, downward it is not.
        let beyond = match self.upward(change) {
            true => score.value() >= bound,
            false => score.value() < bound,
        };
        beyond.then_some(change)
    }

    /// How long the score must stay beyond the bound.
    pub(super) fn dwell(&self, change: Change, lies_in: usize) -> Span {
        match &self.hysteresis {
            Some(hysteresis) if hysteresis.gates(change) && !self.is_worst(lies_in) => hysteresis.dwell,
            _ => Span::ZERO,
        }
    }

    pub(super) fn is_worst(&self, rank: usize) -> bool {
        rank + 1 == self.bands().len()
    }

    /// Whether a move of that kind is one to higher scores.
    fn upward(&self, change: Change) -> bool {
        (self.polarity() == Polarity::HighIsSafe) == (change == Change::Better)
    }

    /// The bounds of each band with the margin added; none if a sum is not exact.
    fn exits(&self, hysteresis: &Hysteresis) -> Option<Vec<Exits>> {
        let margin = &hysteresis.margin;
        let up = |bound: &Decimal| bound.checked_add(margin);
        let down = |bound: &Decimal| bound.checked_add(&margin.clone().negated());
        let bands = self.bands();
        let exits = (0..bands.len()).map(|rank| {
            let own = &bands[rank].from;
            let better = rank.checked_sub(1).and_then(|rank| bands.get(rank));
            let worse = bands.get(rank + 1);
            let (better, worse) = match self.polarity() {
                Polarity::HighIsSafe => (better.map(|band| up(&band.from)), worse.map(|_| down(own))),
                Polarity::HighIsRisky => (better.map(|_| down(own)), worse.map(|band| up(&band.from))),
            };
            // No band that way is none; a sum that cannot be had is none for the whole scale.
            let sum = |exit: Option<Option<Decimal>>| match exit {
                None => Some(None),
                Some(sum) => sum.map(Some),
            };
            Some(Exits { better: sum(better)?, worse: sum(worse)? })
        });
        exits.collect()
    }

    /// A margin must leave a score, at the end of the range at the least, that leaves the band next
    /// to the best: nobody could ever get out of it otherwise. Toward worse bands there is always a
    /// way, into the worst.
    fn margin_fault(&self, hysteresis: &Hysteresis, exits: Option<&[Exits]>) -> Option<ScaleFault> {
        let margin = hysteresis.margin.clone();
        let Some(exits) = exits else {
            return Some(ScaleFault::Margin { margin, band: self.best().name.clone() });
        };
        if !hysteresis.gates(Change::Better) {
            return None;
        }
        let shut = |exit: &Decimal| match self.upward(Change::Better) {
            true => exit > self.high(),
            false => exit <= self.low(),
        };
        let place = exits.iter().position(|exits| exits.better.as_ref().is_some_and(shut))?;
        Some(ScaleFault::Margin { margin, band: self.bands()[place].name.clone() })
    }
}
