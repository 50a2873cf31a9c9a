//! The layer: what it does at each call of the subscriber.
//!
//! Called by `tracing-subscriber`, calls the recorder. Owns nothing but its number and its choices: what a span has in the trace stands
//! in `span`, what a thread has open in `thread`.

use std::sync::atomic::{AtomicU64, Ordering};

use tachograph_recorder::{TaskHandle, is_recording, log, task};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::category;
use crate::message::{self, Message};
use crate::span::{Known, Recorded};
use crate::thread::{self, Key};

/// Records spans and events while a Tachograph recording runs.
///
/// A subscriber needs one. With a second, the spans that both see share a user task and each records its own regions.
///
/// While nothing is recorded, each callback is a load and a branch.
#[derive(Debug)]
pub struct TachographLayer {
    /// Spans of different registries have equal ids, and a thread may see several: layers are told apart by number.
    number: u64,
    fields: bool,
    events: bool,
}

impl Default for TachographLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl TachographLayer {
    /// A layer that records spans, their fields, and events.
    #[must_use]
    pub fn new() -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        Self {
            // Relaxed: only uniqueness matters.
            number: LAYERS.fetch_add(1, Ordering::Relaxed),
            fields: true,
            events: true,
        }
    }

    /// Whether fields of spans, and what they follow from, are recorded; they are unless said.
    ///
    /// Formatting a field takes some tens of nanoseconds, or what its `Debug` takes. Without fields, nothing of the kind is called.
    #[must_use]
    pub fn fields(mut self, fields: bool) -> Self {
        self.fields = fields;
        self
    }

    /// Whether events are recorded; they are unless said.
    #[must_use]
    pub fn events(mut self, events: bool) -> Self {
        self.events = events;
        self
    }

    fn key(&self, id: &Id) -> Key {
        Key {
            layer: self.number,
            span: id.into_u64(),
        }
    }

    /// What the trace needs of a span; `None` where it is gone, or not for this layer.
    fn known<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<Known>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        thread::find(self.key(id)).or_else(|| Some(self.look_up(&ctx.span(id)?)))
    }

    /// The same from the registry; the thread then remembers it.
    #[cold]
    fn look_up<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) -> Known {
        let recorded = span.extensions().get().map(Recorded::marks);
        let (task, closings) = recorded.unwrap_or_else(|| {
            // It is older than the recording. What the thread remembers of it must go when it closes, so it gets its mark now;
            // unless another thread was here in between.
            let mut extensions = span.extensions_mut();
            if let Some(recorded) = extensions.get_mut::<Recorded>() {
                return recorded.marks();
            }
            let recorded = Recorded::part_of(TaskHandle::BACKGROUND, &span.id());
            let marks = recorded.marks();
            extensions.insert(recorded);
            marks
        });
        let known = Known {
            name: span.name(),
            task,
        };
        thread::remember(self.key(&span.id()), known, closings);
        known
    }

    /// Not inlined: a recording that is off shall not pay for what it needs.
    #[inline(never)]
    fn enter<S>(&self, id: &Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if !thread::enter_remembered(self.key(id)) {
            self.enter_unknown(id, &ctx);
        }
    }

    #[cold]
    fn enter_unknown<S>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(span) = ctx.span(id) {
            let known = self.look_up(&span);
            thread::enter(self.key(id), known);
        }
    }

    /// Begins the span in the trace: its user task, if it is a root, and the mark by which others find its task.
    fn begin<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) -> Known {
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<Recorded>().is_some() {
            // Another layer of ours on the same subscriber was first.
            drop(extensions);
            return self.look_up(span);
        }
        let parent = span.parent().map(|parent| {
            let found = thread::find(self.key(&parent.id()));
            found.unwrap_or_else(|| self.look_up(&parent)).task
        });
        let recorded = match parent {
            Some(task) => Recorded::part_of(task, &span.id()),
            None => Recorded::root(task(span.name()), &span.id()),
        };
        let (task, closings) = recorded.marks();
        extensions.insert(recorded);
        drop(extensions);
        let known = Known {
            name: span.name(),
            task,
        };
        thread::remember(self.key(&span.id()), known, closings);
        known
    }
}

impl<S> Layer<S> for TachographLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if !is_recording() {
            return;
        }
        let Some(span) = ctx.span(id) else { return };
        let known = self.begin(&span);
        if self.fields && !attrs.values().is_empty() {
            message::with(|message| {
                attrs.record(message);
                known.log(message);
            });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if !self.fields || !is_recording() {
            return;
        }
        if let Some(known) = self.known(id, &ctx) {
            message::with(|message| {
                values.record(message);
                known.log(message);
            });
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        if !self.fields || !is_recording() {
            return;
        }
        if let Some(known) = self.known(id, &ctx)
            && let Some(other) = self.known(follows, &ctx)
        {
            message::with(|message| {
                message.pair("follows_from", other.name);
                known.log(message);
            });
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if !self.events || !is_recording() {
            return;
        }
        let task = match event.parent() {
            // The region around is that of the current span, or one of the program's own inside it.
            _ if event.is_contextual() => None,
            Some(parent) => self.known(parent, &ctx).map(|known| known.task),
            None => Some(TaskHandle::BACKGROUND),
        };
        message::with(|message| {
            event.record(message);
            let category = category::of(event.metadata(), message.log_target());
            match task {
                Some(task) => task.log(category, message.text()),
                None => log(category, message.text()),
            }
        });
    }

    #[inline]
    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if is_recording() {
            self.enter(id, ctx);
        }
    }

    /// Also while nothing is recorded: a region that stayed open here would be open in the trace that follows a suspension.
    #[inline]
    fn on_exit(&self, id: &Id, _ctx: Context<'_, S>) {
        thread::exit(self.key(id));
    }
}

impl Known {
    /// Logs what a span says about itself, if it says something.
    fn log(&self, message: &Message) {
        if !message.text().is_empty() {
            self.task.log(self.name, message.text());
        }
    }
}

#[cfg(test)]
mod tests {
    use tachograph_recorder::Recorder;
    use tracing::{info, info_span};
    use tracing_subscriber::prelude::*;

    use super::*;

    /// Otherwise a thread would collect what it entered over all recordings, and a suspended one would go on with regions that ended.
    #[test]
    fn a_span_that_is_exited_after_the_recording_leaves_nothing_open() {
        let subscriber = tracing_subscriber::registry().with(TachographLayer::new());
        tracing::subscriber::with_default(subscriber, || {
            let recording = Recorder::new().start(std::io::sink()).unwrap();
            let outer = info_span!("outer").entered();
            let inner = info_span!("inner").entered();
            assert_eq!(thread::depth(), 2);
            let summary = recording.stop().unwrap();
            info!("unheard");
            assert!(summary.events > 0);
            drop(outer);
            drop(inner);
            assert_eq!(thread::depth(), 0);
        });
    }
}
