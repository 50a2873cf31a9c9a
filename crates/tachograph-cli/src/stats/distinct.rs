//! Counts different numbers in bounded memory.
//!
//! Called by the tally for threads, procs and tasks.

use std::collections::HashSet;

/// How many numbers are told apart; a table of them takes about 20 MB.
const MOST: usize = 1 << 20;

/// A set of numbers that only says how large it is.
#[derive(Clone, Debug)]
pub struct Distinct {
    seen: HashSet<u64>,
    /// The number before, which is most often the number now.
    last: Option<u64>,
    none: u64,
    overflowed: bool,
}

impl Distinct {
    /// An empty set, which `none` never gets into.
    pub fn without(none: u64) -> Self {
        Self {
            seen: HashSet::new(),
            last: None,
            none,
            overflowed: false,
        }
    }

    /// Sees a number.
    #[inline]
    pub fn see(&mut self, number: u64) {
        if self.last == Some(number) || number == self.none {
            return;
        }
        self.last = Some(number);
        if self.seen.len() < MOST {
            self.seen.insert(number);
        } else if !self.seen.contains(&number) {
            self.overflowed = true;
        }
    }

    /// How many different numbers were seen, at least.
    pub fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Whether there were more than can be counted.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_number_once_and_never_none() {
        let mut distinct = Distinct::without(0);
        for number in [3, 3, 0, 5, 3, u64::MAX] {
            distinct.see(number);
        }
        assert_eq!((distinct.count(), distinct.overflowed()), (3, false));
    }

    #[test]
    fn says_when_there_are_too_many() {
        let mut distinct = Distinct::without(u64::MAX);
        (0..MOST as u64).for_each(|number| distinct.see(number));
        distinct.see(7);
        assert!(!distinct.overflowed());
        distinct.see(MOST as u64);
        assert!(distinct.overflowed());
        assert_eq!(distinct.count(), MOST as u64);
    }
}
