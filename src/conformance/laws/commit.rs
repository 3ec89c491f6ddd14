//! Laws 1 to 6: a commit is all or nothing, on what was read, and once.

use super::super::bench::Bench;
use super::super::broken::{Broken, Checked, holds, refused, same};
use super::super::props::{acme, action, as_sealed, body, draft, id, plain, record, stored};
use crate::audit::Head;
use crate::store::{Commit, Committed, Key, Kind, Record, StoreError};

/// 1. *Atomic*
pub(in super::super) fn a_refused_commit_writes_nothing(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let old = plain(&tenant, Kind::Stats, "old");
    bench.put(&tenant, vec![old.clone()])?;
    let old = stored(&old);
    let before = draft(&tenant, 0, "ana", "before");
    bench.apply(
        "a first commit",
        &Commit { put: vec![old.clone()], audit: vec![before.clone()], ..bench.fresh(&tenant) },
    )?;
    let head = bench.head(&tenant, 0)?;
    let lane = bench.lane(&tenant, 0)?;
    let old = stored(&old);
    let missing = Key::new(&tenant, Kind::Stats, "missing");
    let new = |name: &str| plain(&tenant, Kind::Stats, name);
    let other = plain(&tenant, Kind::Stats, "other");
    bench.put(&tenant, vec![other.clone()])?;
    let other = stored(&other);
    let update = Record { body: body("changed"), ..other.clone() };
    let wrong = Record { version: 1, ..old.clone() };
    let conflict = |key: &Key| StoreError::Conflict(key.clone());
    let base = || Commit {
        put: vec![new("first"), update.clone(), new("last")],
        audit: vec![draft(&tenant, 0, "ana", "refused"), draft(&tenant, 3, "ana", "refused")],
        ..bench.fresh(&tenant)
    };
    let mut commits = vec![
        (Commit { expect: vec![(old.key.clone(), 9)], ..base() }, conflict(&old.key)),
        (Commit { fence: vec![(missing.clone(), 1)], ..base() }, StoreError::Fenced(missing)),
    ];
    for place in 0..=3 {
        let mut commit = base();
        commit.put.insert(place, wrong.clone());
        commits.push((commit, conflict(&wrong.key)));
    }
    for (commit, error) in &commits {
        refused("a commit that must be refused", error, &bench.commit(commit))?;
        for record in [&old, &other] {
            same("a record after it", record, &bench.get(&record.key)?)?;
        }
        for name in ["first", "last"] {
            same("a record that was not there", &None, &bench.find(&new(name).key)?)?;
        }
        same("lane 0 after it", &lane, &bench.lane(&tenant, 0)?)?;
        same("lane 3 after it", &Vec::new(), &bench.lane(&tenant, 3)?)?;
        same("the head after it", &head, &bench.head(&tenant, 0)?)?;
        same("the head of lane 3 after it", &Head::default(), &bench.head(&tenant, 3)?)?;
    }
    Ok(())
}

/// 1. *Atomic*
pub(in super::super) fn an_accepted_commit_writes_everything(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let put: Vec<Record> = Kind::ALL.iter().map(|kind| plain(&tenant, *kind, kind.as_str())).collect();
    let lanes = [0, 1, u16::MAX];
    let audit = lanes.map(|lane| draft(&tenant, lane, "ana", "written"));
    bench.apply(
        "a commit of every kind",
        &Commit { put: put.clone(), audit: audit.to_vec(), ..bench.fresh(&tenant) },
    )?;
    for record in &put {
        same("a record of it", &stored(record), &bench.get(&record.key)?)?;
    }
    for (lane, draft) in lanes.iter().zip(audit) {
        let records = bench.lane(&tenant, *lane)?;
        same(&format!("the records of lane {lane}"), &1, &records.len())?;
        let codes: Vec<_> = records.iter().map(|record| record.code.as_str()).collect();
        same("its code", &vec![draft.code.as_str()], &codes)?;
    }
    // Nothing but audit records, and nothing at all, are commits as well.
    let only_audit = Commit { audit: vec![draft(&tenant, 0, "ana", "alone")], ..bench.fresh(&tenant) };
    bench.apply("a commit of an audit record only", &only_audit)?;
    same("the records of lane 0", &2, &bench.lane(&tenant, 0)?.len())?;
    bench.apply("a commit of nothing", &bench.fresh(&tenant))
}

