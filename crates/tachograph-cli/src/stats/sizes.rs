//! Counts the records of a trace, and their bytes, as they stand in the file.
//!
//! Owns the counters by type. Called by `counted` with each item that passes by; whether the records make sense is the reader's to say.

use super::report::TypeCount;
use std::collections::BTreeMap;
use tachograph_wire::{Batch, BatchKind, EventKind, Item, Version, WireError, varint};

/// Counters of all types.
#[derive(Debug)]
pub struct Sizes {
    types: [TypeCount; 256],
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            types: [TypeCount::default(); 256],
        }
    }
}

impl Sizes {
    /// What there was, by name.
    pub fn by_type(&self) -> BTreeMap<&'static str, TypeCount> {
        let all = EventKind::ALL
            .iter()
            .map(|kind| (kind.name(), self.types[usize::from(kind.code())]));
        all.filter(|(_, found)| found.count > 0).collect()
    }

    /// Counts an item and all that is in it.
    ///
    /// # Errors
    /// Where the bytes are nothing; what stands before is counted.
    pub fn add(&mut self, item: &Item<'_>, version: Version) -> Result<(), WireError> {
        match item {
            Item::Batch(batch) => self.batch(batch, version),
            Item::EndOfGeneration { .. } => {
                self.count(EventKind::EndOfGeneration, 1);
                Ok(())
            }
        }
    }

    #[inline]
    fn count(&mut self, kind: EventKind, bytes: u64) {
        let found = &mut self.types[usize::from(kind.code())];
        found.count += 1;
        found.bytes += bytes;
    }

    fn batch(&mut self, batch: &Batch<'_>, version: Version) -> Result<(), WireError> {
        let header_bytes = batch.payload_offset.0 - batch.offset.0;
        let kind = match batch.experiment {
            Some(_) => EventKind::ExperimentalBatch,
            None => EventKind::EventBatch,
        };
        self.count(kind, header_bytes);
        match batch.kind(version) {
            BatchKind::Events => self.events(batch),
            BatchKind::Strings => self.strings(batch),
            BatchKind::Stacks => self.stacks(batch),
            BatchKind::Samples => self.samples(batch),
            BatchKind::Sync => self.sync(batch, version),
            BatchKind::Experiment(_) => {
                let found = &mut self.types[usize::from(kind.code())];
                found.bytes += batch.payload.len() as u64;
                Ok(())
            }
        }
    }

    fn events(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut events = batch.events();
        let mut start = events.offset();
        while let Some(event) = events.next() {
            self.count(event?.kind, events.offset().0 - start.0);
            start = events.offset();
        }
        Ok(())
    }

    fn strings(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut strings = batch.strings()?;
        self.count(EventKind::Strings, 1);
        let mut start = strings.offset();
        while let Some(string) = strings.next() {
            string?;
            self.count(EventKind::String, strings.offset().0 - start.0);
            start = strings.offset();
        }
        Ok(())
    }

    fn stacks(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut stacks = batch.stacks()?;
        self.count(EventKind::Stacks, 1);
        let mut start = stacks.offset();
        while let Some(stack) = stacks.next() {
            stack?;
            self.count(EventKind::Stack, stacks.offset().0 - start.0);
            start = stacks.offset();
        }
        Ok(())
    }

    fn samples(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut samples = batch.samples()?;
        self.count(EventKind::CPUSamples, 1);
        let mut start = samples.offset();
        while let Some(sample) = samples.next() {
            sample?;
            self.count(EventKind::CPUSample, samples.offset().0 - start.0);
            start = samples.offset();
        }
        Ok(())
    }

    fn sync(&mut self, batch: &Batch<'_>, version: Version) -> Result<(), WireError> {
        batch.sync(version)?;
        if version.has_sync() {
            self.count(EventKind::Sync, 1);
        }
        let records = batch.payload.get(usize::from(version.has_sync())..);
        self.sync_records(records.unwrap_or_default());
        Ok(())
    }

    /// Counts the bytes of records that have been read once: a code and so many numbers each.
    fn sync_records(&mut self, mut records: &[u8]) {
        while let Some(kind) = records.first().and_then(|code| EventKind::from_code(*code)) {
            let numbers = kind.spec().args.len();
            let len = (0..numbers).fold(1, |len, _| {
                let rest = records.get(len..).unwrap_or_default();
                len + varint::decode(rest).map_or(rest.len(), |(_, bytes)| bytes)
            });
            self.count(kind, len as u64);
            records = records.get(len..).unwrap_or_default();
        }
    }
}
