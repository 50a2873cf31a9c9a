//! How a recording was set up, resolved from what the user asked for and what the system permits.

use std::time::Duration;

use tachograph_unwind::Module;
use tachograph_wire::ThreadId;
use tachograph_wire::metadata::{
    Address, ClockSource, Fence, Metadata, Module as ModuleRecord, RecorderSetup, Sampling,
    SamplingSource, Thread, ThreadKind, Unwinder,
};

use crate::barrier::FenceKind;
use crate::clock::ClockKind;
use crate::own_task::OwnTask;
use crate::sample::timer::{Plan, SampleSource};
use crate::sample::walker::UnwinderKind;

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Zero = advance continuously.
    pub(crate) period: Duration,
    pub(crate) plan: Option<Plan>,
    pub(crate) hz: u32,
    pub(crate) tick_hz: u64,
    pub(crate) ring_words: usize,
    pub(crate) unwinder: UnwinderKind,
    pub(crate) memory_limit: usize,
}

impl Setup {
    /// What every generation says about the recording.
    pub(crate) fn metadata(
        &self,
        fence: FenceKind,
        clock: ClockKind,
        modules: &[Module],
        own: &OwnTask,
    ) -> Vec<Metadata> {
        let mut records = vec![
            Metadata::Recorder(RecorderSetup {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                clock: Some(match clock {
                    ClockKind::Tsc => ClockSource::Tsc,
                    ClockKind::ClockGettime => ClockSource::ClockGettime,
                }),
                fence: Some(match fence {
                    FenceKind::Membarrier => Fence::Membarrier,
                    FenceKind::Full => Fence::Full,
                }),
                unwinder: Some(match self.unwinder {
                    UnwinderKind::Cfi => Unwinder::Cfi,
                    UnwinderKind::FramePointers => Unwinder::FramePointers,
                    UnwinderKind::Leaf => Unwinder::Leaf,
                }),
                pid: Some(u64::from(std::process::id())),
                exe: modules
                    .first()
                    .map(|module| module.path.display().to_string()),
                unknown: Vec::new(),
            }),
            self.sampling(),
            Metadata::Thread(Thread {
                thread: ThreadId(own.tid()),
                name: Some("tachograph-engine".to_owned()),
                task: Some(tachograph_wire::TaskId(own.task())),
                kind: Some(ThreadKind::Recorder),
                unknown: Vec::new(),
            }),
        ];
        records.extend(modules.iter().map(module_record));
        records
    }

    fn sampling(&self) -> Metadata {
        Metadata::Sampling(Sampling {
            source: match self.plan.map(|plan| plan.source) {
                None => SamplingSource::None,
                Some(SampleSource::PosixTimer) => SamplingSource::PosixTimer,
                Some(SampleSource::PerfEvent) => SamplingSource::PerfEvent,
            },
            hz: self.plan.map(|_| u64::from(self.hz)),
            tick_hz: self.plan.map(|_| self.tick_hz),
            unknown: Vec::new(),
        })
    }
}

fn module_record(module: &Module) -> Metadata {
    use std::fmt::Write;
    let build_id = module.build_id.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Metadata::Module(ModuleRecord {
        start: Address(module.start),
        end: Address(module.end),
        bias: Address(module.bias),
        build_id: (!build_id.is_empty()).then_some(build_id),
        path: Some(module.path.display().to_string()),
        unknown: Vec::new(),
    })
}
