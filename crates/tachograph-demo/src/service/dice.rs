//! Numbers that look random and are the same in every run.
//!
//! Owns the sequence (xorshift64*). Called by `client`, for what to ask and when, and by `work`, for something to compress.

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed; each has its own.
    pub fn new(seed: u64) -> Self {
        // N.B. zero is the one state that xorshift never leaves. Small seeds are spread, or all would begin alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u32) -> u32 {
        // The upper half is the better one; scaled, not divided.
        let high = self.next() >> 32;
        ((high * u64::from(limit)) >> 32) as u32
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_repeat_and_differ() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            std::array::from_fn::<u32, 8, _>(|_| dice.below(1000))
        };
        assert_eq!(rolls(3), rolls(3));
        assert_ne!(rolls(3), rolls(4));
    }

    #[test]
    fn all_sides_come_up_about_equally_often() {
        let mut dice = Dice::new(0);
        let mut sides = [0_u32; 6];
        for _ in 0..60_000 {
            sides[dice.below(6) as usize] += 1;
        }
        assert!(
            sides.iter().all(|side| (9_500..10_500).contains(side)),
            "{sides:?}"
        );
    }
}
