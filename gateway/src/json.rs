//! JSON that is passed on as it was written.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// The members of an object in their order, each value as its text.
#[derive(Debug, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// A member's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    /// Whether there is such a member.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let place = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(place).1)
    }

    /// The object as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut object = Object::new();
        for (name, value) in &self.0 {
            object.raw(name, value.get());
        }
        object.finish()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &RawValue>()? {
                    if members.len() == MAX_VALUES {
                        return Err(M::Error::custom(format_args!("it holds more than {MAX_VALUES} values")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A string that is copied only where it has escapes. A `Cow` that is not a field itself, but within an `Option` or a tuple, is
/// always read as a copy.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An object that is written member by member.
#[derive(Debug)]
pub struct Object(String);

impl Object {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(128)
    }

    /// An object without members, whose text may come to take about as many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// Adds a member whose value is JSON already.
    pub fn raw(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.0.push_str(value);
        self
    }

    fn name(&mut self, name: &str) {
        // No value ends so: it is the beginning of this object, or of one in it.
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        push_string(&mut self.0, name);
        self.0.push(':');
    }

    /// Adds a string.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        push_string(&mut self.0, value);
        self
    }

    /// Adds an object, which `fill` writes.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.raw(name, "{");
        fill(self);
        self.0.push('}');
        self
    }

    /// Adds a string, where there is one.
    pub fn optional(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.string(name, value);
        }
        self
    }

    /// The text.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.0);
        text.push('}');
        text
    }
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

/// The texts as an array.
#[must_use]
pub fn array<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = "[".to_owned();
    for item in items {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(item.as_ref());
    }
    text.push(']');
    text
}

/// The string as JSON.
#[must_use]
pub fn string(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    push_string(&mut text, value);
    text
}

/// Appends a string as JSON.
pub(crate) fn push_string(out: &mut String, value: &str) {
    out.reserve(value.len() + 2);
    out.push('"');
    let mut rest = value;
    while let Some((plain, more)) = rest.split_at_checked(plain_bytes(rest)) {
        out.push_str(plain);
        let mut characters = more.chars();
        match characters.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
        }
        rest = characters.as_str();
    }
    out.push('"');
}

/// How many bytes a text has before the first that must be escaped in JSON.
fn plain_bytes(text: &str) -> usize {
    let escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    let (chunks, _) = text.as_bytes().as_chunks::<16>();
    // Without a branch within sixteen bytes, they are compared all at once.
    let plain = chunks.iter().take_while(|chunk| chunk.iter().fold(0, |any, byte| any | escaped(*byte)) == 0);
    let from = plain.count() * 16;
    from + text.as_bytes().iter().skip(from).take_while(|byte| escaped(**byte) == 0).count()
}

/// How many values may be in an object that is read, and in a value that is checked against a schema. Each takes many times its
/// two bytes of text, and one that is wrong several hundred more: a validator tells of all of them at once.
pub const MAX_VALUES: usize = 100_000;

/// Reads a value in which no object has a member twice: who takes the first of two would get another value than the one
/// that was checked.
///
/// # Errors
/// Where the text is no JSON, is nested too deep, has a member twice, or holds more than [`MAX_VALUES`].
pub fn parse_unambiguous(text: &str) -> Result<Value, serde_json::Error> {
    let left = Cell::new(MAX_VALUES);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Unambiguous { left: &left }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Unambiguous<'l> {
    left: &'l Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Unambiguous<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let too_many = || D::Error::custom(format_args!("it holds more than {MAX_VALUES} values"));
        self.left.set(self.left.get().checked_sub(1).ok_or_else(too_many)?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Value, S::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(self)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value, M::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if members.contains_key(&name) {
                return Err(M::Error::custom(format_args!("member {name:?} is there twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_keep_their_order_and_spelling() {
        let text = r#"{"b":1.0,"a":{"z":1e2,"y":18446744073709551616},"c":"\u0041"}"#;
        assert_eq!(Members::parse(text).unwrap().text(), text);
    }

    #[test]
    fn a_string_is_copied_where_it_has_escapes() {
        let texts: Vec<Option<Text<'_>>> = serde_json::from_str(r#"["plain","\u0065scaped",null]"#).unwrap();
        let is_copied = |text: &Option<Text<'_>>| text.as_ref().map(|text| matches!(text.0, Cow::Owned(_)));
        assert_eq!(texts.iter().map(is_copied).collect::<Vec<_>>(), [Some(false), Some(true), None]);
        assert_eq!(texts[1].as_deref(), Some("escaped"));
    }

    #[test]
    fn a_member_is_taken_out() {
        let mut members = Members::parse(r#"{"a":1,"b":2}"#).unwrap();
        assert_eq!(members.take("a").map(RawValue::get), Some("1"));
        assert_eq!(members.text(), r#"{"b":2}"#);
        assert!(!members.has("a"));
    }

    #[test]
    fn what_is_there_twice_is_refused_however_deep() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"\u0061":2}}]"#] {
            let error = parse_unambiguous(text).unwrap_err().to_string();
            assert!(error.contains("twice"), "{error}");
        }
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let list = |length: usize| format!("[{}0]", "0,".repeat(length - 1));
        assert!(parse_unambiguous(&list(MAX_VALUES - 1)).is_ok(), "the list is one itself");
        let error = parse_unambiguous(&list(MAX_VALUES)).unwrap_err().to_string();
        assert!(error.starts_with("it holds more than 100000 values"), "{error}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(parse_unambiguous(&deep).is_err());
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_writes_them(text in "\\PC*|[\u{0}-\u{20}\"\\\\é]*") {
            let written: String = serde_json::from_str(&string(&text)).unwrap();
            prop_assert_eq!(written, text);
        }

        #[test]
        fn what_is_unambiguous_is_what_serde_reads(text in "[\\[\\]{}\":,0-9.eE+\\-a-c]{0,24}") {
            if let Ok(value) = parse_unambiguous(&text) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
