//! Puts work that finished in any order back into its order, without anyone waiting.
//!
//! Pieces of a big blob are decoded by several threads, but SHA-1 takes them one after the other.
//! Whoever brings the piece whose turn it is does the ordered work, for its own piece and for all
//! that wait behind it; whoever comes early leaves the piece and goes back to decoding.

use std::collections::BTreeMap;

use crate::pipeline::lock::Lock;

/// Lets items through in the order of their numbers, which begin at 0 and have no gaps.
#[derive(Debug)]
pub(crate) struct Turnstile<T> {
    state: Lock<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// Number of the item that may pass next.
    next: u64,
    /// Someone is working on an item; they will look at `waiting` when done.
    busy: bool,
    waiting: BTreeMap<u64, T>,
}

impl<T> Turnstile<T> {
    pub(crate) fn new() -> Self {
        Self { state: Lock::new(State { next: 0, busy: false, waiting: BTreeMap::new() }) }
    }

    /// Leaves `item` and, if nobody else is at it, calls `work` for every item whose turn has come.
    /// Calls never overlap and are in order. When `work` fails the turnstile stays shut, items
    /// brought later are dropped with it.
    pub(crate) fn pass<E>(
        &self,
        number: u64,
        item: T,
        mut work: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.state.lock();
        state.waiting.insert(number, item);
        while !state.busy {
            let next = state.next;
            let Some(item) = state.waiting.remove(&next) else { break };
            state.busy = true;
            drop(state);
            work(item)?;
            state = self.state.lock();
            state.busy = false;
            state.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn items_pass_in_order_whatever_the_order_they_come_in() {
        let turnstile = Turnstile::new();
        let mut passed = Vec::new();
        for number in [3_u64, 1, 0, 2, 5, 4] {
            turnstile
                .pass(number, number * 10, |item| {
                    passed.push(item);
                    Ok::<_, ()>(())
                })
                .unwrap();
        }
        assert_eq!(passed, [0, 10, 20, 30, 40, 50]);
    }

    #[test]
    fn threads_share_the_work_and_keep_the_order() {
        const ITEMS: u64 = 10_000;
        let turnstile = Turnstile::new();
        let source = AtomicU64::new(0);
        let expected = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let number = source.fetch_add(1, Ordering::Relaxed);
                        if number >= ITEMS {
                            break;
                        }
                        let check = |item: u64| {
                            assert_eq!(item, expected.fetch_add(1, Ordering::Relaxed));
                            Ok::<_, ()>(())
                        };
                        turnstile.pass(number, number, check).unwrap();
                    }
                });
            }
        });
        assert_eq!(expected.into_inner(), ITEMS);
    }

    #[test]
    fn a_failure_lets_nothing_else_through() {
        let turnstile = Turnstile::new();
        assert_eq!(turnstile.pass(0, 'a', |_| Err("broken")), Err("broken"));
        let mut passed = 0;
        for (number, item) in [(1, 'b'), (2, 'c')] {
            let count = |_| {
                passed += 1;
                Ok::<_, ()>(())
            };
            turnstile.pass(number, item, count).unwrap();
        }
        assert_eq!(passed, 0);
    }
}
