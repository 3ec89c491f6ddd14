//! Running the laws: one of them for a test, or all of them for a report.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::thread;

use super::bench::{Bench, Calls, Driven};
use super::broken::{Broken, Checked};
use super::crowd::{self, Crowded, Over, Pace};
use super::faults::{Failing, Fault};
use super::laws::delivery::Stand;
use super::lost::AnswersLost;
use super::table::Law;
use super::target::{Harness, Target};
use crate::id::TenantId;
use crate::ready::Answer;
use crate::ready::ready;
use crate::words::words;

crate::__tipstaff_store_laws! {
    __tipstaff_catalogue [STORE_LAWS, STORE_CHECKS, fn(&Bench<'_>) -> Checked, "The laws of a [`Store`](crate::Store), in the order of its contract."]
}

crate::__tipstaff_delivery_laws! {
    __tipstaff_catalogue [DELIVERY_LAWS, DELIVERY_CHECKS, fn(&Stand<'_>) -> Checked, "The laws of a [`Delivery`](crate::Delivery), in the order of its contract."]
}

words! {
    /// How the laws of a store are run.
    Variant, "variant" {
        Plain: "plain", "every answer arrives";
        Lost: "lost", "the first answer of each writing call is lost, and the call repeated";
        Dropped: "dropped", "the first future of each writing call is dropped midway, and the call repeated";
        Unavailable: "unavailable", "each call fails so before it is made, and each writing one after it as well";
        Conflict: "conflict", "the same, and each commit is refused so by the store itself at first";
        Fenced: "fenced", "each commit and renewal is refused so by the store itself at first, and fails so before and after it was made";
        Corrupt: "corrupt", "the same as for a conflict, with what makes no sense";
        Crowd: "crowd", "other hosts work beside each call, for other tenants and the same";
    }
}

/// What became of one law.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The law.
    pub law: Law,
    /// How it was run.
    pub variant: Variant,
    /// That it holds, or how it does not.
    pub result: Result<(), Broken>,
}

impl fmt::Display for Proof {
    /// One line: the sentence, the law, the variant, and what came of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Law { number, name, test, .. } = self.law;
        write!(f, "{number} {name}: {test} ({})", self.variant)?;
        match &self.result {
            Ok(()) => f.write_str(" holds"),
            Err(broken) => write!(f, " is broken: {broken}"),
        }
    }
}

/// What became of all laws.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// One after the other, in the order of the contract.
    pub proofs: Vec<Proof>,
}

impl Report {
    /// Whether every law holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.proofs.iter().all(|proof| proof.result.is_ok())
    }

    /// The laws that do not hold in this variant, by name.
    #[must_use]
    pub fn broken(&self, variant: Variant) -> BTreeSet<&'static str> {
        let broken = self.proofs.iter().filter(|proof| proof.variant == variant && proof.result.is_err());
        broken.map(|proof| proof.law.test).collect()
    }
}

impl fmt::Display for Report {
    /// One line for each law.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proofs.iter().try_for_each(|proof| writeln!(f, "{proof}"))
    }
}

/// Drives a future that never waits; one that has to is given up, and the law says so.
pub fn at_once(future: Answer<'_, ()>) {
    // Nothing is lost: the law sees that no answer came.
    let _ = ready(future);
}

