//! Finds the name in a future that somebody else wraps: `spawn(future.traced("name"))` is one task of that name.
//!
//! A function that takes any future can't ask for what only ours has. But the type of every `Traced` that was ever made is known here,
//! and all of them begin with the same head.

use std::any::{TypeId, type_name};
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use crate::task::given;
use crate::traced::Head;
use tachograph_recorder::runtime::TaskName;

/// The types of traced futures, without their lifetimes.
static TYPES: RwLock<Option<HashSet<TypeId>>> = RwLock::new(None);

/// Makes a type of `Traced` known. Some 20 ns.
pub(crate) fn register<T>() {
    let id = typeid::of::<T>();
    if !is_known(id) {
        let mut types = TYPES.write().unwrap_or_else(PoisonError::into_inner);
        types.get_or_insert_default().insert(id);
    }
}

fn is_known(id: TypeId) -> bool {
    let types = TYPES.read().unwrap_or_else(PoisonError::into_inner);
    types.as_ref().is_some_and(|types| types.contains(&id))
}

/// The name of a future that is a `Traced` and has not been polled. It then leaves all tracing to its task.
#[inline(always)]
pub(crate) fn take<F>(future: &mut F) -> Option<TaskName> {
    // Known when this is compiled: other futures are not asked.
    match type_name::<F>().starts_with(PREFIX) {
        true => take_known(future),
        false => None,
    }
}

const PREFIX: &str = "tachograph_tokio::traced::Traced<";

#[expect(unsafe_code, reason = "a cast that the types' registry vouches for")]
fn take_known<F>(future: &mut F) -> Option<TaskName> {
    if !is_known(typeid::of::<F>()) {
        return None;
    }
    // SAFETY: `F` is, but for lifetimes, a type that `register` was called with: a `Traced` of this very crate, which is `repr(C)` and begins
    // with its head.
    let head = unsafe { &mut *std::ptr::from_mut(future).cast::<Head>() };
    head.give_name().map(given)
}
