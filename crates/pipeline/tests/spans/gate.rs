//! A gate with nothing behind it: spans that it takes are kept in memory.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use gauntlet_guard::Scanner;
use gauntlet_pipeline::{Gate, Ledger, Shared, SharedParts, Snapshot};
use gauntlet_policy::config::{self, LoadOptions, Source, Sources};
use gauntlet_ports::{
    ControlError, Owned, Owners, Spool, SpoolError, StoredSpan, Texts, Upstream, UpstreamAnswer,
    UpstreamError, UpstreamRequest,
};
use gauntlet_testkit::ManualClock;
use gauntlet_types::{CallRecord, Name};

/// What the spool was given, an entry each.
#[derive(Default)]
pub struct Kept {
    pub entries: Mutex<Vec<Vec<StoredSpan>>>,
    /// Bytes beyond which an entry is refused; 0 refuses everything as a full disk does, and none refuses nothing.
    pub limit: Option<usize>,
    /// Nothing is kept: for measuring.
    pub forgets: bool,
}

impl Spool for Kept {
    fn open(&self, _: &CallRecord) -> Result<(), SpoolError> {
        Ok(())
    }

    fn close(&self, _: &CallRecord, _: &Texts) -> Result<(), SpoolError> {
        Ok(())
    }

    fn spans(&self, spans: &[StoredSpan]) -> Result<(), SpoolError> {
        let bytes = spans.iter().map(|span| span.rest.len()).sum();
        match self.limit {
            Some(0) => return Err(SpoolError::Behind { path: "spool".to_owned(), waiting_bytes: 1 }),
            Some(limit) if bytes > limit => return Err(SpoolError::TooLarge { bytes, limit }),
            _ => {}
        }
        if !self.forgets && !spans.is_empty() {
            self.entries.lock().unwrap().push(spans.to_vec());
        }
        Ok(())
    }
}

struct Nobody;

impl Upstream for Nobody {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
        let error = UpstreamError::Encoding {
            provider: request.endpoint.provider.clone(),
            encoding: "none".to_owned(),
        };
        Box::pin(async { Err(error) })
    }
}

impl Owners for Nobody {
    fn keep(&self, _: Owned) -> BoxFuture<'static, Result<(), ControlError>> {
        Box::pin(async { Ok(()) })
    }

    fn owner(&self, _: Name, _: Name) -> BoxFuture<'static, Result<Option<Name>, ControlError>> {
        Box::pin(async { Ok(None) })
    }

    fn ids(&self, _: Name, _: Name) -> BoxFuture<'static, Result<Vec<Name>, ControlError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

pub fn gate(gauntlet_yml: &str, kept: Arc<Kept>) -> Gate {
    let source = Source { file: "gauntlet.yml".to_owned(), text: gauntlet_yml.to_owned() };
    let sources = Sources { gauntlet: Some(source), ..Sources::default() };
    let options = LoadOptions { loopback: true, find_provider_keys: false };
    let policy = config::load(&sources, &|_| None, &options).unwrap().policy;
    let shared = Shared::new(SharedParts {
        snapshot: Arc::new(Snapshot::new(policy, Arc::default()).unwrap()),
        clock: Arc::new(ManualClock::new()),
        ledger: Ledger::new([]),
        scanner: Arc::new(Scanner::new()),
        owners: Arc::new(Nobody),
        observers: Vec::new(),
        hash_key: [7; 32],
        status_of: |_| 500,
        on_crossed: Box::new(|_| {}),
    });
    Gate { shared: Arc::new(shared), upstream: Arc::new(Nobody), spool: kept }
}
