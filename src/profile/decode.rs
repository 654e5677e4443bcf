//! From a tree to the file's types, through serde. What is wrong is struck out of the tree, and the
//! rest is read again, so that all faults are told at once.

use std::fmt;

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, IntoDeserializer, Visitor},
    forward_to_deserialize_any,
};

use super::{
    fault::Faults,
    tree::{Entry, Node, Step, Value},
};

/// Reads a tree; `None` if anything is wrong with it.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(
    mut tree: Node,
    faults: &mut Faults,
) -> Option<T> {
    loop {
        match T::deserialize(Decoder(&tree)) {
            Ok(read) => return faults.is_empty().then_some(read),
            Err(error) => {
                faults.at_path(&error.path, error.message);
                if faults.is_full() || !tree.strike(&error.path) {
                    return None;
                }
            }
        }
    }
}

/// What is wrong with a value, and the way to it.
#[derive(Debug)]
struct DecodeError {
    path: Vec<Step>,
    message: String,
}

impl DecodeError {
    fn new(message: String) -> Self {
        Self {
            path: Vec::new(),
            message,
        }
    }

    fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(unknown_key(field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let known = format!("write one of {}", expected.join(", "));
        let cure = match nearest(variant, expected) {
            Some(near) => format!("did you mean {near:?}? ({known})"),
            None => known,
        };
        Self::new(format!("{variant:?} isn't known: {cure}"))
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let Some(near) = nearest(key, known) else {
        return format!("no such key: the keys here are {}", known.join(", "));
    };
    // What can only be named from afar is a secret.
    let plain = near.strip_suffix("_file").or(near.strip_suffix("_env"));
    if let Some(plain) = plain.filter(|plain| distance(key, plain) < distance(key, near)) {
        let has = |suffix: &str| {
            known
                .iter()
                .any(|it| it.strip_suffix(suffix) == Some(plain))
        };
        if has("_file") && has("_env") {
            return format!(
                "a secret can't stand in a profile: write it to a file and name that by \
                 `{plain}_file`, or name an environment variable by `{plain}_env`"
            );
        }
    }
    format!("no such key: did you mean `{near}`?")
}

/// What was probably meant.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Nobody mistypes a key so much that it gets this long.
    if word.len() > 100 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    let rated = known.iter().map(|it| (distance(&word, it), *it));
    let (distance, near) = rated.min()?;
    (distance <= near.len().max(3) / 3).then_some(near)
}

/// How many octets to insert, remove or replace to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

struct Decoder<'a>(&'a Node);

impl Decoder<'_> {
    /// A value of another kind than expected. The value itself isn't told: it may be a secret.
    fn unfit(&self, expected: &dyn de::Expected) -> DecodeError {
        DecodeError::new(format!("expected {expected}, found {}", self.0.kind()))
    }
}

impl<'de> de::Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Foreign(_) => Err(self.unfit(&visitor)),
            Value::Text(text) => visitor.visit_str(text),
            Value::Boolean(boolean) => visitor.visit_bool(*boolean),
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Table(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                current: None,
            }),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_str(text),
            _ => Err(self.unfit(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Boolean(boolean) => visitor.visit_bool(*boolean),
            _ => Err(DecodeError::new(format!(
                "expected true or false, found {}",
                self.0.kind()
            ))),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => Err(DecodeError::new(format!(
                "expected a list, such as [\"one\", \"two\"], found {}",
                self.0.kind()
            ))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Table(_) => self.deserialize_any(visitor),
            _ => Err(DecodeError::new(format!(
                "expected a table, found {}",
                self.0.kind()
            ))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // A list would be taken for the fields in their order.
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(DecodeError::new(format!(
                "expected one of {}, found {}",
                variants.join(", "),
                self.0.kind()
            ))),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Node>>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((at, node)) = self.0.next() else {
            return Ok(None);
        };
        let read = seed.deserialize(Decoder(node));
        read.map(Some).map_err(|error| error.below(Step::Index(at)))
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.rest.next();
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let read = seed.deserialize(entry.key.as_str().into_deserializer());
        read.map(Some)
            .map_err(|error: DecodeError| error.below(Step::Key(entry.key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let entry = self.current.expect("a value is asked for after its key");
        let read = seed.deserialize(Decoder(&entry.node));
        read.map_err(|error| error.below(Step::Key(entry.key.clone())))
    }
}
