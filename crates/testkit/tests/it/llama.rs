use gauntlet_testkit::{Conversation, LlamaServer};

#[test]
fn a_real_model_answers_through_both_sdks() {
    let Some(server) = LlamaServer::start() else { return };
    let talk = Conversation::new(&server.url(), "any", LlamaServer::MODEL)
        .setting("PROMPT", "Say hello.")
        .setting("MAX_TOKENS", "12");
    let cases = ["models", "chat", "chat_stream", "chat_stream_usage"];
    for seen in [talk.python(&cases), talk.node(&cases)].into_iter().flatten() {
        assert_eq!(seen["models"]["ids"][0], LlamaServer::MODEL);
        assert_ne!(seen["chat"]["text"], "");
        assert!(seen["chat"]["usage"]["completion_tokens"].as_u64() > Some(0), "{seen:?}");
        assert!(seen["chat_stream"]["chunks"].as_u64() > Some(2), "{seen:?}");
        // What makes this server a good test: it counts nothing in a stream, asked or not.
        assert!(seen["chat_stream_usage"]["usage"].is_null(), "{seen:?}");
    }
}
