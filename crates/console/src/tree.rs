//! A trace as one tree: the steps that an application sent and the calls that went through here, joined by their span ids.
//!
//! Nothing is taken for granted: ids, parents and times are the senders'. A parent may be missing or a step its own
//! ancestor, clocks may disagree, and a trace may have a hundred thousand steps. Every step stands in the tree exactly
//! once, where its own clock puts it. Sorting costs O(n log n), the rest O(n); nothing here calls itself.

use std::collections::{HashMap, HashSet};

use gauntlet_ports::SpanRow;
use gauntlet_types::{
    Attempt, AttemptEnd, CallRecord, NanoUsd, Outcome, SpanId, SpanKind, SpanRecord, Timestamp, ToolResult,
};

/// Attempts shown below a call; more than a fallback chain with its retries ever has.
const ATTEMPTS_MAX: usize = 32;
/// Tools of one answer.
const TOOLS_MAX: usize = 64;
/// Clocks that count in milliseconds round; less than this is no disagreement.
const SKEW_US: i128 = 1_000;
/// What trouble and models may take of a shortened list: the rest shows how the trace begins.
const KEPT_SHARE: usize = 2;

#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    Span(&'a SpanRow),
    Call(&'a CallRecord),
    /// One try of the call it stands below.
    Attempt(&'a CallRecord, &'a Attempt),
    /// A tool that a call asked for, run by the application.
    Tool(ToolStep<'a>),
}

/// What is known of a tool's run by the calls around it: it began after the answer that asked for it, and was over when the
/// next request brought what it gave back.
#[derive(Clone, Copy, Debug)]
pub struct ToolStep<'a> {
    /// The call that asked for it, else the one that brought the result.
    pub call: &'a CallRecord,
    pub name: &'a str,
    pub arguments: &'a str,
    /// None where no call brought one.
    pub output: Option<&'a str>,
    pub started: Timestamp,
    pub took_us: u64,
}

/// What is wrong with a step's place in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Notes {
    /// It names a parent that did not come.
    pub is_parent_missing: bool,
    /// It was its own ancestor; its way up was cut.
    pub is_cut_cycle: bool,
    /// By its own clock it begins before its parent.
    pub is_before_parent: bool,
    /// By its own clock it ends after its parent.
    pub is_after_parent: bool,
}

impl Notes {
    /// As a page and a program are told.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        [
            (self.is_parent_missing, "parent not received"),
            (self.is_cut_cycle, "is its own ancestor"),
            (self.is_before_parent, "starts before its parent"),
            (self.is_after_parent, "ends after its parent"),
        ]
        .into_iter()
        .filter_map(|(is, words)| is.then_some(words))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub what: What<'a>,
    pub depth: u32,
    /// Steps below it.
    pub below: u32,
    /// From the start of the trace.
    pub start_us: u64,
    pub took_us: u64,
    pub notes: Notes,
}

/// Steps in the order of a reader: each before those below it, siblings by their start.
#[derive(Default, Debug)]
pub struct Tree<'a> {
    pub steps: Vec<Step<'a>>,
    pub took_us: u64,
    pub started: Timestamp,
}

/// Figures of a whole trace.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sums {
    pub spans: usize,
    pub calls: usize,
    pub errors: usize,
    /// Of the calls that went through here.
    pub cost: NanoUsd,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// As applications say of their own steps. A call through here may be told by both, so the two are never added up.
    pub said_cost: NanoUsd,
    pub said_tokens_in: u64,
    pub said_tokens_out: u64,
}

/// What a page shows of a tree: places in `steps`, and stretches that are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    Step(usize),
    Gap { from: usize, count: usize },
}

