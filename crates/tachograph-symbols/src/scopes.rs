//! What encloses the functions of one unit: namespaces and types, which make a plain name a path.
//!
//! Owns the scopes that hold a function without linkage name, 24 bytes each. They are few: rustc gives a linkage name to all
//! functions that it puts in namespaces, but for `no_mangle` ones. Built by `unit`, asked by `lines`.

use gimli::{Abbreviation, UnitOffset, UnitRef};

use crate::lines::Slice;

/// The scopes of one unit.
#[derive(Default)]
pub(crate) struct Scopes {
    /// By begin, so a scope comes after those around it.
    scopes: Box<[Scope]>,
}

/// Collects scopes while all entries of a unit go by in order.
#[derive(Default)]
pub(crate) struct ScopesBuilder {
    kept: Vec<Scope>,
    /// The scopes around the current entry, outermost first.
    open: Vec<OpenScope>,
}

#[derive(Debug, Clone, Copy)]
struct Scope {
    begin: usize,
    /// At or after the last entry inside.
    end: usize,
    parent: Option<u32>,
}

struct OpenScope {
    begin: usize,
    depth: isize,
    /// Place in `ScopesBuilder::kept`.
    kept: Option<u32>,
}

impl Scopes {
    /// Names of the scopes around an entry, outermost first; those without a name are left out.
    pub(crate) fn around(&self, unit: UnitRef<'_, Slice>, entry: UnitOffset) -> Vec<Slice> {
        let mut names = Vec::new();
        let after = self.scopes.partition_point(|scope| scope.begin < entry.0);
        let mut next = after.checked_sub(1);
        while let Some(scope) = next.and_then(|at| self.scopes.get(at)) {
            if entry.0 < scope.end {
                names.extend(name_of(unit, UnitOffset(scope.begin)));
            }
            next = scope.parent.map(|parent| parent as usize);
        }
        names.reverse();
        names
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.scopes)
    }
}

impl ScopesBuilder {
    /// Takes notice of an entry of any kind.
    pub(crate) fn pass(&mut self, entry: UnitOffset, depth: isize, abbreviation: &Abbreviation) {
        while let Some(scope) = self.open.pop_if(|scope| scope.depth >= depth) {
            if let Some(kept) = scope.kept {
                self.kept[kept as usize].end = entry.0;
            }
        }
        if abbreviation.has_children() && is_scope(abbreviation.tag()) {
            self.open.push(OpenScope {
                begin: entry.0,
                depth,
                kept: None,
            });
        }
    }

    /// Keeps all scopes around the entry passed last.
    pub(crate) fn keep(&mut self) {
        let mut parent = None;
        for scope in &mut self.open {
            if scope.kept.is_none() {
                scope.kept = u32::try_from(self.kept.len()).ok();
                self.kept.push(Scope {
                    begin: scope.begin,
                    end: usize::MAX,
                    parent,
                });
            }
            parent = scope.kept;
        }
    }

    pub(crate) fn finish(self) -> Scopes {
        Scopes {
            scopes: self.kept.into_boxed_slice(),
        }
    }
}

fn is_scope(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
    )
}

fn name_of(unit: UnitRef<'_, Slice>, entry: UnitOffset) -> Option<Slice> {
    let mut entries = unit.entries_raw(Some(entry)).ok()?;
    let abbreviation = entries.read_abbreviation().ok()??;
    for specification in abbreviation.attributes() {
        let attribute = entries.read_attribute(*specification).ok()?;
        if attribute.name() == gimli::DW_AT_name {
            return unit.attr_string(attribute.value()).ok();
        }
    }
    None
}
