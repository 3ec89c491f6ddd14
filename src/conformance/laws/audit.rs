//! Laws 9 to 12: the audit lanes.

use std::collections::BTreeSet;

use super::super::bench::{Bench, Told};
use super::super::broken::{Broken, Checked, holds, same, same_list};
use super::super::props::{START, acme, as_sealed, draft, id, other, verified};
use crate::audit::{Actor, AuditCode, AuditDraft, AuditRecord, Head, Salt};
use crate::id::{Subject, TenantId, UserId};
use crate::store::{Commit, Trail};

const LANES: [u16; 3] = [0, 1, u16::MAX];

/// Commits these drafts at once.
fn write(bench: &Bench<'_>, tenant: &TenantId, audit: Vec<AuditDraft>) -> Checked {
    bench.apply("a commit of audit records", &Commit { audit, ..bench.fresh(tenant) })
}

/// 9. *Chained*
pub(in super::super) fn each_record_is_sealed_after_the_head(bench: &Bench<'_>) -> Checked {
    let tenants = [acme(), other()];
    let note = |tenant: &TenantId, lane: u16, n: usize| draft(tenant, lane, "ana", &format!("{lane} {n}"));
    for round in 0..3 {
        for tenant in &tenants {
            let numbers = [5, 3, 9, 1].map(|n| round * 10 + n);
            // The lanes alternate within one commit.
            let audit = numbers.iter().flat_map(|n| LANES.map(|lane| note(tenant, lane, *n)));
            write(bench, tenant, audit.collect())?;
        }
    }
    for tenant in &tenants {
        for lane in LANES {
            let numbers = (0..3).flat_map(|round| [5, 3, 9, 1].map(|n| round * 10 + n));
            let drafts: Vec<AuditDraft> = numbers.map(|n| note(tenant, lane, n)).collect();
            let place = format!("lane {lane} of {tenant}");
            let records = bench.lane(tenant, lane)?;
            as_sealed(&place, Head::default(), &drafts, &records)?;
            let head = verified(&place, &records)?;
            same(&format!("the head of {place}"), &head, &bench.head(tenant, lane)?)?;
        }
    }
    Ok(())
}

/// 9. *Chained*
pub(in super::super) fn racing_commits_keep_the_chain_whole(bench: &Bench<'_>) -> Checked {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 6;
    let tenant = acme();
    bench.race(THREADS, |thread| {
        for round in 0..ROUNDS {
            let drafts = [0, 1].map(|n| draft(&tenant, 0, "ana", &format!("{thread} {round} {n}")));
            write(bench, &tenant, drafts.to_vec())?;
        }
        Ok(())
    })?;
    let records = bench.lane(&tenant, 0)?;
    same("how many records came of the race", &(THREADS * ROUNDS * 2), &(records.len() as u64))?;
    let head = verified("the lane after the race", &records)?;
    same("its head", &head, &bench.head(&tenant, 0)?)
}

/// 10. *Salted*
pub(in super::super) fn each_personal_field_has_its_own_salt(bench: &Bench<'_>) -> Checked {
    let (one, two) = (acme(), other());
    for tenant in [&one, &two, &one] {
        // The same values everywhere: only the salts tell them apart.
        let drafts = LANES.map(|lane| draft(tenant, lane, "ana", "the same"));
        write(bench, tenant, drafts.to_vec())?;
    }
    let mut salts: Vec<Salt> = Vec::new();
    for (tenant, of_each) in [(&one, 2), (&two, 1)] {
        for lane in LANES {
            let records = bench.lane(tenant, lane)?;
            same("how many records a lane has", &of_each, &records.len())?;
            let fields = records.iter().flat_map(|record| record.personal.values());
            salts.extend(fields.filter_map(|field| field.salt));
        }
    }
    same("salts of 18 personal fields", &18, &salts.len())?;
    let different: BTreeSet<Salt> = salts.iter().copied().collect();
    holds("the salts", different.len() == salts.len(), "18 different ones", &salts)
}

/// 11. *Read back*
pub(in super::super) fn a_lane_is_read_in_pages(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    same("the head of an empty lane", &Head::default(), &bench.head(&tenant, 0)?)?;
    same("an empty lane", &Vec::new(), &bench.lane(&tenant, 0)?)?;
    let drafts: Vec<AuditDraft> = (0..11).map(|n| draft(&tenant, 0, "ana", &n.to_string())).collect();
    write(bench, &tenant, drafts)?;
    write(bench, &tenant, vec![draft(&tenant, 1, "ana", "another lane")])?;
    let whole = bench.lane(&tenant, 0)?;
    let seqs: Vec<u64> = whole.iter().map(|record| record.seq).collect();
    same("the sequence numbers", &(1..=11).collect(), &seqs)?;
    for limit in [1, 2, 5, 11, 12] {
        let mut read: Vec<AuditRecord> = Vec::new();
        loop {
            let after = read.last().map_or(0, |record| record.seq);
            let page = bench.page_of(&Trail { tenant: tenant.clone(), lane: 0, after, limit })?;
            holds("a page of the lane", page.len() <= limit, &format!("at most {limit}"), &page.len())?;
            if page.is_empty() || read.len() > whole.len() {
                break;
            }
            read.extend(page);
        }
        same_list(&format!("the lane in pages of {limit}"), &whole, &read)?;
    }
    let last = whole.last().map_or_else(Head::default, |record| Head { seq: record.seq, hash: record.hash });
    same("the head", &last, &bench.head(&tenant, 0)?)?;
    let beyond = Trail { tenant, lane: 0, after: 11, limit: 5 };
    same("a page after the end", &Vec::new(), &bench.page_of(&beyond)?)
}

