//! Throughput of a scan: `cargo bench -p gauntlet-guard`.

use divan::{Bencher, counter::BytesCount};
use gauntlet_guard::{Kinds, Scanner, StreamRedactor};

fn main() {
    divan::main();
}

const PROSE: &str = "You are the support agent of a shop for bicycles. Answer the customer politely and briefly, in the language \
of the question. When a customer asks about a delivery, explain how long deliveries take and where to look for news; \
never promise a date. If you don't know the answer, say so and offer to pass the question on to a colleague. The \
customer writes: Hello, I bought a touring bike from you last summer and I am very happy with it. Since last week, \
however, the rear brake makes a scraping noise whenever it rains. A friend said that the pads may be worn out, but \
there is still plenty of material left. Is this something that I can repair myself, or should I bring it in? Thanks! ";

const NUMBERS: &str = "2025-02-14 13:30:02 INFO worker-12 handled order 1887-2586 in 688.947 ms, 4 parcels, total 5109.84 EUR; build \
2.14.0, commit d2e4af0d9379, rows 5151802, ratio 16:9, temperature -4.5, table 12 34 56 78 90, id 123e4567-e89b-12d3. ";

fn secrets() -> String {
    let random = "aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fGhJqKwXzVbN";
    format!(
        "token ghp_{} for ann@example.org, card 4111 1111 1111 1111, ssn 123-45-6789, api_key={random}, call +33 1 23 48 39 77. ",
        &random[..36]
    )
}

fn four_kilobytes(unit: &str) -> String {
    unit.repeat(4096 / unit.len() + 1)[..4096].to_owned()
}

fn bench(bencher: Bencher, text: String, kinds: Kinds) {
    let scanner = Scanner::new();
    let mut found = Vec::with_capacity(256);
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        found.clear();
        scanner.scan(divan::black_box(&text), kinds, &mut found);
        found.len()
    });
}

#[divan::bench]
fn prose_all(bencher: Bencher) {
    bench(bencher, four_kilobytes(PROSE), Kinds::ALL);
}

#[divan::bench]
fn prose_pii_and_secrets(bencher: Bencher) {
    bench(bencher, four_kilobytes(PROSE), Kinds { injection: false, ..Kinds::ALL });
}

#[divan::bench]
fn prose_injection(bencher: Bencher) {
    bench(bencher, four_kilobytes(PROSE), Kinds { injection: true, ..Kinds::NONE });
}

#[divan::bench]
fn document_injection(bencher: Bencher) {
    let text = PROSE.repeat(102_400 / PROSE.len() + 1);
    bench(bencher, text[..102_400].to_owned(), Kinds { injection: true, ..Kinds::NONE });
}

#[divan::bench]
fn numbers_all(bencher: Bencher) {
    bench(bencher, four_kilobytes(NUMBERS), Kinds::ALL);
}

#[divan::bench]
fn numbers_pii_and_secrets(bencher: Bencher) {
    bench(bencher, four_kilobytes(NUMBERS), Kinds { injection: false, ..Kinds::ALL });
}

#[divan::bench]
fn secrets_pii_and_secrets(bencher: Bencher) {
    bench(bencher, four_kilobytes(&secrets()), Kinds { injection: false, ..Kinds::ALL });
}

#[divan::bench]
fn secrets_all(bencher: Bencher) {
    bench(bencher, four_kilobytes(&secrets()), Kinds::ALL);
}

#[divan::bench]
fn prose_stream_of_tokens(bencher: Bencher) {
    let text = four_kilobytes(PROSE);
    let scanner = std::sync::Arc::new(Scanner::new());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        let mut redactor = StreamRedactor::new(scanner.clone(), Kinds { injection: false, ..Kinds::ALL });
        let mut shown = 0;
        for piece in divan::black_box(&text).split_inclusive(' ') {
            shown += redactor.push(piece).len();
        }
        shown + redactor.finish().len()
    });
}

#[divan::bench]
fn build() -> Scanner {
    Scanner::new()
}
