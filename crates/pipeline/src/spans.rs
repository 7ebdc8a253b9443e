//! The way of spans that applications send: who sends them, what may be kept of them, what they cost, into the spool.
//!
//! They are no calls: no budget pays for them, no limit counts them, and no guard refuses them, since whatever they tell
//! of has happened already. What is private in them is taken out, always.

mod clean;
mod price;

use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use gauntlet_policy::{config::Policy, keys::KeyGrant};
use gauntlet_ports::{SpoolError, StoredSpan};
use gauntlet_types::{Caller, Code, Environment, Fault, SpanKind};
use gauntlet_wire::otlp::{
    receive::{Received, Rejected},
    understand::{Origin, Understood},
};
use http::HeaderMap;

use self::{clean::Cleaner, price::Prices};
use crate::{gate::Gate, stage::admit};

/// One entry of the spool is closed when it has reached this: large enough that entries are few, and far below what the
/// spool takes (32 MB), so that only a single span can pass that.
const ENTRY_BYTES: usize = 4 << 20;
/// A span's figures and names in the spool, beside its texts.
const RECORD_BYTES: usize = 1 << 10;
/// Tells a sender when to try again while the disk takes nothing.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Requests worked on at once, beside the workers: their memory is what this bounds.
pub const REQUESTS_MAX: usize = 4;

/// What was taken so far, and room for what is being taken.
pub struct SpanDesk {
    /// Held while a request is decoded and written.
    pub slots: Arc<tokio::sync::Semaphore>,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

impl Default for SpanDesk {
    fn default() -> SpanDesk {
        let slots = Arc::new(tokio::sync::Semaphore::new(REQUESTS_MAX));
        SpanDesk { slots, accepted: AtomicU64::new(0), rejected: AtomicU64::new(0) }
    }
}

impl SpanDesk {
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }
}

/// Who sends spans: what the key binds, and what the headers say of all of them.
pub struct SpanSender {
    grant: Option<Arc<KeyGrant>>,
    caller: Caller,
}

/// What became of a request.
#[derive(Clone, Default, Debug)]
pub struct Taken {
    pub accepted: u64,
    pub rejected: u64,
    /// Why some were rejected; empty when none was.
    pub message: String,
}

impl Gate {
    /// Looks at the key, before anything of the body is read.
    pub fn span_sender(&self, headers: &HeaderMap) -> Result<SpanSender, Fault> {
        let snapshot = self.shared.snapshot.load();
        let grant = admit::authenticate(&snapshot.policy, headers, self.shared.clock.now())?;
        let caller = admit::sender(headers, grant.as_deref())?;
        killed(&snapshot.policy, &caller)?;
        Ok(SpanSender { grant, caller })
    }

    /// Takes a request's spans. When this returns they are in the operating system's hands, or the sender is to try again:
    /// spans that come twice are kept once.
    pub fn spans(&self, sender: &SpanSender, received: Received) -> Result<Taken, Fault> {
        let snapshot = self.shared.snapshot.load();
        let mut rejected = received.rejected;
        let mut cleaner = Cleaner::new(&self.shared);
        let mut prices = Prices::new(&snapshot.policy);
        let mut entry = Entry { gate: self, spans: Vec::new(), bytes: 0, accepted: 0 };
        for mut resource in received.resource_spans {
            cleaner.resource(&mut resource.resource);
            for mut scope in resource.scope_spans {
                cleaner.scope(&mut scope.scope);
                let origin = Origin::new(resource.resource.as_ref(), scope.scope.as_ref());
                for mut span in scope.spans {
                    cleaner.span(&mut span);
                    let mut understood = origin.understand(span);
                    let record = &mut understood.record;
                    record.caller = sender.caller_of(&record.caller, understood.environment);
                    if let Err(fault) = killed(&snapshot.policy, &record.caller) {
                        rejected.note(fault.message);
                        continue;
                    }
                    if record.cost.is_none() && matches!(record.kind, SpanKind::Llm | SpanKind::Embedding) {
                        record.cost = prices.cost(record);
                    }
                    entry.add(understood, &mut rejected)?;
                }
            }
        }
        entry.write(&mut rejected)?;
        let taken = Taken { accepted: entry.accepted, rejected: rejected.count, message: rejected.message() };
        self.shared.spans.accepted.fetch_add(taken.accepted, Ordering::Relaxed);
        self.shared.spans.rejected.fetch_add(taken.rejected, Ordering::Relaxed);
        Ok(taken)
    }
}

impl SpanSender {
    /// What the key binds, else what the span claims, else what the sender's headers say.
    fn caller_of(&self, claimed: &Caller, environment: Option<Environment>) -> Caller {
        let own = &self.caller;
        let bound = self.grant.as_deref();
        let claimed_tenant = Some(&claimed.tenant).filter(|tenant| bound.is_none() && !tenant.is_empty());
        let is_bound = bound.is_some_and(|grant| grant.environment.is_some());
        Caller {
            tenant: claimed_tenant.unwrap_or(&own.tenant).clone(),
            team: bound
                .and_then(|grant| grant.team.clone())
                .or_else(|| claimed.team.clone().or(own.team.clone())),
            user: bound
                .and_then(|grant| grant.user.clone())
                .or_else(|| claimed.user.clone().or(own.user.clone())),
            session: claimed.session.clone().or_else(|| own.session.clone()),
            key: own.key.clone(),
            environment: environment.filter(|_| !is_bound).unwrap_or(own.environment),
            app_sha: claimed.app_sha.clone(),
            eval_id: claimed.eval_id.clone(),
            tags: claimed.tags.clone(),
        }
    }
}

/// Whom the operator has switched off sends no spans either.
fn killed(policy: &Policy, caller: &Caller) -> Result<(), Fault> {
    match policy.kills().hit(&caller.tenant, "", "", None, caller.key.as_deref()) {
        None => Ok(()),
        Some(kill) => Err(admit::killed(kill)),
    }
}

/// An entry of the spool as it fills.
struct Entry<'a> {
    gate: &'a Gate,
    spans: Vec<StoredSpan>,
    bytes: usize,
    accepted: u64,
}

impl Entry<'_> {
    fn add(&mut self, span: Understood, rejected: &mut Rejected) -> Result<(), Fault> {
        let bytes = span.input.len() + span.output.len() + span.rest.len() + RECORD_BYTES;
        // One that is large by itself goes by itself.
        if self.bytes + bytes > ENTRY_BYTES {
            self.write(rejected)?;
        }
        self.bytes += bytes;
        self.spans.push(StoredSpan {
            record: span.record,
            input: Bytes::from(span.input),
            output: Bytes::from(span.output),
            rest: Bytes::from(span.rest),
        });
        Ok(())
    }

    fn write(&mut self, rejected: &mut Rejected) -> Result<(), Fault> {
        let written = self.gate.spool.spans(&self.spans);
        match written {
            Ok(()) => self.accepted += self.spans.len() as u64,
            Err(SpoolError::TooLarge { bytes, limit }) => {
                for _ in &self.spans {
                    rejected.note(format!("a span of {bytes} bytes is larger than is kept ({limit})"));
                }
            }
            Err(error @ (SpoolError::Write { .. } | SpoolError::Behind { .. })) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot write spans to the spool");
                let message = "the gateway cannot write its records at the moment, so it takes no spans; try again soon";
                return Err(Fault::us(Code::Unavailable, message).retry_after(RETRY_AFTER));
            }
        }
        self.spans.clear();
        self.bytes = 0;
        Ok(())
    }
}
