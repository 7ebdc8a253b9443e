//! The form of a stream without `alt=sse`: the frames as the items of one JSON array.

use bytes::Bytes;

use crate::sse::Frame;

/// Turns the frames of a stream into the pieces of an array, as they come.
#[derive(Default, Debug)]
pub struct ArrayStream {
    has_items: bool,
}

impl ArrayStream {
    /// The piece that a frame becomes; none where it has no data.
    pub fn piece(&mut self, frame: &Frame) -> Option<Bytes> {
        let data = frame.data().filter(|data| !data.trim_ascii().is_empty())?;
        // Google's clients split the array at this comma and line end.
        let before: &[u8] = if self.has_items { b",\r\n" } else { b"[" };
        self.has_items = true;
        Some([before, data].concat().into())
    }

    /// What ends the array.
    pub fn end(&mut self) -> Bytes {
        Bytes::from_static(if self.has_items { b"]" } else { b"[]" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_one_array() {
        let check = |frames: &[&'static [u8]], expected: &str| {
            let mut stream = ArrayStream::default();
            let mut all = Vec::new();
            for frame in frames {
                all.extend(stream.piece(&Frame::parse(Bytes::from_static(frame))).into_iter().flatten());
            }
            all.extend(stream.end());
            assert_eq!(String::from_utf8(all).unwrap(), expected);
        };
        check(&[], "[]");
        check(&[b": ping\n\n", b"data: {\"a\":1}\n\n", b"data:{\"b\":2}\n\n"], "[{\"a\":1},\r\n{\"b\":2}]");
    }
}
