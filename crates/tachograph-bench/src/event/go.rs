//! Go's own events, measured by a small Go program, when there is a Go on the PATH.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::table::Row;

const PROGRAM: &str = include_str!("../../go/event.go");

/// Builds and runs the program; `None` without Go.
pub fn measure() -> Result<Option<Vec<Row>>, Failure> {
    let Some(version) = version()? else {
        return Ok(None);
    };
    println!("Go: {version}");
    let folder = std::env::temp_dir().join(format!("tachograph-bench-go-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(Failure::io(folder.display().to_string()))?;
    let rows = build_and_run(&folder);
    // What stays behind is a few megabytes in the system's own temporary folder.
    let _ = fs::remove_dir_all(&folder);
    rows.map(Some)
}

/// What `go version` says; `None` without Go.
pub fn version() -> Result<Option<String>, Failure> {
    match Command::new("go").arg("version").output() {
        Ok(output) => Ok(Some(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("go version")(error)),
    }
}

fn build_and_run(folder: &Path) -> Result<Vec<Row>, Failure> {
    let source = folder.join("event.go");
    fs::write(&source, PROGRAM).map_err(Failure::io(source.display().to_string()))?;
    let program: PathBuf = folder.join("event");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(&source);
    build.env("GOTOOLCHAIN", "local").env("GO111MODULE", "off");
    output(&mut build, "go build")?;
    let text = output(&mut Command::new(&program), "the Go program")?;
    text.lines().map(row).collect()
}

/// What `command` prints; its complaint as an error.
pub fn output(command: &mut Command, doing: &str) -> Result<String, Failure> {
    let output = command.output().map_err(Failure::io(doing))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::io(doing)(std::io::Error::other(complaint)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A line reads: name, tab, median ns, tab, min ns.
fn row(line: &str) -> Result<Row, Failure> {
    let mut fields = line.split('\t');
    let name = fields.next().unwrap_or_default();
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    let (median_ns, min_ns) = (number(), number());
    if median_ns.is_none() || min_ns.is_none() {
        let wanted = format!("`{line}`: wanted a name and two numbers");
        return Err(Failure::io("reading what the Go program prints")(
            std::io::Error::other(wanted),
        ));
    }
    Ok(Row {
        what: name.to_owned(),
        median_ns,
        min_ns,
        ..Row::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_name_and_two_numbers() {
        let row = row("Go: log\t12.5\t10").unwrap();
        assert_eq!(
            (row.what.as_str(), row.median_ns, row.min_ns),
            ("Go: log", Some(12.5), Some(10.0))
        );
    }

    #[test]
    fn refuses_lines_without_numbers() {
        assert!(row("panic: something").is_err());
        assert!(row("Go: log\t12.5").is_err());
    }
}
