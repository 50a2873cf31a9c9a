//! Text and bytes say the same, for every event of every version, and nothing breaks either way.

use proptest::prelude::*;
use tachograph_text::{Golden, WireReader, decode, encode, resize, wire, write_wire};
use tachograph_wire::event::Trailer;
use tachograph_wire::{EventKind, Version, varint};

/// Numbers whose forms differ in length.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..200,
        any::<u64>(),
        Just(u64::MAX),
        (0u32..64).prop_map(|bit| 1 << bit)
    ]
}

/// The shortest bytes of one item.
fn item(kind: EventKind) -> impl Strategy<Value = Vec<u8>> {
    let count = kind.spec().args.len();
    let numbers = proptest::collection::vec(number(), count);
    let frames = proptest::collection::vec(number(), 0..6).prop_map(|f| [&f[..]; 4].concat());
    let data = proptest::collection::vec(any::<u8>(), 0..40);
    (numbers, frames, data).prop_map(move |(mut numbers, frames, data)| {
        let trailer = kind.spec().trailer;
        if trailer == Trailer::Frames {
            numbers[count - 1] = frames.len() as u64 / 4;
            numbers.extend(frames);
        }
        let mut bytes = vec![kind.code()];
        numbers
            .iter()
            .for_each(|value| varint::encode(*value, &mut bytes));
        if trailer == Trailer::Bytes {
            varint::encode(data.len() as u64, &mut bytes);
            bytes.extend(data);
        }
        bytes
    })
}

fn listed(version: Version) -> Vec<EventKind> {
    let kinds = EventKind::ALL.iter().copied();
    kinds.filter(|kind| wire::lists(version, *kind)).collect()
}

#[test]
fn every_event_of_every_version_comes_back() {
    let mut runner = proptest::test_runner::TestRunner::default();
    for version in Version::ALL {
        let mut seen = 0;
        for kind in listed(version) {
            seen += 1;
            let items = proptest::collection::vec(item(kind), 1..4);
            let claim = runner.run(&items, |items| {
                let bytes = [&version.header()[..], &items.concat()].concat();
                let text = decode(&bytes).unwrap();
                let lines = text.lines().filter(|line| line.starts_with(kind.name()));
                prop_assert_eq!(lines.count(), items.len());
                prop_assert_eq!(encode(&text).unwrap(), bytes);
                prop_assert!(resize(&text).is_ok());
                Ok(())
            });
            claim.unwrap();
        }
        assert_eq!(
            seen,
            [44, 49, 51, 61][Version::ALL.iter().position(|v| *v == version).unwrap()]
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_lines_or_an_error(
        minor in prop_oneof![Just(22u8), Just(23), Just(25), Just(26)],
        bytes in proptest::collection::vec(prop_oneof![0u8..60, any::<u8>()], 0..300),
    ) {
        let version = Version::from_minor(minor).unwrap();
        let bytes = [&version.header()[..], &bytes].concat();
        let mut out = Vec::new();
        let whole = write_wire(WireReader::new(&bytes[..]).unwrap(), &mut out).is_ok();
        prop_assert_eq!(decode(&bytes).is_ok(), whole);
        prop_assert!(out.is_empty() || out.ends_with(b"\n"));
        if let Ok(text) = decode(&bytes) {
            // Longer forms of numbers become the shortest; the text stays.
            prop_assert_eq!(decode(&encode(&text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn any_text_ends_in_bytes_or_an_error(lines in proptest::collection::vec("[ -~\n]{0,40}", 0..8), text: String) {
        let under_header = format!("Trace Go1.26\n{}", lines.join("\n"));
        for text in [&under_header, &text] {
            let _ = (encode(text).is_ok(), resize(text).is_ok());
            let golden = format!("-- expect --\nSUCCESS\n-- trace --\n{text}\n-- bytes --\n{text}");
            let _ = Golden::parse(golden.as_bytes()).map(|golden| golden.to_trace().unwrap());
            let _ = (Golden::is_golden(text.as_bytes()), tachograph_text::unquote(text).is_ok());
        }
    }
}
