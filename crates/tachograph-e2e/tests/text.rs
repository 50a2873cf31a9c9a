//! Our text of a trace is Go's, byte for byte: `go tool trace -d=wire` prints the same, and Go quotes and unquotes the same.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tachograph::Recorder;
use tachograph_e2e::check;
use tachograph_e2e::go::{self, Go, GoError};
use tachograph_e2e::load::annotate_round;
use tachograph_e2e::record::{record, turn};
use tachograph_e2e::report::say;
use tachograph_text::{Quoted, WireReader, unquote, wire, write_wire};
use tachograph_wire::event::Trailer;
use tachograph_wire::{EventKind, Version, varint};

/// What we print, and whether to the end.
fn ours(bytes: &[u8]) -> (String, bool) {
    let mut text = Vec::new();
    let trace = WireReader::new(bytes).expect("a header of ours");
    let whole = write_wire(trace, &mut text).is_ok();
    (String::from_utf8(text).expect("text"), whole)
}

#[track_caller]
fn same_as_go(go: &Go, name: &str, bytes: &[u8]) {
    let path = check::store(name, bytes);
    let theirs = go.wire(&path);
    fs::remove_file(path).ok();
    let theirs = theirs.unwrap_or_else(|error| panic!("{name}: {error}"));
    let (ours, whole) = ours(bytes);
    assert!(whole, "{name}");
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}, line {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{name}");
    say(format!("{name}: {} lines as Go's", ours.lines().count()));
}

/// A fixed sequence that looks random.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 29
    }

    /// Of any size, small ones as often as large ones.
    fn number(&mut self) -> u64 {
        let bits = self.next() % 65;
        self.next().checked_shr(64 - bits as u32).unwrap_or(0)
    }

    /// Bytes, half of them within characters of one to four bytes.
    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.next() % 40 {
            match self.next() % 4 {
                0 => bytes.push(self.next() as u8),
                1 => bytes.push(b' ' + (self.next() % 95) as u8),
                _ => {
                    let code = (self.next() as u32) >> (11 + self.next() % 14);
                    let character = char::from_u32(code).unwrap_or('\\');
                    bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        bytes
    }
}

/// Every event that the version lists, many times over, with any numbers.
fn every_event(version: Version, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = version.header().to_vec();
    let listed = EventKind::ALL
        .iter()
        .filter(|kind| wire::lists(version, **kind));
    for kind in listed.cycle().take(3000) {
        bytes.push(kind.code());
        let spec = kind.spec();
        let frames = numbers.next() % 5;
        for (place, _) in spec.args.iter().enumerate() {
            let is_count = spec.trailer == Trailer::Frames && place + 1 == spec.args.len();
            let value = if is_count { frames } else { numbers.number() };
            varint::encode(value, &mut bytes);
        }
        match spec.trailer {
            Trailer::None => {}
            Trailer::Frames => {
                (0..frames * 4).for_each(|_| varint::encode(numbers.number(), &mut bytes));
            }
            Trailer::Bytes => {
                let data = numbers.bytes();
                varint::encode(data.len() as u64, &mut bytes);
                bytes.extend(data);
            }
        }
    }
    bytes
}

#[test]
fn every_event_of_every_version_reads_as_in_go() {
    let Some(go) = go::require_or_skip("every_event_of_every_version_reads_as_in_go") else {
        return;
    };
    let mut numbers = Numbers(1);
    for version in Version::ALL {
        let name = format!("wire-{}", version.minor());
        same_as_go(&go, &name, &every_event(version, &mut numbers));
    }
}

#[test]
fn our_own_recordings_read_as_in_go() {
    let Some(go) = go::require_or_skip("our_own_recordings_read_as_in_go") else {
        return;
    };
    let _turn = turn();
    let ((), recorded) = record("wire-own", Recorder::new(), || {
        (0..2000).for_each(|round| {
            annotate_round(round);
        });
    });
    same_as_go(&go, "wire-own", &recorded.bytes);
}

#[test]
fn both_stop_at_a_code_of_a_later_version() {
    let Some(go) = go::require_or_skip("both_stop_at_a_code_of_a_later_version") else {
        return;
    };
    for (version, code) in [
        (Version::Go122, 45),
        (Version::Go123, 50),
        (Version::Go123, 128),
        (Version::Go125, 52),
        (Version::Go126, 137),
        (Version::Go126, 0),
    ] {
        let mut bytes = version.header().to_vec();
        bytes.extend([11, 5, code, 0, 0, 0, 0]);
        let path = check::store(&format!("wire-{}-{code}", version.minor()), &bytes);
        assert!(
            matches!(go.wire(&path), Err(GoError::Command { .. })),
            "{version}: {code}"
        );
        fs::remove_file(path).ok();
        assert_eq!(
            ours(&bytes),
            ("ProcStop dt=5\n".to_owned(), false),
            "{version}: {code}"
        );
    }
}

/// Reads lines `q HEX` and `u HEX`; prints what it has of Unicode, then each quoted or unquoted, or `error`.
const QUOTER: &str = r#"package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"unicode"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, unicode.Version)
	for in.Scan() {
		text, err := hex.DecodeString(in.Text()[2:])
		if err != nil {
			panic(err)
		}
		if in.Text()[0] == 'q' {
			fmt.Fprintln(out, strconv.Quote(string(text)))
		} else if bytes, err := strconv.Unquote(string(text)); err != nil {
			fmt.Fprintln(out, "error")
		} else {
			fmt.Fprintln(out, hex.EncodeToString([]byte(bytes)))
		}
	}
}
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Text that is nearly a quoted string.
fn nearly_quoted(numbers: &mut Numbers) -> String {
    const PARTS: [&str; 24] = [
        "\\",
        "\"",
        "`",
        "'",
        "a",
        "n",
        "x",
        "u",
        "U",
        "0",
        "3",
        "7",
        "f",
        "8",
        "\r",
        "\n",
        "\\x4",
        "\\u00e",
        "\\U0001",
        "\u{e9}",
        "\u{1f980}",
        " ",
        "\\\"",
        "\\377",
    ];
    let part = |numbers: &mut Numbers| PARTS[numbers.next() as usize % PARTS.len()];
    let inner: String = (0..numbers.next() % 6).map(|_| part(numbers)).collect();
    match numbers.next() % 4 {
        0 => inner,
        1 => format!("`{inner}`"),
        _ => format!("\"{inner}\""),
    }
}

