//! Names that the validator must know later, each kept once.
//!
//! Used by [`validate`](super) for annotation tasks and reasons to stop the world. A program has few names and uses them often, so a name
//! that nobody holds is kept until there are many of those; then a name costs no allocation.

use crate::text::Text;
use std::collections::HashMap;

/// So many names are kept whether they are held or not.
const FREE: usize = 1024;

/// Stands for a name while it is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct NameId(u64);

#[derive(Debug)]
struct Held {
    id: NameId,
    holders: u64,
}

/// The names.
#[derive(Debug, Default)]
pub(super) struct Names {
    held: HashMap<Box<[u8]>, Held, foldhash::fast::FixedState>,
    next: u64,
    /// Length at which to look for names that nobody holds.
    sweep_at: usize,
}

impl Names {
    /// Holds a name once more.
    pub fn hold(&mut self, text: Text<'_>) -> NameId {
        if let Some(held) = self.held.get_mut(text.as_bytes()) {
            held.holders += 1;
            return held.id;
        }
        if self.held.len() >= self.sweep_at.max(FREE) {
            self.held.retain(|_, held| held.holders > 0);
            self.sweep_at = self.held.len() * 2;
        }
        let id = NameId(self.next);
        self.next += 1;
        self.held
            .insert(text.as_bytes().into(), Held { id, holders: 1 });
        id
    }

    /// What a name is, if it is held.
    pub fn find(&self, text: Text<'_>) -> Option<NameId> {
        Some(self.held.get(text.as_bytes())?.id)
    }

    /// Holds a name once less.
    pub fn release(&mut self, text: Text<'_>) {
        if let Some(held) = self.held.get_mut(text.as_bytes()) {
            held.holders = held.holders.saturating_sub(1);
        }
    }

    /// The same, if only its id is known. Looks at all of them; for what goes wrong.
    pub fn release_id(&mut self, id: NameId) {
        if let Some(held) = self.held.values_mut().find(|held| held.id == id) {
            held.holders = held.holders.saturating_sub(1);
        }
    }

    /// What a name says. Looks at all of them; for messages.
    pub fn text(&self, id: NameId) -> String {
        let mut all = self.held.iter();
        let found = all.find(|(_, held)| held.id == id);
        found.map_or_else(String::new, |(text, _)| Text::new(text).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_names_that_nobody_holds() {
        let mut names = Names::default();
        let kept = names.hold(Text::new(b"kept"));
        for i in 0..10 * FREE {
            let text = i.to_string();
            names.hold(Text::new(text.as_bytes()));
            names.release(Text::new(text.as_bytes()));
        }
        assert!(names.held.len() <= FREE);
        assert_eq!(names.hold(Text::new(b"kept")), kept);
        assert_eq!(names.text(kept), "kept");
    }

    #[test]
    fn keeps_all_that_are_held() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..3 * FREE).map(|i| i.to_string()).collect();
        let ids: Vec<NameId> = texts
            .iter()
            .map(|text| names.hold(Text::new(text.as_bytes())))
            .collect();
        for (text, id) in texts.iter().zip(ids) {
            assert_eq!(names.find(Text::new(text.as_bytes())), Some(id));
        }
    }
}
