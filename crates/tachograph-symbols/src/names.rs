//! Symbol names to readable names.
//!
//! Owns the demangling rule: Rust names without hash, others as they are. Called by `symbolizer`.

use std::borrow::Cow;

/// The name to show for a linkage name.
pub(crate) fn readable(linkage_name: &[u8]) -> Cow<'_, str> {
    let name = String::from_utf8_lossy(linkage_name);
    match rustc_demangle::try_demangle(&name) {
        Ok(demangled) => Cow::Owned(format!("{demangled:#}")),
        Err(_) => name,
    }
}

/// Whether the name carries its full path: a Rust or C++ linkage name.
pub(crate) fn is_mangled(linkage_name: &[u8]) -> bool {
    [&b"_ZN"[..], b"_R", b"_Z"]
        .iter()
        .any(|prefix| linkage_name.starts_with(prefix))
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
    fn other_names_stay_as_they_are() {
        assert_eq!(readable(b"qsort"), "qsort");
        assert_eq!(
            readable(b"_ZNSt6vectorIiE4sizeEv"),
            "_ZNSt6vectorIiE4sizeEv"
        );
        assert_eq!(readable(b"a\xffb"), "a\u{fffd}b");
    }
}
