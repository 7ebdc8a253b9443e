use proptest::prelude::*;

use super::*;

/// AWS's published vectors "empty_message" and "payload_one_str_header" of the event stream test suite.
const EMPTY: &str = "000000100000000005c248eb7d98c8ff";
const ONE_HEADER: &str = "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e\
                          7b27666f6f273a27626172277d8d9c08b1";
/// A short Converse stream that ends in an exception, checked with botocore 1.44's own decoder.
const GOLDEN: [&str; 3] = [
    "00000081000000526cc176930b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d74797065\
     0700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2270223a2261626364222c\
     22726f6c65223a22617373697374616e74227df512a005",
    "000000a000000057e00a84a80b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74656e74\
     2d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22636f6e7465\
     6e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a22486920c3a9227d2c2270223a226162227d786c67\
     24",
    "00000090000000618e91a9b70f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a63\
     6f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074\
     696f6e7b226d657373616765223a22546f6f206d616e79207265717565737473227de67f8005",
];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("digits");
    digits.chunks(2).map(byte).collect()
}

fn golden() -> Vec<u8> {
    GOLDEN.iter().flat_map(|message| hex(message)).collect()
}

fn text_header(name: &str, value: &str) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short").to_be_bytes();
    [&[name.len() as u8][..], name.as_bytes(), &[7], &length, value.as_bytes()].concat()
}

fn encode(headers: &[Vec<u8>], payload: &[u8]) -> Vec<u8> {
    let headers = headers.concat();
    let total = (MESSAGE_MIN + headers.len() + payload.len()) as u32;
    let mut bytes = [total.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend(headers);
    bytes.extend(payload);
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn event(name: &str, payload: &[u8]) -> Vec<u8> {
    encode(&[text_header(":message-type", "event"), text_header(":event-type", name)], payload)
}

fn read(pieces: &[&[u8]]) -> Result<Vec<Message>, BadMessage> {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(message) = decoder.message()? {
            messages.push(message);
        }
    }
    decoder.finish().map(|()| messages)
}

#[test]
fn a_converse_stream_becomes_server_sent_events() {
    let messages = read(&[&golden()]).unwrap();
    let frames: Vec<u8> = messages.iter().flat_map(|message| message.to_sse()).collect();
    let expected = "event: messageStart\ndata: {\"p\":\"abcd\",\"role\":\"assistant\"}\n\n\
                    event: contentBlockDelta\ndata: {\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi é\"},\"p\":\"ab\"}\n\n\
                    event: throttlingException\ndata: {\"message\":\"Too many requests\"}\n\n";
    assert_eq!(String::from_utf8(frames).unwrap(), expected);
    let kinds: Vec<MessageKind> = messages.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [MessageKind::Event, MessageKind::Event, MessageKind::Exception]);
}

#[test]
fn the_published_vectors_pass_their_checksums() {
    // Neither says what kind of message it is, which is the first thing asked once the checksums fit.
    for vector in [EMPTY, ONE_HEADER] {
        assert_eq!(read(&[&hex(vector)]), Err(BadMessage::Header("there is no `:message-type`")), "{vector}");
    }
    let broken = |at: usize| {
        let mut bytes = hex(ONE_HEADER);
        bytes[at] ^= 1;
        read(&[&bytes])
    };
    assert_eq!(broken(3), Err(BadMessage::Checksum("lengths")));
    assert_eq!(broken(50), Err(BadMessage::Checksum("message")));
}

#[test]
fn an_error_without_payload_says_its_text_as_json() {
    let headers = [
        text_header(":message-type", "error"),
        text_header(":error-code", "InternalError"),
        text_header(":error-message", "it \"broke\""),
    ];
    let messages = read(&[&encode(&headers, b"")]).unwrap();
    assert_eq!(messages[0].to_sse(), "event: InternalError\ndata: {\"message\":\"it \\\"broke\\\"\"}\n\n");
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let fixed: Vec<u8> = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)]
        .iter()
        .flat_map(|(kind, length)| [&[1, b'x', *kind][..], &vec![7; *length]].concat())
        .collect();
    let bytes = vec![1, b'b', 6, 0, 2, 1, 2];
    let headers = [fixed, bytes, text_header(":event-type", "e"), text_header(":message-type", "event")];
    let messages = read(&[&encode(&headers, b"{}")]).unwrap();
    assert_eq!((messages[0].name.as_str(), &messages[0].payload[..]), ("e", &b"{}"[..]));
}

#[test]
fn what_is_no_message_is_refused_and_stays_refused() {
    let kind = || text_header(":message-type", "event");
    let lengths = |total: u32, headers: u32| {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        bytes
    };
    let check = |bytes: Vec<u8>, expected: BadMessage| assert_eq!(read(&[&bytes]), Err(expected));
    check(lengths(15, 0), BadMessage::Length(15));
    check(lengths(MESSAGE_MAX as u32 + 1, 0), BadMessage::Length(MESSAGE_MAX + 1));
    check(lengths(40, 25), BadMessage::HeadersLength);
    check(event("e", b"{}")[..20].to_vec(), BadMessage::Cut);
    check(encode(&[kind(), vec![9, b'x']], b""), BadMessage::Header("it ends too early"));
    check(encode(&[kind(), vec![1, b'x', 10]], b""), BadMessage::Header("its type is unknown"));
    check(encode(&[kind()], b""), BadMessage::Header("the message has no name"));
    check(
        encode(&[text_header(":message-type", "letter")], b""),
        BadMessage::Header("`:message-type` is unknown"),
    );

    let mut decoder = Decoder::default();
    decoder.push(b"HTTP/1.1 502 Bad Gateway");
    assert_eq!(decoder.message(), Err(BadMessage::Checksum("lengths")));
    decoder.push(&event("e", b"{}"));
    assert_eq!(decoder.message(), Err(BadMessage::Checksum("lengths")));
}

#[test]
fn no_name_or_payload_can_begin_a_frame_of_its_own() {
    let message = Message {
        kind: MessageKind::Event,
        name: "a\ndata: x\r\n\nb".to_owned(),
        payload: Bytes::from_static(b"{\n\n\"a\":\r\n1}"),
    };
    assert_eq!(message.to_sse(), "event: adata: xb\ndata: {\ndata: \"a\":\ndata: 1}\n\n");
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages(
        events in prop::collection::vec(("[a-zA-Z]{1,12}", prop::collection::vec(any::<u8>(), 0..80)), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = events.iter().flat_map(|(name, payload)| event(name, payload)).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let expected: Vec<Message> = events
            .iter()
            .map(|(name, payload)| Message {
                kind: MessageKind::Event,
                name: name.clone(),
                payload: Bytes::copy_from_slice(payload),
            })
            .collect();
        prop_assert_eq!(read(&pieces), Ok(expected));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        let whole = read(&[&bytes]);
        prop_assert_eq!(read(&[head, tail]), whole);
    }

    #[test]
    fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), by in 1u8..) {
        let mut bytes = golden();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(read(&[&bytes]).is_err());
    }
}
