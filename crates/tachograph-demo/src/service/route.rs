//! What the service answers.
//!
//! Owns the table of routes: paths, names in the trace, how often clients ask. Both sides read it, and who prints a report.

use std::fmt;

/// A route of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Behind one lock.
    Cache,
    /// Over a channel to a worker and back.
    Queue,
    /// A pause, with a limit.
    Timer,
    /// Disk on a blocking thread.
    Blocking,
    /// Disk on the worker itself, which gives its place away meanwhile.
    InPlace,
    /// Computes.
    Cpu,
    /// Stops its worker.
    Stall,
}

/// One row of the table.
struct Row {
    route: Route,
    path: &'static str,
    task: &'static str,
    about: &'static str,
    /// Of all requests together, how many are for this route.
    weight: u32,
}

/// In the order of the variants.
const TABLE: [Row; 7] = [
    Row {
        route: Route::Cache,
        path: "/cache",
        task: "GET /cache",
        about: "one lock for all entries, held while a missing one is fetched",
        weight: 420,
    },
    Row {
        route: Route::Queue,
        path: "/queue",
        task: "GET /queue",
        about: "through a channel to one worker, and back",
        weight: 280,
    },
    Row {
        route: Route::Timer,
        path: "/timer",
        task: "GET /timer",
        about: "sleeps 1 to 5 ms, or far longer; gives up after 10",
        weight: 140,
    },
    Row {
        route: Route::Blocking,
        path: "/blocking",
        task: "GET /blocking",
        about: "reads and hashes a file's chunk on a blocking thread",
        weight: 80,
    },
    Row {
        route: Route::InPlace,
        path: "/in-place",
        task: "GET /in-place",
        about: "the same on the worker, which hands its place over",
        weight: 40,
    },
    Row {
        route: Route::Cpu,
        path: "/cpu",
        task: "GET /cpu",
        about: "compresses, in two tasks",
        weight: 38,
    },
    Row {
        route: Route::Stall,
        path: "/stall",
        task: "GET /stall",
        about: "holds a std lock and sleeps 20 ms on the worker: a mistake",
        weight: 2,
    },
];

impl Route {
    /// All routes.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::Cache; TABLE.len()];
        let mut index = 0;
        while index < TABLE.len() {
            all[index] = TABLE[index].route;
            index += 1;
        }
        all
    };

    /// The route that a request's path belongs to.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let first = path.strip_prefix('/')?.split('/').next()?;
        let found = TABLE.iter().find(|row| &row.path[1..] == first)?;
        Some(found.route)
    }

    /// Where it is among [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its path; the id of a request follows.
    #[must_use]
    pub fn path(self) -> &'static str {
        self.row().path
    }

    /// What a request is called in the trace.
    #[must_use]
    pub fn task(self) -> &'static str {
        self.row().task
    }

    /// What it does.
    #[must_use]
    pub fn about(self) -> &'static str {
        self.row().about
    }

    /// Whether the service may give up on a request, and say so.
    #[must_use]
    pub fn may_be_late(self) -> bool {
        self == Self::Timer
    }

    /// How many of all requests are for this route.
    pub(super) fn weight(self) -> u32 {
        self.row().weight
    }

    fn row(self) -> &'static Row {
        &TABLE[self.index()]
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_variants() {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route.index(), index);
            assert!(route.weight() > 0, "{route} is never asked for");
            assert_eq!(route.task(), format!("GET {route}"));
        }
    }

    #[test]
    fn paths_with_and_without_an_id_find_their_route() {
        for route in Route::ALL {
            assert_eq!(Route::of_path(route.path()), Some(route));
            assert_eq!(Route::of_path(&format!("{route}/17")), Some(route));
        }
        for path in ["", "/", "/cached/1", "cache/1", "/x/cache"] {
            assert_eq!(Route::of_path(path), None, "{path:?}");
        }
    }
}