impl<'a> What<'a> {
    pub fn span(&self) -> Option<&'a SpanRecord> {
        match self {
            What::Span(row) => Some(&row.record),
            What::Call(_) | What::Attempt(..) | What::Tool(_) => None,
        }
    }

    /// Ids of attempts and tools are nobody's.
    pub fn id(&self) -> Option<SpanId> {
        match self {
            What::Span(row) => Some(row.record.span_id),
            What::Call(call) => Some(call.span_id),
            What::Attempt(..) | What::Tool(_) => None,
        }
    }

    pub fn parent(&self) -> Option<SpanId> {
        match self {
            What::Span(row) => row.record.parent_span_id,
            What::Call(call) => call.parent_span_id,
            What::Attempt(call, _) => Some(call.span_id),
            What::Tool(tool) => Some(tool.call.span_id),
        }
    }

    pub fn started(&self) -> Timestamp {
        match self {
            What::Span(row) => row.record.started,
            What::Call(call) => call.started,
            What::Attempt(call, attempt) => Timestamp(call.started.0.saturating_add(attempt.start_us.into())),
            What::Tool(tool) => tool.started,
        }
    }

    pub fn took_us(&self) -> u64 {
        match self {
            What::Span(row) => row.record.took_us,
            What::Call(call) => call.latency_us,
            What::Attempt(_, attempt) => attempt.took_us.into(),
            What::Tool(tool) => tool.took_us,
        }
    }

    pub fn name(&self) -> String {
        match self {
            What::Span(row) => row.record.name.to_string(),
            What::Call(call) if call.route.is_empty() => call.model_asked.to_string(),
            What::Call(call) => call.route.to_string(),
            What::Attempt(_, attempt) => attempt.target.to_string(),
            What::Tool(tool) => tool.name.to_owned(),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            What::Span(row) => row.record.kind.as_str(),
            What::Call(_) => "gateway",
            What::Attempt(..) => "attempt",
            What::Tool(_) => "tool",
        }
    }

    pub fn model(&self) -> Option<&'a str> {
        match self {
            What::Span(row) => row.record.model.as_deref(),
            What::Call(call) => {
                Some(call.target.as_ref().map_or(&*call.model_asked, |target| &*target.model))
            }
            What::Attempt(_, attempt) => Some(&*attempt.target.model),
            What::Tool(_) => None,
        }
    }

    pub fn is_error(&self) -> bool {
        match self {
            What::Span(row) => row.record.is_error,
            What::Call(call) => !matches!(call.outcome, Outcome::Ok | Outcome::Cancelled),
            What::Attempt(_, attempt) => !matches!(attempt.end, AttemptEnd::Ok | AttemptEnd::Outrun),
            What::Tool(_) => false,
        }
    }

    /// Tokens in and out; none where nothing is said.
    pub fn tokens(&self) -> Option<(u32, u32)> {
        let usage = match self {
            What::Span(row) => &row.record.usage,
            What::Call(call) => &call.usage,
            What::Attempt(..) | What::Tool(_) => return None,
        };
        let tokens = (usage.input_total().0, usage.output_total().0);
        (tokens != (0, 0)).then_some(tokens)
    }

    pub fn cost(&self) -> Option<NanoUsd> {
        match self {
            What::Span(row) => row.record.cost,
            What::Call(call) => Some(call.cost),
            What::Attempt(..) | What::Tool(_) => None,
        }
    }

    fn end(&self) -> i128 {
        i128::from(self.started().0) + i128::from(self.took_us())
    }

    /// What stays visible in a shortened list: trouble first, then calls and models.
    fn weight(&self) -> u8 {
        match self {
            _ if self.is_error() => 2,
            What::Call(_) => 1,
            What::Span(row) => u8::from(row.record.kind == SpanKind::Llm),
            What::Attempt(..) | What::Tool(_) => 0,
        }
    }
}

/// Steps before their order is known.
struct Parts<'a> {
    whats: Vec<What<'a>>,
    parents: Vec<Option<usize>>,
    notes: Vec<Notes>,
}