/// 2. *Versions*
pub(in super::super) fn a_put_names_the_version_that_it_replaces(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let one = plain(&tenant, Kind::Subject, "one");
    let none = plain(&tenant, Kind::Subject, "none");
    bench.put(&tenant, vec![one.clone()])?;
    bench.put(&tenant, vec![Record { body: body("second"), ..stored(&one) }])?;
    let there = bench.get(&one.key)?;
    for record in [&one, &none] {
        let right = if record.key == one.key { 2 } else { 0 };
        for version in [0, 1, 2, 3, u64::from(u32::MAX)] {
            if version != right {
                let put = Record { version, body: body("wrong"), ..record.clone() };
                let commit = Commit { put: vec![put], ..bench.fresh(&tenant) };
                let place = format!("a put of version {version} on version {right}");
                refused(&place, &StoreError::Conflict(record.key.clone()), &bench.commit(&commit))?;
            }
        }
    }
    same("the record after refused puts", &there, &bench.get(&one.key)?)?;
    same("the record that is none", &None, &bench.find(&none.key)?)
}

/// 2. *Versions*
pub(in super::super) fn each_put_raises_the_version_by_one(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let mut record = plain(&tenant, Kind::Subject, "one");
    for version in 1..=5 {
        record.body = body(&format!("version {version}"));
        bench.put(&tenant, vec![record.clone()])?;
        record = bench.get(&record.key)?;
        same("the version", &version, &record.version)?;
    }
    Ok(())
}

