//! Laws 1 to 8 at their edges: much at once, nothing but conditions, the ends of what can be kept.

use super::super::bench::Bench;
use super::super::broken::{Broken, Checked, holds, refused, same};
use super::super::props::{acme, action, body, draft, id, other, plain, record, stored, waiting};
use crate::audit::Head;
use crate::store::{Commit, Committed, Key, Kind, Record, StoreError};

/// 1. *Atomic*
pub(in super::super) fn a_large_commit_is_whole_or_nothing(bench: &Bench<'_>) -> Checked {
    const RECORDS: usize = 600;
    const DRAFTS: usize = 150;
    let tenant = acme();
    let put: Vec<Record> = (0..RECORDS).map(|n| plain(&tenant, Kind::Subject, &format!("{n:04}"))).collect();
    let audit = (0..DRAFTS).map(|n| draft(&tenant, (n % 2) as u16, "ana", &n.to_string())).collect();
    let large = Commit { put: put.clone(), audit, ..bench.fresh(&tenant) };
    let mut wrong = Commit { id: bench.fresh(&tenant).id, ..large.clone() };
    let last = wrong.put[RECORDS - 1].key.clone();
    wrong.put[RECORDS - 1].version = 1;
    refused("a large commit whose last put is wrong", &StoreError::Conflict(last), &bench.commit(&wrong))?;
    let keys: Vec<Key> = put.iter().map(|record| record.key.clone()).collect();
    let there = || -> Result<usize, Broken> { Ok(bench.load(&keys)?.into_iter().flatten().count()) };
    same("records after it", &0, &there()?)?;
    same("its lane after it", &Head::default(), &bench.head(&tenant, 0)?)?;
    bench.apply("a large commit", &large)?;
    same("records after it", &RECORDS, &there()?)?;
    for lane in [0, 1] {
        same("audit records after it", &(DRAFTS / 2), &bench.lane(&tenant, lane)?.len())?;
    }
    Ok(())
}

/// 3. *Expectations*
pub(in super::super) fn a_commit_of_expectations_alone_counts(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let read = plain(&tenant, Kind::Book, "read");
    bench.put(&tenant, vec![read.clone()])?;
    let missing = Key::new(&tenant, Kind::Book, "missing");
    let expecting = |version: u64| Commit {
        expect: vec![(missing.clone(), 0), (read.key.clone(), version)],
        ..bench.fresh(&tenant)
    };
    let conflict = StoreError::Conflict(read.key.clone());
    refused("a wrong expectation alone", &conflict, &bench.commit(&expecting(0)))?;
    let right = expecting(1);
    bench.apply("right expectations alone", &right)?;
    bench.put(&tenant, vec![Record { body: body("moved on"), ..stored(&read) }])?;
    same("the same, repeated later", &Ok(Committed::AlreadyApplied), &bench.commit(&right))?;
    refused("the same under a new id", &conflict, &bench.commit(&expecting(1)))
}

/// 4. *Fences*
pub(in super::super) fn every_fence_must_hold(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..3))?;
    let mut held = bench.claim(&bench.ask(&id("w1"), 3))?;
    held.sort_by(|a, b| a.key.cmp(&b.key));
    same("records that are held", &3, &held.len())?;
    let fences: Vec<(Key, u64)> = held.iter().map(|record| (record.key.clone(), record.token)).collect();
    for wrong in 0..3 {
        let mut fence = fences.clone();
        fence[wrong].1 += 1;
        let put = vec![plain(&tenant, Kind::Stats, "one")];
        let commit = Commit { fence, put, ..bench.fresh(&tenant) };
        let place = format!("three fences, of which number {wrong} does not hold");
        refused(&place, &StoreError::Fenced(fences[wrong].0.clone()), &bench.commit(&commit))?;
        same("a put behind it", &None, &bench.find(&commit.put[0].key)?)?;
    }
    // A fence that is named twice is one fence.
    let fence = [fences.clone(), fences].concat();
    bench.apply("three fences that hold", &Commit { fence, ..bench.fresh(&tenant) })
}

