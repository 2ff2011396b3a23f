//! Text for a model, in Markdown.

/// Text from the cluster between fences that it cannot close itself.
pub(super) fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// A list, an item a line.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| format!("- {}\n", one_line(&item))).collect()
}

/// A cell of a table, or an item of a list, ends with its line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The end of a text, at most so many bytes, from the beginning of a line.
pub(super) fn end(text: &str, bytes: usize) -> &str {
    let Some(too_many) = text.len().checked_sub(bytes).filter(|too_many| *too_many > 0) else { return text };
    let from = text.char_indices().map(|(at, _)| at).find(|at| *at >= too_many).unwrap_or(text.len());
    let kept = text.get(from..).unwrap_or_default();
    kept.split_once('\n').map_or(kept, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_closes_its_fence() {
        assert_eq!(fenced("a\n"), "```\na\n```\n");
        assert_eq!(fenced("````\nb"), "`````\n````\nb\n`````\n");
    }

    #[test]
    fn an_item_is_a_line() {
        assert_eq!(list(["a\nb".to_owned(), "c | d".to_owned()]), "- a b\n- c \\| d\n");
    }

    #[test]
    fn the_end_begins_with_a_line() {
        assert_eq!(end("one\ntwo\n", 100), "one\ntwo\n");
        assert_eq!(end("one\ntwo\nthree\n", 8), "three\n");
        assert_eq!(end("äöü", 3), "ü");
    }
}
