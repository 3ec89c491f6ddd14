//! Laws 13 to 16, 18 to 20: who gets what is ready, for how long, and under which token.

use std::collections::BTreeSet;

use super::super::bench::Bench;
use super::super::broken::{Checked, holds, refused, same};
use super::super::props::{
    LATE, SHORT, START, acme, action, at, attempts, channel, id, notice, other, record, settled, stored,
    waiting,
};
use crate::enforcement::{Enforcement, State};
use crate::store::{Claim, Commit, Key, Record, StoreError};
use crate::time::{Span, Time};

/// The keys of records, in order.
fn keys(records: &[Record]) -> BTreeSet<Key> {
    records.iter().map(|record| record.key.clone()).collect()
}

/// A record that waits on this channel since that time.
fn on(name: &str, kind: &str, since: Time) -> Record {
    let waits = State::Queued { since, start_by: None };
    record(&Enforcement { channel: channel(kind), state: waits, ..action(&acme(), name) })
}

/// 13. *Ready only*
pub(in super::super) fn a_claim_takes_what_is_ready_on_its_channels(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let mail = on("mail", "send_email", at(0));
    let now = on("now", "send_webhook", at(60));
    let soon = on("soon", "send_webhook", Time::from_micros(at(60).micros() + 1));
    let odd = on("odd", "send_webhook2", Time::MIN);
    let never = on("never", "send_webhook", Time::MAX);
    let told = record(&notice(&tenant, "told"));
    let over = record(&Enforcement { state: State::Done, ..action(&tenant, "over") });
    let retry = State::RetryWait { until: at(60), retry_by: None };
    let retry = record(&Enforcement { state: retry, ..action(&tenant, "retry") });
    let all = [&mail, &now, &soon, &odd, &never, &told, &over, &retry];
    bench.put(&tenant, all.iter().map(|record| (*record).clone()).collect())?;
    let channels = |names: &[&str]| Some(names.iter().map(|name| channel(name)).collect());
    let worker = id("w1");
    for (channels, until, expected) in [
        (channels(&[]), Time::MAX, vec![]),
        (channels(&["send_chat_message", "send_webhoo"]), Time::MAX, vec![]),
        (channels(&["send_webhook"]), START.before(Span::millis(1)), vec![]),
        (channels(&["send_webhook"]), at(60), vec![&now, &told, &retry]),
        (channels(&["send_email", "send_webhook"]), at(60), vec![&mail]),
        (None, at(60), vec![&odd]),
        (None, LATE, vec![&soon]),
        (None, Time::MAX, vec![&never]),
        (None, Time::MAX, vec![]),
    ] {
        let place = format!("a claim of {channels:?} until {until}");
        let taken = bench.claim(&Claim { channels, until, ..bench.ask(&worker, 100) })?;
        let expected = expected.iter().map(|record| record.key.clone()).collect();
        same(&place, &expected, &keys(&taken))?;
        same(&format!("{place}: how many"), &expected.len(), &taken.len())?;
    }
    same("what is over", &stored(&over), &bench.get(&over.key)?)
}

/// 14. *One holder*
pub(in super::super) fn a_held_record_is_not_taken(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..2))?;
    let (one, two) = (id("w1"), id("w2"));
    let held = bench.claim(&bench.ask(&one, 10))?;
    same("records that a first claim takes", &2, &held.len())?;
    for worker in [&two, &one] {
        same("a second claim", &Vec::new(), &bench.claim(&bench.ask(worker, 10))?)?;
    }
    for record in &held {
        same("a held record", record, &bench.get(&record.key)?)?;
    }
    Ok(())
}

/// 14. *One holder*
pub(in super::super) fn racing_claims_share_nothing(bench: &Bench<'_>) -> Checked {
    const RECORDS: usize = 24;
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..RECORDS))?;
    let taken = bench.race(4, |thread| {
        let worker = id(&format!("w{thread}"));
        let mut mine = Vec::new();
        // A claim may find less than there is while others claim.
        for _ in 0..RECORDS {
            mine.extend(bench.claim(&bench.ask(&worker, 3))?);
        }
        Ok(mine)
    })?;
    let taken: Vec<Record> = taken.into_iter().flatten().collect();
    same("how many records racing claims took", &RECORDS, &taken.len())?;
    same("how many different ones", &RECORDS, &keys(&taken).len())?;
    taken.iter().try_for_each(|record| same("the token of each", &1, &record.token))
}

/// 15. *Rescue*
pub(in super::super) fn a_lapsed_record_is_taken_again(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let (one, two) = (id("w1"), id("w2"));
    let first = bench.claim_one("a first claim", &Claim { lease: SHORT, ..bench.ask(&one, 10) })?;
    bench.advance(SHORT)?;
    let second = bench.claim_one("a claim after the lease has run out", &bench.ask(&two, 10))?;
    same("the record", &first.key, &second.key)?;
    same("its holder", &Some(two), &second.lease.as_ref().map(|lease| lease.worker.clone()))?;
    same("its attempts", &2, &attempts(&second)?)?;
    let late = Commit {
        fence: vec![(first.key.clone(), first.token)],
        put: vec![Record { version: second.version, ..settled(&first)? }],
        ..bench.fresh(&tenant)
    };
    let fenced = StoreError::Fenced(first.key.clone());
    refused("the first holder settles", &fenced, &bench.commit(&late))
}

/// 15. *Rescue*
pub(in super::super) fn only_the_stores_clock_ends_a_lease(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let (one, two) = (id("w1"), id("w2"));
    bench.claim_one("a first claim", &bench.ask(&one, 10))?;
    // Decision time is an argument, and may be ahead of the store's clock by any span.
    let ahead = Claim { until: Time::MAX, ..bench.ask(&two, 10) };
    same("a claim of a far decision time", &Vec::new(), &bench.claim(&ahead)?)
}

