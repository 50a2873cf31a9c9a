//! A thread's cache of string ids by the address of a `'static` text, for the open generation.
//!
//! Direct mapped and overwritten on collision: a miss costs one more string record, never a wrong name. Part of `record::Owner`.

const ENTRIES: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: usize,
    len: usize,
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
                address: 0,
                len: 0,
                generation: 0,
                id: 0,
            }; ENTRIES],
        )
    }

    /// The id of `text` in `generation`, if the thread has written it there.
    #[inline(always)]
    pub(crate) fn find(&self, generation: u64, text: &'static str) -> Option<u64> {
        let entry = &self.0[place(text)];
        (entry.address == text.as_ptr() as usize
            && entry.len == text.len()
            && entry.generation == generation)
            .then_some(entry.id)
    }

    /// Remembers an id.
    pub(crate) fn put(&mut self, generation: u64, text: &'static str, id: u64) {
        self.0[place(text)] = Entry {
            address: text.as_ptr() as usize,
            len: text.len(),
            generation,
            id,
        };
    }
}

#[inline(always)]
fn place(text: &str) -> usize {
    let address = text.as_ptr() as usize;
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
