//! Many callers on one thread, each with a connection of its own, and their books.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Field, INPUT_NANO, OUTPUT_MAX, OUTPUT_NANO, verdict::Line};

/// What the gateway adds to a body at most before it bounds its tokens by bytes.
const EDITS_MAX: i64 = 400;
const ENVIRONMENTS: [&str; 3] = ["prod", "staging", "dev"];
const CONSONANTS: [char; 8] = ['b', 'd', 'g', 'k', 'm', 'v', 'x', 'z'];
/// Longer than any call takes; what does not end by then hangs.
const CALL_MAX: Duration = Duration::from_secs(60);

pub(crate) fn key(number: usize) -> String {
    format!("soak-key-of-tenant-{number}")
}

/// What the callers know of one budget; see the module above.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Known {
    pub(crate) begun: i64,
    pub(crate) freed: i64,
    /// What whole answers cost.
    pub(crate) spent: i64,
    pub(crate) refusals: u64,
}

/// Everything the callers know at the end.
#[derive(Default)]
pub(crate) struct Learnt {
    /// By charge's scope and key.
    pub(crate) known: HashMap<(String, String), Known>,
    /// Calls that got a whole answer or a refusal.
    pub(crate) answered_ids: HashSet<u128>,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) false_blocks: u64,
    pub(crate) overspend: i64,
}

/// One budget in one environment.
struct Budget {
    name: (String, String),
    measure: String,
    known: Known,
}

struct Books {
    budgets: Vec<Budget>,
    /// Place by charge's scope and key.
    places: HashMap<(String, String), usize>,
    learnt: Learnt,
}