/// Go also takes a character between single quotes, which no trace has.
fn unquoted(text: &str) -> String {
    unquote(text).map_or("error".to_owned(), |bytes| hex(&bytes))
}

#[test]
fn go_quotes_and_unquotes_the_same() {
    if go::require_or_skip("go_quotes_and_unquotes_the_same").is_none() {
        return;
    }
    let mut numbers = Numbers(7);
    // Every character there is, in strings of 256; then bytes of all kinds.
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let characters: Vec<String> = all
        .chunks(256)
        .map(|chunk| chunk.iter().collect())
        .collect();
    let bytes: Vec<Vec<u8>> = (0..20_000).map(|_| numbers.bytes()).collect();
    let texts: Vec<String> = (0..60_000)
        .map(|_| nearly_quoted(&mut numbers))
        .filter(|text| !text.starts_with('\''))
        .collect();

    let mut asked = String::new();
    for text in characters
        .iter()
        .map(String::as_bytes)
        .chain(bytes.iter().map(Vec::as_slice))
    {
        writeln!(asked, "q {}", hex(text)).ok();
    }
    for text in &texts {
        writeln!(asked, "u {}", hex(text.as_bytes())).ok();
    }
    let answers = ask_go(&asked);
    let mut answers = answers.lines();
    let unicode = answers.next();
    for text in &characters {
        let theirs = answers.next();
        // Another Unicode has other characters.
        if unicode == Some("17.0.0") {
            assert_eq!(theirs, Some(Quoted(text.as_bytes()).to_string().as_str()));
        }
    }
    for text in &bytes {
        let ours = Quoted(text).to_string();
        let theirs = answers.next().expect("an answer to each question");
        assert!(
            ours == theirs || unicode != Some("17.0.0"),
            "{ours} {theirs}"
        );
    }
    for text in &texts {
        assert_eq!(Some(unquoted(text).as_str()), answers.next(), "{text}");
    }
    let good = texts.iter().filter(|text| unquote(text).is_ok()).count();
    say(format!(
        "{} texts, {good} of them quoted ones, as in Go",
        texts.len()
    ));
    assert!(good > 1000 && texts.len() - good > 1000);
}

fn ask_go(questions: &str) -> String {
    let folder = std::env::temp_dir().join(format!("tachograph-quoter-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    let (source, input) = (folder.join("main.go"), folder.join("questions"));
    fs::write(&source, QUOTER).expect("the program");
    fs::write(&input, questions).expect("its input");
    let output = Command::new("go")
        .args(["run".as_ref(), source.as_os_str()])
        .envs([("GOFLAGS", ""), ("GOTOOLCHAIN", "local"), ("GOWORK", "off")])
        .stdin(fs::File::open(&input).expect("its input"))
        .output()
        .expect("go run");
    fs::remove_dir_all(&folder).ok();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).expect("quoted text is UTF-8")
}
