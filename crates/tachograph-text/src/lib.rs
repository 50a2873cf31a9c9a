//! Traces as text, one line an item, and back; nothing is ordered or checked.
//!
//! **You give** the bytes of a trace; **you get** lines that `go tool trace -d=wire` prints too ([`write_wire`]), or
//! the same under a header line so that they can be read back ([`write_text`], [`decode`]). **You give** such lines;
//! **you get** bytes ([`encode()`]). Both ways take anything: broken bytes become what came before them and an error
//! with its place, and text can say things that no recorder would write, which is what test data is for.
//!
//! [`Golden`] is a file with a trace in text form and what a reader should say to it, in the form that Go's own tests
//! use. [`quote`](mod@quote) and [`unquote()`] are Go's way of writing bytes as printable text.
//!
//! **You owe** sizes of batches: they stand literally in the text ([`resize()`] fills them in).
//!
//! **Not for** looking at what happened: items come in file order, payloads of batches as their single items, and
//! where the framing is wrong nobody notices. The ordering reader is for that.
//!
//! ```
//! use tachograph_text::{decode, encode, resize};
//!
//! let text = resize(
//!     "Trace Go1.26
//!      EventBatch gen=1 m=7 time=1000 size=0
//!      ProcStatus dt=1 p=0 pstatus=1
//!      ProcStop dt=3
//!      EndOfGeneration",
//! )?;
//! let bytes = encode(&text)?;
//! assert_eq!(bytes[16..], [1, 1, 7, 0xe8, 7, 6, 13, 1, 0, 1, 11, 3, 52]);
//! assert!(decode(&bytes)?.contains("EventBatch gen=1 m=7 time=1000 size=6\nProcStatus dt=1 p=0 pstatus=1\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost**: some tens of nanoseconds an item, nothing allocated per item; `examples/dump.rs` measures it.
#![forbid(unsafe_code)]

pub mod encode;
pub mod expect;
pub mod golden;
mod hex;
pub mod quote;
pub mod resize;
mod txtar;
pub mod unquote;
pub mod wire;
pub mod write;

pub use encode::{TextError, encode, is_text};
pub use expect::{Expectation, GoAnswer, Mismatch};
pub use golden::{Golden, GoldenError};
pub use quote::Quoted;
pub use resize::resize;
pub use unquote::unquote;
pub use wire::{WireItem, WireReader};
pub use write::{DumpError, decode, write_text, write_wire};
