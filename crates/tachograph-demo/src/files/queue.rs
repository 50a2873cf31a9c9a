//! A queue with room for so many.
//!
//! Owns the waiting: who finds it full or empty waits in a section that the trace shows as blocked. Called by the
//! threads of `crew`.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A first-in first-out queue between threads.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    room: usize,
    /// Someone may push or pop now.
    changed: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn with_room(room: usize) -> Self {
        let state = State {
            items: VecDeque::with_capacity(room),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            room,
            changed: Condvar::new(),
        }
    }

    /// Puts an item in when there is room; gives it back if the queue is closed.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.wait("room in the queue", |state| state.items.len() >= self.room);
        if state.closed {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the oldest item out when there is one; `None` once the queue is closed and empty.
    pub fn pop(&self) -> Option<T> {
        let item = self
            .wait("work in the queue", |state| state.items.is_empty())
            .items
            .pop_front();
        self.changed.notify_all();
        item
    }

    /// Nothing goes in any more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A thread that panicked here has left the items whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `must_wait` holds and the queue is open.
    fn wait(
        &self,
        reason: &'static str,
        must_wait: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'_, State<T>> {
        let state = self.lock();
        let waits = |state: &mut State<T>| !state.closed && must_wait(state);
        if state.closed || !must_wait(&state) {
            return state;
        }
        tachograph::blocking(reason, || {
            self.changed
                .wait_while(state, waits)
                .unwrap_or_else(PoisonError::into_inner)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_put_in_comes_out_once() {
        let queue = Queue::with_room(3);
        let sum = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| std::iter::from_fn(|| queue.pop()).sum::<u64>()))
                .collect();
            for number in 1..=1000 {
                queue.push(number).unwrap();
            }
            queue.close();
            takers
                .into_iter()
                .map(|taker| taker.join().unwrap())
                .sum::<u64>()
        });
        assert_eq!(sum, 500_500);
        assert_eq!(queue.push(7), Err(7), "nothing goes into a closed queue");
    }
}
