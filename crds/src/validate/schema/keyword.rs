//! What each keyword's value has to look like, dialect by dialect: the metaschemas, as a table.

use super::dialect::Dialect;

/// What the value of a keyword has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A schema.
    Schema,
    /// A schema or a boolean, in draft-04, where a boolean is no schema.
    SchemaOrBoolean,
    /// A list of at least one schema.
    Schemas,
    /// Either of the above: `items` before 2020-12.
    SchemaOrSchemas,
    /// Schemas under names that the author chose.
    SchemasByName,
    /// The same, under regular expressions.
    SchemasByPattern,
    /// Under each name a schema or a list of names.
    Dependencies,
    /// Under each name a list of names.
    NamesByName,
    /// A list of different names.
    Names,
    /// The name of a type, or a list of different ones.
    Types,
    /// A number.
    Number,
    /// A number above zero.
    PositiveNumber,
    /// An integer, not below zero.
    Count,
    /// `true` or `false`.
    Boolean,
    /// draft-04's `exclusiveMinimum` and `exclusiveMaximum`, which modify the keyword named.
    BooleanBeside(&'static str),
    /// A string.
    Text,
    /// A list of anything.
    List,
    /// A regular expression.
    Pattern,
    /// A URI reference to a schema.
    Reference,
    /// The URI of this schema.
    Id,
    /// A name that this schema can be referred to by.
    Anchor,
    /// The URI of a dialect.
    Dialect,
    /// Booleans under URIs.
    Vocabulary,
}

impl Shape {
    /// Of a keyword in a dialect; `None` where its value is free, or the keyword unknown.
    pub(super) fn of(dialect: Dialect, keyword: &str) -> Option<Self> {
        use Dialect::{Draft4, Draft6, Draft7, Draft2019, Draft2020};

        let since = |first: Dialect, shape: Self| (dialect >= first).then_some(shape);
        match keyword {
            "type" => Some(Self::Types),
            "title" | "description" | "format" => Some(Self::Text),
            "properties" | "definitions" => Some(Self::SchemasByName),
            "required" => Some(Self::Names),
            "enum" => Some(Self::List),
            "items" => Some(if dialect < Draft2020 { Self::SchemaOrSchemas } else { Self::Schema }),
            "additionalProperties" => Some(Self::schema_or_boolean(dialect)),
            "additionalItems" => (dialect < Draft2020).then_some(Self::schema_or_boolean(dialect)),
            "allOf" | "anyOf" | "oneOf" => Some(Self::Schemas),
            "not" => Some(Self::Schema),
            "patternProperties" => Some(Self::SchemasByPattern),
            "dependencies" => Some(Self::Dependencies),
            "pattern" => Some(Self::Pattern),
            "minimum" | "maximum" => Some(Self::Number),
            "multipleOf" => Some(Self::PositiveNumber),
            "exclusiveMinimum" if dialect == Draft4 => Some(Self::BooleanBeside("minimum")),
            "exclusiveMaximum" if dialect == Draft4 => Some(Self::BooleanBeside("maximum")),
            "exclusiveMinimum" | "exclusiveMaximum" => Some(Self::Number),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                Some(Self::Count)
            }
            "uniqueItems" => Some(Self::Boolean),
            "$schema" => Some(Self::Dialect),
            "$ref" => Some(Self::Reference),
            "id" => (dialect == Draft4).then_some(Self::Id),

            "$id" => since(Draft6, Self::Id),
            "examples" => since(Draft6, Self::List),
            "contains" | "propertyNames" => since(Draft6, Self::Schema),
            // draft-06 does not define these, but the validator reads them there.
            "contentMediaType" | "contentEncoding" => since(Draft6, Self::Text),

            "$comment" => since(Draft7, Self::Text),
            "readOnly" | "writeOnly" => since(Draft7, Self::Boolean),
            "if" | "then" | "else" => since(Draft7, Self::Schema),

            "$defs" | "dependentSchemas" => since(Draft2019, Self::SchemasByName),
            "dependentRequired" => since(Draft2019, Self::NamesByName),
            "unevaluatedItems" | "unevaluatedProperties" | "contentSchema" => since(Draft2019, Self::Schema),
            "minContains" | "maxContains" => since(Draft2019, Self::Count),
            "deprecated" => since(Draft2019, Self::Boolean),
            "$anchor" => since(Draft2019, Self::Anchor),
            "$vocabulary" => since(Draft2019, Self::Vocabulary),
            "$recursiveRef" if dialect == Draft2019 => Some(Self::Reference),
            "$recursiveAnchor" if dialect == Draft2019 => Some(Self::Boolean),

            "prefixItems" => since(Draft2020, Self::Schemas),
            "$dynamicRef" => since(Draft2020, Self::Reference),
            "$dynamicAnchor" => since(Draft2020, Self::Anchor),
            // Of 2019-09: without a meaning here, but not free.
            "$recursiveRef" => since(Draft2020, Self::Text),
            "$recursiveAnchor" => since(Draft2020, Self::Anchor),
            _ => None,
        }
    }

    fn schema_or_boolean(dialect: Dialect) -> Self {
        if dialect == Dialect::Draft4 { Self::SchemaOrBoolean } else { Self::Schema }
    }
}

/// What `type` may name.
pub(super) const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
