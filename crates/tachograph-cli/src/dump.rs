//! `tacho dump`: prints the events of a trace.
//!
//! Owns the arguments and the way from the file to stdout. Each form is a room of its own; `filter` leaves out what isn't asked for.

mod filter;
mod go;
mod json;
mod names;
mod number;
mod stacks;
mod text;
mod wall;

use crate::events::Events;
use crate::failure::Failure;
use crate::input::{self, Input, Trouble};
use crate::outcome::Outcome;
use crate::progress::Bar;
use crate::stdout::{Stdout, UntilGone};
use filter::{Filter, Verdict};
use std::io::{self, IsTerminal, Write};
use tachograph_reader::{End, Event, Options, ReadError};
use tachograph_text::write::DumpError;
use tachograph_text::{WireReader, write_wire};

/// Lines are handed on when so many bytes have come together.
const CHUNK_BYTES: usize = 256 << 10;

/// Prints the events of a trace, in order.
///
/// A trace that breaks off or is broken is printed up to there, the error goes to stderr, and the exit status is 1. Text and JSON end with what is
/// lost. `--format go` ends before a generation that is incomplete, as Go does; text and JSON go on as far as there is anything.
///
/// The keys of `--json` are listed in docs/JSON.md.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    file: input::One,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Layout::Text)]
    format: Layout,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print whole stacks instead of the function at their top (--format text).
    #[arg(long)]
    stacks: bool,
    #[command(flatten)]
    filter: filter::Args,
}

/// Forms of output.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// One line an event, for people.
    Text,
    /// One JSON object an event, a line each.
    Json,
    /// What `go tool trace -d=parsed` prints; ends before a generation that is incomplete.
    Go,
    /// What `go tool trace -d=wire` prints: the records of the file as they stand there.
    Wire,
}

/// A form of output.
trait Form {
    /// Learns from an event, whether it is asked for or not.
    fn see(&mut self, _event: &Event<'_>) {}

    /// Appends the lines of an event.
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>);

    /// Appends what is to be said behind the last event, once all were read.
    fn finish(&mut self, _ending: &Ending, _out: &mut Vec<u8>) {}
}

/// Why there are no more lines.
enum Over {
    /// There is nothing more to print.
    Done,
    /// The trace is broken or cut off.
    Broken(String),
}

/// How a trace that was read to its end ends.
enum Ending {
    /// All of it was there.
    Complete,
    /// It is cut off or broken.
    Short(Failure),
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let format = match args.json {
        true => Layout::Json,
        false => args.format,
    };
    if args.stacks && format != Layout::Text {
        anyhow::bail!(
            "--stacks is for --format text; go and json print whole stacks anyway, wire has none. Leave it out"
        );
    }
    args.filter.refuse_backwards()?;
    if format == Layout::Wire && args.filter.is_anything() {
        anyhow::bail!(
            "--from, --to and --kind are for events; --format wire prints records of the file, which have no order. Leave them out, or take another --format"
        );
    }
    let path = &args.file.path;
    let bar = if io::stdout().is_terminal() {
        Bar::Hidden
    } else {
        Bar::Shown
    };
    let input = Input::open(path, bar)?;
    let trouble = input.trouble();
    let filter = Filter::new(args.filter.clone());
    let over = match format {
        Layout::Wire => wire(input, &trouble),
        // N.B. for Go a generation that is cut off is not there.
        Layout::Go => print(input, false, filter, go::Go::new()),
        Layout::Text => print(input, true, filter, text::Text::new(args.stacks)),
        Layout::Json => print(input, true, filter, json::Json::default()),
    };
    // What the system said comes before what the reader made of it.
    trouble.refuse_io(path)?;
    match over? {
        Over::Done => Ok(Outcome::Fine),
        Over::Broken(why) => {
            eprintln!("tacho: {}: {why}", path.display());
            Ok(Outcome::InvalidTrace)
        }
    }
}

fn wire(input: Input, trouble: &Trouble) -> anyhow::Result<Over> {
    let written = match WireReader::new(input) {
        Ok(trace) => write_wire(trace, UntilGone(&mut Stdout::lock())),
        Err(error) => Err(DumpError::Trace(error)),
    };
    let why = match written {
        Ok(()) => None,
        Err(DumpError::Output(error)) => return Err(error.into()),
        Err(error) => Some(error.to_string()),
    };
    Ok(match trouble.content().or(why) {
        None => Over::Done,
        Some(why) => Over::Broken(why),
    })
}

fn print(
    input: Input,
    keep_incomplete: bool,
    mut filter: Filter,
    mut form: impl Form,
) -> anyhow::Result<Over> {
    let trouble = input.trouble();
    let mut options = Options::default();
    options.keep_incomplete = keep_incomplete;
    let mut events = match Events::read(input, options) {
        Ok(events) => events,
        Err(error) => return Ok(over(&ending(Some(error), None, &trouble)?)),
    };
    let mut stdout = Stdout::lock();
    let mut lines = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
    let error = loop {
        match events.next_event() {
            Ok(Some(event)) => {
                form.see(&event);
                match filter.of(&event) {
                    Verdict::Take => form.write(&event, &mut lines),
                    Verdict::Leave => continue,
                    Verdict::Over => {
                        stdout.write_all(&lines)?;
                        stdout.flush()?;
                        // Nobody asked for the end, so nobody knows how it is.
                        return Ok(Over::Done);
                    }
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        if lines.len() >= CHUNK_BYTES {
            stdout.write_all(&lines)?;
            lines.clear();
            if stdout.is_gone() {
                return Ok(Over::Done);
            }
        }
    };
    let ending = ending(error, events.end().cloned(), &trouble);
    if let Ok(ending) = &ending {
        form.finish(ending, &mut lines);
    }
    stdout.write_all(&lines)?;
    stdout.flush()?;
    Ok(over(&ending?))
}

/// How the trace ends; the error is one of reading.
fn ending(error: Option<ReadError>, end: Option<End>, trouble: &Trouble) -> anyhow::Result<Ending> {
    let inside = match (error, end) {
        (Some(error @ ReadError::Io(_)), _) => anyhow::bail!("{error}"),
        (Some(error), _) => Some(Failure::of_read(&error)),
        (None, Some(End::Truncated(lost))) => Some(Failure::of_cut(&lost)),
        (None, _) => None,
    };
    let failure = match trouble.content() {
        Some(why) => Some(Failure::of_content(why, inside)),
        None => inside,
    };
    Ok(failure.map_or(Ending::Complete, Ending::Short))
}

fn over(ending: &Ending) -> Over {
    match ending {
        Ending::Complete => Over::Done,
        Ending::Short(failure) => Over::Broken(failure.message.clone()),
    }
}
