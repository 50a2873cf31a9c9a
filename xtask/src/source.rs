//! Takes Rust sources apart just enough to find a word that is code, and not comment or text.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// All `.rs` files below `folder`, sorted; build output and hidden folders left out.
pub fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Failure::io("reading", &folder))? {
            let path = entry.map_err(Failure::io("reading", &folder))?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether `word` stands in the code of this source as a word of its own.
pub fn has_word(source: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code(source)
        .split(|c| !is_part(c))
        .any(|found| found == word)
}

/// The source with every comment, string and character replaced by a space.
fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        match skipped(rest, out.chars().next_back()) {
            0 => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
            length => {
                out.push(' ');
                rest = &rest[length..];
            }
        }
    }
    out
}

/// How many bytes at the start of `rest` are no code; 0 if it starts with code.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if rest.starts_with('"') {
        quoted(rest, 1)
    } else if rest.starts_with('\'') {
        character(rest)
    } else if rest.starts_with('r') && (!in_word || matches!(before, Some('b' | 'c'))) {
        raw_string(rest)
    } else {
        0
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// From `from`, behind the opening quote, to behind the closing one.
fn quoted(rest: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest[from..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return from + at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'x'` and `'\..'` are characters; `'x` without a closing quote is a lifetime, which is code.
fn character(rest: &str) -> usize {
    let inner = &rest[1..];
    if let Some(escape) = inner.strip_prefix('\\') {
        // The character after the backslash may itself be a quote.
        let first = escape.chars().next().map_or(0, char::len_utf8);
        return escape[first..]
            .find('\'')
            .map_or(0, |at| 2 + first + at + 1);
    }
    let first = inner.chars().next().map_or(0, char::len_utf8);
    if inner[first..].starts_with('\'') {
        1 + first + 1
    } else {
        0
    }
}

/// `r".."`, `r#".."#`, ..; `r#name` is code.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let body = &rest[1 + hashes..];
    if !body.starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    body[1..]
        .find(&end)
        .map_or(rest.len(), |at| 1 + hashes + 1 + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_in_code() {
        for source in [
            "unsafe { f() }",
            "pub unsafe fn f() {}",
            "let s = \"\\\"\"; unsafe {}",
            "fn f<'a>(x: &'a u8) { unsafe {} }",
            "let q = '\\''; unsafe {}",
            "let q = '\"'; unsafe { g('\"') }",
            "/* a /* b */ c */unsafe impl Send for T {}",
            "let x = br#\"a\"b\"#; unsafe {}",
            "let r = r#type; unsafe {}",
        ] {
            assert!(has_word(source, "unsafe"), "{source}");
        }
    }

    #[test]
    fn ignores_the_word_elsewhere() {
        for source in [
            "#![forbid(unsafe_code)]",
            "// unsafe here\nfn f() {}",
            "/// unsafe\nfn f() {}",
            "let s = \"unsafe\";",
            "let s = \"\\\\\"; let t = \"unsafe\";",
            "let s = r#\"un\"unsafe\"#;",
            "/* unsafe /* x */ unsafe */",
        ] {
            assert!(!has_word(source, "unsafe"), "{source}");
        }
    }
}
