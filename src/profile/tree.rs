//! A file as a tree in which every key and value knows its place: one form for TOML and JSON.
//!
//! A profile needs texts, booleans, lists and tables. Whatever else a format has is kept by its
//! name, so that it can be refused by it.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

/// Deeper than any profile is; a tree is walked by recursion.
const DEPTH: usize = 16;

/// Where something stands in a file, from one on. Columns count octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// That of the octet after these.
    pub(super) fn after(text: &[u8]) -> Self {
        let last = text.rsplit(|&octet| octet == b'\n').next();
        Self {
            line: text.iter().filter(|&&octet| octet == b'\n').count() + 1,
            column: last.map_or(0, <[u8]>::len) + 1,
        }
    }
}

pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

pub(super) enum Value {
    Text(String),
    Boolean(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Nothing that a profile has, with its name.
    Foreign(&'static str),
}

pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// One step on the way from the root of a tree to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Why a text is no tree, and where.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) place: Option<Place>,
    pub(super) message: String,
}

impl Node {
    /// Parses TOML.
    pub(super) fn toml(text: &str) -> Result<Self, SyntaxError> {
        let lines = Lines::of(text);
        // The error's own `Display` would repeat the line, and with it what may be a secret.
        let table = DeTable::parse(text).map_err(|error| SyntaxError {
            place: error.span().map(|span| lines.place(span.start)),
            message: error.message().to_owned(),
        })?;
        let place = lines.place(0);
        let value = toml_table(table.into_inner(), &lines, 1)?;
        Ok(Self { place, value })
    }

    /// Parses JSON.
    pub(super) fn json(text: &str) -> Result<Self, SyntaxError> {
        let lines = Lines::of(text);
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| SyntaxError {
            place: Some(Place {
                line: error.line(),
                column: error.column().max(1),
            }),
            message: json_fault(&error),
        })?;
        json_node(raw, &lines, 0)
    }

    /// What kind of value it is.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a text",
            Value::Boolean(_) => "a boolean",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Foreign(kind) => kind,
        }
    }

    /// Takes what this path leads to out of the tree, with the whole list if it leads into one;
    /// `false` if there is no such thing.
    pub(super) fn strike(&mut self, path: &[Step]) -> bool {
        let (Value::Table(entries), [Step::Key(key), rest @ ..]) = (&mut self.value, path) else {
            return false;
        };
        let Some(at) = entries.iter().position(|it| it.key == *key) else {
            return false;
        };
        if let [Step::Key(_), ..] = rest {
            return entries[at].node.strike(rest);
        }
        entries.remove(at);
        true
    }

    /// Goes through all texts below this path.
    pub(super) fn each_text(
        &mut self,
        path: &mut Vec<Step>,
        visit: &mut impl FnMut(&[Step], &mut String),
    ) {
        match &mut self.value {
            Value::Text(text) => visit(path, text),
            Value::List(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    path.push(Step::Index(at));
                    item.each_text(path, visit);
                    path.pop();
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    path.push(Step::Key(entry.key.clone()));
                    entry.node.each_text(path, visit);
                    path.pop();
                }
            }
            Value::Boolean(_) | Value::Foreign(_) => {}
        }
    }

    /// Where every key and value stands, without any value.
    pub(super) fn places(&self) -> Places {
        let mut places = BTreeMap::new();
        self.note(&mut Vec::new(), self.place, &mut places);
        Places(places)
    }

    fn note(&self, path: &mut Vec<Step>, place: Place, places: &mut BTreeMap<String, Place>) {
        places.insert(dotted(path), place);
        match &self.value {
            Value::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Index(at));
                    item.note(path, item.place, places);
                    path.pop();
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    path.push(Step::Key(entry.key.clone()));
                    entry.node.note(path, entry.place, places);
                    path.pop();
                }
            }
            Value::Text(_) | Value::Boolean(_) | Value::Foreign(_) => {}
        }
    }
}

// ===== impl Places =====

