//! Rewrites a trace to an older header version, as the Go release of that version would have written it.
//!
//! Owns what differs: header, end bytes (before 1.26), the sync batch (before 1.25: a bare frequency, at the end of the generation), and in
//! 1.22 statuses without stacks. Everything else stays as it is, byte for byte. Called by `main`.

use tachograph_wire::{
    Batch, BatchHeader, BatchKind, BatchWriter, EventKind, Item, Items, Version, varint,
};

/// The trace `bytes` as of `version`.
///
/// # Errors
/// In words: if the bytes are no trace, or hold events that the version does not know.
pub fn rewrite(bytes: &[u8], version: Version) -> Result<Vec<u8>, String> {
    let items = Items::new(bytes).map_err(|error| error.to_string())?;
    let from = items.version();
    let mut out = version.header().to_vec();
    let mut late_sync = Vec::new();
    for item in items {
        match item.map_err(|error| error.to_string())? {
            Item::EndOfGeneration { .. } => {
                out.append(&mut late_sync);
                if version.has_end_of_generation() {
                    out.push(EventKind::EndOfGeneration.code());
                }
            }
            Item::Batch(batch) => match batch.kind(from) {
                BatchKind::Sync if !version.has_sync() => bare_sync(&batch, from, &mut late_sync)?,
                BatchKind::Events => events(&batch, version, &mut out)?,
                BatchKind::Experiment(number) if !version.knows(EventKind::ExperimentalBatch) => {
                    return Err(format!("a batch of experiment {number}"));
                }
                _ => copy(&batch, batch.payload, &mut out),
            },
        }
    }
    out.append(&mut late_sync);
    Ok(out)
}

/// A batch with the header of `batch` but for its size.
fn copy(batch: &Batch<'_>, payload: &[u8], out: &mut Vec<u8>) {
    let header = BatchHeader {
        size: payload.len(),
        ..batch.header
    };
    header.encode_padded(batch.experiment, out);
    out.extend_from_slice(payload);
}

fn bare_sync(batch: &Batch<'_>, from: Version, out: &mut Vec<u8>) -> Result<(), String> {
    let sync = batch.sync(from).map_err(|error| error.to_string())?;
    let frequency = sync.frequency.ok_or("a sync batch without frequency")?;
    let mut payload = vec![EventKind::Frequency.code()];
    varint::encode(frequency.0, &mut payload);
    copy(batch, &payload, out);
    Ok(())
}

fn events(batch: &Batch<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), String> {
    let header = batch.header;
    let mut writer = BatchWriter::new(header.generation, header.thread, header.time);
    let mut changed = false;
    for event in batch.events() {
        let event = event.map_err(|error| error.to_string())?;
        let (kind, args) = match event.kind {
            EventKind::GoStatusStack if !version.knows(event.kind) => {
                changed = true;
                (EventKind::GoStatus, event.args().get(..3))
            }
            kind if !version.knows(kind) => {
                return Err(format!("{} in a trace of version {version}", kind.name()));
            }
            kind => (kind, Some(event.args())),
        };
        writer
            .event_after(kind, event.dt, args.unwrap_or_default())
            .map_err(|full| full.to_string())?;
    }
    match changed {
        true => writer.finish_into(out),
        false => copy(batch, batch.payload, out),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_wire::{ClockSnapshot, Frequency, Generation, ThreadId, Ticks, version};

    fn trace() -> Vec<u8> {
        let mut trace = version::WRITTEN.header().to_vec();
        let mut sync = BatchWriter::new(Generation(1), ThreadId::NONE, Ticks(5));
        let clock = ClockSnapshot {
            dt: Ticks(1),
            mono: 2,
            sec: 3,
            nsec: 4,
        };
        sync.sync(Frequency(1000), &clock).unwrap();
        sync.finish_into(&mut trace);
        let mut batch = BatchWriter::new(Generation(1), ThreadId(7), Ticks(6));
        let status = EventKind::GoStatusStack;
        batch.event_after(status, Ticks(1), &[1, 7, 2, 0]).unwrap();
        batch.finish_into(&mut trace);
        trace.push(EventKind::EndOfGeneration.code());
        trace
    }

    #[test]
    fn a_trace_of_1_22_has_a_late_bare_sync_and_no_stacks_in_statuses() {
        let older = rewrite(&trace(), Version::Go122).unwrap();
        let items = Items::new(&older).unwrap();
        assert_eq!(items.version(), Version::Go122);
        let kinds: Vec<_> = items
            .map(|item| match item.unwrap() {
                Item::Batch(batch) => (batch.kind(Version::Go122), batch.payload.to_vec()),
                Item::EndOfGeneration { .. } => panic!("an end byte"),
            })
            .collect();
        let status = vec![EventKind::GoStatus.code(), 1, 1, 7, 2];
        let frequency = vec![EventKind::Frequency.code(), 0xe8, 7];
        assert_eq!(
            kinds,
            [(BatchKind::Events, status), (BatchKind::Sync, frequency)]
        );
    }

    #[test]
    fn a_trace_of_1_25_lacks_only_the_end_bytes() {
        let older = rewrite(&trace(), Version::Go125).unwrap();
        let items = Items::new(&older).unwrap();
        assert!(items.clone().all(|item| matches!(item, Ok(Item::Batch(_)))));
        assert_eq!(items.count(), 2);
    }

    #[test]
    fn refuses_events_that_the_version_does_not_know() {
        let mut trace = trace();
        trace.pop();
        let mut batch = BatchWriter::new(Generation(1), ThreadId(7), Ticks(9));
        let switch = EventKind::GoSwitch;
        batch.event_after(switch, Ticks(1), &[2, 1]).unwrap();
        batch.finish_into(&mut trace);
        let refused = rewrite(&trace, Version::Go122).unwrap_err();
        assert!(refused.starts_with("GoSwitch"), "{refused}");
    }
}
