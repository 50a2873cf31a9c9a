//! Traces that something happened to: we and Go come to the same verdict, but for what docs/READING.md says.
//!
//! A mutant is a good trace with one or two changes, to its items (lines of its text form, so that most of it stays in order and the
//! change reaches the rules of ordering) or to its bytes. All is drawn from a seed, so a mutant can be made again. With `TACHOGRAPH_LONG`
//! set, many more are made.

mod mutants;
mod traces;

use std::collections::BTreeMap;
use std::time::Instant;

use mutants::{Dice, Mutant};
use tachograph_e2e::check;
use tachograph_e2e::go::{self, Go, GoError, GoVerdict};
use tachograph_e2e::record::{record, turn};
use tachograph_e2e::report::{is_long, say};
use tachograph_e2e::verdict::{Refused, ours};
use tachograph_wire::{Batch, EventKind, Item, Items, Version};

const SEED: u64 = 0x7ac0;
/// Larger traces take longer and hide the change among more events.
const LARGEST: usize = 30_000;
const BATCH: usize = 250;

/// Traces that both accept, small ones.
fn originals(go: &Go) -> Vec<(String, Vec<u8>)> {
    let goldens = traces::goldens().into_iter();
    let goldens = goldens.map(|(name, _, bytes)| (name, bytes));
    let all = goldens.chain(traces::of_programs()).chain([recorded()]);
    let small: Vec<_> = all.filter(|(_, bytes)| bytes.len() <= LARGEST).collect();
    let bytes: Vec<_> = small.iter().map(|(_, bytes)| bytes).collect();
    let theirs = go
        .verdicts(&bytes)
        .unwrap_or_else(|error| panic!("{error}"));
    let both = small.into_iter().zip(theirs);
    let both = both.filter(|((_, bytes), theirs)| theirs.is_ok() && ours(bytes).is_ok());
    both.map(|(original, _)| original).collect()
}

/// A trace of ours with a bit of everything.
fn recorded() -> (String, Vec<u8>) {
    let _turn = turn();
    let recorder = tachograph::Recorder::new();
    let ((), recorded) = record("mutation", recorder, || {
        let worker = std::thread::spawn(|| (0..4).for_each(tachograph_e2e::load::annotate_round));
        (0..4).for_each(tachograph_e2e::load::annotate_round);
        worker.join().expect("it does not panic");
    });
    ("ours".to_owned(), recorded.bytes)
}

/// Both verdicts on a mutant.
struct Case<'a> {
    mutant: &'a Mutant,
    ours: &'a Result<GoVerdict, Refused>,
    theirs: &'a Result<GoVerdict, GoError>,
}

impl Case<'_> {
    fn agree(&self) -> bool {
        match (self.ours, self.theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (Err(_), Err(_)) => true,
            _ => false,
        }
    }

    /// We refuse it with these words, and Go accepts it.
    fn only_we_refuse(&self, words: &[&str]) -> bool {
        let Err(refused) = self.ours else {
            return false;
        };
        let found = refused.to_string();
        self.theirs.is_ok() && words.iter().all(|word| found.contains(word))
    }

    /// We accept it, and Go refuses it with these words.
    fn only_go_refuses(&self, words: &str) -> bool {
        let Err(GoError::Refused { message, .. }) = self.theirs else {
            return false;
        };
        self.ours.is_ok() && message.contains(words)
    }

    /// We accept it, and Go crashes with these words.
    fn go_crashes(&self, words: &str) -> bool {
        self.only_go_refuses(words) && self.only_go_refuses("panic in the reader")
    }
}

