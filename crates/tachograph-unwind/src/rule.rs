//! How to step from one frame to its caller, in 32 bits.
//!
//! Owns [`Rule`] and its bit layout. `compile` makes rules, `table` and `cache` keep them, `walk`
//! follows them.
//!
//! ```text
//! 31            16 15                4 3      0
//! | CFA offset / 8 | fp slot below CFA / 8 | kind |
//! ```
//! The return address is always at CFA - 8. A fp slot of 1 can't hold anything else, so it means
//! "unchanged" and costs the hot path no branch: it loads the return address twice.

/// One row's rule. Zero means that nothing is known about the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule(u32);

/// What a rule is, for the paths off the hot one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No table covers this code.
    Unknown,
    /// CFA = sp or fp + offset.
    Plain,
    /// The frame has no caller.
    Root,
    /// A signal trampoline: the registers lie in the ucontext at sp.
    Signal,
    /// A lazy-binding stub: CFA depends on the position within the 16-byte slot.
    Plt,
    /// CFA = word at fp + offset: a realigned stack.
    Realigned,
    /// The code's table says something that doesn't fit a rule.
    Unsupported,
}

/// Where a frame keeps its caller's frame pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SavedFp {
    /// Still in the register.
    Same,
    /// So many words below the CFA (at least 2).
    BelowCfa(u16),
    /// In the word that the frame pointer points to. Realigned stacks only.
    AtFp,
}

const KIND: u32 = 0xf;
const PLAIN_SP: u32 = 2;
const PLAIN_FP: u32 = 3;
const ROOT: u32 = 4;
const SIGNAL: u32 = 5;
const PLT: u32 = 6;
const REALIGNED: u32 = 7;
const UNSUPPORTED: u32 = 8;

const SLOT_SAME: u32 = 1;
const SLOT_AT_FP: u32 = 0xfff;

impl Rule {
    pub(crate) const UNKNOWN: Rule = Rule(0);
    pub(crate) const ROOT: Rule = Rule(ROOT);
    pub(crate) const SIGNAL: Rule = Rule(SIGNAL);
    pub(crate) const UNSUPPORTED: Rule = Rule(UNSUPPORTED);

    /// CFA = sp + `offset` bytes (or fp), if that fits.
    pub(crate) fn plain(from_fp: bool, offset: i64, saved: SavedFp) -> Option<Rule> {
        let kind = if from_fp { PLAIN_FP } else { PLAIN_SP };
        let words = u16::try_from(words(offset)?).ok()?;
        Some(Rule(
            u32::from(words) << 16 | slot_bits(saved, false)? | kind,
        ))
    }

    /// CFA = word at fp + `offset` bytes, if that fits.
    pub(crate) fn realigned(offset: i64, saved: SavedFp) -> Option<Rule> {
        let words = i16::try_from(words(offset)?).ok()?.cast_unsigned();
        Some(Rule(
            u32::from(words) << 16 | slot_bits(saved, true)? | REALIGNED,
        ))
    }

    /// CFA = sp + 8, or sp + 16 from byte `pushed_at` of the slot on.
    pub(crate) fn plt(pushed_at: u8) -> Rule {
        Rule(u32::from(pushed_at) << 16 | SLOT_SAME << 4 | PLT)
    }

    #[inline(always)]
    pub(crate) fn from_bits(bits: u32) -> Rule {
        Rule(bits)
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Whether the hot path can follow this rule.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        self.0 & (KIND & !1) == PLAIN_SP
    }

    /// For plain rules: whether the CFA is counted from fp instead of sp.
    #[inline(always)]
    pub(crate) fn is_from_fp(self) -> bool {
        self.0 & 1 != 0
    }

    /// For plain rules: bytes from sp or fp to the CFA.
    #[inline(always)]
    pub(crate) fn cfa_offset(self) -> u64 {
        u64::from(self.0 >> 16) * 8
    }

