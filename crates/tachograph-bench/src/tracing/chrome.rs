//! tracing-chrome's layer, which hands each enter and exit to a thread that writes JSON.

use std::io;

use tracing::Dispatch;
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

use super::{creates, enters, root, says};
use crate::measure::Variant;

/// Its layer under a subscriber of its own, writing into nothing.
pub struct Chrome {
    subscriber: Dispatch,
    _writer: FlushGuard,
}

impl Chrome {
    /// Starts its thread.
    pub fn start() -> Self {
        let (layer, writer) = ChromeLayerBuilder::new().writer(io::sink()).build();
        Self {
            subscriber: Dispatch::new(registry().with(layer)),
            _writer: writer,
        }
    }

    /// Its variants.
    pub fn variants(&self) -> Vec<Variant> {
        vec![
            enters("enter + exit: tracing-chrome", root(&self.subscriber)),
            creates("create + close: tracing-chrome", &self.subscriber),
            says("event: tracing-chrome", &self.subscriber),
        ]
    }
}
