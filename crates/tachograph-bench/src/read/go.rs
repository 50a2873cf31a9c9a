//! Go's side: its reader, built out of the installed toolchain, and the program that makes big traces.
//!
//! Go's reader can't be imported from outside the toolchain, so its sources are copied from there into a module of ours when it is built.
//! Nothing of Go is stored in this repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::event::go::{output, version};
use crate::failure::Failure;

const READ: &str = include_str!("../../go/read.go");
const TRACES: &str = include_str!("../../go/traces.go");
/// Packages of Go's tree that the reader consists of, relative to `internal/trace`.
const PACKAGES: [&str; 4] = ["", "tracev2", "version", "internal/tracev1"];
const MODULE: &str = "tachograph/read";
/// Name, and megabytes.
const BIG: [(&str, u32); 2] = [("http", 71), ("channel", 369)];

/// The program that runs Go's loop, built anew; `None` without Go.
pub fn reader() -> Result<Option<PathBuf>, Failure> {
    let Some(version) = version()? else {
        return Ok(None);
    };
    println!("Go: {version}");
    let root = output(Command::new("go").args(["env", "GOROOT"]), "go env")?;
    let from = Path::new(root.trim()).join("src/internal/trace");
    let module = folder()?.join("read");
    for package in PACKAGES {
        copy_package(&from.join(package), &module.join("trace").join(package))?;
    }
    write(
        &module.join("go.mod"),
        &format!("module {MODULE}\n\ngo 1.26\n"),
    )?;
    write(&module.join("main.go"), READ)?;
    let program = module.join("read");
    let mut build = build_command(&program);
    build.arg(".").current_dir(&module).env("GO111MODULE", "on");
    output(&mut build, "go build of Go's reader")?;
    Ok(Some(program))
}

/// Writes `http.trace` and `channel.trace`.
pub fn make_traces(to: &Path) -> Result<(), Failure> {
    if version()?.is_none() {
        return Err(Failure::Usage("--make: no Go on the PATH".to_owned()));
    }
    fs::create_dir_all(to).map_err(Failure::io(to.display().to_string()))?;
    let source = folder()?.join("traces.go");
    write(&source, TRACES)?;
    let program = source.with_extension("");
    let mut build = build_command(&program);
    build.arg(&source).env("GO111MODULE", "off");
    output(&mut build, "go build of the traces' program")?;
    for (name, megabytes) in BIG {
        let trace = to.join(format!("{name}.trace"));
        let mut make = Command::new(&program);
        make.arg(name).arg(&trace).arg(megabytes.to_string());
        output(&mut make, name)?;
        println!("{}", trace.display());
    }
    Ok(())
}

/// Beside this program, in cargo's own folder.
fn folder() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(Failure::io("asking for this program's path"))?;
    let folder = program.with_file_name("tachograph-bench-go");
    fs::create_dir_all(&folder).map_err(Failure::io(folder.display().to_string()))?;
    Ok(folder)
}

fn build_command(program: &Path) -> Command {
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(program);
    let settings = [("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "")];
    build.envs(settings);
    build
}

fn copy_package(from: &Path, to: &Path) -> Result<(), Failure> {
    let reading = || Failure::io(format!("reading Go's own sources in {}", from.display()));
    for entry in fs::read_dir(from).map_err(reading())? {
        let path = entry.map_err(reading())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".go") && !name.ends_with("_test.go") {
            let text = fs::read_to_string(&path).map_err(reading())?;
            write(&to.join(&*name), &rewrite_imports(&text))?;
        }
    }
    Ok(())
}

/// `"internal/trace"` and what is below it become packages of our module.
fn rewrite_imports(source: &str) -> String {
    source
        .replace("\"internal/trace\"", &format!("\"{MODULE}/trace\""))
        .replace("\"internal/trace/", &format!("\"{MODULE}/trace/"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = || Failure::io(path.display().to_string());
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::other("no folder"))
        .map_err(failed())?;
    fs::create_dir_all(parent).map_err(failed())?;
    fs::write(path, text).map_err(failed())
}
