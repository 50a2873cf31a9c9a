//! The table of events, over all 256 codes.

use tachograph_wire::event::{ArgKind, EventClass, EventKind, Trailer};
use tachograph_wire::limits::MAX_EVENT_ARGS;
use tachograph_wire::{BatchKind, Version};

fn known_codes() -> impl Iterator<Item = EventKind> {
    (0..=255).filter_map(EventKind::from_code)
}

#[test]
fn assigned_codes_are_those_of_the_format() {
    for code in 0..=255u8 {
        let assigned = matches!(code, 1..=52 | 128..=136);
        assert_eq!(
            EventKind::from_code(code).is_some(),
            assigned,
            "code {code}"
        );
        assert_eq!(
            EventKind::from_code(code).map(EventKind::code),
            assigned.then_some(code)
        );
    }
    assert!(known_codes().eq(EventKind::ALL.iter().copied()));
}

#[test]
fn timed_codes_are_those_of_the_format() {
    for code in 0..=255u8 {
        let timed = matches!(code, 9..=48 | 128..=136);
        let expected = EventKind::from_code(code)
            .filter(|_| timed)
            .map(|kind| (kind, kind.arity()));
        assert_eq!(EventKind::timed_from_code(code), expected, "code {code}");
    }
}

#[test]
fn every_event_has_its_own_name() {
    for kind in known_codes() {
        assert_eq!(kind.spec().code, kind.code());
        assert_eq!(EventKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(EventKind::from_name(""), None);
}

#[test]
fn timed_events_begin_with_a_delta_and_have_at_most_four_arguments() {
    for kind in known_codes() {
        let spec = kind.spec();
        let wants_dt = kind.is_timed() || kind == EventKind::ClockSnapshot;
        assert_eq!(spec.has_dt(), wants_dt, "{}", spec.name);
        assert!(
            !kind.is_timed() || kind.arity() <= MAX_EVENT_ARGS,
            "{}",
            spec.name
        );
        assert!(
            spec.args_after_dt()
                .iter()
                .all(|arg| arg.kind != ArgKind::Dt),
            "{}",
            spec.name
        );
    }
}

#[test]
fn only_table_records_and_experiments_carry_data() {
    for kind in known_codes() {
        let expected = match kind {
            EventKind::String | EventKind::ExperimentalBatch => Trailer::Bytes,
            EventKind::Stack => Trailer::Frames,
            _ => Trailer::None,
        };
        assert_eq!(kind.spec().trailer, expected, "{}", kind.name());
    }
}

#[test]
fn names_of_arguments_agree_with_their_kinds() {
    for kind in known_codes().filter(|kind| kind.is_timed()) {
        for arg in kind.spec().args {
            let expected = match arg.name {
                "dt" => ArgKind::Dt,
                "p" => ArgKind::Proc,
                "p_seq" => ArgKind::ProcSeq,
                "g" | "new_g" => ArgKind::Task,
                "g_seq" => ArgKind::TaskSeq,
                "gc_seq" => ArgKind::GcSeq,
                "m" => ArgKind::Thread,
                "pstatus" => ArgKind::ProcStatus,
                "gstatus" => ArgKind::TaskStatus,
                "stack" => ArgKind::Stack,
                "new_stack" => ArgKind::NewStack,
                "task" | "parent_task" => ArgKind::UserTask,
                "id" | "kindclass" | "type" | "order" => ArgKind::Opaque,
                name if name.ends_with("_string") => ArgKind::String,
                name if name.ends_with("_value") => ArgKind::Value,
                name => panic!("{}: unexpected argument {name}", kind.name()),
            };
            assert_eq!(arg.kind, expected, "{} {}", kind.name(), arg.name);
        }
    }
}

#[test]
fn stacks_of_the_context_stand_last() {
    for kind in known_codes().filter(|kind| kind.is_timed()) {
        let last = kind.spec().args.last().map(|arg| arg.kind);
        assert_eq!(
            kind.spec().has_stack(),
            last == Some(ArgKind::Stack),
            "{}",
            kind.name()
        );
    }
}

#[test]
fn experiments_and_only_they_name_their_experiment() {
    for kind in known_codes() {
        let is_experimental = kind.code() >= 128;
        assert_eq!(kind.is_experimental(), is_experimental);
        assert_eq!(
            kind.spec().class == EventClass::Experimental,
            is_experimental
        );
        assert_eq!(kind.spec().experiment, u8::from(is_experimental));
    }
}

#[test]
fn older_versions_are_prefixes() {
    for version in Version::ALL {
        for kind in known_codes() {
            let expected = match kind.code() {
                code @ 0..128 => code <= version.last_code(),
                _ => version >= Version::Go123,
            };
            assert_eq!(version.knows(kind), expected, "{version} {}", kind.name());
        }
    }
}

#[test]
fn first_byte_decides_for_every_code() {
    for code in 0..=255u8 {
        let kind = BatchKind::of(None, &[code], Version::Go126);
        let expected = match code {
            4 => BatchKind::Strings,
            2 => BatchKind::Stacks,
            6 => BatchKind::Samples,
            50 => BatchKind::Sync,
            _ => BatchKind::Events,
        };
        assert_eq!(kind, expected, "code {code}");
    }
}

#[test]
fn format_page_lists_every_event() {
    let page = include_str!("../../../docs/FORMAT.md");
    for kind in known_codes() {
        let spec = kind.spec();
        let args: Vec<_> = spec.args.iter().map(|arg| arg.name).collect();
        let row = format!(
            "| {} | {} | {} | 1.{} |",
            spec.code,
            spec.name,
            args.join(" "),
            spec.since.minor()
        );
        assert!(page.contains(&row), "docs/FORMAT.md lacks the row:\n{row}");
    }
}
