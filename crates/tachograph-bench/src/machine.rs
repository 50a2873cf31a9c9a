//! What the figures were measured on, in one line.

use std::process::Command;

/// Prints processor, cores, load, kernel and compiler.
pub fn print() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "machine: {}, {cores} cores, load {}, kernel {}, {}",
        processor().unwrap_or_else(|| "unknown processor".to_owned()),
        first_word("/proc/loadavg"),
        first_word("/proc/sys/kernel/osrelease"),
        compiler().unwrap_or_else(|| "rustc not on the PATH".to_owned()),
    );
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_word(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

fn compiler() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}