pub(crate) fn press(
    field: &Arc<Field>,
    lines: Vec<Line>,
    calls: u64,
    concurrency: usize,
    seed: u64,
) -> Learnt {
    let mut books = Books { budgets: Vec::new(), places: HashMap::new(), learnt: Learnt::default() };
    for line in &lines {
        for environment in ENVIRONMENTS {
            let scope = line.scope_in(environment);
            let name = (scope, line.key.clone());
            if !books.places.contains_key(&name) {
                books.places.insert(name.clone(), books.budgets.len());
                let measure = line.measure.clone();
                books.budgets.push(Budget { name, measure, known: Known::default() });
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let books = Rc::new(RefCell::new(books));
    let lines = Rc::new(lines);
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let callers: Vec<_> = (0..concurrency)
            .map(|number| {
                let (field, books, lines) = (Arc::clone(field), Rc::clone(&books), Rc::clone(&lines));
                let random = fastrand::Rng::with_seed(seed ^ (number as u64) << 20);
                tokio::task::spawn_local(call_on(field, books, lines, calls, random))
            })
            .collect();
        for caller in callers {
            caller.await.expect("a caller does not panic");
        }
    });
    let mut books = Rc::into_inner(books).expect("every caller has ended").into_inner();
    let known = books.budgets.into_iter().map(|budget| (budget.name, budget.known));
    books.learnt.known = known.collect();
    books.learnt
}

async fn call_on(
    field: Arc<Field>,
    books: Rc<RefCell<Books>>,
    lines: Rc<Vec<Line>>,
    calls: u64,
    mut random: fastrand::Rng,
) {
    let mut connection: Option<(u64, TcpStream)> = None;
    let mut places = Vec::new();
    let mut answer = Vec::new();
    while field.calls.fetch_add(1, Ordering::Relaxed) < calls {
        let call = Call::make(&mut random);
        call.places(&lines, &books.borrow().places, &mut places);
        let mut socket = connect(&field, &mut connection).await;
        let before: Vec<i64> = {
            let mut books = books.borrow_mut();
            let bounds = places.iter().map(|place| {
                let budget = &mut books.budgets[*place];
                budget.known.begun += call.bound(&budget.measure);
                budget.known.freed
            });
            bounds.collect()
        };
        let asked = ask(&mut socket, &call.request, &mut answer);
        match tokio::time::timeout(CALL_MAX, asked).await {
            Ok(Some(status)) => {
                let outcome = Outcome::read(status, &answer);
                note(&mut books.borrow_mut(), &call, &places, &before, outcome);
                connection = Some((field.generation.load(Ordering::SeqCst), socket));
            }
            _ => {
                field.broken.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The connection from the last call, or a new one once the gateway is there.
async fn connect(field: &Field, kept: &mut Option<(u64, TcpStream)>) -> TcpStream {
    loop {
        if let Some((generation, socket)) = kept.take()
            && generation == field.generation.load(Ordering::SeqCst)
        {
            return socket;
        }
        if let Some(address) = field.address()
            && let Ok(socket) = TcpStream::connect(&address).await
        {
            let _ = socket.set_nodelay(true);
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends a request and reads its answer to the end of the transport; none if it broke.
async fn ask(socket: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> Option<u16> {
    answer.clear();
    socket.write_all(request).await.ok()?;
    let mut end = None;
    loop {
        if socket.read_buf(answer).await.ok()? == 0 {
            return None;
        }
        if end.is_none()
            && let Some(head) = find(answer, b"\r\n\r\n")
        {
            let length = number_after(&answer[..head], b"content-length: ");
            end = Some((head, length.map(|length| head + 4 + length as usize)));
        }
        match end {
            Some((_, Some(end))) if answer.len() >= end => break,
            Some((_, None)) if answer.ends_with(b"\r\n0\r\n\r\n") => break,
            _ => {}
        }
    }
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn number_after(text: &[u8], label: &[u8]) -> Option<i64> {
    let at = find(text, label)? + label.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

struct Call {
    request: Vec<u8>,
    body_bytes: i64,
    /// The value of each kind of subject, by the beginning of a budget's scope.
    subjects: [(&'static str, String); 11],
    tag: Option<&'static str>,
    environment: &'static str,
}

impl Call {
    fn make(random: &mut fastrand::Rng) -> Call {
        let environment = ENVIRONMENTS[[0, 0, 0, 0, 0, 0, 0, 1, 1, 2][random.usize(0..10)]];
        let (model, route, tenant) = (random.usize(0..4), random.usize(0..4), random.usize(0..4));
        let (team, user) = (random.usize(0..5), random.usize(0..10));
        let tag = [None, Some("red"), Some("blue")][random.usize(0..3)];
        // Groups of consonants: no text has more tokens a byte, so that no provider counts more than was counted here.
        let words: String =
            (0..24).flat_map(|_| [CONSONANTS[random.usize(0..CONSONANTS.len())], 'q', ' ']).collect();
        let stream = if random.u8(0..5) == 0 {
            r#","stream":true,"stream_options":{"include_usage":true}"#
        } else {
            ""
        };
        let body = format!(
            r#"{{"model":"s{model}","max_tokens":{OUTPUT_MAX},"messages":[{{"role":"user","content":"{words}"}}]{stream}}}"#
        );
        let mut request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: soak\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\nx-gauntlet-route: r{route}\r\nx-gauntlet-team: g{team}\r\n\
             x-gauntlet-user: u{user}\r\nx-gauntlet-env: {environment}\r\nx-gauntlet-session: c{}\r\n",
            key(tenant),
            // Times route and tenant: fewer than the ledger lists of a scope.
            random.usize(0..50)
        );
        if let Some(tag) = tag {
            request += &format!("x-gauntlet-tags: {tag}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        let subjects = [
            ("model_", format!("s{model}")),
            ("model_", format!("m{model}")),
            // Whichever answers.
            ("provider_", "a".to_owned()),
            ("provider_", "b".to_owned()),
            ("route_", format!("r{route}")),
            ("tenant_", format!("t{tenant}")),
            ("team_", format!("g{team}")),
            ("user_", format!("u{user}")),
            ("key_", format!("k{tenant}")),
            ("environment_", environment.to_owned()),
            ("everything_", "all".to_owned()),
        ];
        Call { request: request.into_bytes(), body_bytes: body.len() as i64, subjects, tag, environment }
    }

    /// Every budget that the call may draw on.
    fn places(&self, lines: &[Line], known: &HashMap<(String, String), usize>, places: &mut Vec<usize>) {
        places.clear();
        for line in lines {
            let is_subject =
                self.subjects.iter().any(|(kind, name)| line.scope.starts_with(kind) && line.key == *name);
            let is_tag = line.scope.starts_with("tag_") && self.tag == Some(&*line.key);
            if is_subject || is_tag {
                places.push(known[&(line.scope_in(self.environment), line.key.clone())]);
            }
        }
    }

    /// The most that the call can hold.
    fn bound(&self, measure: &str) -> i64 {
        let input = self.body_bytes + EDITS_MAX;
        match measure {
            "usd" => input * INPUT_NANO + OUTPUT_MAX * OUTPUT_NANO,
            "tokens" => input + OUTPUT_MAX,
            _ => 1,
        }
    }
}

/// What a whole answer says.
enum Outcome {
    /// Tokens in and out; none if the answer does not say.
    Answered {
        id: Option<u128>,
        usage: Option<(i64, i64)>,
    },
    Refused {
        id: Option<u128>,
        error: Value,
    },
    Failed {
        id: Option<u128>,
    },
}

impl Outcome {
    fn read(status: u16, answer: &[u8]) -> Outcome {
        let label = b"x-gauntlet-request-id: ";
        let id = find(answer, label).and_then(|at| {
            let text =
                std::str::from_utf8(answer.get(at + label.len()..)?.split(|byte| *byte == b'\r').next()?);
            u128::from_str_radix(&text.ok()?.replace('-', ""), 16).ok()
        });
        match status {
            200 => {
                let input = number_after(answer, b"\"prompt_tokens\":");
                let output = number_after(answer, b"\"completion_tokens\":");
                Outcome::Answered { id, usage: input.zip(output) }
            }
            429 => {
                let body = find(answer, b"\r\n\r\n").map_or(&[][..], |at| &answer[at + 4..]);
                let mut error: Value = serde_json::from_slice(body).unwrap_or_default();
                Outcome::Refused { id, error: error["error"].take() }
            }
            _ => Outcome::Failed { id },
        }
    }
}

fn note(books: &mut Books, call: &Call, places: &[usize], before: &[i64], outcome: Outcome) {
    match outcome {
        Outcome::Answered { id, usage } => {
            books.learnt.answered += 1;
            books.learnt.answered_ids.extend(id);
            let Some((input, output)) = usage else { return };
            for place in places {
                let budget = &mut books.budgets[*place];
                let actual = match budget.measure.as_str() {
                    "usd" => input * INPUT_NANO + output * OUTPUT_NANO,
                    "tokens" => input + output,
                    _ => 1,
                };
                let bound = call.bound(&budget.measure);
                budget.known.freed += bound - actual;
                budget.known.spent += actual;
            }
        }
        Outcome::Refused { id, error } => {
            books.learnt.refused += 1;
            books.learnt.answered_ids.extend(id);
            judge_refusal(books, call, places, before, &error);
            for place in places {
                let budget = &mut books.budgets[*place];
                budget.known.freed += call.bound(&budget.measure);
            }
        }
        Outcome::Failed { id } => {
            books.learnt.failed += 1;
            books.learnt.answered_ids.extend(id);
        }
    }
}

/// Whether a refusal was right: by its own figures, and by what can have been spent and held at all since the call was
/// sent (all that was begun by now, less what had been freed by then).
fn judge_refusal(books: &mut Books, call: &Call, places: &[usize], before: &[i64], error: &Value) {
    if error["code"] != "budget_exceeded" {
        return;
    }
    let figure =
        |name: &str| match error[name].as_i64() {
            Some(figure) => figure,
            None => (error[&format!("{name}_usd")].as_f64().expect("every refusal has its figures") * 1e9)
                .round() as i64,
        };
    let (cap, spent, held, wanted) = (figure("cap"), figure("spent"), figure("held"), figure("wanted"));
    books.learnt.overspend = books.learnt.overspend.max(spent + held - cap);
    let mut is_false = spent + held + wanted <= cap;
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    if let Some(place) = books.places.get(&(text("scope"), text("key"))).copied() {
        let budget = &mut books.budgets[place];
        budget.known.refusals += 1;
        let at =
            places.iter().position(|own| *own == place).expect("a call is refused by a budget of its own");
        let most = budget.known.begun - before[at] - call.bound(&budget.measure);
        is_false |= most + wanted <= cap;
    }
    if is_false {
        eprintln!("a false block: {error:#}");
        books.learnt.false_blocks += 1;
    }
}
