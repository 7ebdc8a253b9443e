//! Changes to a body that leave every other byte alone.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// Puts raw JSON bytes where a range stood. An empty range inserts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    pub range: Range<usize>,
    pub with: Bytes,
}

impl Edit {
    pub fn new(range: Range<usize>, with: impl Into<Bytes>) -> Edit {
        Edit { range, with: with.into() }
    }

    pub fn insert(at: usize, with: impl Into<Bytes>) -> Edit {
        Edit { range: at..at, with: with.into() }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SpliceError {
    #[error("edits overlap: {0:?} and {1:?}")]
    Overlap(Range<usize>, Range<usize>),
    #[error("edit {0:?} is outside a body of {1} bytes")]
    Outside(Range<usize>, usize),
}

/// Replaces the ranges, in whatever order they come; inserts at one place keep their order. Without edits it gives the
/// same bytes, not copied.
///
/// Edits must not overlap. Should two do so all the same, the release build removes both ranges and puts both texts:
/// an edit may be a redaction, and dropping it would let the secret through.
pub fn splice(body: &Bytes, edits: Vec<Edit>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    let edits = sorted(edits);
    debug_assert_eq!(check(body, &edits), Ok(()));
    apply(body, &edits)
}

/// Like `splice`, for edits whose source is not trusted to be disjoint.
pub fn splice_checked(body: &Bytes, edits: Vec<Edit>) -> Result<Bytes, SpliceError> {
    let edits = sorted(edits);
    check(body, &edits)?;
    Ok(if edits.is_empty() { body.clone() } else { apply(body, &edits) })
}

fn sorted(mut edits: Vec<Edit>) -> Vec<Edit> {
    // Stable, and an insert comes before a replacement that begins at the same place.
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    edits
}

fn check(body: &Bytes, edits: &[Edit]) -> Result<(), SpliceError> {
    let mut last = 0..0;
    for Edit { range, .. } in edits {
        if range.start > range.end || range.end > body.len() {
            return Err(SpliceError::Outside(range.clone(), body.len()));
        }
        if range.start < last.end {
            return Err(SpliceError::Overlap(last, range.clone()));
        }
        last = range.clone();
    }
    Ok(())
}

fn apply(body: &Bytes, edits: &[Edit]) -> Bytes {
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut result = BytesMut::with_capacity(body.len() + added);
    let mut copied = 0;
    for edit in edits {
        let start = edit.range.start.clamp(copied, body.len());
        result.extend_from_slice(&body[copied..start]);
        result.extend_from_slice(&edit.with);
        copied = edit.range.end.clamp(start, body.len());
    }
    result.extend_from_slice(&body[copied..]);
    result.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_edits_give_the_same_bytes() {
        let body = Bytes::from_static(b"{\"a\":1}");
        assert_eq!(splice(&body, vec![]).as_ptr(), body.as_ptr());
    }

    #[test]
    fn inserts_keep_their_order_and_stand_before_a_replacement() {
        let body = Bytes::from_static(b"abc");
        let edits =
            vec![Edit::new(1..2, "B"), Edit::insert(1, "1"), Edit::insert(1, "2"), Edit::insert(3, "!")];
        assert_eq!(splice(&body, edits), "a12Bc!");
    }

    #[test]
    fn overlapping_edits_are_a_typed_error_and_leak_nothing_when_forced() {
        let body = Bytes::from_static(b"0123456789");
        let edits = vec![Edit::new(5..9, "b"), Edit::new(2..7, "a")];
        assert_eq!(splice_checked(&body, edits.clone()), Err(SpliceError::Overlap(2..7, 5..9)));
        assert_eq!(apply(&body, &sorted(edits)), "01ab9");
        let outside = vec![Edit::new(5..11, "")];
        assert_eq!(splice_checked(&body, outside), Err(SpliceError::Outside(5..11, 10)));
    }

    proptest! {
        #[test]
        fn all_other_bytes_stay(
            body in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::btree_set(0usize..200, 0..12),
            with in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 6),
        ) {
            let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= body.len()).collect();
            let edits: Vec<Edit> = cuts
                .chunks_exact(2)
                .zip(&with)
                .map(|(pair, with)| Edit::new(pair[0]..pair[1], with.clone()))
                .collect();
            let mut naive = body.clone();
            for edit in edits.iter().rev() {
                naive.splice(edit.range.clone(), edit.with.iter().copied());
            }
            let body = Bytes::from(body);
            let shuffled = edits.into_iter().rev().collect();
            prop_assert_eq!(splice(&body, shuffled), naive);
        }
    }
}
