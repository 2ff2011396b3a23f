//! Which of some names was probably meant.

/// Names longer than this are compared by their beginnings.
const MAX_LENGTH: usize = 32;

/// No more candidates than these are looked at.
const MAX_CANDIDATES: usize = 100;

/// The candidate with the fewest characters inserted, removed, replaced or swapped with their neighbour; the first of
/// several. The work is bounded, whatever the candidates.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let name: Vec<char> = name.chars().take(MAX_LENGTH).collect();
    candidates.into_iter().take(MAX_CANDIDATES).min_by_key(|candidate| distance(&name, candidate))
}

/// The optimal string alignment distance, row by row.
fn distance(name: &[char], other: &str) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=name.len()).collect();
    let mut previous = None;
    for (i, c) in other.chars().take(MAX_LENGTH).enumerate() {
        let mut row = Vec::with_capacity(last.len());
        let mut left = i + 1;
        row.push(left);
        for (j, (window, n)) in last.windows(2).zip(name).enumerate() {
            let &[diagonal, above] = window else { continue };
            let mut least = (left + 1).min(above + 1).min(diagonal + usize::from(*n != c));
            let swapped = j.checked_sub(1).filter(|j| name.get(*j) == Some(&c) && previous == Some(*n));
            if let Some(earlier) = swapped.and_then(|j| before_last.get(j)) {
                least = least.min(earlier + 1);
            }
            row.push(least);
            left = least;
        }
        previous = Some(c);
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), b)
    }

    #[test]
    fn distances() {
        for (a, b, steps) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("name", "name", 0),
            ("name", "nmae", 1),
            ("name", "names", 1),
            ("name", "nme", 1),
            ("name", "nane", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
            ("h\u{e9}", "he", 1),
        ] {
            assert_eq!(between(a, b), steps, "{a} {b}");
            assert_eq!(between(b, a), steps, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_of_some() {
        assert_eq!(nearest("nmae", ["query", "name", "names"]), Some("name"));
        assert_eq!(nearest("x", ["a", "b"]), Some("a"));
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn the_work_is_bounded() {
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, std::iter::repeat_n(long.as_str(), 1_000_000)), Some(long.as_str()));
    }
}
