//! Breadth first through every order of events.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::{self, Write as _},
};

use super::{
    block::Block,
    ghost::{Check, Rule, Violation, ensure},
    scope::{Act, Scope},
    world::World,
};

/// So many steps are enough, from any state, for everybody to be served.
const ENOUGH: u32 = 40;

#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    #[expect(dead_code, reason = "shown when a search has shrunk")]
    pub(super) steps: usize,
}

/// The shortest way to a violation.
pub(super) struct Counterexample {
    pub(super) rule: Rule,
    trace: String,
}

impl fmt::Debug for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n{}", self.rule, self.trace)
    }
}

struct Search<B> {
    scope: Scope,
    /// From which state each came, by what.
    parents: Vec<(u32, Option<Act>)>,
    seen: HashSet<u64>,
    frontier: VecDeque<(u32, World<B>)>,
    /// States from which all are served, and in how many steps.
    drained: HashMap<u64, u32>,
}

/// Goes through all states within this scope.
pub(super) fn explore<B: Block>(scope: Scope) -> Result<Explored, Counterexample> {
    let root = World::<B>::new(scope).expect("the beginning holds");
    let mut search = Search {
        scope,
        parents: vec![(0, None)],
        seen: HashSet::from([root.key(true)]),
        frontier: VecDeque::from([(0, root)]),
        drained: HashMap::new(),
    };
    let mut steps = 0;
    while let Some((number, world)) = search.frontier.pop_front() {
        if let Err(violation) = search.drain(&world) {
            return Err(search.trace(number, None, &violation));
        }
        for act in world.acts() {
            steps += 1;
            match world.after(act) {
                Ok(next) => search.meet(number, act, next),
                Err(violation) => return Err(search.trace(number, Some(act), &violation)),
            }
        }
    }
    Ok(Explored {
        states: search.parents.len(),
        steps,
    })
}

impl<B: Block> Search<B> {
    fn meet(&mut self, from: u32, act: Act, world: World<B>) {
        if self.seen.insert(world.key(true)) {
            let number = u32::try_from(self.parents.len()).expect("fits into memory");
            self.parents.push((from, Some(act)));
            self.frontier.push_back((number, world));
        }
    }

    /// From here on everything is honest: is everybody served, and soon?
    fn drain(&mut self, world: &World<B>) -> Check {
        let mut world = world.clone();
        let mut path = Vec::new();
        let end = loop {
            let key = world.key(false);
            if let Some(rest) = self.drained.get(&key) {
                break *rest;
            }
            path.push(key);
            ensure(path.len() < 1_000, Rule::Drain, "it never ends")?;
            if world.drains()?.is_none() {
                path.pop();
                self.drained.insert(key, 0);
                break 0;
            }
        };
        for (key, steps) in path.into_iter().rev().zip(end + 1..) {
            ensure(steps <= ENOUGH, Rule::Drain, "it takes too many steps")?;
            self.drained.insert(key, steps);
        }
        Ok(())
    }

    fn trace(&self, mut number: u32, last: Option<Act>, violation: &Violation) -> Counterexample {
        let mut acts: Vec<_> = last.into_iter().collect();
        while let (from, Some(act)) = self.parents[number as usize] {
            acts.push(act);
            number = from;
        }
        acts.reverse();

        let mut trace = format!("{}\n", violation.what);
        let mut world = World::<B>::new(self.scope);
        for act in acts {
            world = world.and_then(|world| world.after(act));
            let summary = world.as_ref().map_or_else(|_| "-".into(), World::summary);
            let _infallible = writeln!(trace, "{act:?}\n        {summary}");
        }
        if last.is_none() {
            trace.push_str("... and then, with an honest server and no new callers, this.\n");
        }
        Counterexample {
            rule: violation.rule,
            trace,
        }
    }
}
