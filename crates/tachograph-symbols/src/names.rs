//! Names as an image has them to readable names.
//!
//! Owns the demangling rule (Rust names without hash, others as they are) and the choice between the names of one function.
//! Called by `symbolizer`; `lines` gives the names.

use std::borrow::Cow;

/// The name of a function in debug information.
pub(crate) enum Name<'a> {
    Linkage(&'a [u8]),
    /// The name in the source, and what it is in, outermost first: modules and types, as far as they are known.
    Plain {
        scopes: Vec<&'a [u8]>,
        name: &'a [u8],
    },
}

/// How much of a function's path its name has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Path {
    #[default]
    None,
    /// Modules and types.
    Scopes,
    /// All that tells functions apart: a Rust or C++ linkage name.
    Full,
}

impl Name<'_> {
    /// The name to show.
    pub(crate) fn readable(&self) -> Cow<'_, str> {
        match self {
            Self::Linkage(name) => readable(name),
            Self::Plain { scopes, name } if scopes.is_empty() => String::from_utf8_lossy(name),
            Self::Plain { scopes, name } => {
                let parts = scopes.iter().chain([name]);
                let parts: Vec<_> = parts.map(|part| String::from_utf8_lossy(part)).collect();
                Cow::Owned(parts.join("::"))
            }
        }
    }

    pub(crate) fn path(&self) -> Path {
        match self {
            Self::Linkage(name) => Path::of_symbol(name),
            Self::Plain { scopes, .. } if scopes.is_empty() => Path::None,
            Self::Plain { .. } => Path::Scopes,
        }
    }
}

impl Path {
    /// Whether the symbol at the function's address is to be shown instead of a name with this path.
    pub(crate) fn yields_to(self, symbol: &[u8]) -> bool {
        self != Self::Full && self <= Self::of_symbol(symbol)
    }

    fn of_symbol(linkage_name: &[u8]) -> Self {
        match linkage_name {
            [b'_', b'Z' | b'R', ..] => Self::Full,
            _ => Self::None,
        }
    }
}

/// The name to show for a linkage name.
pub(crate) fn readable(linkage_name: &[u8]) -> Cow<'_, str> {
    let name = String::from_utf8_lossy(linkage_name);
    match rustc_demangle::try_demangle(&name) {
        Ok(demangled) => Cow::Owned(format!("{demangled:#}")),
        Err(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_names_lose_their_hash() {
        let legacy = b"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE";
        assert_eq!(readable(legacy), "core::fmt::Formatter::pad");
        assert_eq!(readable(b"_RNvCskwGfYPst2Cb_3foo3bar"), "foo::bar");
    }

    #[test]
    fn plain_name_follows_what_encloses_it() {
        let name = |scopes| Name::Plain {
            scopes,
            name: b"{closure#0}",
        };
        let nested = name(vec![&b"app"[..], b"{impl#3}", b"load"]);
        assert_eq!(nested.readable(), "app::{impl#3}::load::{closure#0}");
        assert_eq!(name(vec![]).readable(), "{closure#0}");
    }

    #[test]
    fn symbol_is_shown_if_it_says_more_than_debug_information() {
        let (mangled, plain) = (b"_RNvC3app4load", b"load");
        let scoped = Name::Plain {
            scopes: vec![b"app"],
            name: plain,
        };
        assert!(scoped.path().yields_to(mangled));
        assert!(!scoped.path().yields_to(plain));
        assert!(Path::None.yields_to(plain));
        assert!(!Name::Linkage(mangled).path().yields_to(mangled));
        assert!(Name::Linkage(plain).path().yields_to(plain));
    }

    #[test]
    fn other_names_stay_as_they_are() {
        assert_eq!(readable(b"qsort"), "qsort");
        assert_eq!(
            readable(b"_ZNSt6vectorIiE4sizeEv"),
            "_ZNSt6vectorIiE4sizeEv"
        );
        assert_eq!(readable(b"a\xffb"), "a\u{fffd}b");
    }
}
