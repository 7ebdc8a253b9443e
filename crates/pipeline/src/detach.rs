//! A caller may vanish; what must be settled goes on without it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::Notify;

/// Says whether the caller has gone. Read where a call waits for a model.
#[derive(Clone, Default, Debug)]
pub struct Gone(Arc<AtomicBool>);

impl Gone {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The work that outlives its caller, counted so that shutdown can wait for it.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Counted>);

#[derive(Default)]
struct Counted {
    running: AtomicUsize,
    idle: Notify,
}

/// Counts one piece of work for as long as it lives.
pub struct Running(Tasks);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.idle.notify_waiters();
        }
    }
}

impl Tasks {
    pub fn enter(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        Running(self.clone())
    }

    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Waits until nothing runs.
    pub async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            if self.running() == 0 {
                return;
            }
            notified.await;
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime (it is shutting down) the work is dropped, and the call settles itself at its hold.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

/// A future that is finished by a task when its owner drops it half-way.
pub struct Detach<F: Future<Output: Send> + Send + 'static> {
    inner: Option<Pin<Box<F>>>,
    gone: Gone,
    tasks: Tasks,
}

impl<F: Future<Output: Send> + Send + 'static> Detach<F> {
    pub fn new(inner: F, gone: Gone, tasks: Tasks) -> Self {
        Self { inner: Some(Box::pin(inner)), gone, tasks }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Detach<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let inner = self.inner.as_mut().expect("not polled again after it is ready");
        let polled = inner.as_mut().poll(cx);
        if polled.is_ready() {
            self.inner = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Detach<F> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.gone.set();
            self.tasks.spawn(async move {
                drop(inner.await);
            });
        }
    }
}

/// A stream that is read to its end by a task when its owner drops it half-way.
pub(crate) struct DetachStream<S: Stream<Item = Bytes> + Send + 'static> {
    inner: Option<Pin<Box<S>>>,
    gone: Gone,
    tasks: Tasks,
}

impl<S: Stream<Item = Bytes> + Send + 'static> DetachStream<S> {
    pub(crate) fn new(inner: S, gone: Gone, tasks: Tasks) -> Self {
        Self { inner: Some(Box::pin(inner)), gone, tasks }
    }
}

impl<S: Stream<Item = Bytes> + Send + 'static> Stream for DetachStream<S> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = inner.as_mut().poll_next(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.inner = None;
        }
        polled
    }
}

impl<S: Stream<Item = Bytes> + Send + 'static> Drop for DetachStream<S> {
    fn drop(&mut self) {
        if let Some(mut inner) = self.inner.take() {
            self.gone.set();
            self.tasks.spawn(async move { while inner.next().await.is_some() {} });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_future_is_finished_all_the_same() {
        let (tasks, gone, done) = (Tasks::default(), Gone::default(), Arc::new(AtomicBool::new(false)));
        let flag = done.clone();
        let running = tasks.enter();
        let work = Detach::new(
            async move {
                tokio::task::yield_now().await;
                flag.store(true, Ordering::SeqCst);
                drop(running);
            },
            gone.clone(),
            tasks.clone(),
        );
        drop(work);
        assert!(gone.is_set());
        tasks.idle().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_finished_future_is_not_detached() {
        let gone = Gone::default();
        assert_eq!(Detach::new(async { 7 }, gone.clone(), Tasks::default()).await, 7);
        assert!(!gone.is_set());
    }
}
