//! A bounded queue between those who ask and the threads that evaluate.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often jobs that cannot go on are looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// First in, first out. Asking never waits; taking does.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    jobs_max: usize,
}

/// How many jobs wait, and how many were turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    pub(crate) waiting: usize,
    pub(crate) turned_away: u64,
}

#[derive(Debug)]
struct State<T> {
    jobs: VecDeque<T>,
    turned_away: u64,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(jobs_max: usize) -> Self {
        let state = State { jobs: VecDeque::with_capacity(jobs_max.min(1_024)), turned_away: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), jobs_max }
    }

    /// Add a job; give it back if the queue is full or closed.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.jobs.len() >= self.jobs_max {
            state.turned_away += 1;
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        let state = self.lock();
        QueueCounts { waiting: state.jobs.len(), turned_away: state.turned_away }
    }

    /// Wait for the first job that can go on, which is told that it does. None when the queue is closed.
    pub(crate) fn pop(&self, can_go_on: impl Fn(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let first = state.jobs.iter().position(&can_go_on);
            if let Some(job) = first.and_then(|at| state.jobs.remove(at)) {
                return Some(job);
            }
            // A job that waits for its policy becomes late without anybody saying so.
            state = if state.jobs.is_empty() {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    /// Put a job back that cannot go on now, before all others. It had its place already.
    pub(crate) fn put_back(&self, job: T) {
        let mut state = self.lock();
        if !state.closed {
            state.jobs.push_front(job);
        }
    }

    /// Some job may go on that could not.
    pub(crate) fn look_again(&self) {
        // Whoever has looked and does not wait yet still holds the lock.
        drop(self.lock());
        self.changed.notify_one();
    }

    /// Send everybody home. Jobs that wait are dropped.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics while it holds the lock; if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_full_queue_turns_away() {
        let queue = Queue::new(2);
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [Ok(()), Ok(()), Err(3)]);
        assert_eq!(queue.counts(), QueueCounts { waiting: 2, turned_away: 1 });
        assert_eq!(queue.pop(|_| true), Some(1));
        assert_eq!(queue.push(3), Ok(()));
    }

    #[test]
    fn closing_wakes_who_waits_and_drops_what_waits() {
        let queue = Arc::new(Queue::<u8>::new(1));
        let waiting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop(|_| true))
        };
        queue.close();
        assert_eq!(waiting.join().unwrap(), None);
        assert_eq!(queue.push(1), Err(1));
    }

    #[test]
    fn every_job_is_taken_once() {
        let queue = Arc::new(Queue::new(10_000));
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    while let Some(job) = queue.pop(|_| true).filter(|job| *job != u32::MAX) {
                        taken.push(job);
                    }
                    taken
                })
            })
            .collect();
        for job in (0..1_000).chain([u32::MAX; 4]) {
            queue.push(job).unwrap();
        }
        let mut taken: Vec<u32> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..1_000).collect::<Vec<_>>());
    }
}
