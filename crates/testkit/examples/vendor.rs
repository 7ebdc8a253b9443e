//! A scripted vendor to speak to by hand, until it is stopped: `cargo run -p gauntlet-testkit --example vendor`.

use std::time::Duration;

use gauntlet_testkit::{Provider, provider::model};

fn main() {
    let provider = Provider::start();
    provider.respond(|seen| {
        println!("{} {}", seen.method, seen.path);
        model::answer(seen, "c2VhbA==")
    });
    println!("{} speaks chat, Responses, Messages and generateContent", provider.origin());
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
