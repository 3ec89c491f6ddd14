//! The matcher beside the interpreter, which is the oracle.

use tipstaff::{Matcher, Pattern, Payload, PayloadFault, RuleIx, Scratch};

/// Patterns, compiled together.
pub struct Set {
    patterns: Vec<Pattern>,
    matcher: Matcher,
    scratch: Scratch,
    found: Vec<RuleIx>,
}

impl Set {
    pub fn new(patterns: Vec<Pattern>) -> Self {
        let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
        Self { patterns, matcher, scratch: Scratch::default(), found: Vec::new() }
    }

    /// Panics where the two disagree.
    pub fn compare(&mut self, event: &[u8]) {
        let Self { patterns, matcher, scratch, found } = self;
        found.clear();
        let mut early = Vec::new();
        let early_answer = matcher.matches_early(None, event, scratch, &mut early);
        let answer = matcher.matches(None, event, scratch, found);
        // What stands behind the stop is not seen; what is seen is judged alike.
        assert!(early_answer.is_ok() || early_answer == answer);
        let Ok(text) = std::str::from_utf8(event) else {
            assert!(answer.is_err() && found.is_empty());
            return;
        };
        match Payload::new(text) {
            Ok(payload) => {
                assert_eq!(answer, Ok(()));
                let found: Vec<usize> = found.iter().map(|rule| rule.index()).collect();
                assert_eq!(found, Pattern::matching(patterns, &payload));
            }
            Err(error) => match error.fault() {
                PayloadFault::Syntax(fault) => assert_eq!(answer, Err(fault.clone())),
                _ => assert_eq!(answer, Ok(())),
            },
        }
    }
}