    /// Bytes from the slot of the saved fp up to the CFA; 8 if the fp is unchanged.
    #[inline(always)]
    pub(crate) fn fp_slot(self) -> u64 {
        u64::from(self.0 >> 4 & 0xfff) * 8
    }

    /// Whether the caller's fp is still in the register.
    #[inline(always)]
    pub(crate) fn keeps_fp(self) -> bool {
        self.0 & 0xfff0 == SLOT_SAME << 4
    }

    /// For realigned rules: bytes from fp to the word that holds the CFA.
    pub(crate) fn cfa_word_offset(self) -> i64 {
        i64::from(((self.0 >> 16) as u16).cast_signed()) * 8
    }

    /// For realigned rules: whether fp points to the saved fp.
    pub(crate) fn has_fp_at_fp(self) -> bool {
        self.0 >> 4 & 0xfff == SLOT_AT_FP
    }

    /// For PLT rules: bytes between sp and the CFA at `ip`.
    pub(crate) fn plt_cfa_offset(self, ip: u64) -> u64 {
        if ip & 15 >= u64::from(self.0 >> 16) {
            16
        } else {
            8
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0 & KIND {
            PLAIN_SP | PLAIN_FP => Kind::Plain,
            ROOT => Kind::Root,
            SIGNAL => Kind::Signal,
            PLT => Kind::Plt,
            REALIGNED => Kind::Realigned,
            UNSUPPORTED => Kind::Unsupported,
            _ => Kind::Unknown,
        }
    }
}

fn words(bytes: i64) -> Option<i64> {
    (bytes % 8 == 0).then_some(bytes / 8)
}

fn slot_bits(saved: SavedFp, realigned: bool) -> Option<u32> {
    let slot = match saved {
        SavedFp::Same => SLOT_SAME,
        SavedFp::BelowCfa(words) => u32::from(words),
        SavedFp::AtFp if realigned => SLOT_AT_FP,
        SavedFp::AtFp => return None,
    };
    let fits = slot == SLOT_SAME && saved == SavedFp::Same
        || slot == SLOT_AT_FP && saved == SavedFp::AtFp
        || (2..SLOT_AT_FP).contains(&slot);
    fits.then_some(slot << 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_rules_keep_what_they_were_made_of() {
        let rule = Rule::plain(true, 16, SavedFp::BelowCfa(2)).expect("fits");
        assert!(rule.is_plain() && rule.is_from_fp() && !rule.keeps_fp());
        assert_eq!((rule.cfa_offset(), rule.fp_slot()), (16, 16));
        let rule = Rule::plain(false, 8 * 0xffff, SavedFp::Same).expect("fits");
        assert!(rule.is_plain() && !rule.is_from_fp() && rule.keeps_fp());
        assert_eq!((rule.cfa_offset(), rule.fp_slot()), (8 * 0xffff, 8));
    }

    #[test]
    fn refuses_offsets_that_do_not_fit() {
        assert!(Rule::plain(false, 8 * 0x1_0000, SavedFp::Same).is_none());
        assert!(Rule::plain(false, 12, SavedFp::Same).is_none());
        assert!(Rule::plain(true, -8, SavedFp::Same).is_none());
        assert!(Rule::plain(false, 16, SavedFp::BelowCfa(1)).is_none());
        assert!(Rule::plain(false, 16, SavedFp::BelowCfa(0xfff)).is_none());
        assert!(Rule::plain(false, 16, SavedFp::AtFp).is_none());
    }

    #[test]
    fn zero_bits_know_nothing() {
        assert_eq!(Rule::from_bits(0).kind(), Kind::Unknown);
        assert!(!Rule::from_bits(0).is_plain());
    }

    #[test]
    fn realigned_rules_reach_below_fp() {
        let rule = Rule::realigned(-8, SavedFp::AtFp).expect("fits");
        assert_eq!((rule.kind(), rule.cfa_word_offset()), (Kind::Realigned, -8));
        assert!(rule.has_fp_at_fp());
    }
}
