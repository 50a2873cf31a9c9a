//! Tasks whose owners break rules. Their programs may panic; their traces are good.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Waker};

use tachograph::Recorder;
use tachograph_e2e::record::{record, turn};
use tachograph_tokio::FutureExt;

fn poll<F: Future>(future: Pin<&mut F>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn a_future_that_is_polled_after_its_end_says_nothing() {
    let _turn = turn();
    let name = "polled after its end";
    let (_, recorded) = record(name, Recorder::new(), || {
        let mut future = Box::pin(async {}.traced("done"));
        assert!(poll(future.as_mut()));
        let again = catch_unwind(AssertUnwindSafe(|| poll(future.as_mut())));
        assert!(again.is_err());
        drop(tachograph::region("after it"));
    });
    let _ = recorded.verify();
}