/// 5. *Repeats*
pub(in super::super) fn a_commit_id_is_known_for_good(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let first = Commit { put: vec![plain(&tenant, Kind::Stats, "first")], ..bench.fresh(&tenant) };
    bench.apply("a commit", &first)?;
    for number in 0..80 {
        let put = vec![plain(&tenant, Kind::Stats, &number.to_string())];
        bench.apply("one of eighty others", &Commit { put, ..bench.fresh(&tenant) })?;
    }
    same("the first again", &Ok(Committed::AlreadyApplied), &bench.commit(&first))?;
    same("its record", &1, &bench.get(&first.put[0].key)?.version)
}

/// 7. *Kept whole*
pub(in super::super) fn a_body_is_text(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let bodies = [
        r#"{"b":1,"a":2}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"n":[1.0,1e3,-0,0.10,100000000000000000000000]}"#,
        " { \"spaced\" :\t[ 1 ,2 ] }\r\n",
        r#"{"escaped":"\u00e9\u0000\ud83d\ude42\/"}"#,
        "{\"raw\":\"\u{feff}\u{2028}\u{202e}\u{10fffd}e\u{301}\"}",
        "\"a text\"",
        "{}",
        &deep,
    ];
    for (number, text) in bodies.into_iter().enumerate() {
        let record = Record { body: text.to_owned(), ..plain(&tenant, Kind::Rule, &number.to_string()) };
        bench.put(&tenant, vec![record.clone()])?;
        same("a body", record.body.as_str(), bench.get(&record.key)?.body.as_str())?;
    }
    Ok(())
}

/// 7. *Kept whole*
pub(in super::super) fn the_highest_tokens_are_kept(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    for (name, token) in [("53 bits", (1 << 53) + 1), ("63 bits", i64::MAX.unsigned_abs())] {
        let record = Record { token, ..record(&action(&tenant, name)) };
        bench.put(&tenant, vec![record.clone()])?;
        same("a high token", &token, &bench.get(&record.key)?.token)?;
        let fencing = |token| Commit { fence: vec![(record.key.clone(), token)], ..bench.fresh(&tenant) };
        let fenced = StoreError::Fenced(record.key.clone());
        refused("a fence with the token before it", &fenced, &bench.commit(&fencing(token - 1)))?;
        bench.apply("a fence with a high token", &fencing(token))?;
    }
    Ok(())
}

/// 8. *Tenants*
pub(in super::super) fn a_commit_is_of_one_tenant(bench: &Bench<'_>) -> Checked {
    let (ours, theirs) = (acme(), other());
    let there = plain(&theirs, Kind::Stats, "there");
    bench.put(&theirs, vec![there.clone()])?;
    let there = stored(&there);
    let mine = || Commit {
        put: vec![plain(&ours, Kind::Stats, "mine")],
        audit: vec![draft(&ours, 0, "ana", "mine")],
        ..bench.fresh(&ours)
    };
    let with = |change: &dyn Fn(&mut Commit)| {
        let mut commit = mine();
        change(&mut commit);
        commit
    };
    let foreign = [
        with(&|commit| commit.put.push(Record { body: body("theirs no more"), ..there.clone() })),
        with(&|commit| commit.put.insert(0, plain(&theirs, Kind::Stats, "new"))),
        with(&|commit| commit.expect.push((there.key.clone(), 1))),
        with(&|commit| commit.fence.push((there.key.clone(), 0))),
        with(&|commit| commit.audit.push(draft(&theirs, 0, "ana", "theirs"))),
    ];
    for commit in &foreign {
        let answer = bench.commit(commit);
        let corrupt = matches!(answer, Err(StoreError::Corrupt { .. }));
        holds("a commit that names another tenant's", corrupt, "the refusal `Corrupt`", &answer)?;
        same("our record after it", &None, &bench.find(&mine().put[0].key)?)?;
        same("their record after it", &there, &bench.get(&there.key)?)?;
        for tenant in [&ours, &theirs] {
            same("a lane after it", &Head::default(), &bench.head(tenant, 0)?)?;
        }
    }
    bench.apply("a commit that names only ours", &mine())
}
