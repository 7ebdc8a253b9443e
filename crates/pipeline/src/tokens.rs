//! Tokens counted here, where nobody else says how many there were, and the vocabulary that it takes.
//!
//! Reading the vocabulary takes some 0.4 s of a core and 84 MB, so it is read when the first call needs it, and never on a
//! worker: every other call of that worker would stand still meanwhile. Whoever counts waits for [`ready`] first.

use bpe_openai::Tokenizer;
use tokio::sync::OnceCell;

/// The library keeps its own; this one says that it is there.
static VOCABULARY: OnceCell<&'static Tokenizer> = OnceCell::const_new();

/// Waits until tokens can be counted at once. Calls that come meanwhile wait for the same reading.
pub(crate) async fn ready() {
    read_once(&VOCABULARY, bpe_openai::o200k_base).await;
}

/// By OpenAI's newest encoding: exact for its models, near for others.
pub(crate) fn count_text(text: &str) -> u32 {
    let vocabulary = VOCABULARY.get();
    debug_assert!(vocabulary.is_some(), "whoever counts waits for the vocabulary first");
    vocabulary.copied().unwrap_or_else(bpe_openai::o200k_base).count(text) as u32
}

/// Reads on a thread that no call runs on.
async fn read_once<T: Copy + Send + Sync + 'static>(
    cell: &OnceCell<T>,
    read: impl Fn() -> T + Clone + Send + 'static,
) -> T {
    let elsewhere = || async {
        // Refused only while the runtime ends, when nothing is left that could be held up.
        tokio::task::spawn_blocking(read.clone()).await.unwrap_or_else(|_| read())
    };
    *cell.get_or_init(elsewhere).await
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;

    #[tokio::test]
    async fn a_worker_goes_on_while_the_vocabulary_is_read_once_elsewhere() {
        let (cell, times, met) = (OnceCell::new(), Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let read = {
            let (times, met) = (times.clone(), met.clone());
            move || {
                // Ends only once the worker has come to the other call: on the worker itself it would never.
                met.wait();
                times.fetch_add(1, Ordering::SeqCst);
                thread::current().id()
            }
        };
        let other_call = async { met.wait().is_leader() };
        let (one, _, two) = tokio::join!(read_once(&cell, read.clone()), other_call, read_once(&cell, read));
        assert_eq!((one, times.load(Ordering::SeqCst)), (two, 1));
        assert_ne!(one, thread::current().id());
    }

    #[tokio::test]
    async fn tokens_are_counted_as_the_newest_models_count_them() {
        ready().await;
        let check = |text: &str, tokens: u32| assert_eq!(count_text(text), tokens, "{text}");
        check("", 0);
        check("two words", 2);
        check("Straßenbahnhaltestelle", 7);
    }
}