/// Whether a record still holds something personal.
fn holds_any(record: &AuditRecord) -> bool {
    record.personal.values().any(|field| field.salt.is_some() || field.value.is_some())
}

/// What the erasure laws begin with: records about ana (one of a session), ben, and nobody.
fn before_erasure(bench: &Bench<'_>) -> Result<(TenantId, TenantId, UserId), Broken> {
    let (tenant, elsewhere) = (acme(), other());
    let ana: UserId = id("ana");
    let session = Subject::session(ana.clone(), id("s1"));
    let about = |code| AuditDraft::new(tenant.clone(), code, Actor::Person(id("ana")), START);
    write(
        bench,
        &tenant,
        vec![
            draft(&tenant, 0, "ana", "first"),
            draft(&tenant, 0, "ben", "about ana"),
            about(AuditCode::EnforcementCreated).subject(session).personal("note", "of a session"),
            about(AuditCode::EnforcementCreated).personal("note", "about nobody"),
            about(AuditCode::EnforcementCreated).subject(ana.clone()).detail("personal", false),
            draft(&tenant, 7, "ana", "another lane"),
            draft(&tenant, 7, "Ana", "another user"),
            draft(&tenant, 7, "anabel", "another user"),
        ],
    )?;
    write(bench, &elsewhere, vec![draft(&elsewhere, 0, "ana", "another tenant")])?;
    Ok((tenant, elsewhere, ana))
}

/// 12. *Erasure*
pub(in super::super) fn what_is_personal_of_a_user_is_erased(bench: &Bench<'_>) -> Checked {
    let (tenant, _, ana) = before_erasure(bench)?;
    let erase = |expected: u64| -> Checked {
        let Told { answer, repeated } = bench.erase(&tenant, &ana);
        let count = answer?;
        // Where the first answer was lost, the repeat finds nothing left.
        holds("an erasure", count == expected || repeated && count == 0, &expected.to_string(), &count)?;
        for lane in [0, 7] {
            let left: Vec<AuditRecord> = bench
                .lane(&tenant, lane)?
                .into_iter()
                .filter(|record| record.subject.as_ref().is_some_and(|subject| subject.user == ana))
                .filter(holds_any)
                .collect();
            same("what is left of it", &Vec::new(), &left)?;
        }
        Ok(())
    };
    erase(3)?;
    erase(0)?;
    write(bench, &tenant, vec![draft(&tenant, 0, "ana", "later")])?;
    erase(1)
}

/// 12. *Erasure*
pub(in super::super) fn an_erasure_leaves_others_alone(bench: &Bench<'_>) -> Checked {
    let (tenant, elsewhere, ana) = before_erasure(bench)?;
    let others = |tenant: &TenantId, lane: u16| -> Result<Vec<AuditRecord>, Broken> {
        let about_ana = |record: &AuditRecord| {
            record.tenant == acme() && record.subject.as_ref().is_some_and(|subject| subject.user == ana)
        };
        Ok(bench.lane(tenant, lane)?.into_iter().filter(|record| !about_ana(record)).collect())
    };
    let read = || -> Result<Vec<AuditRecord>, Broken> {
        Ok([others(&tenant, 0)?, others(&tenant, 7)?, others(&elsewhere, 0)?].concat())
    };
    let before = read()?;
    same("how many records are about others", &5, &before.len())?;
    bench.erase(&tenant, &ana).answer?;
    same_list("the records about others", &before, &read()?)
}

/// 12. *Erasure*
pub(in super::super) fn an_erased_lane_still_verifies(bench: &Bench<'_>) -> Checked {
    let (tenant, _, ana) = before_erasure(bench)?;
    let head = bench.head(&tenant, 0)?;
    let hashes = |records: &[AuditRecord]| records.iter().map(|record| record.hash).collect::<Vec<_>>();
    let before = hashes(&bench.lane(&tenant, 0)?);
    bench.erase(&tenant, &ana).answer?;
    same("the hashes of the lane", &before, &hashes(&bench.lane(&tenant, 0)?))?;
    same("the head", &head, &bench.head(&tenant, 0)?)?;
    write(bench, &tenant, vec![draft(&tenant, 0, "ana", "later")])?;
    let end = verified("the lane after an erasure and another commit", &bench.lane(&tenant, 0)?)?;
    same("where it ends", &(head.seq + 1), &end.seq)
}
