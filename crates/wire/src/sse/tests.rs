use proptest::prelude::*;

use super::*;

/// Pushes the chunks one by one; gives the frames and the rest.
fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Bytes) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = decoder.next().unwrap() {
            frames.push(frame);
        }
    }
    decoder.close();
    while let Some(frame) = decoder.next().unwrap() {
        frames.push(frame);
    }
    (frames, decoder.rest())
}

#[track_caller]
fn check(stream: &str, data: &[Option<&str>], rest: &str) {
    let (frames, left) = decode([stream.as_bytes()]);
    let got: Vec<_> =
        frames.iter().map(|frame| frame.data().map(|data| std::str::from_utf8(data).unwrap())).collect();
    assert_eq!(got, data, "{stream:?}");
    assert_eq!(left, rest, "{stream:?}");
}

#[test]
fn lines_end_with_lf_cr_or_both() {
    check("data: {}\n\ndata: 2\n\n", &[Some("{}"), Some("2")], "");
    check("data: {}\r\n\r\ndata: 2\r\n\r\n", &[Some("{}"), Some("2")], "");
    check("data: {}\r\rdata: 2\r\r", &[Some("{}"), Some("2")], "");
    check("data: {}\r\n\ndata: 2\n\r\n", &[Some("{}"), Some("2")], "");
}

#[test]
fn fields_follow_the_standard() {
    check("data:x\n\n", &[Some("x")], "");
    check("data:  x \n\n", &[Some(" x ")], "");
    check("data\n\n", &[Some("")], "");
    check("data: a\ndata: b\ndata\n\n", &[Some("a\nb\n")], "");
    check("datax: a\nDATA: b\n\n", &[None], "");
    check("\u{feff}data: a\n\n", &[Some("a")], "");
    check("\u{feff}\n\ndata: a\n\n", &[None, None, Some("a")], "");
    check("data: a:b\n\n", &[Some("a:b")], "");
}

#[test]
fn comments_and_blank_lines_are_kept_as_frames_without_data() {
    check(": ping\n\ndata: 1\n\n\n: OPENROUTER PROCESSING\n\n", &[None, Some("1"), None, None], "");
}

#[test]
fn what_no_blank_line_ends_is_the_rest() {
    check("data: 1\n\ndata: 2\n", &[Some("1")], "data: 2\n");
    check("data: 2", &[], "data: 2");
    assert_eq!(Frame::parse(Bytes::from("data: 2\n")).data(), Some(&b"2"[..]));
}

#[test]
fn event_and_id_are_read() {
    let (frames, _) = decode([&b"event: message_stop\nid: 7\ndata: {}\n\n"[..]]);
    assert_eq!(frames[0].event(), Some(&b"message_stop"[..]));
    assert_eq!(frames[0].id, Some(24..25));
}

#[test]
fn a_frame_within_a_chunk_shares_its_memory() {
    let chunk = Bytes::from_static(b"data: {\"a\":1}\n\n");
    let mut decoder = Decoder::new();
    decoder.push(chunk.clone());
    let frame = decoder.next().unwrap().unwrap();
    assert_eq!(frame.raw.as_ptr(), chunk.as_ptr());
    assert_eq!(frame.data_bytes().unwrap().as_ptr(), chunk[6..].as_ptr());
}

#[test]
fn an_edited_frame_keeps_its_shape() {
    let check = |raw: &'static str, edit: Edit, shown: &str| {
        assert_eq!(Frame::parse(Bytes::from(raw)).edited(vec![edit]), shown);
    };
    check("event: x\r\ndata: abc\r\n\r\n", Edit::new(1..2, "B"), "event: x\r\ndata: aBc\r\n\r\n");
    check("event: x\ndata: a\ndata: b\n\n", Edit::new(2..3, "B"), "event: x\ndata: a\ndata: B\n\n");
    check(": ping\n\n", Edit::new(0..0, "B"), ": ping\n\n");
}

#[test]
fn an_endless_event_is_refused_and_costs_linear_time() {
    let mut decoder = Decoder::new();
    let chunk = Bytes::from(vec![b'x'; 1000]);
    let mut pushed = 0;
    while decoder.next() == Ok(None) {
        decoder.push(chunk.clone());
        pushed += chunk.len();
    }
    assert!(pushed > FRAME_MAX && pushed < FRAME_MAX + 2000, "{pushed}");
    assert_eq!(decoder.next(), Err(TooLong));
    // A million data lines in one event, byte by byte.
    let mut decoder = Decoder::new();
    for byte in b"data\n".iter().cycle().take(5_000_000) {
        decoder.push(Bytes::copy_from_slice(&[*byte]));
        assert_eq!(decoder.next(), Ok(None));
    }
    decoder.push(Bytes::from_static(b"\n"));
    assert_eq!(decoder.next().unwrap().unwrap().data().unwrap().len(), 999_999);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_split_gives_the_same_frames(
        parts in prop::collection::vec(prop::sample::select(vec![
            "data: {\"a\":\"é😀\"}", "data:", "data", "event: x", ": ping", "id: 1", "x", "\n", "\n", "\r\n", "\r", "\n\n",
            "\r\n\r\n", "\u{feff}", " ", ":",
        ]), 0..30),
        sizes in prop::collection::vec(1usize..9, 1..60),
    ) {
        let stream = parts.concat().into_bytes();
        let mut chunks = Vec::new();
        let (mut left, mut sizes) = (&stream[..], sizes.iter().cycle());
        while !left.is_empty() {
            let (chunk, more) = left.split_at((*sizes.next().unwrap()).min(left.len()));
            chunks.push(chunk);
            left = more;
        }
        let (frames, rest) = decode(chunks);
        let (whole, whole_rest) = decode([&stream[..]]);
        prop_assert_eq!(&frames, &whole);
        prop_assert_eq!(&rest, &whole_rest);
        let mut joined: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.to_vec()).collect();
        joined.extend_from_slice(&rest);
        prop_assert_eq!(joined, stream);
        for frame in frames {
            prop_assert_eq!(Frame::parse(frame.raw.clone()), frame);
        }
    }
}
