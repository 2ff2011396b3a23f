//! Whether a `pattern` is a regular expression of ECMA 262, and one that the validator can run.
//!
//! The validator itself answers both: its `regex` format knows the grammar, and compiling a schema shows the rest.
//! Compiling takes tens of microseconds, or seconds where repetitions multiply. So each pattern is surveyed first: the
//! plain ones that make up most of what people write need no compiling, and oversized ones never get that far.

use std::collections::HashSet;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// What one pattern may weigh. A unit is about a state of the machine that is built for it, and takes some 0.3 µs.
const MAX_WEIGHT: usize = 250_000;

/// What all different patterns of a schema may weigh together: whoever validates by it compiles them all.
const MAX_WEIGHT_TOGETHER: usize = 500_000;

/// What compiling costs however small the pattern, in the same measure.
const WEIGHT_OF_COMPILING: usize = 100;

/// Why a pattern is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// ECMA 262 has no such expression.
    Grammar,
    /// The validator has no such expression, though ECMA 262 has.
    Unsupported,
    /// Too large once its repetitions are written out.
    Size,
}

/// The patterns of one schema.
#[derive(Debug, Default)]
pub(super) struct Patterns<'v> {
    /// Those that are fine.
    known: HashSet<&'v str>,
    weight: usize,
}

impl<'v> Patterns<'v> {
    pub(super) fn check(&mut self, pattern: &'v str) -> Result<(), Flaw> {
        if self.known.contains(pattern) {
            return Ok(());
        }
        let survey = Survey::of(pattern);
        self.weight = self.weight.saturating_add(survey.weight);
        if !survey.is_plain {
            self.weight = self.weight.saturating_add(WEIGHT_OF_COMPILING);
        }
        if survey.weight > MAX_WEIGHT || self.weight > MAX_WEIGHT_TOGETHER {
            return Err(Flaw::Size);
        }
        if !survey.is_plain {
            compile(pattern)?;
        }
        self.known.insert(pattern);
        Ok(())
    }
}

/// Knows ECMA 262's grammar. `None` can only be where the library lost its `regex` format.
static GRAMMAR: LazyLock<Option<Validator>> = LazyLock::new(|| {
    jsonschema::draft7::options().should_validate_formats(true).build(&json!({ "format": "regex" })).ok()
});

fn compile(pattern: &str) -> Result<(), Flaw> {
    let text = Value::from(pattern);
    if !GRAMMAR.as_ref().is_some_and(|grammar| grammar.is_valid(&text)) {
        return Err(Flaw::Grammar);
    }
    let schema = json!({ "pattern": text });
    jsonschema::draft202012::options().build(&schema).map_err(|_| Flaw::Unsupported)?;
    Ok(())
}

/// What can be seen of a pattern in one pass.
struct Survey {
    /// Roughly how many states it takes, and never far too few.
    weight: usize,
    /// Whether it is made only of parts that mean the same to ECMA 262 and to the validator, and certainly compile.
    is_plain: bool,
}

/// A group that is open, and the weight of what it holds so far.
struct Group {
    weight: usize,
    /// The weight of its last part, which a quantifier would repeat; `None` where nothing could be repeated.
    last: Option<usize>,
    /// Whether anything in it is more than an assertion or an empty alternative.
    is_solid: bool,
}

struct Surveyor<'p> {
    rest: std::str::Chars<'p>,
    groups: Vec<Group>,
    open: Group,
    plain: bool,
    /// Whether `\w` and its like mean what they mean in Unicode: the validator leaves them so beside a look-around.
    unicode: bool,
    /// Classes such as `\d` outside of brackets: the validator rewrites the whole pattern once for each.
    rewrites: usize,
    /// Groups with extensions: the validator compares the name of each with all others.
    extensions: usize,
}

/// Deeper than this, a pattern is no longer plain. The validator's own bounds are above it.
const MAX_PLAIN_NESTING: usize = 32;

