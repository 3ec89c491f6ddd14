//! Loops: an action whose own event leads to the next action, and so on.

use super::{Suppressed, Suppression};
use crate::rule::Settings;

/// What caused a signal, as the engine's own records say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// No action of this engine.
    #[default]
    None,
    /// An action that deep.
    Depth(u32),
    /// The host names an action that this tenant does not have.
    Unknown,
}

impl Cause {
    /// How deep an action is that follows from the signal: 0 where no action caused it. Of an unknown
    /// cause it is taken for too deep, as is all that it causes.
    pub(crate) fn depth(self, settings: &Settings) -> u32 {
        match self {
            Self::None => 0,
            Self::Depth(depth) => depth.saturating_add(1),
            Self::Unknown => settings.followed_to().saturating_add(1),
        }
    }

    /// What holds an action back that is deeper than actions follow by themselves.
    pub(crate) fn too_deep(self, settings: &Settings) -> Option<Suppressed> {
        let followed = settings.followed_to();
        if self.depth(settings) <= followed {
            return None;
        }
        let told = match self {
            Self::Unknown => "the action that is named as the cause is not known".to_owned(),
            _ => format!(
                "caused by actions that caused each other; depth {} of {followed}",
                self.depth(settings)
            ),
        };
        Some(Suppressed::new(Suppression::LoopDepth).detail(told))
    }
}
