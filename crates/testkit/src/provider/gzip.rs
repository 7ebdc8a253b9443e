//! gzip without compression: RFC 1952 around stored blocks of RFC 1951. A client must decode it like any other, and it
//! needs no library.

const BLOCK_BYTES_MAX: usize = 0xffff;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Magic, method deflate, no flags, no time, no hints, unknown system.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = bytes.chunks(BLOCK_BYTES_MAX).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_body_is_the_known_one() {
        let expected = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(gzip(b""), expected);
    }

    #[test]
    fn long_bodies_take_several_blocks() {
        let bytes = vec![7; 0xffff + 2];
        let packed = gzip(&bytes);
        assert_eq!(packed.len(), 10 + 5 + 0xffff + 5 + 2 + 8);
        assert_eq!((packed[10], packed[10 + 5 + 0xffff]), (0, 1));
    }
}