/// The weight of a class that leaves out some of Unicode, encoded in UTF-8.
const WEIGHT_OF_NEGATED_CLASS: usize = 20;

/// The weight of a class such as `\p{Letter}`.
const WEIGHT_OF_PROPERTY: usize = 1_500;

/// Whether a pattern may have what the validator does not rewrite it with: look-around, and references back.
fn has_extensions(pattern: &str) -> bool {
    ["(?=", "(?!", "(?<"].iter().any(|start| pattern.contains(start))
        || pattern.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'1'..=b'9']))
}

impl Survey {
    fn of(pattern: &str) -> Self {
        let mut surveyor = Surveyor {
            rest: pattern.chars(),
            groups: Vec::new(),
            open: Group { weight: 0, last: None, is_solid: false },
            plain: true,
            unicode: has_extensions(pattern),
            rewrites: 0,
            extensions: 0,
        };
        while let Some(c) = surveyor.rest.next() {
            surveyor.part(c);
        }
        let is_plain = surveyor.plain && surveyor.groups.is_empty();
        while let Some(outer) = surveyor.groups.pop() {
            surveyor.close(outer);
        }
        let rewriting = surveyor.rewrites.saturating_mul(pattern.len()) / 100;
        let comparing = surveyor.extensions.saturating_mul(surveyor.extensions) / 400;
        Self { weight: surveyor.open.weight.saturating_add(rewriting).saturating_add(comparing), is_plain }
    }
}

