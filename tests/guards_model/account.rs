//! The account of the guards: rules, people and minutes, and nothing of how the engine keeps them.

use std::collections::{BTreeMap, BTreeSet};

use tipstaff::TriggerKind;

/// Whom everything is about: the first four may be administrators, `pia` is protected by name.
pub(crate) const USERS: [&str; 6] = ["ada", "bo", "cy", "di", "ana", "pia"];
/// Who answers: four of the group that is asked, and two who may not.
pub(crate) const VOTERS: [&str; 6] = ["sam", "sue", "ana", "bo", "eve", "olga"];
pub(crate) const DEPTS: [&str; 3] = ["legal", "sales", "board"];
/// The rules, and what each does.
pub(crate) const RULES: [(&str, &str); 3] =
    [("lock", "lock_account"), ("ask", "restrict_access"), ("tell", "escalate_to_hr")];
/// How many usable administrators must remain.
pub(crate) const KEEP: usize = 1;
/// The minutes of the maintenance window, of access control.
pub(crate) const MAINTENANCE: (i64, i64) = (700, 1_000);
/// The minutes from and until which `tell` acts.
pub(crate) const TELLS: (i64, i64) = (30, 9_000);

/// What is to be done to whom, and because of what: all that an approver agrees to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    pub(crate) action: String,
    pub(crate) params: String,
    pub(crate) user: String,
    pub(crate) trigger: String,
    pub(crate) evidence: String,
}

/// What was made and may be carried out.
#[derive(Debug)]
struct Made {
    /// What it is about: as it was decided, until somebody changes the evidence in the store.
    content: Content,
    /// Whether people must agree first, and how far that has come.
    asks: bool,
    by_hand: bool,
    asked_at: i64,
    /// Who answered what, and what they were shown.
    votes: Vec<(String, bool, Content)>,
}

#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) minute: i64,
    pub(crate) depts: BTreeMap<&'static str, Option<&'static str>>,
    pub(crate) administrators: BTreeSet<&'static str>,
    /// The administrators who are on the way to be locked, or are.
    pub(crate) away: BTreeSet<String>,
    pub(crate) exempt: BTreeMap<(&'static str, Option<usize>), i64>,
    pub(crate) waived: BTreeMap<&'static str, i64>,
    pub(crate) killed: BTreeSet<Option<usize>>,
    /// Deliveries that must not have been.
    pub(crate) faults: Vec<String>,
    made: BTreeMap<String, Made>,
    /// What the target has locked, and by which action.
    locked: BTreeSet<(String, String)>,
    /// What took somebody who was an administrator when it was decided, or delivered.
    takes: BTreeSet<String>,
    /// The locks that such an enforcement left.
    taken: BTreeSet<(String, String)>,
    rolled_out: BTreeMap<String, bool>,
}

impl Account {
    /// Of these administrators; nothing has happened.
    pub(crate) fn of(administrators: [&'static str; 2]) -> Self {
        Self { administrators: BTreeSet::from(administrators), ..Self::default() }
    }

    /// Why nothing may be done, in the order of behaviour 6, and until which minute. Whom a rollout
    /// takes in first is learnt from what was `seen`; from then on it must stay so.
    pub(crate) fn expected(
        &mut self,
        rule: Option<usize>,
        action: &str,
        user: &str,
        minute: i64,
        seen: Option<&'static str>,
    ) -> Option<(&'static str, Option<i64>)> {
        if self.is_killed(rule) {
            return Some(("kill_switch", None));
        }
        if let Some(reason) = time_holds(rule, action, minute) {
            return Some((reason, opens(rule, action, minute)));
        }
        if rule == Some(2) {
            let is_in = *self.rolled_out.entry(user.to_owned()).or_insert(seen != Some("rollout"));
            if !is_in {
                return Some(("rollout", None));
            }
        }
        let restricts = action != "escalate_to_hr";
        if restricts && self.is_protected(user) {
            return Some(("protected", None));
        }
        if restricts && self.dept(user).is_none() {
            return Some(("attributes_unknown", None));
        }
        if let Some(until) = self.exempt_until(rule, user, minute) {
            return Some(("exempt", Some(until)));
        }
        if restricts && self.administrators.is_empty() {
            return Some(("administrators_unknown", None));
        }
        if restricts && self.administrators.contains(user) {
            let gone = |other: &&&str| **other == user || self.away.contains(**other);
            let remain = self.administrators.iter().filter(|other| !gone(other)).count();
            if remain < KEEP {
                return Some(("last_administrators", None));
            }
        }
        None
    }

    fn is_killed(&self, rule: Option<usize>) -> bool {
        self.killed.contains(&None) || rule.is_some_and(|rule| self.killed.contains(&Some(rule)))
    }

    fn dept(&self, user: &str) -> Option<&'static str> {
        self.depts.get(user).copied().flatten()
    }

