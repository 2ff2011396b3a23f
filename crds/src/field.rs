//! Paths to fields, and errors about them, in the form and the words of Kubernetes' own validation
//! (`k8s.io/apimachinery/pkg/util/validation/field`).
//!
//! A [`Path`] costs nothing until it is printed: it is a chain of borrowed segments on the stack. An error
//! holds an owned [`FieldPath`], which can be printed and can be looked up in an object again.

use std::fmt;

use serde_json::Value;

/// Quoted values in an error are cut after this many characters.
pub const MAX_QUOTED_CHARS: usize = 64;

/// One step from an object to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment<S> {
    /// A field that the type declares, or a keyword of a JSON Schema: `.name`.
    Field(S),
    /// A key of a map: `[key]`.
    Key(S),
    /// A member that the author of a JSON Schema named: `.name` where that is an identifier, else `[na.me]`.
    Name(S),
    /// An element of a list: `[0]`.
    Index(usize),
}

impl<S: AsRef<str>> Segment<S> {
    fn write(&self, f: &mut fmt::Formatter<'_>, first: bool) -> fmt::Result {
        match self {
            Self::Field(name) if first => f.write_str(name.as_ref()),
            Self::Field(name) => write!(f, ".{}", name.as_ref()),
            Self::Name(name) if is_identifier(name.as_ref()) && first => f.write_str(name.as_ref()),
            Self::Name(name) if is_identifier(name.as_ref()) => write!(f, ".{}", name.as_ref()),
            Self::Name(key) | Self::Key(key) => write!(f, "[{}]", Quoted::bare(key.as_ref())),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }

    fn lookup<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Field(name) | Self::Key(name) | Self::Name(name) => value.get(name.as_ref()),
            Self::Index(index) => value.get(index),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
}

/// Where in an object a value stands; borrowed, and built without allocation.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Option<BorrowedSegment<'a>>,
}

#[derive(Debug, Clone, Copy)]
enum BorrowedSegment<'a> {
    Field(&'a str),
    Key(&'a str),
    Name(&'a str),
    Index(usize),
}

impl BorrowedSegment<'_> {
    fn to_owned(self) -> Segment<String> {
        match self {
            Self::Field(name) => Segment::Field(name.to_owned()),
            Self::Key(key) => Segment::Key(key.to_owned()),
            Self::Name(name) => Segment::Name(name.to_owned()),
            Self::Index(index) => Segment::Index(index),
        }
    }
}

impl<'a> Path<'a> {
    /// The whole object.
    pub const ROOT: Path<'static> = Path { parent: None, segment: None };

    const fn child(&'a self, segment: BorrowedSegment<'a>) -> Path<'a> {
        Path { parent: Some(self), segment: Some(segment) }
    }

    /// A declared field of this value. See [`Segment::Field`].
    #[must_use]
    pub const fn field(&'a self, name: &'a str) -> Path<'a> {
        self.child(BorrowedSegment::Field(name))
    }

    /// An entry of this map. See [`Segment::Key`].
    #[must_use]
    pub const fn key(&'a self, key: &'a str) -> Path<'a> {
        self.child(BorrowedSegment::Key(key))
    }

    /// A member of a JSON Schema that its author named. See [`Segment::Name`].
    #[must_use]
    pub const fn name(&'a self, name: &'a str) -> Path<'a> {
        self.child(BorrowedSegment::Name(name))
    }

    /// An element of this list. See [`Segment::Index`].
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Path<'a> {
        self.child(BorrowedSegment::Index(index))
    }

    /// The owned form, for an error.
    #[must_use]
    pub fn to_owned(&self) -> FieldPath {
        let mut segments = Vec::new();
        let mut at = Some(self);
        while let Some(path) = at {
            segments.extend(path.segment.map(BorrowedSegment::to_owned));
            at = path.parent;
        }
        segments.reverse();
        FieldPath(segments)
    }
}

/// Where in an object a value stands; owned.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment<String>>);