/// 2. *Versions*
pub(in super::super) fn of_racing_puts_one_wins(bench: &Bench<'_>) -> Checked {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 8;
    let tenant = acme();
    let key = Key::new(&tenant, Kind::Stats, "contested");
    let won = bench.race(THREADS, |thread| {
        let mut won = 0;
        for _ in 0..ROUNDS {
            let there = bench.find(&key)?;
            let version = there.map_or(0, |record| record.version);
            let put =
                Record { version, body: body(&thread.to_string()), ..plain(&tenant, key.kind, &key.id) };
            match bench.commit(&Commit { put: vec![put], ..bench.fresh(&tenant) }) {
                Ok(_) => won += 1,
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(won)
    })?;
    let version = bench.get(&key)?.version;
    same("versions after the race, one for each accepted put", &won.iter().sum::<u64>(), &version)
}

/// 3. *Expectations*
pub(in super::super) fn what_was_read_must_still_be_so(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let read = plain(&tenant, Kind::Book, "read");
    bench.put(&tenant, vec![read.clone()])?;
    bench.put(&tenant, vec![stored(&read)])?;
    let missing = Key::new(&tenant, Kind::Book, "missing");
    let expecting = |expect: &[(&Key, u64)]| Commit {
        expect: expect.iter().map(|(key, version)| ((*key).clone(), *version)).collect(),
        ..bench.fresh(&tenant)
    };
    for (expect, wrong) in [
        (vec![(&read.key, 0)], &read.key),
        (vec![(&read.key, 1)], &read.key),
        (vec![(&read.key, 3)], &read.key),
        (vec![(&missing, 1)], &missing),
        (vec![(&missing, 0), (&read.key, 1)], &read.key),
        (vec![(&read.key, 2), (&missing, 2)], &missing),
    ] {
        let place = format!("a commit that expects {expect:?}");
        refused(&place, &StoreError::Conflict(wrong.clone()), &bench.commit(&expecting(&expect)))?;
    }
    let right = [(&read.key, 2), (&missing, 0)];
    bench.apply("a commit that expects what is there", &expecting(&right))?;
    same("what was only expected", &2, &bench.get(&read.key)?.version)
}

/// 4. *Fences*
pub(in super::super) fn a_fence_needs_the_records_token(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let claimed = record(&action(&tenant, "claimed"));
    let unclaimed = plain(&tenant, Kind::Stats, "unclaimed");
    let missing = Key::new(&tenant, Kind::Enforcement, "missing");
    bench.put(&tenant, vec![claimed.clone()])?;
    let taken = bench.claim_one("a claim of the one record", &bench.ask(&id("w1"), 1))?;
    bench.put(&tenant, vec![unclaimed.clone()])?;
    let fencing = |fence: &[(&Key, u64)]| Commit {
        fence: fence.iter().map(|(key, token)| ((*key).clone(), *token)).collect(),
        audit: vec![draft(&tenant, 1, "ana", "fenced")],
        ..bench.fresh(&tenant)
    };
    let token = taken.token;
    for (fence, wrong) in [
        (vec![(&claimed.key, token + 1)], &claimed.key),
        (vec![(&claimed.key, 0)], &claimed.key),
        (vec![(&unclaimed.key, 1)], &unclaimed.key),
        (vec![(&missing, 0)], &missing),
        (vec![(&missing, 1)], &missing),
        (vec![(&claimed.key, token), (&unclaimed.key, 1)], &unclaimed.key),
    ] {
        let place = format!("a commit with the fence {fence:?}");
        refused(&place, &StoreError::Fenced(wrong.clone()), &bench.commit(&fencing(&fence)))?;
    }
    let right = [(&claimed.key, token), (&unclaimed.key, 0)];
    bench.apply("a commit whose tokens are held", &fencing(&right))
}

/// 5. *Repeats*
pub(in super::super) fn a_repeated_commit_is_not_written_again(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let one = record(&action(&tenant, "one"));
    let first = Commit {
        expect: vec![(Key::new(&tenant, Kind::Stats, "later"), 0)],
        put: vec![one.clone()],
        audit: vec![draft(&tenant, 1, "ana", "once")],
        ..bench.fresh(&tenant)
    };
    bench.apply("a commit", &first)?;
    let again = |place: &str, commit: &Commit| -> Checked {
        let before = (bench.get(&one.key)?, bench.lane(&tenant, 1)?);
        for bench in [bench, &bench.elsewhere()] {
            same(place, &Ok(Committed::AlreadyApplied), &bench.commit(commit))?;
            let after = (bench.get(&one.key)?, bench.lane(&tenant, 1)?);
            same("what is stored after it", &before, &after)?;
        }
        Ok(())
    };
    again("the same commit", &first)?;
    let taken = bench.claim_one("a claim", &bench.ask(&id("w1"), 1))?;
    bench.put(&tenant, vec![plain(&tenant, Kind::Stats, "later")])?;
    again("the same commit, with a version moved on", &first)?;
    let settle = Commit {
        fence: vec![(taken.key.clone(), taken.token)],
        put: vec![Record { queue: None, lease: None, ..taken.clone() }],
        ..bench.fresh(&tenant)
    };
    bench.apply("a commit behind a fence", &settle)?;
    let record = bench.get(&one.key)?;
    let moved = Record { token: record.token + 1, ..record };
    bench.put(&tenant, vec![moved])?;
    again("the fenced commit, with the token moved on", &settle)?;
    let mixed =
        Commit { id: first.id, put: vec![plain(&tenant, Kind::Stats, "mixed")], ..bench.fresh(&tenant) };
    again("its id with another content", &mixed)?;
    same("the other content", &None, &bench.find(&mixed.put[0].key)?)
}

/// 5. *Repeats*
pub(in super::super) fn of_one_commit_made_twice_at_once_one_is_written(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    for round in 0..8 {
        let lane = round;
        let commit = Commit {
            put: vec![plain(&tenant, Kind::Stats, &round.to_string())],
            audit: vec![draft(&tenant, lane, "ana", "once")],
            ..bench.fresh(&tenant)
        };
        let answers = bench.race(3, |_| Ok(bench.commit(&commit)))?;
        let fine = |answer: &Result<Committed, StoreError>| answer.is_ok();
        holds("the same commit three times at once", answers.iter().all(fine), "no refusal", &answers)?;
        same("the version after it", &1, &bench.get(&commit.put[0].key)?.version)?;
        as_sealed("the lane after it", Head::default(), &commit.audit, &bench.lane(&tenant, lane)?)?;
    }
    Ok(())
}

/// 6. *Refused is not applied*
pub(in super::super) fn the_id_of_a_refused_commit_is_free(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let record = plain(&tenant, Kind::Stats, "one");
    let key = record.key.clone();
    bench.put(&tenant, vec![record.clone()])?;
    let again = |refusal: StoreError, first: Commit| -> Result<(), Broken> {
        refused("a commit that must be refused", &refusal, &bench.commit(&first))?;
        refused("the same again", &refusal, &bench.commit(&first))?;
        let second =
            Commit { id: first.id, audit: vec![draft(&tenant, 2, "ana", "x")], ..bench.fresh(&tenant) };
        bench.apply("its id with a commit that is right", &second)
    };
    again(StoreError::Conflict(key.clone()), Commit { put: vec![record], ..bench.fresh(&tenant) })?;
    let missing = Key::new(&tenant, Kind::Stats, "missing");
    again(StoreError::Fenced(missing.clone()), Commit { fence: vec![(missing, 1)], ..bench.fresh(&tenant) })?;
    let expecting = Commit { expect: vec![(key.clone(), 7)], ..bench.fresh(&tenant) };
    again(StoreError::Conflict(key), expecting)
}