    fn is_protected(&self, user: &str) -> bool {
        user == "pia" || self.dept(user) == Some("board")
    }

    /// Until when somebody is exempt: of several exemptions, the one that lasts longest.
    fn exempt_until(&self, rule: Option<usize>, user: &str, minute: i64) -> Option<i64> {
        let own = |((who, scope), until): (&(&str, Option<usize>), &i64)| {
            (*who == user && (scope.is_none() || *scope == rule)).then_some(*until)
        };
        let own = self.exempt.iter().filter_map(own);
        let waived = self.dept(user).and_then(|dept| self.waived.get(dept)).copied();
        own.chain(waived).filter(|until| minute < *until).max()
    }

    pub(crate) fn made(&mut self, key: String, content: Content, kind: TriggerKind, asks: bool) {
        let by_hand = kind == TriggerKind::Manual;
        if self.administrators.contains(content.user.as_str()) {
            self.takes.insert(key.clone());
        }
        let made = Made { content, asks, by_hand, asked_at: self.minute, votes: Vec::new() };
        self.made.insert(key, made);
    }

    /// Somebody changed what is stored of the evidence.
    pub(crate) fn forged(&mut self, key: &str, evidence: &str) {
        if let Some(made) = self.made.get_mut(key) {
            evidence.clone_into(&mut made.content.evidence);
        }
    }

    /// What people are shown is what was decided on.
    pub(crate) fn shows(&self, key: &str, shown: &Content) -> bool {
        self.made.get(key).is_some_and(|made| made.content == *shown)
    }

    /// Who is away, by what the log shows: what waits, and the locks that are there.
    pub(crate) fn look(&mut self, waits: &BTreeSet<(String, String)>, locks: &BTreeSet<(String, String)>) {
        let waits = waits.iter().filter(|(key, _)| self.takes.contains(key)).map(|(_, user)| user);
        let locks = locks.iter().filter(|lock| self.taken.contains(*lock)).map(|(user, _)| user);
        self.away = waits.chain(locks).cloned().collect();
    }

