//! One file, one or several profiles: from its text to the table of the profile asked for.

use std::path::Path;

use super::{
    decode::decode,
    fault::{Faults, Origin, ProfileError, Stage},
    file::ProfileTable,
    tree::{Entry, Node, Place, Step, Value},
    variables::{Environment, expand},
};

/// The table of one profile, and where it comes from.
pub(super) struct Document {
    pub(super) name: Option<String>,
    pub(super) origin: Origin,
    pub(super) table: ProfileTable,
}

impl Document {
    pub(super) fn parse(
        text: &[u8],
        file: Option<&Path>,
        name: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<Self, ProfileError> {
        let mut origin = Origin {
            file: file.map(Path::to_owned),
            ..Origin::default()
        };
        let text = str::from_utf8(text).map_err(|error| {
            let place = Place::after(&text[..error.valid_up_to()]);
            origin.file_error(Some(place), "the file isn't UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let tree = if is_json(text, file) {
            Node::json(text)
        } else {
            Node::toml(text)
        };
        let tree = tree.map_err(|error| origin.file_error(error.place, error.message))?;
        origin.places = tree.places();
        let (name, mut node) = choose(tree, name, &mut origin)?;

        let mut faults = Faults::of(&origin);
        node.each_text(
            &mut Vec::new(),
            &mut |path, text| match expand(text, environment) {
                Ok(expanded) => *text = expanded,
                Err(message) => faults.at_path(path, message),
            },
        );
        let table = faults
            .is_empty()
            .then(|| decode(node, &mut faults))
            .flatten();
        let table = faults.or(table)?;
        Ok(Self {
            name,
            origin,
            table,
        })
    }
}

/// By the name's end or, if that says nothing, by the content: no TOML begins with a brace.
fn is_json(text: &str, file: Option<&Path>) -> bool {
    let extension = file.and_then(Path::extension);
    if extension.is_some_and(|it| it.eq_ignore_ascii_case("json")) {
        return true;
    }
    if extension.is_some_and(|it| it.eq_ignore_ascii_case("toml")) {
        return false;
    }
    text.trim_start().starts_with('{')
}

/// Finds the profile of this name, or the only one.
fn choose(
    mut tree: Node,
    name: Option<&str>,
    origin: &mut Origin,
) -> Result<(Option<String>, Node), ProfileError> {
    let wrong =
        |origin: &Origin, key: &str, message: String| Err(origin.error(Stage::File, key, message));
    let Value::Table(entries) = &mut tree.value else {
        return wrong(
            origin,
            "",
            format!("expected a table, found {}", tree.kind()),
        );
    };
    let Some(at) = entries.iter().position(|entry| entry.key == "profile") else {
        return match name {
            None => Ok((None, tree)),
            Some(name) => wrong(
                origin,
                "",
                format!(
                    "there is no profile {name:?}: the file is a single profile without a name; \
                     put it under `profile.{name}`, or ask for it without a name"
                ),
            ),
        };
    };
    // The schema is for editors.
    let beside = |entry: &&Entry| !matches!(entry.key.as_str(), "profile" | "$schema");
    if let Some(other) = entries.iter().find(beside) {
        let message = "a file with `profile` tables holds nothing beside them: move this key into \
                       one of them";
        return wrong(origin, &other.key.clone(), message.to_owned());
    }
    let Value::Table(profiles) = entries.remove(at).node.value else {
        let message = "expected a table of profiles by their names, as in [profile.orders]";
        return wrong(origin, "profile", message.to_owned());
    };
    let names = profiles.iter().map(|it| format!("{:?}", it.key));
    let names = names.collect::<Vec<_>>().join(", ");
    let asked = match (name, &profiles[..]) {
        (Some(name), _) => name.to_owned(),
        (None, [only]) => only.key.clone(),
        (None, []) => return wrong(origin, "profile", "there is no profile in it".to_owned()),
        (None, _) => {
            let message = format!("which profile? There are {names}: ask for one by its name");
            return wrong(origin, "profile", message);
        }
    };
    let Some(found) = profiles.into_iter().find(|it| it.key == asked) else {
        let message = format!("there is no profile {asked:?}: there are {names}");
        return wrong(origin, "profile", message);
    };
    origin.root = vec![Step::Key("profile".to_owned()), Step::Key(asked.clone())];
    match found.node.value {
        Value::Table(_) => Ok((Some(asked), found.node)),
        _ => wrong(
            origin,
            "",
            format!("expected a table, found {}", found.node.kind()),
        ),
    }
}
