//! Program counters on the wire: addresses, and the numbers that stand in where an address would not be unique.
//!
//! Go's reader takes the pc as the key of a frame: of two frames with one pc it shows the first for both. So inlined
//! frames, which share the address of the function they were inlined into, and frames that are only a name get
//! numbers of their own. Called by the recorder's stack table and by readers that symbolize offline.
//!
//! | bits 63 | 56..=62 | 0..=55 | meaning |
//! |---|---|---|---|
//! | 0 | 0 | address | the physical function at this address |
//! | 0 | d = 1..=127 | address | the frame that is inlined d deep there, counted from the physical function leafwards |
//! | 1 | id | id | a frame without code, only a name: string `id` of the generation as the name of a task or the reason of a wait |

use crate::ids::StringId;

const DEPTH_SHIFT: u32 = 56;
const NAME_BIT: u64 = 1 << 63;
const ADDRESS_MASK: u64 = (1 << DEPTH_SHIFT) - 1;

/// The deepest inlining that a wire pc can say; deeper frames share this one's.
pub const MAX_INLINE_DEPTH: u8 = 127;

/// What a wire pc says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pc {
    /// A place in machine code.
    Code {
        /// Address in the traced process.
        address: u64,
        /// 0 for the physical function there, d for the frame inlined d deep into it.
        inline_depth: u8,
    },
    /// No code: a name, told apart by its string id.
    Name(StringId),
}

impl Pc {
    /// The physical function at `address`.
    #[must_use]
    pub const fn physical(address: u64) -> Self {
        Self::Code {
            address,
            inline_depth: 0,
        }
    }

    /// The number for the wire.
    ///
    /// Bits of an address above the 56th are dropped (user space has at most 56) and so is bit 63 of a string id.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Code {
                address,
                inline_depth,
            } => {
                let depth = if inline_depth > MAX_INLINE_DEPTH {
                    MAX_INLINE_DEPTH
                } else {
                    inline_depth
                };
                (address & ADDRESS_MASK) | ((depth as u64) << DEPTH_SHIFT)
            }
            Self::Name(name) => name.0 | NAME_BIT,
        }
    }

    /// Takes a number of the wire apart.
    ///
    /// N.B. only in traces whose metadata says that we wrote them; in others a pc is what its writer says.
    #[must_use]
    pub const fn decode(wire: u64) -> Self {
        if wire & NAME_BIT != 0 {
            return Self::Name(StringId(wire & !NAME_BIT));
        }
        Self::Code {
            address: wire & ADDRESS_MASK,
            inline_depth: (wire >> DEPTH_SHIFT) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_code_and_names() {
        for address in [0, 0x40_1000, 0x7fff_ffff_f000, ADDRESS_MASK] {
            for inline_depth in [0, 1, 2, MAX_INLINE_DEPTH] {
                let pc = Pc::Code {
                    address,
                    inline_depth,
                };
                assert_eq!(Pc::decode(pc.encode()), pc);
            }
        }
        for name in [StringId(1), StringId(u64::MAX >> 1)] {
            assert_eq!(Pc::decode(Pc::Name(name).encode()), Pc::Name(name));
        }
    }

    #[test]
    fn numbers_are_the_documented_ones() {
        assert_eq!(Pc::physical(0x40_1000).encode(), 0x40_1000);
        assert_eq!(
            Pc::Code {
                address: 0x40_1000,
                inline_depth: 2
            }
            .encode(),
            0x40_1000 | 2 << 56
        );
        assert_eq!(Pc::Name(StringId(7)).encode(), 1 << 63 | 7);
    }

    #[test]
    fn deeper_inlining_than_fits_is_no_name() {
        let pc = Pc::Code {
            address: 1,
            inline_depth: 255,
        }
        .encode();
        assert_eq!(
            Pc::decode(pc),
            Pc::Code {
                address: 1,
                inline_depth: MAX_INLINE_DEPTH
            }
        );
    }
}