impl FieldPath {
    /// A path of declared fields, such as `["spec", "replicas"]`.
    #[must_use]
    pub fn of<const N: usize>(fields: [&str; N]) -> Self {
        Self(fields.into_iter().map(|name| Segment::Field(name.to_owned())).collect())
    }

    /// This path, one step longer.
    #[must_use]
    pub fn join(mut self, segment: Segment<String>) -> Self {
        self.0.push(segment);
        self
    }

    /// The steps from the object's root.
    #[must_use]
    pub fn segments(&self) -> &[Segment<String>] {
        &self.0
    }

    /// What stands at this path in `object`, if anything does.
    #[must_use]
    pub fn lookup<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(object, |value, segment| segment.lookup(value))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, segment)| segment.write(f, i == 0))
    }
}

impl From<&Path<'_>> for FieldPath {
    fn from(path: &Path<'_>) -> Self {
        path.to_owned()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_owned().fmt(f)
    }
}

/// What kind of mistake an error is about: the `reason` of a cause in a Kubernetes `Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Something that must be there is missing.
    Required,
    /// The value breaks a rule.
    Invalid,
    /// A second of what may be there once.
    Duplicate,
    /// None of a fixed set of values.
    NotSupported,
    /// Over a size.
    TooLong,
    /// May not be set here, or not to that.
    Forbidden,
}

impl Reason {
    /// The cause's `reason` on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotSupported => "FieldValueNotSupported",
            Self::TooLong => "FieldValueTooLong",
            Self::Forbidden => "FieldValueForbidden",
        }
    }
}

/// A place in a text, in lines and characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character on the line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One mistake: which field, and what is wrong with it.
///
/// `message` is what follows `FIELD: ` in kubectl's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// What kind of mistake.
    pub reason: Reason,
    /// Where.
    pub field: FieldPath,
    /// The sentence, beginning with Kubernetes' words for the reason (`Invalid value: 3: …`).
    pub message: String,
    /// Where in the field's text the mistake is, if that is known.
    pub within: Option<Position>,
    depends_on: Vec<FieldPath>,
}

impl FieldError {
    fn new(reason: Reason, field: impl Into<FieldPath>, message: String) -> Self {
        Self { reason, field: field.into(), message, within: None, depends_on: Vec::new() }
    }

    /// `Required value: DETAIL`.
    pub fn required(field: impl Into<FieldPath>, detail: impl fmt::Display) -> Self {
        Self::new(Reason::Required, field, with_detail("Required value", &detail))
    }

    /// `Invalid value: VALUE: DETAIL`.
    pub fn invalid(field: impl Into<FieldPath>, value: &Value, detail: impl fmt::Display) -> Self {
        Self::new(Reason::Invalid, field, format!("Invalid value: {}: {detail}", Quoted(value)))
    }

    /// As [`FieldError::invalid`], for a string.
    pub fn invalid_str(field: impl Into<FieldPath>, value: &str, detail: impl fmt::Display) -> Self {
        Self::new(Reason::Invalid, field, format!("Invalid value: {}: {detail}", Quoted::string(value)))
    }

    /// `Duplicate value: "VALUE": DETAIL`; without a detail, as Kubernetes says it.
    pub fn duplicate(field: impl Into<FieldPath>, value: &str, detail: impl fmt::Display) -> Self {
        let head = format!("Duplicate value: {}", Quoted::string(value));
        Self::new(Reason::Duplicate, field, with_detail(&head, &detail))
    }

    /// `Unsupported value: VALUE: supported values: "A", "B"`.
    pub fn not_supported(field: impl Into<FieldPath>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<_> = supported.iter().map(|s| format!("\"{s}\"")).collect();
        let message =
            format!("Unsupported value: {}: supported values: {}", Quoted(value), supported.join(", "));
        Self::new(Reason::NotSupported, field, message)
    }