/// 16. *Tokens rise*
pub(in super::super) fn each_claim_raises_the_token(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let worker = id("w1");
    for token in 1..=3 {
        let taken = bench.claim_one("a claim", &bench.ask(&worker, 1))?;
        same("the token of a claim", &token, &taken.token)?;
        let fence = vec![(taken.key.clone(), token)];
        let settle = Commit { fence, put: vec![settled(&taken)?], ..bench.fresh(&tenant) };
        bench.apply("the settling of a claim", &settle)?;
        same("the token of a settled record", &token, &bench.get(&taken.key)?.token)?;
    }
    for token in 4..=5 {
        let claim = Claim { lease: SHORT, ..bench.ask(&worker, 1) };
        same("the token of a claim", &token, &bench.claim_one("a claim", &claim)?.token)?;
        if token == 4 {
            bench.advance(SHORT)?;
        }
    }
    Ok(())
}

/// 18. *Repeats*
pub(in super::super) fn a_repeated_claim_takes_nothing_new(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..6))?;
    let worker = id("w1");
    let claim = bench.ask(&worker, 3);
    let first = bench.claim(&claim)?;
    same("how many a claim takes", &3, &first.len())?;
    let lane = bench.lane(&tenant, 0)?;
    let again = |held: &[Record]| -> Checked {
        for bench in [bench, &bench.elsewhere()] {
            let mut taken = bench.claim(&claim)?;
            taken.sort_by(|a, b| a.key.cmp(&b.key));
            same("the same claim again", held, taken.as_slice())?;
            for record in held {
                same("what it holds", record, &bench.get(&record.key)?)?;
            }
        }
        Ok(())
    };
    let mut held = first;
    held.sort_by(|a, b| a.key.cmp(&b.key));
    again(&held)?;
    same("the audit lane after a repeat", &lane, &bench.lane(&tenant, 0)?)?;
    // One of them is settled; it is ready again, but no longer held.
    if let Some(gone) = held.pop() {
        bench.put(&tenant, vec![settled(&gone)?])?;
    }
    again(&held)
}

/// 19. *Bounded*
pub(in super::super) fn a_claim_takes_at_most_its_max(bench: &Bench<'_>) -> Checked {
    bench.put_all(&[waiting(&acme(), 0..7), waiting(&other(), 0..6)].concat())?;
    let worker = id("w1");
    let mut left: usize = 13;
    for max in [1, 5, 1, 4, 100, 100] {
        let taken = bench.claim(&bench.ask(&worker, max))?;
        holds("a claim", taken.len() <= max, &format!("at most {max} records"), &taken.len())?;
        let some = left == 0 || !taken.is_empty();
        holds("a claim while records wait", some, "at least one", &taken.len())?;
        left = left.saturating_sub(taken.len());
    }
    same("records that wait in the end", &0, &left)
}

/// 20. *Renewal*
pub(in super::super) fn a_renewal_prolongs_the_lease(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let (one, two) = (id("w1"), id("w2"));
    // Long enough that it has not run out at the renewal.
    let taken = bench.claim_one("a claim", &Claim { lease: Span::secs(3), ..bench.ask(&one, 1) })?;
    let lane = bench.lane(&tenant, 0)?;
    let until = bench.renew(&taken.key, taken.token, Span::hours(1))?;
    let there = bench.get(&taken.key)?;
    let mut expected = taken.clone();
    if let Some(lease) = &mut expected.lease {
        lease.until = until;
    }
    same("the record after a renewal: only the lease differs", &expected, &there)?;
    same("the audit lane after a renewal", &lane, &bench.lane(&tenant, 0)?)?;
    let before = taken.lease.as_ref().map(|lease| lease.until);
    holds("the end of the lease", before.is_some_and(|before| until > before), "a later one", &until)?;
    bench.advance(Span::secs(3))?;
    same("a claim of the renewed record", &Vec::new(), &bench.claim(&bench.ask(&two, 1))?)?;
    // The version is still the claim's, so that its holder can settle.
    let settle = Commit {
        fence: vec![(taken.key.clone(), taken.token)],
        put: vec![settled(&taken)?],
        ..bench.fresh(&tenant)
    };
    bench.apply("the settling after a renewal", &settle)
}

/// 20. *Renewal*
pub(in super::super) fn nobody_else_renews(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let missing = record(&action(&tenant, "missing")).key;
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let (one, two) = (id("w1"), id("w2"));
    let key = waiting(&tenant, 0..1)[0].key.clone();
    let denied = |place: &str, key: &Key, tokens: &[u64]| -> Checked {
        let before = bench.find(key)?;
        for token in tokens {
            let place = format!("a renewal of {place} with token {token}");
            refused(&place, &StoreError::Fenced(key.clone()), &bench.renew(key, *token, Span::hours(2)))?;
        }
        same("the record after it", &before, &bench.find(key)?)
    };
    denied("no record", &missing, &[0, 1])?;
    denied("a record that was never claimed", &key, &[0, 1])?;
    bench.claim_one("a first claim", &Claim { lease: SHORT, ..bench.ask(&one, 1) })?;
    denied("a held record", &key, &[0, 2])?;
    bench.advance(SHORT)?;
    let second = bench.claim_one("a second claim", &bench.ask(&two, 1))?;
    denied("a record held by the next", &key, &[0, 1, 3])?;
    bench.put(&tenant, vec![settled(&second)?])?;
    denied("a settled record", &key, &[0, 1, 2, 3])
}
