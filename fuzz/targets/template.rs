//! A prompt's template: every byte of it is text or a placeholder, and nothing that it is filled in with is read again.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_crds::validate::template::{Template, is_identifier};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else { return Corpus::Reject };
    let template = Template::parse(text);
    assert!(template.placeholders().all(|placeholder| is_identifier(placeholder.name)));
    assert!(template.placeholders().all(|placeholder| text.contains(placeholder.source)));
    let empty = template.render(|_| None);
    assert!(empty.len() <= text.len());
    let filled = template.render(|_| Some(Cow::Borrowed("{{x}}")));
    assert_eq!(filled.len(), empty.len() + 5 * template.placeholders().count());
    Corpus::Keep
});