/// A difference that is meant, with its row of docs/READING.md.
struct Exception {
    row: &'static str,
    holds: fn(&Case<'_>) -> bool,
}

const EXCEPTIONS: [Exception; 12] = [
    Exception {
        row: "structural batches then EOF, no end byte",
        holds: |case| case.only_we_refuse(&["truncated: the bytes end", "[G3]"]),
    },
    Exception {
        row: "the same within a structural batch, whose end is the end of the trace for Go",
        holds: |case| case.only_we_refuse(&["truncated: the bytes end within", "[S3]"]),
    },
    Exception {
        row: "status 0, status > 255, P or G id 2^64-1, frequency 0: reserved ids",
        holds: |case| case.only_we_refuse(&["which is reserved", "[O3]"]),
    },
    Exception {
        row: "status 0, status > 255, P or G id 2^64-1, frequency 0: statuses",
        holds: |case| case.only_we_refuse(&["status is ", "[O3]"]),
    },
    Exception {
        row: "status 0, status > 255, P or G id 2^64-1, frequency 0: frequencies",
        holds: |case| case.only_we_refuse(&["frequency is 0", "[G4]"]),
    },
    Exception {
        row: "ts*f or delta overflow",
        holds: |case| case.only_we_refuse(&["was at 9223372036854775807 ns", "[V1]"]),
    },
    Exception {
        row: "ts*f or delta overflow: the clocks of a generation",
        holds: |case| {
            case.only_we_refuse(&["it past 9223372036854775807 ns", "[V4]"])
                || case.only_go_refuses("trace time") && is_late(&case.mutant.bytes)
        },
    },
    Exception {
        row: "one frame for each pc, the last: a name that is missing is not looked for",
        holds: |case| case.only_we_refuse(&["of a frame refers to string", "[S4]"]),
    },
    Exception {
        row: "one frame for each pc, the last: what a frame lacks is not seen, or is seen in others",
        holds: |case| {
            case.only_we_refuse(&["frame ", "of stack ", "[V2]"])
                || case.only_go_refuses("invalid stack frame")
        },
    },
    Exception {
        row: "a batch that begins with the end byte ends the generation for Go",
        holds: |case| case.theirs.is_ok() && has_end_byte_as_batch(&case.mutant.bytes),
    },
    Exception {
        row: "unknown experiment number",
        holds: |case| case.go_crashes("index out of range"),
    },
    Exception {
        row: "names of ranges that cross a generation",
        holds: |case| case.go_crashes("in string table"),
    },
];

/// The batches as far as they can be told apart.
fn batches(trace: &[u8]) -> impl Iterator<Item = Batch<'_>> {
    let items = Items::new(trace).into_iter().flatten();
    items.map_while(Result::ok).filter_map(|item| match item {
        Item::Batch(batch) => Some(batch),
        _ => None,
    })
}

/// Whether a sync stands at a time that is past what signed nanoseconds can say.
fn is_late(trace: &[u8]) -> bool {
    let mut times = batches(trace).flat_map(|batch| {
        let delta = batch
            .sync(Version::Go126)
            .ok()
            .and_then(|sync| sync.clock)
            .map_or(0, |clock| clock.dt.0);
        [batch.header.time.0, delta]
    });
    times.any(|ticks| ticks > i64::MAX as u64 / 64)
}

fn has_end_byte_as_batch(trace: &[u8]) -> bool {
    batches(trace).any(|batch| batch.payload.first() == Some(&EventKind::EndOfGeneration.code()))
}

fn excuse(case: &Case<'_>) -> Option<&'static str> {
    let exception = EXCEPTIONS
        .iter()
        .find(|exception| (exception.holds)(case))?;
    Some(exception.row)
}

#[test]
fn mutants_get_the_verdict_that_go_gives_them() {
    let Some(go) = go::require_or_skip("mutants_get_the_verdict_that_go_gives_them") else {
        return;
    };
    let began = Instant::now();
    let originals = originals(&go);
    let wanted = if is_long() { 100_000 } else { 4_000 };
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut dice = Dice::new(SEED);
    for first in (0..wanted).step_by(BATCH) {
        let mutants: Vec<Mutant> = (first..first + BATCH)
            .map(|number| Mutant::of(&originals[number % originals.len()], &mut dice))
            .collect();
        judge(&go, &mutants, &mut tally, &mut wrong);
    }
    say(format!(
        "{wanted} mutants of {} traces in {:.1} s: {tally:?}, {} wrong",
        originals.len(),
        began.elapsed().as_secs_f64(),
        wrong.len()
    ));
    assert!(
        tally
            .get("both accept")
            .is_some_and(|count| *count > wanted / 50)
    );
    assert!(
        tally
            .get("both refuse")
            .is_some_and(|count| *count > wanted / 10)
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn judge(go: &Go, mutants: &[Mutant], tally: &mut BTreeMap<&str, usize>, wrong: &mut Vec<String>) {
    let theirs = go
        .verdicts(mutants)
        .unwrap_or_else(|error| panic!("{error}"));
    for (mutant, theirs) in mutants.iter().zip(&theirs) {
        let ours = &ours(&mutant.bytes);
        let case = Case {
            mutant,
            ours,
            theirs,
        };
        let word = match (case.agree(), ours.is_ok()) {
            (true, true) => "both accept",
            (true, false) => "both refuse",
            (false, _) => match excuse(&case) {
                Some(row) => row,
                None => {
                    wrong.push(complaint(&case, wrong.len()));
                    continue;
                }
            },
        };
        *tally.entry(word).or_default() += 1;
    }
}

fn complaint(case: &Case<'_>, number: usize) -> String {
    let words = |verdict: String| verdict.replace('\n', "\n    ");
    let ours = case
        .ours
        .as_ref()
        .map_or_else(Refused::to_string, |good| format!("{good:?}"));
    let theirs = case
        .theirs
        .as_ref()
        .map_or_else(GoError::to_string, |good| format!("{good:?}"));
    let path = check::store(&format!("mutant-{number}"), &case.mutant.bytes);
    format!(
        "{}\n  we: {}\n  Go: {}\n  kept: {}",
        case.mutant.story,
        words(ours),
        words(theirs),
        path.display()
    )
}
