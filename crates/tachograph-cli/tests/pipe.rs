//! A reader of the output that had enough changes no verdict.

mod common;

use common::{Scratch, tacho, text, trace};
use std::process::Stdio;

/// The exit status and what is said on stderr, if nobody reads the output.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = tacho(arguments);
    let output = command.stdout(writer).stderr(Stdio::piped()).output();
    let output = output.unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn an_invalid_trace_is_1_even_if_nobody_reads_why() {
    let scratch = Scratch::new("pipe-bad");
    let [good, cut, broken] = ["good", "cut", "broken"].map(|name| scratch.path(name));
    let whole = trace(2);
    std::fs::write(&good, &whole).unwrap();
    std::fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    std::fs::write(&broken, [&whole[..], &[0]].concat()).unwrap();
    for bad in [&cut, &broken] {
        for arguments in [
            &["check", bad][..],
            &["check", "--json", bad],
            &["check", &good, bad, &good],
            &["stats", bad],
            &["stats", "--json", bad],
            &["dump", bad],
            &["dump", "--format", "json", bad],
            &["dump", "--format", "go", bad],
            &["dump", "--format", "wire", bad],
        ] {
            if arguments.contains(&"wire") && bad == &cut {
                // For Go's wire form the file ends behind a whole record.
                continue;
            }
            let (code, complaint) = unread(arguments);
            assert_eq!(code, Some(1), "{arguments:?}: {complaint}");
        }
    }
}

#[test]
fn files_behind_one_that_cannot_be_read_are_tried_even_if_nobody_reads() {
    let scratch = Scratch::new("pipe-io");
    let [good, cut] = ["good", "cut"].map(|name| scratch.path(name));
    let whole = trace(2);
    std::fs::write(&good, &whole).unwrap();
    std::fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    let (code, complaint) = unread(&["check", "/no/such/1", &cut, &good, "/no/such/2"]);
    assert_eq!(code, Some(2));
    assert!(
        complaint.contains("/no/such/1") && complaint.contains("/no/such/2"),
        "{complaint}"
    );
}

#[test]
fn a_broken_pipe_alone_is_0() {
    let scratch = Scratch::new("pipe-good");
    let path = scratch.path("good");
    std::fs::write(&path, trace(2)).unwrap();
    for arguments in [
        &["check", &path][..],
        &["stats", &path],
        &["dump", &path],
        &["dump", "--format", "wire", &path],
    ] {
        assert_eq!(unread(arguments), (Some(0), String::new()), "{arguments:?}");
    }
}
