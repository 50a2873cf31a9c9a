//! A reader of a task's lines, as strict as Go's (`internal/trace/order.go`).
//!
//! It merges the streams of a generation, whose order among each other it does not know: it has the lines' numbers, the task's state and
//! the thread that it runs on. The models try every precedence between streams; times, which Go uses for that, may be any.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use tachograph_recorder::model::Said;

/// What a trace says of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Status(Said),
    Create(Said),
    Unblock(u64),
    Start(u64),
    Block,
    Stop,
    Destroy,
}

/// A line, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub generation: u64,
    pub stream: usize,
    pub line: Line,
}

/// What the reader knows of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Nothing,
    Waiting,
    Runnable,
    /// On the thread of this stream.
    Running(usize),
}

/// A reader in a generation.
struct Reader {
    known: Known,
    /// The last number since the status, which begins the numbers; `None` before it.
    number: Option<u64>,
}

/// Reads the lines of `generations`, which MUST make one trace of the task, however the streams are merged. What is known at the end.
pub fn verify(lines: &[Written], generations: RangeInclusive<u64>) -> Known {
    let mut streams: Vec<usize> = lines.iter().map(|written| written.stream).collect();
    streams.sort_unstable();
    streams.dedup();
    let mut ends = Vec::new();
    permute(&mut streams, 0, &mut |order| {
        ends.push(read(lines, generations.clone(), order));
    });
    assert!(
        ends.windows(2).all(|two| two[0] == two[1]),
        "{ends:?}: {lines:?}"
    );
    ends[0]
}

/// How often the task was woken: while it waited, as a line in one of `streams`, or while it ran.
pub fn wakes(lines: &[Written], streams: &[usize]) -> usize {
    let woken = |written: &&Written| match written.line {
        Line::Unblock(_) => streams.contains(&written.stream),
        Line::Stop => true,
        _ => false,
    };
    lines.iter().filter(woken).count()
}

fn permute(streams: &mut [usize], fixed: usize, visit: &mut impl FnMut(&[usize])) {
    if fixed + 1 >= streams.len() {
        return visit(streams);
    }
    for at in fixed..streams.len() {
        streams.swap(fixed, at);
        permute(streams, fixed + 1, visit);
        streams.swap(fixed, at);
    }
}

fn read(lines: &[Written], generations: RangeInclusive<u64>, order: &[usize]) -> Known {
    let mut known = Known::Nothing;
    for generation in generations {
        let of_stream = |stream: &usize| {
            let lines = lines
                .iter()
                .filter(|written| (written.generation, written.stream) == (generation, *stream));
            (*stream, lines.map(|written| written.line).collect())
        };
        let streams: Vec<(usize, VecDeque<Line>)> = order.iter().map(of_stream).collect();
        let mut reader = Reader {
            known,
            number: None,
        };
        if let Err(wrong) = reader.read(streams) {
            panic!("generation {generation}, streams in the order {order:?}: {wrong}: {lines:?}");
        }
        known = reader.known;
    }
    known
}

impl Reader {
    fn read(&mut self, mut streams: Vec<(usize, VecDeque<Line>)>) -> Result<(), String> {
        let lived = self.known != Known::Nothing;
        loop {
            let mut read = false;
            for (stream, lines) in &mut streams {
                if let Some(line) = lines.front()
                    && self.take(*stream, *line)?
                {
                    lines.pop_front();
                    read = true;
                    break;
                }
            }
            if !read {
                break;
            }
        }
        streams.retain(|(_, lines)| !lines.is_empty());
        match () {
            () if !streams.is_empty() => {
                Err(format!("stuck at {:?} before {streams:?}", self.known))
            }
            () if lived && self.number.is_none() => Err(format!("no status of {:?}", self.known)),
            () => Ok(()),
        }
    }

    /// False where it is not the line's turn yet.
    fn take(&mut self, stream: usize, line: Line) -> Result<bool, String> {
        let wrong = |reader: &Self| {
            Err(format!(
                "{line:?} in stream {stream}, but {:?}, {:?}",
                reader.known, reader.number
            ))
        };
        let next = match (line, self.known) {
            (Line::Status(said), known) => {
                if self.number.is_some() || known == Known::Nothing || known != of(said, stream) {
                    return wrong(self);
                }
                self.number = Some(0);
                known
            }
            (Line::Create(said), Known::Nothing) if self.number.is_none() => {
                self.number = Some(0);
                of(said, stream)
            }
            (Line::Unblock(number), Known::Waiting) if self.is_next(number) => Known::Runnable,
            (Line::Start(number), Known::Runnable) if self.is_next(number) => {
                Known::Running(stream)
            }
            (Line::Unblock(_) | Line::Start(_), _) => return Ok(false),
            (Line::Block, Known::Running(on)) if self.may_leave(on, stream) => Known::Waiting,
            (Line::Stop, Known::Running(on)) if self.may_leave(on, stream) => Known::Runnable,
            (Line::Destroy, Known::Running(on)) if self.may_leave(on, stream) => Known::Nothing,
            _ => return wrong(self),
        };
        if let Line::Unblock(number) | Line::Start(number) = line {
            self.number = Some(number);
        }
        self.known = next;
        Ok(true)
    }

    fn is_next(&self, number: u64) -> bool {
        self.number.is_some_and(|last| last + 1 == number)
    }

    fn may_leave(&self, on: usize, stream: usize) -> bool {
        self.number.is_some() && on == stream
    }
}

fn of(said: Said, stream: usize) -> Known {
    match said {
        Said::Nothing => Known::Nothing,
        Said::Waiting => Known::Waiting,
        Said::Runnable => Known::Runnable,
        Said::Running => Known::Running(stream),
    }
}
