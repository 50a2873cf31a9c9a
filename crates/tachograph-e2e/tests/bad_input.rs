//! What goes wrong outside of us: files that can't be written, rates that can't be had, a kernel that refuses.
//!
//! Each ends in a clear error or in a documented fallback, with a trace that is as good as any, and never in a crash of the host
//! program. The confined programs are processes of their own (`src/bin/confined.rs`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use tachograph::{MAX_SAMPLE_HZ, Recorder, SampleTimer, StartError, StopError};
use tachograph_e2e::check;
use tachograph_e2e::decode::Trace;
use tachograph_e2e::load::annotate_round;
use tachograph_e2e::record::{record, turn};
use tachograph_e2e::report::say;

/// Threads of the confined program besides the recorder's two: workers, sleepers and the first.
const HOST_THREADS: u64 = 17;

fn some_events() {
    for round in 0..50 {
        annotate_round(round);
    }
}

/// Records into `sink`, which fails: the error comes out of `stop`, with the summary, and recording works again afterwards.
fn fails_at_stop(name: &str, sink: impl Write + Send + 'static, kind: io::ErrorKind) -> String {
    let started = Recorder::new()
        .generation_period(Duration::from_millis(10))
        .start(sink);
    let recording = started.unwrap_or_else(|error| panic!("{name}: start: {error}"));
    some_events();
    let error = recording.stop().expect_err("the sink fails");
    let StopError::Sink {
        error: cause,
        summary,
    } = &error
    else {
        panic!("{name}: {error}")
    };
    assert_eq!(cause.kind(), kind, "{name}");
    assert!(summary.generations >= 1, "{name}: {summary}");
    let text = error.to_string();
    say(format!("{name}: {text}"));
    let ((), recorded) = record(&format!("after {name}"), Recorder::new(), some_events);
    recorded.verify();
    text
}

