//! Recorded cases of the specification's own libraries.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;

use serde::Deserialize;
use tipstaff_delivery::{Headers, Secret, sign, verify};

#[derive(Deserialize)]
struct Vector {
    id: String,
    desc: String,
    kind: String,
    secret: String,
    valid: bool,
    #[serde(default)]
    webhook_id: Option<String>,
    #[serde(default)]
    webhook_timestamp: Option<String>,
    #[serde(default)]
    webhook_signature: Option<String>,
    #[serde(default)]
    payload: String,
    #[serde(default)]
    now: u64,
}

/// What ours says of a case: whether it is valid, and the signature of one that is to be signed.
fn holds(vector: &Vector) -> bool {
    let Ok(secret) = vector.secret.parse::<Secret>() else { return false };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let headers = Headers {
        id: text(&vector.webhook_id),
        timestamp: text(&vector.webhook_timestamp),
        signature: text(&vector.webhook_signature),
    };
    match vector.kind.as_str() {
        "sign" => {
            // A timestamp is a number here; a text that is none cannot come so far.
            let Ok(at) = headers.timestamp.parse::<u64>() else { return false };
            let signed = sign(&[secret], &headers.id, at, vector.payload.as_bytes()).unwrap();
            signed == headers
        }
        "verify" => verify(&[secret], &headers, vector.payload.as_bytes(), vector.now).is_ok(),
        "secret" => true,
        other => panic!("{}: a case of kind `{other}` is not known", vector.id),
    }
}

fn check(text: &str) -> usize {
    let vectors: Vec<Vector> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for vector in &vectors {
        assert_eq!(holds(vector), vector.valid, "{}: {}", vector.id, vector.desc);
    }
    vectors.len()
}

#[test]
fn our_own_cases_hold() {
    assert_eq!(check(include_str!("data/webhooks.ndjson")), 8);
}

#[test]
fn the_recorded_cases_hold() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/open/webhook_vectors.ndjson");
    match std::fs::read_to_string(&data) {
        Ok(text) => assert_eq!(check(&text), 23),
        Err(_) => println!("left out: the reference data does not stand beside this repository"),
    }
}