/// Where the keys of a file stand, by their dotted paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Places {
    /// Whether this very key is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The place of a key, or of the nearest table around it that is there.
    pub(super) fn of(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(*place);
            }
            if path.is_empty() {
                return None;
            }
            path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
        }
    }
}

/// A path as people write it: `api.allowed_origins[1]`.
pub(super) fn dotted(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Index(at) => out.push_str(&format!("[{at}]")),
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                let bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
                if !key.is_empty() && key.chars().all(bare) {
                    out.push_str(key);
                } else {
                    out.push_str(&format!("{key:?}"));
                }
            }
        }
    }
    out
}

// ===== TOML =====

fn toml_table(table: DeTable<'_>, lines: &Lines<'_>, depth: usize) -> Result<Value, SyntaxError> {
    let entry = |(key, value): (toml::Spanned<Cow<'_, str>>, toml::Spanned<DeValue<'_>>)| {
        Ok(Entry {
            place: lines.place(key.span().start),
            key: key.into_inner().into_owned(),
            node: toml_node(value, lines, depth)?,
        })
    };
    table
        .into_iter()
        .map(entry)
        .collect::<Result<_, _>>()
        .map(Value::Table)
}

fn toml_node(
    value: toml::Spanned<DeValue<'_>>,
    lines: &Lines<'_>,
    depth: usize,
) -> Result<Node, SyntaxError> {
    let place = lines.place(value.span().start);
    check_depth(depth, place)?;
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Integer(_) => Value::Foreign("an integer"),
        DeValue::Float(_) => Value::Foreign("a number"),
        DeValue::Datetime(_) => Value::Foreign("a date"),
        DeValue::Array(items) => {
            let items = items.into_iter();
            let nodes = items.map(|item| toml_node(item, lines, depth + 1));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => toml_table(table, lines, depth + 1)?,
    };
    Ok(Node { place, value })
}

// ===== JSON =====

/// The members of an object, each once, with the text of its value: that is a part of the file's
/// text, and its address in there is its place.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

fn json_node(raw: &RawValue, lines: &Lines<'_>, depth: usize) -> Result<Node, SyntaxError> {
    let text = raw.get();
    let begin = lines.offset(text);
    let place = lines.place(begin);
    check_depth(depth, place)?;
    let fault = |error: serde_json::Error| SyntaxError {
        place: Some(place),
        message: json_fault(&error),
    };
    let value = match text.as_bytes().first() {
        Some(b'"') => Value::Text(serde_json::from_str(text).map_err(fault)?),
        Some(b't' | b'f') => Value::Boolean(text == "true"),
        Some(b'n') => Value::Foreign("null"),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(fault)?;
            let nodes = items
                .into_iter()
                .map(|item| json_node(item, lines, depth + 1));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(fault)?;
            let mut entries: Vec<Entry> = Vec::with_capacity(members.len());
            let mut seen = std::collections::HashSet::new();
            let mut end = begin;
            for (key, value) in members {
                // Between two members there is no quote but that of the key.
                let quote = lines.text[end..].find('"').unwrap_or(0);
                let place = lines.place(end + quote);
                end = lines.offset(value.get()) + value.get().len();
                if !seen.insert(key.clone()) {
                    return Err(SyntaxError {
                        place: Some(place),
                        message: format!("duplicate key {key:?}"),
                    });
                }
                let node = json_node(value, lines, depth + 1)?;
                entries.push(Entry { key, place, node });
            }
            Value::Table(entries)
        }
        _ => Value::Foreign("a number"),
    };
    Ok(Node { place, value })
}

/// What serde_json says, without the place that it counted itself.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}

// ===== both =====

fn check_depth(depth: usize, place: Place) -> Result<(), SyntaxError> {
    if depth <= DEPTH {
        return Ok(());
    }
    Err(SyntaxError {
        place: Some(place),
        message: "nested deeper than any profile is".to_owned(),
    })
}

struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|&start| start <= offset);
        Place {
            line,
            column: offset - self.starts[line - 1] + 1,
        }
    }

    /// Where a part of the text begins.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.text.as_ptr().addr()
    }
}
