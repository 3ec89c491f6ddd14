//! The catalogue of audit codes against the reference table, and the host's additions to it.
#![allow(clippy::disallowed_methods, reason = "where the shared data lies is a setting of the test run")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tipstaff::{
    AuditCatalog, AuditCode, AuditDomain, CodeError, HostCode, MAX_HOST_CODES, Retention, RetentionCategory,
    Severity, Span,
};

/// How many codes the reference catalogue has; ours follow.
const REFERENCE: usize = 84;

/// The reference table, or the sample of it where the shared data is not at hand.
fn reference_table() -> (String, bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("TIPSTAFF_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    match std::fs::read_to_string(shared.join("data/audit-codes.tsv")) {
        Ok(table) => (table, true),
        Err(error) => {
            println!("left out: the whole reference table ({error}); a sample of it is checked");
            let sample = root.join("tests/data/audit-codes-sample.tsv");
            (std::fs::read_to_string(sample).expect("the sample is in the repository"), false)
        }
    }
}

#[test]
fn the_reference_codes_are_as_its_table_says() {
    let (table, whole) = reference_table();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    for row in &rows {
        let [domain, text, severity, meaning] = row[..] else { panic!("not four columns: {row:?}") };
        let code: AuditCode = text.parse().expect(text);
        assert_eq!(code.as_str(), text);
        assert_eq!(code.domain().as_str(), domain, "{text}");
        assert_eq!(code.severity().as_str(), severity, "{text}");
        assert_eq!(code.is_aggregate(), meaning.starts_with("aggregate:"), "{text}");
        assert_eq!(code.superseded_by().is_some(), meaning.starts_with("superseded:"), "{text}");
        assert!(code.superseded_by().is_none_or(|next| meaning.contains(next.as_str())), "{text}");
        assert!(!meaning.eq_ignore_ascii_case(code.description()), "{text}: not in our own words");
    }
    if whole {
        let theirs: Vec<&str> = rows.iter().map(|row| row[1]).collect();
        let ours: Vec<&str> = AuditCode::ALL[..REFERENCE].iter().map(|code| code.as_str()).collect();
        assert_eq!(ours, theirs);
        let mut titles: Vec<&str> = rows.iter().map(|row| row[0]).collect();
        titles.dedup();
        let domains: Vec<&str> = AuditDomain::ALL[..12].iter().map(|domain| domain.as_str()).collect();
        assert_eq!(domains, titles);
    }
}

#[test]
fn every_code_is_unique_and_named_after_its_text() {
    let texts: BTreeSet<&str> = AuditCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), AuditCode::ALL.len());
    let lines: BTreeSet<&str> = AuditCode::ALL.iter().map(|code| code.description()).collect();
    assert_eq!(lines.len(), AuditCode::ALL.len(), "two codes share a description");
    for &code in AuditCode::ALL {
        let words = code.as_str().split('_');
        let camel: String = words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect();
        assert_eq!(format!("{code:?}"), camel);
        assert_eq!(code.as_str().parse(), Ok(code));
        assert!(!code.description().ends_with('.') && code.description().len() <= 100, "{code}");
    }
}

#[test]
fn our_own_codes_live_in_our_namespaces() {
    let spaces = [
        ("POLICY_", AuditDomain::Policy),
        ("APPROVAL_", AuditDomain::Approval),
        ("ENFORCEMENT_", AuditDomain::Enforcement),
        ("SCHEDULE_", AuditDomain::Schedule),
    ];
    for code in &AuditCode::ALL[REFERENCE..] {
        let space = spaces.iter().find(|(namespace, _)| code.as_str().starts_with(namespace));
        assert_eq!(space.map(|(_, domain)| *domain), Some(code.domain()), "{code}");
    }
    for code in &AuditCode::ALL[..REFERENCE] {
        assert!(!spaces.iter().any(|(namespace, _)| code.as_str().starts_with(namespace)), "{code}");
    }
}

#[test]
fn the_marks_are_where_they_belong() {
    let superseded: Vec<_> =
        AuditCode::ALL.iter().filter_map(|code| Some((*code, code.superseded_by()?))).collect();
    assert_eq!(superseded, [(AuditCode::AccountMfaEnrolled, AuditCode::AccountMfaDeviceEnrolled)]);
    let aggregate: Vec<_> = AuditCode::ALL.iter().filter(|code| code.is_aggregate()).collect();
    assert_eq!(aggregate, [&AuditCode::AccountNotifInboxRead]);
    let ten_years: Vec<_> =
        AuditCode::ALL.iter().filter(|code| code.retention().at_least >= Span::days(3_653)).collect();
    assert_eq!(ten_years, [&AuditCode::AccountDeletionHoldsOverridden]);
}

#[test]
fn severities_rise_and_words_read_back() {
    assert!(Severity::Info < Severity::Notice && Severity::Notice < Severity::Warning);
    assert!(Severity::Warning < Severity::Critical);
    for &severity in Severity::ALL {
        assert_eq!(severity.as_str().parse(), Ok(severity));
    }
    for &domain in AuditDomain::ALL {
        assert_eq!(domain.as_str().parse(), Ok(domain));
    }
    assert!(RetentionCategory::ALL.is_sorted_by(|a, b| a.minimum() < b.minimum()));
    let error = "info".parse::<Severity>().unwrap_err();
    assert_eq!(error.to_string(), "`info` is no severity; accepted: Info, Notice, Warning, Critical");
    let json = serde_json::to_string(&AuditCode::AccountStepupReused).unwrap();
    assert_eq!(json, "\"ACCOUNT_STEPUP_REUSED\"");
    assert_eq!(serde_json::from_str::<AuditCode>(&json).unwrap(), AuditCode::AccountStepupReused);
    assert!(serde_json::from_str::<AuditCode>("\"ACCOUNT_STEPUP\"").is_err());
}

