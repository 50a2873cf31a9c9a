//! A thread's cache of string ids by the address of a `'static` text, for the open generation.
//!
//! Direct mapped and overwritten on collision: a miss costs one more string record, never a wrong name. Part of `record::Owner`.

const ENTRIES: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where a text is and how long it is.
    key: (usize, usize),
    generation: u64,
    id: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct NameCache([Entry; ENTRIES]);

impl NameCache {
    pub(crate) const fn new() -> Self {
        Self(
            [Entry {
                key: (0, 0),
                generation: 0,
                id: 0,
            }; ENTRIES],
        )
    }

    /// The id of `text` in `generation`, if the thread has written it there.
    #[inline(always)]
    pub(crate) fn find(&self, generation: u64, text: &'static str) -> Option<u64> {
        self.find_key(generation, (text.as_ptr() as usize, text.len()))
    }

    /// Remembers an id.
    pub(crate) fn put(&mut self, generation: u64, text: &'static str, id: u64) {
        self.put_key(generation, (text.as_ptr() as usize, text.len()), id);
    }

    /// As `find`, for a text that two numbers stand for: any two that are never those of another text.
    #[inline(always)]
    pub(crate) fn find_key(&self, generation: u64, key: (usize, usize)) -> Option<u64> {
        let entry = &self.0[place(key.0)];
        (entry.key == key && entry.generation == generation).then_some(entry.id)
    }

    /// As `put`.
    pub(crate) fn put_key(&mut self, generation: u64, key: (usize, usize), id: u64) {
        self.0[place(key.0)] = Entry {
            key,
            generation,
            id,
        };
    }
}

#[inline(always)]
fn place(address: usize) -> usize {
    (address ^ (address >> 7)) % ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_names_of_other_generations() {
        let mut cache = NameCache::new();
        cache.put(4, "parse", 9);
        assert_eq!(cache.find(4, "parse"), Some(9));
        assert_eq!(cache.find(5, "parse"), None);
    }

    #[test]
    fn tells_a_prefix_from_the_whole() {
        let whole = "parse_all";
        let mut cache = NameCache::new();
        cache.put(4, whole, 9);
        assert_eq!(cache.find(4, &whole[..5]), None);
    }
}
