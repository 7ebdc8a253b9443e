//! A long sequence of tokens in windows that a model can take.

use std::ops::Range;

/// A stretch of tokens that is run at once, and the part of it that counts.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Window {
    pub all: Range<usize>,
    /// Windows overlap, so that no token is judged at an edge: each half of what two share is taken from the window in
    /// which it stands further inside. These parts follow one another without a gap.
    pub own: Range<usize>,
}

/// Cuts `count` tokens into windows of at most `size`, neighbours sharing `overlap` (less than half of `size`).
///
/// The last window is as long as the others where the text is, so that a rest of three words is not judged alone.
pub(crate) fn windows(count: usize, size: usize, overlap: usize) -> Vec<Window> {
    let size = size.max(1);
    let step = size.saturating_sub(overlap).max(1);
    let mut windows: Vec<Window> = Vec::new();
    let mut start = 0;
    loop {
        let end = (start + size).min(count);
        let all = end.saturating_sub(size)..end;
        let own = match windows.last_mut() {
            None => all.clone(),
            Some(last) => {
                let middle = all.start + (last.all.end - all.start) / 2;
                last.own.end = middle;
                middle..all.end
            }
        };
        windows.push(Window { all, own });
        if end == count {
            return windows;
        }
        start += step;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_fits_is_one_window() {
        assert_eq!(windows(5, 8, 3), [Window { all: 0..5, own: 0..5 }]);
        assert_eq!(windows(0, 8, 3), [Window { all: 0..0, own: 0..0 }]);
    }

    #[test]
    fn a_longer_text_is_cut_in_the_middle_of_what_windows_share() {
        assert_eq!(windows(10, 6, 2), [Window { all: 0..6, own: 0..5 }, Window { all: 4..10, own: 5..10 }]);
    }

    proptest! {
        #[test]
        fn every_token_counts_once_and_no_window_is_too_long(
            count in 0usize..500, size in 1usize..60, share in 0usize..30,
        ) {
            let overlap = share % (size / 2 + 1).min(size);
            let windows = windows(count, size, overlap);
            let mut next = 0;
            for window in &windows {
                prop_assert_eq!(window.own.start, next);
                prop_assert!(window.all.len() <= size);
                prop_assert!(window.all.start <= window.own.start && window.own.end <= window.all.end);
                next = window.own.end;
            }
            prop_assert_eq!(next, count);
            prop_assert!(windows.len() <= count / (size - overlap).max(1) + 1);
        }
    }
}
