//! The table of programs: name, sizes, and what they need. Their sources are in `go-programs/`, one file each.
//!
//! Called by `main` (which programs) and `toolchain` (how to run them).

use std::path::{Path, PathBuf};

use tachograph_wire::Version;

/// How much is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// Test data.
    Small,
    /// To be recorded fresh.
    Large,
}

/// One row.
#[derive(Debug)]
pub struct Program {
    /// Of the source file and of what is recorded.
    pub name: &'static str,
    /// The argument for [`Size::Small`] and [`Size::Large`].
    pub sizes: (u32, u32),
    /// The generation period of small recordings in nanoseconds, short enough for several generations. 0 is no pause at all.
    pub period_ns: u64,
    /// A further setting of Go's runtime.
    pub setting: &'static str,
    /// Whether it is partly written in C.
    pub needs_c: bool,
    /// Versions that the trace is rewritten to. Each must know all events of the program.
    pub older: &'static [Version],
}

const MS: u64 = 1_000_000;

/// Most programs look like this.
const COMMON: Program = Program {
    name: "",
    sizes: (1, 20),
    period_ns: 2 * MS,
    setting: "",
    needs_c: false,
    older: &[],
};

/// All of them.
#[rustfmt::skip]
pub const PROGRAMS: &[Program] = &[
    Program { name: "channels", sizes: (6, 200), older: &[Version::Go122], ..COMMON },
    Program { name: "http", sizes: (3, 60), older: &[Version::Go122, Version::Go125], ..COMMON },
    Program { name: "locks", sizes: (4, 100), ..COMMON },
    Program { name: "syscalls", sizes: (2, 40), older: &[Version::Go123], ..COMMON },
    Program { name: "callbacks", sizes: (3, 40), needs_c: true, older: &[Version::Go125], ..COMMON },
    Program { name: "iterators", sizes: (6, 200), older: &[Version::Go123], ..COMMON },
    Program { name: "gc", sizes: (1, 15), ..COMMON },
    Program { name: "gomaxprocs", sizes: (1, 20), ..COMMON },
    Program { name: "profile", sizes: (1, 20), period_ns: 20 * MS, ..COMMON },
    Program { name: "flight", sizes: (1, 4), ..COMMON },
    Program { name: "continuous", sizes: (4, 40), period_ns: 0, ..COMMON },
    Program { name: "annotations", sizes: (2, 40), ..COMMON },
    Program { name: "allocfree", setting: "traceallocfree=1", sizes: (1, 20), ..COMMON },
    Program { name: "timers", sizes: (3, 60), ..COMMON },
    Program { name: "startstop", sizes: (3, 60), ..COMMON },
    Program { name: "threads", sizes: (1, 10), ..COMMON },
];

/// The program of this name.
pub fn named(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

/// What is given to the compiler.
pub fn source_files(program: &Program) -> [PathBuf; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("go-programs");
    ["common", program.name].map(|name| folder.join(format!("{name}.go")))
}

impl Program {
    /// The argument for this size.
    pub fn argument(&self, size: Size) -> u32 {
        match size {
            Size::Small => self.sizes.0,
            Size::Large => self.sizes.1,
        }
    }

    /// The value of GODEBUG for this size.
    pub fn settings(&self, size: Size) -> String {
        let mut settings = Vec::new();
        if size == Size::Small || self.period_ns == 0 {
            settings.push(format!("traceadvanceperiod={}", self.period_ns));
        }
        if !self.setting.is_empty() {
            settings.push(self.setting.to_owned());
        }
        settings.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_its_source() {
        for program in PROGRAMS {
            for file in source_files(program) {
                assert!(file.is_file(), "{}", file.display());
            }
        }
    }

    #[test]
    fn large_recordings_keep_the_default_period_unless_there_is_none() {
        assert_eq!(named("channels").unwrap().settings(Size::Large), "");
        let continuous = named("continuous").unwrap();
        assert_eq!(continuous.settings(Size::Large), "traceadvanceperiod=0");
        let allocfree = named("allocfree").unwrap().settings(Size::Small);
        assert_eq!(allocfree, "traceadvanceperiod=2000000,traceallocfree=1");
    }
}
