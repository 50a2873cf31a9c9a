//! Stacks and registers that make no sense: rules 2 and 3 of the crate.

use tachograph_unwind::{
    Memory, Registers, RuleCache, Snapshot, StackBounds, Trail, loaded_modules, walk,
    walk_frame_pointers, walk_frame_pointers_in, walk_in,
};

/// Answers with plausible nonsense, and checks each address that it is asked for.
struct Nonsense<'a> {
    bounds: StackBounds,
    start: u64,
    red_zone: u64,
    snapshot: &'a Snapshot,
}

impl Memory for Nonsense<'_> {
    unsafe fn load(&self, address: u64) -> u64 {
        let floor = self
            .start
            .saturating_sub(self.red_zone)
            .max(self.bounds.low);
        assert_eq!(address % 8, 0, "{address:#x} is not aligned");
        assert!(address >= floor, "{address:#x} is below {floor:#x}");
        assert!(
            address < self.bounds.high && self.bounds.high - address >= 8,
            "{address:#x} is above"
        );
        plausible(
            &mut Random(address ^ self.start),
            self.snapshot,
            self.bounds,
            address,
        )
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 29
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// A code address, an address a little above `near`, a stack address, an extreme or anything.
fn plausible(random: &mut Random, snapshot: &Snapshot, bounds: StackBounds, near: u64) -> u64 {
    match random.below(8) {
        0..4 if !snapshot.modules().is_empty() => {
            let modules = snapshot.modules();
            let module = &modules[random.below(modules.len() as u64) as usize];
            module.start + random.below(module.end - module.start)
        }
        4 => near.wrapping_add(random.below(512)) & !7,
        5 => {
            bounds
                .low
                .wrapping_add(random.below(bounds.high - bounds.low))
                & !7
        }
        6 => [0, 1, 8, u64::MAX, u64::MAX - 7, 1 << 47, i64::MAX as u64][random.below(7) as usize],
        _ => random.next(),
    }
}

#[test]
fn no_load_leaves_the_stack_whatever_it_holds() {
    let snapshot = Snapshot::build(&loaded_modules(), 1);
    let mut cache = RuleCache::boxed();
    let mut random = Random(1);
    let mut out = [0u64; 64];
    let mut steps = 0;
    for _ in 0..200_000 {
        let low = [
            0,
            8,
            0x7000_0000,
            u64::MAX - (1 << 20) + 1,
            random.next() & !7,
        ][random.below(5) as usize];
        let high = low.saturating_add([0, 8, 64, 1 << 16, u64::MAX][random.below(5) as usize]);
        let bounds = StackBounds { low, high };
        let mut any = || plausible(&mut random, &snapshot, bounds, low);
        let registers = Registers {
            ip: any(),
            sp: any(),
            fp: any(),
        };
        let somewhere = low.saturating_add(random.below((high - low).min(1 << 16))) & !7;
        let sp = if random.below(4) > 0 {
            somewhere
        } else {
            registers.sp
        };
        let registers = Registers { sp, ..registers };
        let start = registers.sp;
        let memory = Nonsense {
            bounds,
            start,
            red_zone: 128,
            snapshot: &snapshot,
        };
        // SAFETY: the memory answers, or panics at, every address.
        let walk = unsafe {
            walk_in(
                &memory,
                &snapshot,
                &mut *cache,
                registers,
                bounds,
                out.as_mut_ptr(),
                out.len(),
            )
        };
        assert!((1..=out.len()).contains(&walk.frames));
        steps += walk.frames - 1;
        let memory = Nonsense {
            red_zone: 0,
            ..memory
        };
        // SAFETY: as above.
        let along =
            unsafe { walk_frame_pointers_in(&memory, registers, bounds, out.as_mut_ptr(), 64) };
        assert!((1..=out.len()).contains(&along.frames));
    }
    // Otherwise nothing was tested.
    assert!(steps > 10_000, "{steps}");
}

#[test]
fn live_walks_over_a_spoilt_buffer_do_not_crash() {
    let snapshot = Snapshot::build(&loaded_modules(), 1);
    let mut cache = RuleCache::boxed();
    let mut random = Random(2);
    let mut buffer = vec![0u64; 4096];
    let low = buffer.as_ptr().expose_provenance() as u64;
    let bounds = StackBounds {
        low,
        high: low + 8 * buffer.len() as u64,
    };
    let mut out = [0u64; 64];
    for round in 0..20_000 {
        if round % 100 == 0 {
            buffer.fill_with(|| plausible(&mut random, &snapshot, bounds, low));
        }
        let mut any = || plausible(&mut random, &snapshot, bounds, low);
        let registers = Registers {
            ip: any(),
            sp: any(),
            fp: any(),
        };
        // SAFETY: all of the bounds is readable.
        unsafe {
            walk(
                &snapshot,
                &mut *cache,
                registers,
                bounds,
                out.as_mut_ptr(),
                out.len(),
            );
            walk_frame_pointers(registers, bounds, out.as_mut_ptr(), out.len());
        }
    }
}

#[test]
fn no_room_for_frames_writes_none() {
    let snapshot = Snapshot::build(&[], 1);
    let (registers, bounds) = (Registers::default(), StackBounds { low: 0, high: 0 });
    let nowhere = std::ptr::null_mut();
    // SAFETY: a capacity of 0 promises nothing about `out`.
    unsafe {
        let walk = walk(
            &snapshot,
            std::ptr::null_mut(),
            registers,
            bounds,
            nowhere,
            0,
        );
        assert_eq!(walk.frames, 0);
        assert_eq!(walk_frame_pointers(registers, bounds, nowhere, 0).frames, 0);
    }
}

/// Spoils a word or a register after a walk, and sees whether the walk's trail knows if that matters.
#[test]
fn a_trail_holds_only_where_a_walk_finds_the_same() {
    const FRAMES: usize = 32;
    let snapshot = Snapshot::build(&loaded_modules(), 1);
    let mut cache = RuleCache::boxed();
    let mut random = Random(3);
    let mut buffer = vec![0u64; 256];
    let low = buffer.as_ptr().expose_provenance() as u64;
    let bounds = StackBounds {
        low,
        high: low + 8 * buffer.len() as u64,
    };
    let mut trail = Trail::default();
    // By tables and along frame pointers: trails that held, trails that did not where the walk finds something else, and where not.
    let mut counts = [[0; 3]; 2];
    for round in 0..400_000 {
        let along = round % 2;
        if round % 16 < 2 {
            buffer.fill_with(|| match random.below(2) {
                0 => (low + random.below(8 * 256)) & !7,
                _ => plausible(&mut random, &snapshot, bounds, low),
            });
        }
        let mut any = || plausible(&mut random, &snapshot, bounds, low);
        let mut registers = Registers {
            ip: any(),
            sp: low + 8 * (round / 16 % 128),
            fp: any(),
        };
        let mut walk_it = |trail: Option<&mut Trail>, registers| {
            let mut out = [0u64; FRAMES];
            let (snapshot, cache, to) = (&snapshot, &raw mut *cache, out.as_mut_ptr());
            // SAFETY: all of the bounds is readable.
            let walk = unsafe {
                match (trail, along) {
                    (Some(trail), 0) => trail.walk(snapshot, cache, registers, bounds, to, FRAMES),
                    (None, 0) => walk(snapshot, cache, registers, bounds, to, FRAMES),
                    (Some(trail), _) => trail.walk_frame_pointers(registers, bounds, to, FRAMES),
                    (None, _) => walk_frame_pointers(registers, bounds, to, FRAMES),
                }
            };
            (walk, out)
        };
        let then = walk_it(Some(&mut trail), registers);
        let noted = then.0.guesses == 0 && bounds.contains(registers.sp);
        // SAFETY: all of the bounds is readable.
        let holds = unsafe { trail.holds(registers, bounds) };
        assert!(holds || !noted || along == 0, "{registers:?}");
        match random.below(4) {
            0 => registers.fp = plausible(&mut random, &snapshot, bounds, low),
            1 => registers.ip ^= 1 << random.below(12),
            _ => {
                let near = (registers.sp - low) / 8 + random.below(32);
                if let Some(word) = buffer.get_mut(near as usize) {
                    *word ^= 8 << random.below(10);
                }
            }
        }
        let now = walk_it(None, registers);
        // SAFETY: as above.
        let holds = unsafe { trail.holds(registers, bounds) };
        assert!(!holds || now == then, "{registers:?}: {then:?}, {now:?}");
        let kind = match (holds, now == then) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        counts[along as usize][kind] += usize::from(then.0.frames > 2);
    }
    // Otherwise nothing was tested.
    println!("{counts:?}");
    let [tables, along] = counts;
    assert!(tables[0] > 100 && tables[1] > 500, "{tables:?}");
    assert!(along[0] > 500 && along[1] > 500, "{along:?}");
}