/// Checks one law of a store by its name, on a fresh one.
///
/// # Errors
/// The law does not hold, the store panicked, or there is no such law.
pub fn prove_store<H: Harness>(
    law: &str,
    variant: Variant,
    make: impl Fn() -> H,
    block_on: impl Fn(Answer<'_, ()>) + Sync,
) -> Result<(), Broken> {
    let Some(place) = STORE_LAWS.iter().position(|known| known.test == law) else { return Err(no_law(law)) };
    caught(|| store_law(STORE_CHECKS[place], variant, &make(), &block_on))
}

/// Checks one law of a delivery by its name, on a fresh one.
///
/// # Errors
/// As [`prove_store`].
pub fn prove_delivery<T: Target>(
    law: &str,
    make: impl Fn() -> T,
    block_on: impl Fn(Answer<'_, ()>) + Sync,
) -> Result<(), Broken> {
    let Some(place) = DELIVERY_LAWS.iter().position(|known| known.test == law) else {
        return Err(no_law(law));
    };
    caught(|| delivery_law(DELIVERY_CHECKS[place], &make(), &block_on))
}

/// Checks every law of a store in every variant, each on a fresh one.
pub fn run_store<H: Harness>(make: impl Fn() -> H) -> Report {
    run_store_with(make, at_once)
}

/// The same for a store whose futures wait; `block_on` drives one to its end. Laws that race call
/// it from several threads at once.
pub fn run_store_with<H: Harness>(make: impl Fn() -> H, block_on: impl Fn(Answer<'_, ()>) + Sync) -> Report {
    let mut proofs = Vec::new();
    for (law, check) in STORE_LAWS.iter().zip(STORE_CHECKS) {
        for variant in Variant::ALL {
            let result = caught(|| store_law(*check, *variant, &make(), &block_on));
            proofs.push(Proof { law: *law, variant: *variant, result });
        }
    }
    Report { proofs }
}

/// Checks every law of a delivery, each on a fresh one.
pub fn run_delivery<T: Target>(make: impl Fn() -> T) -> Report {
    run_delivery_with(make, at_once)
}

/// The same for a delivery whose futures wait; `block_on` drives one to its end.
pub fn run_delivery_with<T: Target>(
    make: impl Fn() -> T,
    block_on: impl Fn(Answer<'_, ()>) + Sync,
) -> Report {
    let proofs = DELIVERY_LAWS.iter().zip(DELIVERY_CHECKS).map(|(law, check)| {
        let result = caught(|| delivery_law(*check, &make(), &block_on));
        Proof { law: *law, variant: Variant::Plain, result }
    });
    Report { proofs: proofs.collect() }
}

fn store_law<H: Harness>(
    check: fn(&Bench<'_>) -> Checked,
    variant: Variant,
    harness: &H,
    block_on: &(dyn Fn(Answer<'_, ()>) + Sync),
) -> Checked {
    let store = harness.store();
    let reopened = harness.reopen();
    let other = reopened.as_ref().unwrap_or(store);
    let run = |calls: &dyn Calls, others: &dyn Calls| {
        let advance = |span| harness.advance(span);
        let damage = |tenant: &TenantId| harness.damage(tenant);
        check(&Bench { calls, others, advance: &advance, damage: &damage, ids: &AtomicU64::new(1) })
    };
    let failing = |fault| {
        let (store, other) = (&Failing::new(store, fault), &Failing::new(other, fault));
        run(&Driven { store, block_on }, &Driven { store: other, block_on })
    };
    let pace = &Pace::default();
    match variant {
        Variant::Plain => run(&Driven { store, block_on }, &Driven { store: other, block_on }),
        Variant::Lost => {
            let (store, other) = (&AnswersLost::new(store), &AnswersLost::new(other));
            run(&Driven { store, block_on }, &Driven { store: other, block_on })
        }
        Variant::Dropped => failing(Fault::Dropped),
        Variant::Unavailable => failing(Fault::Unavailable),
        Variant::Conflict => failing(Fault::Conflict),
        Variant::Fenced => failing(Fault::Fenced),
        Variant::Corrupt => failing(Fault::Corrupt),
        Variant::Crowd => thread::scope(|scope| {
            let hosts = [(0, store), (1, other)]
                .map(|(number, store)| scope.spawn(move || crowd::work(store, block_on, pace, number)));
            let over = Over(pace);
            let (here, there) = (&Crowded { store, pace }, &Crowded { store: other, pace });
            let law = run(&Driven { store: here, block_on }, &Driven { store: there, block_on });
            drop(over);
            hosts.into_iter().try_fold(law?, |(), host| {
                host.join().unwrap_or_else(|_| Err(Broken::new("another host", "an answer", "a panic")))
            })
        }),
    }
}

fn delivery_law<T: Target>(
    check: fn(&Stand<'_>) -> Checked,
    target: &T,
    block_on: &(dyn Fn(Answer<'_, ()>) + Sync),
) -> Checked {
    check(&Stand {
        delivery: target.delivery(),
        block_on,
        channel: target.channel(),
        params: target.params(),
        honours_keys: target.honours_keys(),
        effects: &|key| target.effects(key),
        trouble: &|trouble| target.trouble(trouble),
    })
}

fn no_law(name: &str) -> Broken {
    Broken::new("the catalogue of laws", "the name of a law", format!("`{name}`"))
}

/// A panic of the store or the delivery breaks the law, and stops no other.
fn caught(check: impl FnOnce() -> Checked) -> Checked {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = |panic: &(dyn Any + Send)| {
            let fixed = panic.downcast_ref::<&str>().map(ToString::to_string);
            fixed.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
        };
        Err(Broken::new("a call", "an answer", format!("a panic: {}", text(&*panic))))
    })
}