fn host(code: &str) -> HostCode {
    HostCode {
        code: code.into(),
        severity: Severity::Notice,
        domain: "Buildings".into(),
        retention: RetentionCategory::Security.into(),
        description: "A door opened".into(),
    }
}

#[test]
fn a_host_cannot_register_just_anything() {
    let longest = format!("A_{}", "9".repeat(62));
    for good in ["A_B", "A__", "DOOR_2_OPENED", "POLICYHOLDER_MOVED", &longest] {
        assert_eq!(AuditCatalog::default().register(host(good)), Ok(()), "{good}");
    }
    let mut catalog = AuditCatalog::default();
    for bad in
        ["", "A", "A1", "AB", "ABC", "_AB", "1_A", "a_b", "A_b", "A-B_C", "A_Ä", "A B_C", &(longest + "9")]
    {
        let refused = catalog.register(host(bad));
        assert!(matches!(refused, Err(CodeError::Form { .. })), "{bad}: {refused:?}");
    }
    for &code in AuditCode::ALL {
        assert_eq!(catalog.register(host(code.as_str())), Err(CodeError::BuiltIn { code }));
    }
    for namespace in ["POLICY_", "APPROVAL_", "ENFORCEMENT_", "SCHEDULE_"] {
        let code = format!("{namespace}X");
        assert_eq!(catalog.register(host(&code)), Err(CodeError::Reserved { code, namespace }));
    }
    let long = "x".repeat(257);
    for (domain, description, field, most) in [
        ("", "fine", "domain", 64),
        (&long[..65], "fine", "domain", 64),
        ("a\nb", "fine", "domain", 64),
        ("fine", " ", "description", 256),
        ("fine", &long, "description", 256),
    ] {
        let code = HostCode { domain: domain.into(), description: description.into(), ..host("A_B") };
        assert_eq!(catalog.register(code), Err(CodeError::Text { code: "A_B".into(), field, most }));
    }
    assert_eq!(catalog, AuditCatalog::default(), "a refusal adds nothing");

    assert_eq!(catalog.register(host("A_B")), Ok(()));
    assert_eq!(catalog.register(host("A_B")), Err(CodeError::Duplicate { code: "A_B".into() }));
    for n in 1..MAX_HOST_CODES {
        assert_eq!(catalog.register(host(&format!("N_{n}"))), Ok(()));
    }
    assert_eq!(catalog.register(host("N_0")), Err(CodeError::TooMany { code: "N_0".into() }));
    assert_eq!(catalog.codes().count(), AuditCode::ALL.len() + MAX_HOST_CODES);
}

#[test]
fn only_known_codes_are_found_and_superseded_ones_point_on() {
    let mut catalog = AuditCatalog::default();
    let unknown = catalog.get("DOOR_OPENED").unwrap_err();
    assert_eq!(unknown, CodeError::Unknown { code: "DOOR_OPENED".into() });
    let ten_years = Retention { category: RetentionCategory::Legal, at_least: Span::days(3_653) };
    catalog.register(HostCode { retention: ten_years, ..host("DOOR_OPENED") }).unwrap();
    let code = catalog.writable("DOOR_OPENED").unwrap();
    assert_eq!(
        (code.as_str(), code.severity(), code.domain()),
        ("DOOR_OPENED", Severity::Notice, "Buildings")
    );
    assert_eq!((code.retention(), code.description()), (ten_years, "A door opened"));
    assert_eq!((code.built_in(), code.to_string().as_str()), (None, "DOOR_OPENED"));
    for &built_in in AuditCode::ALL {
        let code = catalog.get(built_in.as_str()).unwrap();
        assert_eq!(code.built_in(), Some(built_in));
        assert_eq!((code.severity(), code.retention()), (built_in.severity(), built_in.retention()));
        assert_eq!((code.domain(), code.description()), (built_in.domain().as_str(), built_in.description()));
        let writable = catalog.writable(built_in.as_str());
        assert_eq!(writable.is_ok(), built_in.superseded_by().is_none(), "{built_in}");
    }
    let error = catalog.writable("ACCOUNT_MFA_ENROLLED").unwrap_err();
    assert_eq!(
        error.to_string(),
        "audit code `ACCOUNT_MFA_ENROLLED` is superseded; write `ACCOUNT_MFA_DEVICE_ENROLLED` instead"
    );
}

#[test]
fn a_host_code_is_read_from_its_settings() {
    let text = r#"{"code": "DOOR_OPENED", "severity": "Notice", "domain": "Buildings",
        "retention": {"category": "security", "at_least": "366d"}, "description": "A door opened"}"#;
    let code: HostCode = serde_json::from_str(text).unwrap();
    assert_eq!(code, host("DOOR_OPENED"));
    assert_eq!(serde_json::from_str::<HostCode>(&serde_json::to_string(&code).unwrap()).unwrap(), code);
}

proptest! {
    /// The form, said a second time as a pattern, and no text makes the catalogue panic.
    #[test]
    fn a_code_registers_exactly_if_it_has_the_form(
        text in prop_oneof!["[A-C1_]{0,5}", "[A-Z0-9_]{60,67}", any::<String>()],
    ) {
        let bytes = text.as_bytes();
        let form = (3..=64).contains(&bytes.len())
            && bytes[0].is_ascii_uppercase()
            && bytes.contains(&b'_')
            && bytes.iter().all(|c| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_".contains(c));
        let mut catalog = AuditCatalog::default();
        prop_assert_eq!(catalog.register(host(&text)).is_ok(), form);
        prop_assert_eq!(catalog.get(&text).is_ok(), form);
    }
}