impl<'a> Parts<'a> {
    fn of(spans: &'a [SpanRow], calls: &'a [CallRecord]) -> Parts<'a> {
        let mut whats: Vec<What<'a>> = Vec::with_capacity(spans.len() + calls.len());
        whats.extend(spans.iter().map(What::Span));
        whats.extend(calls.iter().map(What::Call));
        // Of ids that were used twice the first to arrive is the parent; calls come last, theirs are ours.
        let mut by_id: HashMap<SpanId, usize> = HashMap::with_capacity(whats.len());
        let mut order: Vec<usize> = (0..whats.len()).collect();
        order.sort_by_key(|at| match whats[*at] {
            What::Span(row) => row.seq,
            What::Call(_) | What::Attempt(..) | What::Tool(_) => i64::MAX,
        });
        for at in order {
            if let Some(id) = whats[at].id() {
                by_id.entry(id).or_insert(at);
            }
        }
        let mut notes = vec![Notes::default(); whats.len()];
        let mut parents: Vec<Option<usize>> = Vec::with_capacity(whats.len());
        for (at, what) in whats.iter().enumerate() {
            let parent = what.parent().map(|id| by_id.get(&id).copied());
            notes[at].is_parent_missing = parent == Some(None);
            parents.push(parent.flatten());
        }
        let mut parts = Parts { whats, parents, notes };
        parts.cut_cycles();
        parts.add_attempts(spans.len(), calls);
        parts.compare_clocks();
        // After the clocks: a tool runs beyond the call that it stands below.
        parts.add_tools(spans, calls);
        parts
    }

    /// Walks up from every step, each step once; where a walk meets itself, the earliest of the circle becomes a root.
    fn cut_cycles(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            No,
            OnTheWay,
            Done,
        }
        let mut seen = vec![Seen::No; self.whats.len()];
        let mut way = Vec::new();
        for from in 0..self.whats.len() {
            let mut next = Some(from);
            while let Some(at) = next.filter(|at| seen[*at] == Seen::No) {
                seen[at] = Seen::OnTheWay;
                way.push(at);
                next = self.parents[at];
            }
            if let Some(met) = next.filter(|at| seen[*at] == Seen::OnTheWay) {
                let circle = way.iter().position(|at| *at == met).map_or(&way[..0], |first| &way[first..]);
                if let Some(first) = circle.iter().copied().min_by_key(|at| (self.whats[*at].started(), *at))
                {
                    self.parents[first] = None;
                    self.notes[first].is_cut_cycle = true;
                }
            }
            for at in way.drain(..) {
                seen[at] = Seen::Done;
            }
        }
    }

    /// One try that answered says nothing that the call does not.
    fn add_attempts(&mut self, first_call: usize, calls: &'a [CallRecord]) {
        for (number, call) in calls.iter().enumerate() {
            if call.attempts.len() > 1 || call.attempts.iter().any(|attempt| attempt.end != AttemptEnd::Ok) {
                for attempt in call.attempts.iter().take(ATTEMPTS_MAX) {
                    self.whats.push(What::Attempt(call, attempt));
                    self.parents.push(Some(first_call + number));
                    self.notes.push(Notes::default());
                }
            }
        }
    }

    /// Tools that no span tells of.
    fn add_tools(&mut self, spans: &'a [SpanRow], calls: &'a [CallRecord]) {
        let told: Vec<&SpanRecord> =
            spans.iter().map(|row| &row.record).filter(|span| span.kind == SpanKind::Tool).collect();
        let end_of = |call: &CallRecord| i128::from(call.started.0) + i128::from(call.latency_us);
        // Of an id that came twice the first result is the one: later requests repeat it.
        let mut results: HashMap<&str, (usize, &'a ToolResult)> = HashMap::new();
        for (at, call) in calls.iter().enumerate() {
            for result in &call.tool_results {
                let known = results.entry(&result.id).or_insert((at, result));
                if call.started < calls[known.0].started {
                    *known = (at, result);
                }
            }
        }
        let mut tools: Vec<(usize, ToolStep<'a>)> = Vec::new();
        let mut asked_for: HashSet<&str> = HashSet::new();
        for (at, call) in calls.iter().enumerate() {
            for tool in call.tool_calls.iter().take(TOOLS_MAX) {
                asked_for.insert(&tool.id);
                let result = results.get(tool.id.as_str());
                let took = result.map_or(0, |(at, _)| i128::from(calls[*at].started.0) - end_of(call));
                tools.push((
                    at,
                    ToolStep {
                        call,
                        name: &tool.name,
                        arguments: &tool.arguments,
                        output: result.map(|(_, result)| result.output.as_str()),
                        started: Timestamp(i64::try_from(end_of(call)).unwrap_or(i64::MAX)),
                        took_us: u64::try_from(took.max(0)).unwrap_or(u64::MAX),
                    },
                ));
            }
        }
        for (id, (at, result)) in results {
            if !asked_for.contains(id) {
                let (call, name, arguments) = (&calls[at], &*result.name, &*result.arguments);
                let output = Some(result.output.as_str());
                tools.push((
                    at,
                    ToolStep { call, name, arguments, output, started: call.started, took_us: 0 },
                ));
            }
        }
        // A map has no order.
        tools.sort_by_key(|(at, tool)| (*at, tool.started));
        for (at, tool) in tools {
            let (from, to) =
                (i128::from(tool.started.0), i128::from(tool.started.0) + i128::from(tool.took_us));
            let is_told = told.iter().any(|span| {
                let (start, end) =
                    (i128::from(span.started.0), i128::from(span.started.0) + i128::from(span.took_us));
                (*span.name == *tool.name || span.tool.as_deref() == Some(tool.name))
                    && start + SKEW_US >= from
                    // Where no call brought a result, nobody knows when it was over.
                    && (tool.output.is_none() || end <= to + SKEW_US)
            });
            if !is_told {
                self.whats.push(What::Tool(tool));
                self.parents.push(Some(spans.len() + at));
                self.notes.push(Notes::default());
            }
        }
    }

    fn compare_clocks(&mut self) {
        for (at, what) in self.whats.iter().enumerate() {
            let Some(parent) = self.parents[at].map(|parent| &self.whats[parent]) else { continue };
            let (start, parent_start) = (i128::from(what.started().0), i128::from(parent.started().0));
            self.notes[at].is_before_parent = start + SKEW_US < parent_start;
            self.notes[at].is_after_parent = what.end() > parent.end() + SKEW_US;
        }
    }

    /// Children of each step, and roots under the last index, all by their start.
    fn children(&self) -> (Vec<usize>, Vec<usize>) {
        let roots = self.whats.len();
        let mut from = vec![0usize; roots + 2];
        for parent in &self.parents {
            from[parent.unwrap_or(roots) + 1] += 1;
        }
        for at in 1..from.len() {
            from[at] += from[at - 1];
        }
        let mut sorted: Vec<usize> = (0..roots).collect();
        sorted.sort_by_key(|at| (self.whats[*at].started(), *at));
        let mut next = from.clone();
        let mut children = vec![0; roots];
        for at in sorted {
            let place = &mut next[self.parents[at].unwrap_or(roots)];
            children[*place] = at;
            *place += 1;
        }
        (from, children)
    }
}

impl<'a> Tree<'a> {
    /// `spans` and `calls` of one trace, in any order.
    pub fn of(spans: &'a [SpanRow], calls: &'a [CallRecord]) -> Tree<'a> {
        let parts = Parts::of(spans, calls);
        let Some(started) = parts.whats.iter().map(What::started).min() else { return Tree::default() };
        let last = parts.whats.iter().map(What::end).max().unwrap_or_default();
        let within = |micros: i128| u64::try_from(micros.max(0)).unwrap_or(u64::MAX);
        let (from, children) = parts.children();
        let roots = parts.whats.len();
        let mut steps: Vec<Step<'a>> = Vec::with_capacity(roots);
        // What is still to be shown, the next one last.
        let mut ahead: Vec<(usize, u32)> =
            children[from[roots]..from[roots + 1]].iter().rev().map(|at| (*at, 0)).collect();
        while let Some((at, depth)) = ahead.pop() {
            let what = parts.whats[at];
            steps.push(Step {
                what,
                depth,
                below: 0,
                start_us: within(i128::from(what.started().0) - i128::from(started.0)),
                took_us: what.took_us(),
                notes: parts.notes[at],
            });
            ahead.extend(children[from[at]..from[at + 1]].iter().rev().map(|child| (*child, depth + 1)));
        }
        count_below(&mut steps);
        Tree { steps, took_us: within(last - i128::from(started.0)), started }
    }

    /// The step that names the trace: the first that names no parent, else the first.
    pub fn root(&self) -> Option<&Step<'a>> {
        self.steps.iter().find(|step| step.what.parent().is_none()).or(self.steps.first())
    }

    pub fn position(&self, id: SpanId) -> Option<usize> {
        self.steps.iter().position(|step| step.what.id() == Some(id))
    }

    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for what in self.steps.iter().map(|step| step.what) {
            let (tokens_in, tokens_out) = what.tokens().unwrap_or_default();
            let cost = what.cost().unwrap_or_default();
            match what {
                What::Span(_) => {
                    sums.spans += 1;
                    sums.said_cost = NanoUsd(sums.said_cost.0.saturating_add(cost.0));
                    sums.said_tokens_in += u64::from(tokens_in);
                    sums.said_tokens_out += u64::from(tokens_out);
                }
                What::Call(_) => {
                    sums.calls += 1;
                    sums.cost = NanoUsd(sums.cost.0.saturating_add(cost.0));
                    sums.tokens_in += u64::from(tokens_in);
                    sums.tokens_out += u64::from(tokens_out);
                }
                What::Attempt(..) | What::Tool(_) => continue,
            }
            sums.errors += usize::from(what.is_error());
        }
        sums
    }

    /// At most about `max` steps: how the trace begins, with trouble, calls and models further down kept in sight, and
    /// `selected` in any case.
    pub fn overview(&self, max: usize, selected: Option<usize>) -> Vec<Shown> {
        if self.steps.len() <= max {
            return (0..self.steps.len()).map(Shown::Step).collect();
        }
        let mut wanted: HashSet<usize> = selected.into_iter().collect();
        let room = max / KEPT_SHARE;
        for weight in [2, 1] {
            let left = room.saturating_sub(wanted.len());
            let heavy = self.steps.iter().enumerate().filter(|(_, step)| step.what.weight() == weight);
            wanted.extend(heavy.map(|(at, _)| at).take(left));
        }
        let mut at = 0;
        while wanted.len() < max && at < self.steps.len() {
            wanted.insert(at);
            at += 1;
        }
        let mut places: Vec<usize> = wanted.into_iter().collect();
        places.sort_unstable();
        self.with_gaps(&places)
    }

    /// `max` steps from a place on.
    pub fn window(&self, from: usize, max: usize) -> Vec<Shown> {
        let from = from.min(self.steps.len());
        let places: Vec<usize> = (from..self.steps.len()).take(max).collect();
        self.with_gaps(&places)
    }

    fn with_gaps(&self, places: &[usize]) -> Vec<Shown> {
        let mut shown = Vec::with_capacity(places.len());
        let mut next = 0;
        for at in places.iter().copied().chain([self.steps.len()]) {
            if at > next {
                shown.push(Shown::Gap { from: next, count: at - next });
            }
            if at < self.steps.len() {
                shown.push(Shown::Step(at));
            }
            next = at + 1;
        }
        shown
    }
}

/// Steps below a step are those that follow it until its depth comes again.
fn count_below(steps: &mut [Step<'_>]) {
    let mut open: Vec<usize> = Vec::new();
    for at in 0..=steps.len() {
        let depth = steps.get(at).map(|step| step.depth);
        while let Some(last) =
            open.last().copied().filter(|last| depth.is_none_or(|depth| steps[*last].depth >= depth))
        {
            steps[last].below = u32::try_from(at - last - 1).unwrap_or(u32::MAX);
            open.pop();
        }
        open.push(at);
    }
}

#[cfg(test)]
mod tests;