impl Surveyor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.rest.next();
        }
        found
    }

    fn part(&mut self, c: char) {
        match c {
            '(' => self.group(),
            ')' => match self.groups.pop() {
                Some(outer) => self.close(outer),
                None => self.plain = false,
            },
            '|' => self.open.last = None,
            '^' | '$' => self.open.last = None,
            '*' | '+' | '?' => self.repeat(1),
            '{' => {
                let times = self.times();
                self.repeat(times);
            }
            '[' => {
                let weight = self.class();
                self.add(weight);
            }
            '\\' => self.escape(),
            '.' => self.add(WEIGHT_OF_NEGATED_CLASS),
            ']' | '}' => {
                self.plain = false;
                self.add(1);
            }
            c => self.add(c.len_utf8()),
        }
    }

    fn add(&mut self, weight: usize) {
        self.open.weight = self.open.weight.saturating_add(weight);
        self.open.last = Some(weight);
        self.open.is_solid = true;
    }

    fn group(&mut self) {
        // Any other extension than this one is left to the grammar.
        if self.eat('?') && !self.eat(':') {
            self.plain = false;
            self.extensions += 1;
        }
        self.groups.push(std::mem::replace(&mut self.open, Group { weight: 1, last: None, is_solid: false }));
        self.plain &= self.groups.len() <= MAX_PLAIN_NESTING;
    }

    /// Makes the open group a part of the one around it.
    fn close(&mut self, outer: Group) {
        let group = std::mem::replace(&mut self.open, outer);
        // The validator repeats nothing that is empty, not even in parentheses.
        if !group.is_solid && matches!(self.peek(), Some('*' | '+' | '?' | '{')) {
            self.plain = false;
        }
        let was_solid = self.open.is_solid;
        self.add(group.weight);
        self.open.is_solid = was_solid || group.is_solid;
    }

    fn repeat(&mut self, times: usize) {
        match self.open.last.take() {
            Some(part) => {
                let more = part.saturating_mul(times.saturating_sub(1)).saturating_add(1);
                self.open.weight = self.open.weight.saturating_add(more);
            }
            None => self.plain = false,
        }
        self.eat('?');
    }

    /// How often `{n}`, `{n,}` or `{n,m}` repeats at most; the opening brace is read.
    fn times(&mut self) -> usize {
        let least = self.number();
        let most =
            if self.eat(',') { if self.peek() == Some('}') { least } else { self.number() } } else { least };
        self.plain &= self.eat('}');
        match (least, most) {
            (Some(least), Some(most)) => {
                self.plain &= least <= most;
                least.max(most)
            }
            _ => {
                self.plain = false;
                least.or(most).unwrap_or(1)
            }
        }
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            number = Some(number.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit as usize));
        }
        number
    }

    fn escape(&mut self) {
        match self.rest.next() {
            Some(class @ ('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                self.rewrites += 1;
                self.add(self.weight_of_class(class));
            }
            Some(c) if is_plain_escape(c) => self.add(1),
            Some(c @ ('p' | 'P' | 'u')) => {
                self.plain = false;
                if self.peek() == Some('{') {
                    self.rest.by_ref().find(|c| *c == '}');
                }
                self.add(if c == 'u' { 4 } else { WEIGHT_OF_PROPERTY });
            }
            _ => {
                self.plain = false;
                self.add(WEIGHT_OF_NEGATED_CLASS);
            }
        }
    }

    /// The weight of `\d`, `\w` and `\s`, and of their opposites.
    fn weight_of_class(&self, class: char) -> usize {
        match (class, self.unicode) {
            ('w' | 'W', true) => 2_000,
            ('d' | 'D', true) => 80,
            ('d' | 'w' | 's', _) => 4,
            _ => WEIGHT_OF_NEGATED_CLASS,
        }
    }

    /// The weight of a class in brackets; the opening one is read.
    fn class(&mut self) -> usize {
        let mut weight = if self.eat('^') { WEIGHT_OF_NEGATED_CLASS } else { 1 };
        // What a range could begin with.
        let mut before: Option<char> = None;
        let mut empty = true;
        loop {
            let Some(c) = self.rest.next() else {
                self.plain = false;
                return weight;
            };
            match c {
                ']' => {
                    self.plain &= !empty;
                    return weight;
                }
                '\\' => {
                    before = None;
                    match self.rest.next() {
                        // A hyphen after one of these would be no range to one side and a wrong one to the other.
                        Some(class @ ('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                            weight = weight.saturating_add(self.weight_of_class(class));
                            self.plain &= self.peek() != Some('-');
                        }
                        Some(escaped) if is_plain_escape(escaped) => self.plain &= self.peek() != Some('-'),
                        Some('p' | 'P') => {
                            weight = weight.saturating_add(WEIGHT_OF_PROPERTY);
                            self.plain = false;
                        }
                        _ => self.plain = false,
                    }
                }
                // At either end, a hyphen is itself.
                '-' if empty || self.peek() == Some(']') => before = None,
                '-' => match (before.take(), self.rest.next()) {
                    (Some(low), Some(high)) => {
                        self.plain &=
                            low.is_ascii_alphanumeric() && high.is_ascii_alphanumeric() && low <= high;
                        self.plain &= self.peek() != Some('-') || self.rest.clone().nth(1) == Some(']');
                    }
                    _ => self.plain = false,
                },
                // Doubled, these are operators to the validator.
                '[' | '&' | '~' | '^' => {
                    self.plain = false;
                    before = None;
                }
                c => before = Some(c),
            }
            weight = weight.saturating_add(c.len_utf8());
            empty = false;
        }
    }
}

/// Characters that a backslash takes their meaning from, or gives the same one to everywhere.
fn is_plain_escape(c: char) -> bool {
    matches!(
        c,
        '^' | '$' | '\\' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '/' | '-'
    ) || matches!(c, 'n' | 'r' | 't')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(pattern: &str) -> Result<(), Flaw> {
        Patterns::default().check(pattern)
    }

    #[test]
    fn accepts_what_ecma_262_has() {
        for pattern in [
            "",
            "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            r"^\d{4}-\d{2}-\d{2}$",
            r"^[\w.-]+@[\w.-]+\.\w{2,}$",
            r"^(?=.*\d)(?!.*\s).{8,}$",
            r"(?<=\$)\d+",
            r"(?<year>\d{4})-(\d\d)\1",
            r"(a)\1",
            r"\p{Lu}\P{L}",
            r"^\cC$",
            r"[äöü€😀]+",
            r"^[^\s/]+$",
            "a*?b+?c??d{2,3}?",
            r"^https?:\/\/",
            r"\u00e9\x41",
            "^(?:a|b|)$",
            r"^[\-+]?\d+$",
            r"^(?!-)[\w.]{1,64}$",
            r"^[\p{L} .'-]{1,100}$",
        ] {
            assert_eq!(verdict(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_it_has_not() {
        for pattern in [
            "(",
            ")",
            "[",
            "a**",
            "*a",
            "+",
            "a{2,1}",
            "(?P<name>x)",
            "(?i)abc",
            r"\",
            "[z-a]",
            r"\Z",
            "(?#x)",
            "a|*",
            "^*",
            "[a",
            "(?<>x)",
            r"\k<no>",
            r"\2(a)",
            "x{2}{3}",
            "a{,5}",
            "{",
            "]",
            "}",
        ] {
            assert_eq!(verdict(pattern), Err(Flaw::Grammar), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_the_validator_cannot_run() {
        for pattern in [r"(?<year>\d{4})-\k<year>", "[]", "[^]", r"\p{NoSuchProperty}", r"\uD83D"] {
            assert_eq!(verdict(pattern), Err(Flaw::Unsupported), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_would_grow_without_bound() {
        for pattern in [
            "(a{1000}){1000}",
            "((a{100}){100}){100}",
            "(((a{100}){100}){100}",
            r"\p{L}{500}",
            r"^(?=a)\w{1,200}$",
            "a{999999999999999999999999}",
            &"x".repeat(MAX_WEIGHT + 1),
            &r"\d".repeat(12_000),
            &(0..14_000).map(|i| format!("(?<a{i}>b)")).collect::<String>(),
        ] {
            assert_eq!(verdict(pattern), Err(Flaw::Size), "{:.40}", pattern);
        }
    }

    #[test]
    fn many_patterns_share_one_bound() {
        for source in ["(?=a)", "[^a]{200}"] {
            let sources: Vec<String> = (0..10_000).map(|i| format!("{source}{i}")).collect();
            let mut patterns = Patterns::default();
            let refused = sources.iter().filter(|source| patterns.check(source) == Err(Flaw::Size)).count();
            assert!((1..9_900).contains(&refused), "{refused}");
            // What has been found to be fine stays so.
            assert_eq!(sources.iter().take(100).try_for_each(|source| patterns.check(source)), Ok(()));
        }
    }

    #[test]
    fn what_people_write_is_plain() {
        for pattern in [
            "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            r"^\d{4}-\d{2}-\d{2}$",
            "^(asc|desc)$",
            "^https://.+",
            r"^[A-Za-z0-9_.-]{1,128}$",
            r"^[\w.]+$",
        ] {
            assert!(Survey::of(pattern).is_plain, "{pattern}");
        }
    }

    #[test]
    fn repeating_nothing_is_not_plain() {
        for pattern in ["(?:){2,3}", "(?:(?:))*", "(?:^)+", "(?:|){2}"] {
            assert!(!Survey::of(pattern).is_plain, "{pattern}");
        }
        assert!(Survey::of("(?:(?:a))*").is_plain);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_plain_compiles(pattern in r"([ab\-\\^$|?*+(){}\[\],.01-9dDwWsSnbpuk:=!<>&~/_ é]|\\[dws]|\[a-z\]|\(\?:|\{2,3\}){0,12}") {
            let survey = Survey::of(&pattern);
            if survey.is_plain && survey.weight <= MAX_WEIGHT {
                prop_assert_eq!(compile(&pattern), Ok(()));
            }
        }
    }
}
