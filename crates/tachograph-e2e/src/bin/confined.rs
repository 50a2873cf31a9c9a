//! A host program that records itself while the system refuses it things. Run by `tests/bad_input.rs`.
//!
//! usage: `confined OUT TIMER HZ [CONFINEMENT..]`
//!
//! TIMER is `auto`, `posix` or `perf`. A confinement is `seccomp:SYSCALL` (refused with EPERM, `clone` with EAGAIN) or
//! `RLIMIT:N` with one of `sigpending`, `nofile`, `nproc`, or `as:MIB`, the address space beyond what is in use.
//! The host's own threads are there before it is confined: whatever fails later is the recorder's.
//!
//! Prints `key=value` lines, `alive=yes` last.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tachograph::{Recorder, Recording, SampleTimer, StartError, Summary};
use tachograph_e2e::load::burn;

/// Threads of the host that compute.
const WORKERS: usize = 4;
/// Threads of the host that only are there.
const SLEEPERS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &str| args.next().ok_or(format!("no {what}"));
    let (out, timer, hz) = (next("OUT")?, next("TIMER")?, next("HZ")?.parse()?);
    let confinements: Vec<String> = args.collect();
    let sink = File::create(out)?;
    let timer = match timer.as_str() {
        "auto" => SampleTimer::Auto,
        "posix" => SampleTimer::Posix,
        "perf" => SampleTimer::PerfEvent,
        other => return Err(format!("no timer {other}").into()),
    };
    let (begin, done) = (Barrier::new(WORKERS + 1), Barrier::new(WORKERS + 1));
    let ready = Barrier::new(WORKERS + SLEEPERS + 1);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let (ready, begin, done) = (&ready, &begin, &done);
            scope.spawn(move || {
                come_up(ready);
                begin.wait();
                work(number);
                done.wait();
            });
        }
        for _ in 0..SLEEPERS {
            scope.spawn(|| {
                come_up(&ready);
                while !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        come_up(&ready);
        let outcome = confine(&confinements).map(|()| {
            let recorder = Recorder::new()
                .sample_cpu(hz)
                .sample_timer(timer)
                .generation_period(Duration::from_millis(50));
            let recording = recorder.start(sink);
            begin.wait();
            done.wait();
            tell_host();
            finish(recording);
        });
        over.store(true, Ordering::Relaxed);
        outcome
    })?;
    println!("alive=yes");
    Ok(())
}

/// A thread of the host has its stacks and its heap before the host is confined.
fn come_up(ready: &Barrier) {
    black_box(vec![0u8; 1000]);
    ready.wait();
}

/// What a worker does, recorded or not.
fn work(number: usize) {
    for round in 0..10 {
        let _region = tachograph::region("work");
        burn(Duration::from_millis(8));
        tachograph::log("round", &format!("{round} of {number}"));
        tachograph::blocking("nap", || thread::sleep(Duration::from_millis(2)));
    }
}

/// Whether the host itself is hindered by what the recorder has taken.
fn tell_host() {
    let opens = File::open("/dev/null").is_ok();
    println!("host_opens_files={opens}");
}

fn finish(recording: Result<Recording, StartError>) {
    match recording {
        Err(error) => println!("start_error={error}"),
        Ok(recording) => match recording.stop() {
            Err(error) => println!("stop_error={error}"),
            Ok(summary) => tell(&summary),
        },
    }
}

fn tell(summary: &Summary) {
    println!("events={}", summary.events);
    println!("fence={}", summary.fence.name());
    if let Some(samples) = &summary.samples {
        println!("source={}", samples.source.name());
        println!("unwinder={}", samples.unwinder.name());
        println!("samples={}", samples.tally.emitted);
        println!("refused={}", samples.threads_refused);
        println!(
            "never_sampled_ms={}",
            samples.never_sampled_cpu().as_millis()
        );
        println!("process_ms={}", samples.process_cpu.as_millis());
    }
    let text = summary.to_string().replace('\n', " | ");
    println!("summary={text}");
}

#[cfg(not(target_os = "linux"))]
fn confine(_confinements: &[String]) -> Result<(), Box<dyn Error>> {
    Err("only Linux has what is refused here".into())
}

#[cfg(target_os = "linux")]
fn confine(confinements: &[String]) -> Result<(), Box<dyn Error>> {
    use confinement::{limit, refuse};

    for one in confinements {
        match one.split_once(':').ok_or("no colon")? {
            ("seccomp", syscall) => refuse(syscall)?,
            (resource, value) => limit(resource, value.parse()?)?,
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod confinement {
    use std::error::Error;

    use rustix::process::{Resource, Rlimit, setrlimit};
    use seccompiler::{SeccompAction, SeccompFilter, apply_filter_all_threads};

    /// Lets the kernel refuse a system call to the whole process.
    pub fn refuse(syscall: &str) -> Result<(), Box<dyn Error>> {
        let (numbers, errno): (&[libc::c_long], _) = match syscall {
            "timer_create" => (&[libc::SYS_timer_create], libc::EPERM),
            "timer_settime" => (&[libc::SYS_timer_settime], libc::EPERM),
            "perf_event_open" => (&[libc::SYS_perf_event_open], libc::EPERM),
            "membarrier" => (&[libc::SYS_membarrier], libc::EPERM),
            "rt_sigaction" => (&[libc::SYS_rt_sigaction], libc::EPERM),
            "openat" => (&[libc::SYS_openat], libc::EPERM),
            "clone" => (&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN),
            other => return Err(format!("no number for {other}").into()),
        };
        let rules = numbers.iter().map(|number| (*number, Vec::new())).collect();
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(errno.unsigned_abs()),
            std::env::consts::ARCH.try_into()?,
        )?;
        let program: seccompiler::BpfProgram = filter.try_into()?;
        Ok(apply_filter_all_threads(&program)?)
    }

    /// Lowers a limit of the process.
    pub fn limit(resource: &str, value: u64) -> Result<(), Box<dyn Error>> {
        let (resource, value) = match resource {
            "sigpending" => (Resource::Sigpending, value),
            "nofile" => (Resource::Nofile, value),
            "nproc" => (Resource::Nproc, value),
            "as" => (Resource::As, address_space()? + (value << 20)),
            other => return Err(format!("no limit {other}").into()),
        };
        let limit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        Ok(setrlimit(resource, limit)?)
    }

    /// Bytes of address space in use.
    fn address_space() -> Result<u64, Box<dyn Error>> {
        let statm = std::fs::read_to_string("/proc/self/statm")?;
        let pages: u64 = statm.split(' ').next().unwrap_or_default().parse()?;
        Ok(pages * rustix::param::page_size() as u64)
    }
}
