//! Which ranges are going on, as far as delivered events tell.
//!
//! Used by [`validate`](super) alone.

use super::names::{NameId, Names};
use crate::event::{Range, RangeName, Resource};
use std::collections::{HashMap, HashSet};

/// A name of a range as a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    Mark,
    Sweep,
    Assist,
    Stop(NameId),
}

/// The ranges that are going on.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    open: HashSet<(Option<Resource>, Key), foldhash::fast::FixedState>,
    counts: HashMap<Option<Resource>, u32, foldhash::fast::FixedState>,
}

impl Ranges {
    /// Whether it was not going on.
    pub fn begin(&mut self, range: &Range<'_>, names: &mut Names) -> bool {
        let key = match range.name {
            RangeName::StopTheWorld(reason) => Key::Stop(names.hold(reason)),
            name => key(name, names).unwrap_or(Key::Mark),
        };
        let is_new = self.open.insert((range.scope, key));
        if is_new {
            *self.counts.entry(range.scope).or_default() += 1;
        } else {
            release(range.name, names);
        }
        is_new
    }

    /// Whether it was going on.
    pub fn end(&mut self, range: &Range<'_>, names: &mut Names) -> bool {
        let was_open =
            key(range.name, names).is_some_and(|key| self.open.remove(&(range.scope, key)));
        if was_open {
            release(range.name, names);
            if let Some(count) = self.counts.get_mut(&range.scope) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&range.scope);
                }
            }
        }
        was_open
    }

    /// How many are going on of this resource.
    pub fn count(&self, scope: Resource) -> u32 {
        if self.counts.is_empty() {
            return 0;
        }
        self.counts.get(&Some(scope)).copied().unwrap_or(0)
    }
}

fn key(name: RangeName<'_>, names: &Names) -> Option<Key> {
    Some(match name {
        RangeName::GcMark => Key::Mark,
        RangeName::GcSweep => Key::Sweep,
        RangeName::GcMarkAssist => Key::Assist,
        RangeName::StopTheWorld(reason) => Key::Stop(names.find(reason)?),
    })
}

fn release(name: RangeName<'_>, names: &mut Names) {
    if let RangeName::StopTheWorld(reason) = name {
        names.release(reason);
    }
}
