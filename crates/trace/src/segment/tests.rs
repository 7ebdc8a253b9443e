use proptest::{collection::vec, prelude::*};

use super::*;

fn encode(kind: Kind, id: u128, record: &[u8], input: &[u8], output: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(record);
    seal(&mut bytes, kind, CallId(Uuid::from_u128(id)), input, output);
    bytes.extend_from_slice(input);
    bytes.extend_from_slice(output);
    bytes
}

fn steps(bytes: Vec<u8>, reach: Reach) -> Vec<Step> {
    let length = bytes.len();
    let mut walk = Walk::new(bytes.into(), reach);
    let mut found = Vec::new();
    loop {
        let before = walk.at();
        let step = walk.step();
        match step {
            Step::End => {
                assert_eq!(walk.at(), length);
                return found;
            }
            Step::Short(needed) => {
                assert!(walk.at() == before && needed > length - before, "must ask for more than it has");
                found.push(step);
                return found;
            }
            Step::Entry(_) | Step::Damaged(_) | Step::Torn(_) => assert!(walk.at() > before),
        }
        found.push(step);
    }
}

fn ids(steps: &[Step]) -> Vec<u128> {
    let id = |step: &Step| match step {
        Step::Entry(entry) => Some(entry.id.0.as_u128()),
        _ => None,
    };
    steps.iter().filter_map(id).collect()
}

#[test]
fn an_entry_reads_back_with_all_its_parts() {
    let bytes = encode(Kind::Close, 7, b"{}", b"in", b"out");
    let [Step::Entry(entry)] = &steps(bytes, Reach::WholeSegment)[..] else { panic!("one entry") };
    assert_eq!((entry.kind, entry.id.0.as_u128()), (Kind::Close, 7));
    assert_eq!(
        (&entry.record[..], &entry.input[..], &entry.output[..]),
        (&b"{}"[..], &b"in"[..], &b"out"[..])
    );
    assert_eq!(entry.len(), HEADER_BYTES + 7);
}

#[test]
fn a_tail_torn_at_any_byte_is_left_out_and_nothing_else() {
    let mut whole = encode(Kind::Open, 1, b"{\"a\":1}", b"", b"");
    whole.extend(encode(Kind::Close, 2, b"{\"b\":2}", b"question", b"answer"));
    let last = encode(Kind::Close, 3, b"{\"c\":3}", b"another question", b"another answer");
    for cut in 1..last.len() {
        let bytes = [&whole[..], &last[..cut]].concat();
        let sealed = steps(bytes.clone(), Reach::WholeSegment);
        assert_eq!((ids(&sealed), &sealed[2..]), (vec![1, 2], &[Step::Torn(cut)][..]), "cut at {cut}");
        let growing = steps(bytes, Reach::Part);
        assert_eq!(ids(&growing), [1, 2]);
        assert!(matches!(growing[2..], [Step::Short(_)]), "cut at {cut}");
    }
}

#[test]
fn a_bad_body_costs_one_entry_and_a_bad_header_too() {
    let entries: Vec<Vec<u8>> =
        (1..=3).map(|n| encode(Kind::Close, n, b"{\"n\":1}", b"in", b"out")).collect();
    let length = entries[0].len();
    for at in length..2 * length {
        let mut bytes = entries.concat();
        bytes[at] ^= 0x20;
        let found = steps(bytes, Reach::WholeSegment);
        assert_eq!(ids(&found), [1, 3], "flipped at {at}");
        assert_eq!(found[1], Step::Damaged(length));
    }
}

#[test]
fn a_header_with_lengths_beyond_the_limit_is_no_header() {
    let mut bytes = encode(Kind::Close, 1, b"{}", b"", b"");
    bytes[28..32].copy_from_slice(&(ENTRY_BYTES_MAX as u32).to_le_bytes());
    let check = crc32fast::hash(&bytes[..40]);
    bytes[40..44].copy_from_slice(&check.to_le_bytes());
    let length = bytes.len();
    assert_eq!(steps(bytes, Reach::WholeSegment), [Step::Damaged(length)]);
}

#[test]
fn only_segments_are_listed_by_worker_and_number() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["w1-2.seg", "w1-10.seg", "w0-3.seg", "w0-3.seg.damaged", "lock", "w0-x.seg", "noworker.seg"]
    {
        fs::write(dir.path().join(file), b"").unwrap();
    }
    let shown: Vec<_> = list(dir.path())
        .unwrap()
        .into_iter()
        .map(|name| format!("{}/{}", name.worker, name.number))
        .collect();
    assert_eq!(shown, ["w0/3", "w1/2", "w1/10"]);
}

prop_compose! {
    fn entry()(close in any::<bool>(), id in any::<u128>(), record in vec(any::<u8>(), 0..200),
               input in vec(any::<u8>(), 0..200), output in vec(any::<u8>(), 0..200)) -> (u128, Vec<u8>) {
        let kind = if close { Kind::Close } else { Kind::Open };
        (id, encode(kind, id, &record, &input, &output))
    }
}

proptest! {
    #[test]
    fn any_entries_read_back_in_order(entries in vec(entry(), 0..20)) {
        let bytes: Vec<u8> = entries.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let expected: Vec<u128> = entries.iter().map(|(id, _)| *id).collect();
        let found = steps(bytes, Reach::WholeSegment);
        prop_assert_eq!(ids(&found), expected);
    }

    #[test]
    fn corruption_never_panics_and_spares_what_it_did_not_touch(
        entries in vec(entry(), 1..10),
        noise in vec((any::<prop::sample::Index>(), 1..=255u8), 1..8),
        reach in prop_oneof![Just(Reach::WholeSegment), Just(Reach::Part)],
    ) {
        let mut bytes: Vec<u8> = entries.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let mut touched = std::collections::HashSet::new();
        for (index, flip) in noise {
            let at = index.index(bytes.len());
            bytes[at] ^= flip;
            let mut start = 0;
            let hit = entries.iter().position(|(_, bytes)| { start += bytes.len(); at < start });
            touched.insert(hit.unwrap());
        }
        let spared: Vec<u128> =
            entries.iter().enumerate().filter(|(n, _)| !touched.contains(n)).map(|(_, (id, _))| *id).collect();
        let found = ids(&steps(bytes, reach));
        // Flips may cancel out, so there may be more than expected; never fewer.
        let mut found = found.into_iter();
        prop_assert!(spared.iter().all(|id| found.any(|got| got == *id)));
    }

    #[test]
    fn garbage_never_panics(bytes in vec(prop_oneof![4 => any::<u8>(), 1 => Just(0xFF), 1 => Just(b'G'), 1 => Just(b'S'), 1 => Just(1)], 0..600)) {
        steps(bytes.clone(), Reach::WholeSegment);
        steps(bytes, Reach::Part);
    }
}
