//! Text of a server, as a condition shows it.

/// How many characters are shown.
const MOST: usize = 160;

/// One line, without control characters, cut.
pub(super) fn text(text: &str) -> String {
    // Far more than is shown, so that white space in front does not hide all.
    let words: Vec<&str> = text.get(..floor(text, 8 * MOST)).unwrap_or_default().split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    let mut shown: String = line.chars().take(MOST).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// The last boundary of a character that is not after `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_short_line() {
        assert_eq!(text("  a\r\n\tb\u{1b}[31m  "), "a b[31m");
        let long = text(&"ä".repeat(10_000));
        assert_eq!(long.chars().count(), MOST + 1);
        assert!(long.ends_with('…'));
    }
}