#[test]
fn a_full_disk_is_named() {
    let _turn = turn();
    let Ok(full) = File::create("/dev/full") else {
        return say("skipped: no /dev/full");
    };
    let text = fails_at_stop("a full disk", full, io::ErrorKind::StorageFull);
    assert!(
        text.contains("0 bytes") && text.contains("No space left"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_not_writable_is_named() {
    let _turn = turn();
    let read_only = File::open("/dev/null").expect("there is a null device");
    let name = "a file open for reading";
    let text = fails_at_stop(
        name,
        read_only,
        io::Error::from_raw_os_error(libc::EBADF).kind(),
    );
    assert!(text.contains("Bad file descriptor"), "{text}");
}

/// Takes so many bytes, then refuses.
struct Short(usize);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_connection_that_breaks_is_named() {
    let _turn = turn();
    let text = fails_at_stop(
        "a broken connection",
        Short(10_000),
        io::ErrorKind::ConnectionReset,
    );
    assert!(text.contains("cut off"), "{text}");
}

/// A sink that panics is our thread's death, not the program's.
struct Panics;

impl Write for Panics {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("a sink that panics (as it should here)");
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_panics_does_not_take_the_program_along() {
    let _turn = turn();
    let recording = Recorder::new().start(Panics).expect("nothing runs");
    some_events();
    let error = recording.stop().expect_err("the sink panics");
    say(format!("a sink that panics: {error}"));
    let ((), recorded) = record("after a panic", Recorder::new(), some_events);
    recorded.verify();
}

#[test]
fn rates_that_cannot_be_had_are_refused() {
    let _turn = turn();
    for hz in [0, MAX_SAMPLE_HZ + 1, u32::MAX] {
        for timer in [
            SampleTimer::Auto,
            SampleTimer::Posix,
            SampleTimer::PerfEvent,
        ] {
            let started = Recorder::new()
                .sample_cpu(hz)
                .sample_timer(timer)
                .start(io::sink());
            let error = started.expect_err("no such rate");
            assert!(
                matches!(error, StartError::SampleRate { hz: found } if found == hz),
                "{error}"
            );
            let wanted = format!("sampling rate {hz} Hz, wanted 1 to {MAX_SAMPLE_HZ}");
            assert_eq!(error.to_string(), wanted);
        }
    }
    for hz in [1, MAX_SAMPLE_HZ] {
        let recorder = Recorder::new().sample_cpu(hz);
        let ((), recorded) = record(&format!("{hz} Hz"), recorder, some_events);
        recorded.verify();
    }
}

/// What a confined program said, and its trace.
struct Outcome {
    name: String,
    said: HashMap<String, String>,
    trace: Option<Trace>,
}

impl Outcome {
    fn number(&self, key: &str) -> u64 {
        let value = self.said.get(key).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("{}: no {key} in {:?}", self.name, self.said))
    }

    fn word(&self, key: &str) -> &str {
        self.said.get(key).map_or("", |value| value)
    }

    fn samples(&self) -> u64 {
        self.trace.as_ref().map_or(0, Trace::sample_count)
    }
}

fn run(command: &mut Command) -> io::Result<Output> {
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    for _ in 0..600 {
        if child.try_wait()?.is_some() {
            return child.wait_with_output();
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.kill()?;
    panic!("the confined program hangs: {:?}", child.wait_with_output());
}

fn out_file(name: &str) -> PathBuf {
    let name = name.replace([' ', ':'], "-");
    std::env::temp_dir().join(format!(
        "tachograph-confined-{}-{name}.trace",
        std::process::id()
    ))
}

/// Runs the host program. It must come to its end, and whatever it has recorded must be a good trace.
fn confined(timer: &str, hz: u32, confinements: &[&str]) -> Outcome {
    let name = format!("{timer} {hz} {}", confinements.join(" "));
    let out = out_file(&name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_confined"));
    command
        .arg(&out)
        .args([timer, &hz.to_string()])
        .args(confinements);
    let output = run(&mut command).expect("the host program runs");
    judge(name, &out, &output)
}

fn judge(name: String, out: &PathBuf, output: &Output) -> Outcome {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said: HashMap<String, String> = stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    say(format!("{name}:\n{stdout}"));
    let alive = said.get("alive").is_some_and(|word| word == "yes");
    assert!(
        output.status.success() && alive,
        "{name}: {}\n{stdout}{stderr}",
        output.status
    );
    assert!(stderr.is_empty(), "{name}: {stderr}");
    let bytes = fs::read(out).expect("the host program made the file");
    // What is left over is looked for nowhere.
    let _ = fs::remove_file(out);
    let failed = said.contains_key("start_error") || said.contains_key("stop_error");
    let trace = (!failed).then(|| check::verify(&name, &bytes, None));
    Outcome { name, said, trace }
}

#[test]
fn without_timers_there_are_no_samples_and_the_summary_says_so() {
    for confinement in [
        "seccomp:timer_create",
        "seccomp:timer_settime",
        "sigpending:0",
    ] {
        let outcome = confined("posix", 99, &[confinement]);
        assert_eq!(outcome.samples(), 0);
        assert!(
            outcome.number("refused") >= HOST_THREADS,
            "{}",
            outcome.name
        );
        assert!(outcome.word("summary").contains("threads without a timer"));
        let (never, process) = (
            outcome.number("never_sampled_ms"),
            outcome.number("process_ms"),
        );
        assert_eq!(never, process, "{}", outcome.name);
        assert!(outcome.number("events") > 100, "{}", outcome.name);
    }
}

#[test]
fn without_perf_event_there_are_posix_timers_or_an_error() {
    let outcome = confined("auto", 1000, &["seccomp:perf_event_open"]);
    assert_eq!(outcome.word("source"), "posix_timer");
    assert!(outcome.samples() > 0);
    let says_so = outcome.word("summary").contains("perf_event is not in use");
    assert!(
        says_so || outcome.word("summary").contains("perf_event"),
        "{}",
        outcome.name
    );
    let outcome = confined("perf", 1000, &["seccomp:perf_event_open"]);
    assert!(
        outcome
            .word("start_error")
            .starts_with("perf_event refused"),
        "{}",
        outcome.name
    );
}

#[test]
fn without_membarrier_there_are_full_fences() {
    assert_eq!(confined("posix", 99, &[]).word("fence"), "membarrier");
    let outcome = confined("posix", 99, &["seccomp:membarrier"]);
    assert_eq!(outcome.word("fence"), "full");
    assert!(outcome.samples() > 0);
}

#[test]
fn without_a_signal_handler_there_is_an_error() {
    let outcome = confined("posix", 99, &["seccomp:rt_sigaction"]);
    assert!(
        outcome.word("start_error").contains("SIGPROF"),
        "{}",
        outcome.name
    );
}

#[test]
fn without_threads_there_is_an_error() {
    let outcome = confined("posix", 99, &["seccomp:clone"]);
    assert!(
        outcome.word("start_error").contains("thread"),
        "{}",
        outcome.name
    );
}

/// Neither /proc nor debug information can be read: addresses stay, names and strangers are missing.
#[test]
fn without_files_there_are_still_events_and_samples() {
    let outcome = confined("posix", 99, &["seccomp:openat"]);
    assert!(
        outcome.number("events") > 100 && outcome.samples() > 0,
        "{}",
        outcome.name
    );
}

#[test]
fn few_descriptors_are_few_perf_events() {
    for files in [4, 8, 12, 24] {
        let outcome = confined("perf", 1000, &[&format!("nofile:{files}")]);
        if outcome
            .word("start_error")
            .starts_with("perf_event refused")
        {
            continue;
        }
        assert!(outcome.number("refused") > 0, "{}", outcome.name);
        // The recorder leaves descriptors to the program.
        assert_eq!(outcome.word("host_opens_files"), "true", "{}", outcome.name);
    }
}

/// Where an allocation could fail later, which ends a Rust program, there is no recording at all.
#[test]
fn little_memory_is_an_error() {
    for mib in [1, 8, 64, 256] {
        let outcome = confined("posix", 99, &[&format!("as:{mib}")]);
        let error = outcome.word("start_error");
        assert!(
            error.starts_with("too little memory"),
            "{}: {error}",
            outcome.name
        );
    }
    // A little more than what is asked for.
    let outcome = confined("auto", 4000, &["as:400"]);
    assert!(outcome.samples() > 0, "{}", outcome.name);
}

/// The superuser has no such limit, so the program runs as somebody else if it can.
#[test]
#[cfg(target_os = "linux")]
fn without_processes_there_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;
    let name = "posix 99 nproc:1".to_owned();
    let out = out_file(&name);
    File::create(&out).expect("the folder for temporary files is writable");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o666)).expect("our file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_confined"));
    command.arg(&out).args(["posix", "99", "nproc:1"]);
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let Ok(output) = run(&mut command) else {
        return say("skipped: nobody may not run the program");
    };
    let outcome = judge(name, &out, &output);
    assert!(
        outcome.word("start_error").contains("thread"),
        "{}",
        outcome.name
    );
}