    /// `Too long: DETAIL`.
    pub fn too_long(field: impl Into<FieldPath>, detail: impl fmt::Display) -> Self {
        Self::new(Reason::TooLong, field, format!("Too long: {detail}"))
    }

    /// `Forbidden: DETAIL`.
    pub fn forbidden(field: impl Into<FieldPath>, detail: impl fmt::Display) -> Self {
        Self::new(Reason::Forbidden, field, format!("Forbidden: {detail}"))
    }

    /// Says where in the field's text the mistake is.
    #[must_use]
    pub const fn within(mut self, at: Position) -> Self {
        self.within = Some(at);
        self
    }

    /// Names other values that this verdict was made from. On an update the error is a warning while
    /// neither its field nor any of these has changed (see [`FieldError::touches_change`]).
    #[must_use]
    pub fn depending_on(mut self, paths: impl IntoIterator<Item = FieldPath>) -> Self {
        self.depends_on.extend(paths);
        self
    }

    /// Whether an update from `old` to `new` changed anything that this error is about.
    #[must_use]
    pub fn touches_change(&self, old: &Value, new: &Value) -> bool {
        let changed = |path: &FieldPath| path.lookup(old) != path.lookup(new);
        // An error about a choice between fields stands at their parent: only the choice counts then.
        let own =
            self.depends_on.iter().all(|path| !path.0.starts_with(&self.field.0) || path == &self.field);
        (own && changed(&self.field)) || self.depends_on.iter().any(changed)
    }
}

fn with_detail(head: &str, detail: &dyn fmt::Display) -> String {
    let detail = detail.to_string();
    if detail.is_empty() { head.to_owned() } else { format!("{head}: {detail}") }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A value as an error shows it: on one line, strings in double quotes, at most [`MAX_QUOTED_CHARS`] long.
struct Quoted<'a>(&'a Value);

impl Quoted<'_> {
    fn string(text: &str) -> String {
        format!("\"{}\"", Self::bare(text))
    }

    fn bare(text: &str) -> String {
        let mut out = String::new();
        for (count, c) in text.chars().enumerate() {
            if count == MAX_QUOTED_CHARS {
                out.push('…');
                break;
            }
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if is_unprintable(c) => out.extend(c.escape_default()),
                c => out.push(c),
            }
        }
        out
    }
}

/// Characters that would break a line, or turn its direction.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(&Self::string(text)),
            Value::Array(_) | Value::Object(_) => {
                let json = self.0.to_string();
                let cut: String =
                    json.chars().take(MAX_QUOTED_CHARS).filter(|c| !is_unprintable(*c)).collect();
                f.write_str(&cut)?;
                if json.chars().nth(MAX_QUOTED_CHARS).is_some() { f.write_str("…") } else { Ok(()) }
            }
            scalar => write!(f, "{scalar}"),
        }
    }
}

/// The text with everything that would break a line escaped.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// What one pass over an object found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Why the object is refused; empty where it is not.
    pub errors: Vec<FieldError>,
    /// What is legal and suspicious, a sentence each.
    pub warnings: Vec<String>,
}

impl Findings {
    /// Adds an error.
    pub fn error(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// Everything that another pass found as well.
    pub fn extend(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.warnings.extend(other.warnings);
    }

    /// Makes warnings of errors about what an update from `old` to `new` did not change, so that an old object that
    /// a newer rule would refuse can still be labelled, scaled and repaired step by step.
    #[must_use]
    pub fn ratchet(mut self, old: &Value, new: &Value) -> Self {
        let (errors, unchanged) =
            self.errors.into_iter().partition(|error: &FieldError| error.touches_change(old, new));
        self.errors = errors;
        let unchanged: Vec<FieldError> = unchanged;
        self.warnings.extend(unchanged.iter().map(FieldError::to_string));
        self
    }

    /// Adds a warning about a field.
    pub fn warn(&mut self, field: impl Into<FieldPath>, text: impl fmt::Display) {
        self.warnings.push(format!("{}: {text}", field.into()));
    }
}
