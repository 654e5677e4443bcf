//! Blocks and shells with one mistake each: a checker that lets one of them pass checks nothing.

mod flights;
mod rejections;
mod starts;

use super::{super::Control, block::Block, ghost::Rule, scope::Scope, search::explore};

/// The real block but for what is altered.
macro_rules! mistake {
    ($name:ident { $($altered:tt)* }) => {
        #[derive(Clone)]
        struct $name(Control);

        impl Block for $name {
            fn new() -> Self {
                Self(Control::new())
            }

            fn control(&self) -> &Control {
                &self.0
            }

            fn control_mut(&mut self) -> &mut Control {
                &mut self.0
            }

            $($altered)*
        }
    };
}
use mistake;

/// The mistake breaks this rule; without it, all is well within the same scope.
fn caught<B: Block>(rule: Rule, scope: Scope) {
    match explore::<B>(scope) {
        Err(found) => assert_eq!(found.rule, rule, "{found:?}"),
        Ok(explored) => panic!("nobody noticed in {explored:?}"),
    }
    explore::<Control>(scope).expect("the real block is well");
}

/// Two callers of one origin, and a token that was accepted.
const WARM: Scope = Scope {
    callers: 2,
    origins: 1,
    warm: true,
    moments: 4,
    calls: 2,
    tokens: 2,
    ..Scope::NOTHING
};

/// The same before the first token.
const COLD: Scope = Scope {
    warm: false,
    ..WARM
};
