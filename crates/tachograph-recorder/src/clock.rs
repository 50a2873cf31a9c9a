//! The trace clock: nanoseconds of `CLOCK_MONOTONIC` divided by 8, read from the TSC where that can be trusted.
//!
//! Owned by `core`; read by every event and by the signal handler (it is signal safe). One tick is exactly 8 ns, so that Go's
//! truncating conversion of each delta (wire frequency 125,000,000) is exact, and one event of 15 ns still moves the clock.
//!
//! The TSC is trusted when the kernel itself keeps time with it. Its rate is measured against `CLOCK_MONOTONIC` over at
//! least 20 ms, once a process, and better at each later start because the first reading is kept. Between two starts the
//! conversion is one multiplication, so times are monotonic; each generation's clock snapshot tells readers how far the
//! kernel's own (slewed) clock has moved from it.

use std::time::Duration;

use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Trace clock ticks per second.
pub const TICKS_PER_SECOND: u64 = 125_000_000;
/// Nanoseconds of one tick.
pub const NANOS_PER_TICK: u64 = 8;

/// Which clock stands behind the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// The invariant time stamp counter.
    Tsc,
    /// `clock_gettime(CLOCK_MONOTONIC)`, about 12 ns dearer a read.
    ClockGettime,
}

impl ClockKind {
    /// The name that the trace's metadata and the summary use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tsc => "tsc",
            Self::ClockGettime => "clock_gettime",
        }
    }
}

/// The conversion in force. Written only while nothing is recorded.
///
/// `ticks = offset + (tsc * ticks_per_cycle) / 2^64`: one multiplication of which only the upper half counts. A rate of 0 means
/// `clock_gettime`. A counter below 125 MHz would need a rate above 1, and is not trusted.
#[derive(Debug)]
pub(crate) struct Clock {
    ticks_per_cycle: AtomicU64,
    offset: AtomicU64,
    first_pair: Mutex<Option<Pair>>,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
struct Pair {
    cycles: u64,
    nanos: u64,
}

const CALIBRATION: Duration = Duration::from_millis(20);

impl Clock {
    pub(crate) const fn new() -> Self {
        Self {
            ticks_per_cycle: AtomicU64::new(0),
            offset: AtomicU64::new(0),
            first_pair: Mutex::new(None),
        }
    }

    /// The time now, in ticks. 10-25 ns, most of it the counter itself.
    #[inline(always)]
    pub(crate) fn now(&self) -> u64 {
        // Relaxed (both): written while recording is off, published by `Gate::publish`.
        let rate = self.ticks_per_cycle.load(Ordering::Relaxed);
        if rate == 0 {
            return monotonic_nanos() / NANOS_PER_TICK;
        }
        scale(cycles(), rate).wrapping_add(self.offset.load(Ordering::Relaxed))
    }

    /// As `now`, but never earlier than anything this thread has read or done before.
    ///
    /// The bare counter may be read before earlier loads complete; a sample's time must not precede its generation.
    #[inline(always)]
    pub(crate) fn now_ordered(&self) -> u64 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: lfence exists on every x86-64 processor and touches no memory.
        unsafe {
            std::arch::x86_64::_mm_lfence();
        }
        self.now()
    }

    /// Chooses the clock and measures its rate. Sleeps up to 20 ms the first time in a process. Recording must be off.
    pub(crate) fn calibrate(&self) -> ClockKind {
        if !tsc_is_trustworthy() {
            self.ticks_per_cycle.store(0, Ordering::Relaxed);
            return ClockKind::ClockGettime;
        }
        let mut first = lock(&self.first_pair);
        let start = *first.get_or_insert_with(read_pair);
        let elapsed = Duration::from_nanos(monotonic_nanos().saturating_sub(start.nanos));
        if let Some(rest) = CALIBRATION.checked_sub(elapsed) {
            std::thread::sleep(rest);
        }
        let now = read_pair();
        let nanos = now.nanos.saturating_sub(start.nanos).max(1);
        let cycles = now.cycles.wrapping_sub(start.cycles).max(1);
        let Some(rate) = rate_of(nanos, cycles) else {
            self.ticks_per_cycle.store(0, Ordering::Relaxed);
            return ClockKind::ClockGettime;
        };
        let ticks = now.nanos / NANOS_PER_TICK;
        // Relaxed (both): see `now`.
        self.offset.store(
            ticks.wrapping_sub(scale(now.cycles, rate)),
            Ordering::Relaxed,
        );
        self.ticks_per_cycle.store(rate, Ordering::Relaxed);
        ClockKind::Tsc
    }
}

#[inline(always)]
fn scale(cycles: u64, rate: u64) -> u64 {
    ((u128::from(cycles) * u128::from(rate)) >> 64) as u64
}

/// Ticks per cycle in units of 2^-64; `None` when that is 1 or more.
fn rate_of(nanos: u64, cycles: u64) -> Option<u64> {
    let rate = (u128::from(nanos) << 64) / (u128::from(cycles) * u128::from(NANOS_PER_TICK));
    u64::try_from(rate).ok().filter(|rate| *rate != 0)
}

/// The tightest of several readings of both clocks, so that a preemption between the two does not spoil the rate.
fn read_pair() -> Pair {
    (0..32)
        .map(|_| {
            let before = cycles();
            let nanos = monotonic_nanos();
            let after = cycles();
            let width = after.wrapping_sub(before);
            let pair = Pair {
                cycles: before.wrapping_add(width / 2),
                nanos,
            };
            (width, pair)
        })
        .min_by_key(|(width, _)| *width)
        .map_or(
            Pair {
                cycles: 0,
                nanos: 0,
            },
            |(_, pair)| pair,
        )
}

/// `CLOCK_MONOTONIC` in nanoseconds. Signal safe.
pub(crate) fn monotonic_nanos() -> u64 {
    clock_nanos(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds of any clock, `None` when the kernel does not know it (the CPU clock of a thread that is gone).
pub(crate) fn clock_nanos(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for one timespec.
    let result = unsafe { libc::clock_gettime(clock, &mut time) };
    (result == 0).then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn cycles() -> u64 {
    // SAFETY: rdtsc exists on every x86-64 processor.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn cycles() -> u64 {
    0
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn tsc_is_trustworthy() -> bool {
    std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        .is_ok_and(|name| name.trim() == "tsc")
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn tsc_is_trustworthy() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_monotonic_clock() {
        let clock = Clock::new();
        clock.calibrate();
        for _ in 0..100 {
            let before = monotonic_nanos() / NANOS_PER_TICK;
            let now = clock.now_ordered();
            let after = monotonic_nanos() / NANOS_PER_TICK;
            // 4 us of slack: the rate is known to a few ppm, and the base is one reading.
            assert!(
                now + 500 >= before && now <= after + 500,
                "{before} {now} {after}"
            );
        }
    }

    #[test]
    fn never_goes_backwards_on_one_thread() {
        let clock = Clock::new();
        clock.calibrate();
        let mut last = clock.now_ordered();
        for _ in 0..100_000 {
            let now = clock.now_ordered();
            assert!(now >= last);
            last = now;
        }
    }
}
