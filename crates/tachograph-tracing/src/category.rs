//! Names of events: `INFO app::db`.
//!
//! Owns one text for each pair of level and target, kept for good as callsites are, so that the recorder writes it once a generation and
//! not with each event.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use tracing_core::Metadata;

/// The target of events that came through the `log` crate, whatever their own.
const LOG: &str = "log";

const REMEMBERED: usize = 32;

type Named = (&'static Metadata<'static>, &'static str);

static ALL: Mutex<BTreeMap<(&'static str, &'static str), &'static str>> =
    Mutex::new(BTreeMap::new());

thread_local! {
    /// Direct mapped and overwritten on collision.
    static SEEN: RefCell<[Option<Named>; REMEMBERED]> = const { RefCell::new([None; REMEMBERED]) };
}

/// What an event is logged under. `log_target` is the target of one that came through the `log` crate.
pub(crate) fn of(
    metadata: &'static Metadata<'static>,
    log_target: Option<&str>,
) -> Cow<'static, str> {
    if let Some(target) = log_target
        && metadata.target() == LOG
    {
        return format!("{} {target}", metadata.level()).into();
    }
    remembered(metadata)
        .unwrap_or_else(|| named(metadata))
        .into()
}

/// `None` where the thread can't remember: it has run its last destructors, or a traced allocator comes back here.
fn remembered(metadata: &'static Metadata<'static>) -> Option<&'static str> {
    let address = ptr::from_ref(metadata) as usize;
    let place = ((address >> 4) ^ (address >> 9)) % REMEMBERED;
    let found = SEEN.try_with(|seen| {
        let mut seen = seen.try_borrow_mut().ok()?;
        let entry = &mut seen[place];
        match entry {
            Some((same, name)) if ptr::eq(*same, metadata) => Some(*name),
            _ => {
                let name = named(metadata);
                *entry = Some((metadata, name));
                Some(name)
            }
        }
    });
    found.ok().flatten()
}

#[cold]
fn named(metadata: &'static Metadata<'static>) -> &'static str {
    let key = (metadata.level().as_str(), metadata.target());
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(key)
        .or_insert_with(|| format!("{} {}", key.0, key.1).leak())
}
