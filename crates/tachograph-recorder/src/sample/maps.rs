//! The program's writable memory, as stacks of threads that never told us theirs.
//!
//! Read from `/proc/self/maps` by the engine, looked up by the handler of a thread that never called us, or that runs on a stack of
//! its own making. What lies between the stack pointer and the end of its mapping is readable, and that is all that a walk needs.

use tachograph_unwind::StackBounds;

/// Mappings by their end, ascending.
#[derive(Debug, Default)]
pub(crate) struct StackMaps(Vec<Mapping>);

#[derive(Clone, Copy, Debug)]
struct Mapping {
    low: u64,
    high: u64,
    /// The main thread's stack grows down after we have read its start.
    grows: bool,
}

/// The usual limit of a stack, and how far below its known start the main one may have grown.
const MOST_STACK: u64 = 8 << 20;

impl StackMaps {
    /// Reads the maps; empty where there are none to read.
    pub(crate) fn read() -> Self {
        std::fs::read_to_string("/proc/self/maps")
            .map_or_else(|_| Self::default(), |m| Self::parse(&m))
    }

    fn parse(maps: &str) -> Self {
        let mut mappings: Vec<Mapping> = maps.lines().filter_map(Mapping::parse).collect();
        mappings.sort_by_key(|mapping| mapping.high);
        Self(mappings)
    }

    /// The stack that holds `sp`. Signal safe: no indexing that can panic.
    #[inline]
    pub(crate) fn find(&self, sp: u64) -> Option<StackBounds> {
        let at = self.0.partition_point(|mapping| mapping.high <= sp);
        let mapping = self.0.get(at)?;
        let low = if mapping.grows {
            mapping.low.saturating_sub(MOST_STACK)
        } else {
            mapping.low
        };
        (low <= sp).then_some(StackBounds {
            low: sp.min(mapping.low),
            // A mapping may have been two, of which the other is gone.
            high: mapping.high.min(sp.saturating_add(MOST_STACK)),
        })
    }
}

impl Mapping {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (low, high) = fields.next()?.split_once('-')?;
        if !fields.next()?.starts_with("rw") {
            return None;
        }
        Some(Self {
            low: u64::from_str_radix(low, 16).ok()?,
            high: u64::from_str_radix(high, 16).ok()?,
            grows: line.ends_with("[stack]"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0001000 r-xp 00000000 08:01 42 /bin/x
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7f0000100000-7f0000101000 ---p 00000000 00:00 0
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
";

    #[test]
    fn finds_the_mapping_around_an_address() {
        let maps = StackMaps::parse(MAPS);
        let stack = maps.find(0x7f00_0000_8000).expect("a stack");
        assert_eq!(
            (stack.low, stack.high),
            (0x7f00_0000_0000, 0x7f00_0010_0000)
        );
    }

    #[test]
    fn finds_nothing_in_code_and_guard_pages() {
        let maps = StackMaps::parse(MAPS);
        assert!(maps.find(0x55d0_c000_0800).is_none());
        assert!(maps.find(0x7f00_0010_0800).is_none());
    }

    #[test]
    fn follows_the_main_stack_down() {
        let maps = StackMaps::parse(MAPS);
        let grown = maps.find(0x7ffb_fff0_0000).expect("the main stack");
        assert_eq!(grown.high, 0x7ffc_0002_1000);
    }

    #[test]
    fn finds_a_local_variable() {
        let local = 0u64;
        let here = std::ptr::from_ref(&local) as u64;
        assert!(
            StackMaps::read()
                .find(here)
                .is_some_and(|s| s.contains(here))
        );
    }
}
