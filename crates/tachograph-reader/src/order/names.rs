//! Names that outlive the generation in which they were defined.
//!
//! String ids are worth nothing in the next generation, but a region, an annotation task or a stop of the world may end there.

use crate::generation::Generation;
use crate::text::Text;
use std::collections::HashMap;
use tachograph_wire::StringId;

/// A name that something open holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Name {
    /// A string of the current generation.
    Defined(StringId),
    /// A name that the current generation carries.
    Carried(u64),
}

impl Name {
    /// What it says.
    pub fn text(self, generation: &Generation) -> Text<'_> {
        match self {
            Self::Defined(id) => generation.string(id),
            Self::Carried(index) => generation.carried(index),
        }
    }

    /// The number for a record, and whether it is a carried one.
    pub fn to_record(self) -> (u64, bool) {
        match self {
            Self::Defined(id) => (id.0, false),
            Self::Carried(index) => (index, true),
        }
    }

    /// Whether both say the same.
    pub fn says(self, other: Self, generation: &Generation) -> bool {
        self == other || self.text(generation) == other.text(generation)
    }

    /// Whether both may say the same: in a generation that is cut off, a name that is missing may say anything.
    pub fn may_say(self, other: Self, generation: &Generation) -> bool {
        let is_missing = |name| match name {
            Self::Defined(id) => !generation.strings.has(id.0),
            Self::Carried(_) => false,
        };
        self.says(other, generation) || is_missing(self) || is_missing(other)
    }
}

/// Takes names from one generation to the next, each once.
pub(crate) struct Carrier<'a> {
    old: &'a Generation,
    carried: Vec<Box<[u8]>>,
    taken: HashMap<Name, u64, foldhash::fast::FixedState>,
}

impl<'a> Carrier<'a> {
    pub fn new(old: &'a Generation) -> Self {
        Self {
            old,
            carried: Vec::new(),
            taken: HashMap::default(),
        }
    }

    /// Makes the name one of the next generation.
    pub fn carry(&mut self, name: &mut Name) {
        let (old, carried) = (self.old, &mut self.carried);
        let index = *self.taken.entry(*name).or_insert_with(|| {
            carried.push(name.text(old).as_bytes().into());
            carried.len() as u64 - 1
        });
        *name = Name::Carried(index);
    }

    /// Hands all that was taken to the next generation.
    pub fn hand_to(self, next: &Generation) {
        next.carry(self.carried);
    }
}
