//! `tacho dump` prints what Go prints: for the recorded traces of Go programs in `testdata/go`, without Go.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

mod texts;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/go")
}

/// The names of all recorded traces.
fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).expect("testdata/go is there");
    let mut names: Vec<String> = files
        .filter_map(|file| {
            let name = file.expect("a readable folder").file_name();
            let name = name.to_str()?.strip_suffix(".trace.zst")?;
            Some(name.to_owned())
        })
        .collect();
    names.sort();
    names
}

fn unpacked(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = Vec::new();
    let mut unpacking = ruzstd::decoding::StreamingDecoder::new(file).expect("a zstd file");
    unpacking.read_to_end(&mut text).expect("a whole zstd file");
    text
}

/// All traces in one form; tells every difference, not only the first file's.
fn prints_what_go_prints(format: &str, form: &str) {
    let names = names();
    assert!(names.len() >= 20, "recorded traces: {names:?}");
    let tacho = Path::new(env!("CARGO_BIN_EXE_tacho"));
    let mut differences = Vec::new();
    for name in &names {
        let go = unpacked(&folder().join(format!("{name}.{form}.zst")));
        assert!(!go.is_empty(), "{name}: Go printed nothing");
        let trace = folder().join(format!("{name}.trace.zst"));
        let compared = texts::dump(tacho, format, &trace)
            .and_then(|ours| texts::compare(&format!("{name}, {form}"), &ours, &go));
        differences.extend(compared.err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn ordered_events_read_as_go_prints_them() {
    let (format, form) = texts::FORMS[0];
    prints_what_go_prints(format, form);
}

#[test]
fn records_of_the_file_read_as_go_prints_them() {
    let (format, form) = texts::FORMS[1];
    prints_what_go_prints(format, form);
}

#[test]
fn a_text_with_one_other_line_is_refused() {
    let path = folder().join("profile.parsed.zst");
    let go = unpacked(&path);
    let mut ours = go.clone();
    let last_digit = ours.iter().rposition(u8::is_ascii_digit).expect("a digit");
    ours[last_digit] = if ours[last_digit] == b'1' { b'2' } else { b'1' };
    let refused = texts::compare("profile", &ours, &go).unwrap_err();
    assert!(refused.contains("differs"), "{refused}");
    assert!(texts::compare("profile", &go[..go.len() / 2], &go).is_err());
}

#[test]
fn samples_of_one_time_may_change_places_and_nothing_else_may() {
    let text = |samples: [(&str, u64); 3]| {
        let mut text = "M=1 P=0 G=1 Log Time=4\n".to_owned();
        for (goroutine, time) in samples {
            text += &format!(
                "M=1 P=0 G={goroutine} StackSample Time={time}\nStack=\n\tmain.f @ 0x{goroutine}\n\n"
            );
        }
        text + "M=1 P=0 G=1 Log Time=99\n"
    };
    let compare = |ours: [(&str, u64); 3], go| {
        texts::compare("samples", text(ours).as_bytes(), text(go).as_bytes())
    };
    let go = [("1", 5), ("2", 6), ("3", 7)];
    assert!(compare([("1", 5), ("3", 6), ("2", 7)], go).is_ok());
    assert!(compare([("3", 5), ("2", 6), ("1", 7)], go).is_ok());
    // Another sample, another time.
    assert!(compare([("1", 5), ("4", 6), ("2", 7)], go).is_err());
    assert!(compare([("1", 5), ("3", 6), ("2", 8)], go).is_err());
    // Times that are apart are not equal.
    let apart = [("1", 5), ("2", 9), ("3", 20)];
    assert!(compare([("2", 5), ("1", 9), ("3", 20)], apart).is_err());
}