    /// A directory that knows who is locked names those who are not.
    pub(crate) fn usable(&self, people: &[&'static str]) -> Vec<&'static str> {
        let free = |person: &&&str| self.locked.iter().all(|(locked, _)| locked != **person);
        people.iter().filter(free).copied().collect()
    }

    /// What acts before anybody agrees.
    pub(crate) fn ratified_later(&mut self, keys: impl Iterator<Item = String>) {
        for key in keys {
            if let Some(made) = self.made.get_mut(&key) {
                made.asks = false;
            }
        }
    }

    /// Whether an answer counts: of the group, not the subject, not whoever ordered it, once, in time,
    /// before it is over.
    pub(crate) fn voted(&mut self, key: &str, voter: &str, yes: bool, shown: Content) -> bool {
        let minute = self.minute;
        let Some(made) = self.made.get_mut(key) else { return false };
        let within = if made.by_hand { 24 * 60 } else { 5 * 60 };
        let sits = VOTERS[..4].contains(&voter) && voter != made.content.user;
        let again = made.votes.iter().any(|(known, ..)| known == voter);
        let over = made.votes.iter().any(|(_, yes, _)| !yes) || made.is_agreed();
        let counts = sits && !again && !over && minute < made.asked_at + within;
        if counts {
            made.votes.push((voter.to_owned(), yes, shown));
        }
        counts
    }

    /// A target was given something: it must be allowed now, and agreed to.
    pub(crate) fn delivered(&mut self, key: &str, action: &str, params: &str, user: &str, trigger: &str) {
        let mut faults = Vec::new();
        match action {
            "unlock_account" | "lift_restriction" => {
                let lifted = if action == "unlock_account" { "lock_account" } else { "restrict_access" };
                let lock = (user.to_owned(), format!("{lifted} {params}"));
                self.locked.remove(&lock);
                self.taken.remove(&lock);
            }
            "lock_account" | "restrict_access" | "escalate_to_hr" => {
                let rule = RULES.iter().position(|(_, does)| *does == action);
                let rule = rule.filter(|_| self.made.get(key).is_some_and(|made| !made.by_hand));
                match self.made.get(key) {
                    None => faults.push("nobody asked for it"),
                    Some(made) => {
                        let content = Content {
                            action: action.to_owned(),
                            params: params.to_owned(),
                            user: user.to_owned(),
                            trigger: trigger.to_owned(),
                            evidence: made.content.evidence.clone(),
                        };
                        if made.asks && !made.is_agreed() {
                            faults.push("nobody agreed to it");
                        } else if made.asks && made.votes.iter().any(|(.., shown)| *shown != content) {
                            faults.push("people agreed to something else");
                        } else if made.content.user != user || made.content.action != action {
                            faults.push("something else was asked for");
                        }
                    }
                }
                if time_holds(rule, action, self.minute).is_some() {
                    faults.push("nothing of it is done at that time");
                }
                if self.is_killed(rule) {
                    faults.push("it was stopped");
                }
                if self.exempt_until(rule, user, self.minute).is_some() {
                    faults.push("the subject is exempt");
                }
                if action != "escalate_to_hr" {
                    if self.is_protected(user) || self.dept(user).is_none() {
                        faults.push("the subject is protected, or might be");
                    }
                    let lock = (user.to_owned(), format!("{action} {params}"));
                    self.locked.insert(lock.clone());
                    if self.administrators.contains(user) {
                        self.takes.insert(key.to_owned());
                    }
                    if self.takes.contains(key) {
                        self.taken.insert(lock);
                    }
                    let usable = |admin: &&&str| self.locked.iter().all(|(locked, _)| locked != **admin);
                    let remain = self.administrators.iter().filter(usable).count();
                    if self.administrators.contains(user) && remain < KEEP {
                        faults.push("no administrator remains");
                    }
                }
            }
            _ => {}
        }
        let told = |fault| format!("{action} of {user} at minute {}: {fault}", self.minute);
        self.faults.extend(faults.into_iter().map(told).collect::<Vec<_>>());
    }
}

impl Made {
    fn is_agreed(&self) -> bool {
        let yes = self.votes.iter().filter(|(_, yes, _)| *yes).count();
        // A person's order asks one of the default group.
        yes >= if self.by_hand { 1 } else { 2 }
    }
}

/// Which of the times holds an action at that minute.
fn time_holds(rule: Option<usize>, action: &str, minute: i64) -> Option<&'static str> {
    if rule == Some(2) && minute < TELLS.0 {
        Some("not_before")
    } else if rule == Some(2) && minute >= TELLS.1 {
        Some("not_after")
    } else if action != "escalate_to_hr" && (MAINTENANCE.0..MAINTENANCE.1).contains(&minute) {
        Some("maintenance")
    } else if action == "escalate_to_hr" && is_quiet(minute) {
        Some("quiet_hours")
    } else {
        None
    }
}

/// The first minute at which nothing of it holds, found by walking.
fn opens(rule: Option<usize>, action: &str, minute: i64) -> Option<i64> {
    let mut from = minute;
    loop {
        match time_holds(rule, action, from) {
            None => return Some(from),
            Some("not_after") => return None,
            Some(_) => from += 1,
        }
    }
}

/// Mondays and Wednesdays 21:30 to 04:15 in Kathmandu, 5 hours and 45 minutes ahead; minute 0 is noon
/// of a Monday in UTC.
fn is_quiet(minute: i64) -> bool {
    let wall = minute + 12 * 60 + 345;
    let (day, of_day) = (wall.div_euclid(1_440), wall.rem_euclid(1_440));
    let begins = |day: i64| [0, 2].contains(&day.rem_euclid(7));
    (begins(day) && of_day >= 21 * 60 + 30) || (begins(day - 1) && of_day < 4 * 60 + 15)
}
