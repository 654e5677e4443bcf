/// The JSON Schema of profiles (draft 2020-12): for editors, which complete keys and show what they
/// mean, and for checks before a program runs. It says the same of TOML and of JSON.
///
/// In JSON, name a copy of it by the key `$schema`; in TOML, by a first line `#:schema PATH`.
pub const JSON_SCHEMA: &str = include_str!("schema.json");

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, env, fs};

    use schemars::{
        JsonSchema, Schema,
        generate::SchemaSettings,
        transform::{RecursiveTransform, Transform},
    };
    use serde_json::{Value, json};

    use super::{super::file::ProfileTable, JSON_SCHEMA};

    /// Several profiles by their names, or one.
    #[derive(JsonSchema)]
    #[schemars(title = "Profile of tower-oauth")]
    #[allow(dead_code, reason = "it is there for its shape")]
    struct File {
        several: Several,
        one: ProfileTable,
    }

    /// Several profiles by their names.
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields)]
    #[allow(dead_code, reason = "it is there for its shape")]
    struct Several {
        /// The address of this schema, for editors. It has no effect.
        #[schemars(rename = "$schema")]
        schema: Option<String>,
        /// The profiles by their names.
        profile: BTreeMap<String, ProfileTable>,
    }

    /// A key that may be left out has no null.
    fn without_null(schema: &mut Schema) {
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        object.remove("default");
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|it| it != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(forms)) = object.get_mut("anyOf") {
            forms.retain(|it| *it != json!({ "type": "null" }));
            if let [Value::Object(only)] = &forms[..] {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only);
            }
        }
        // Documentation is broken into lines for the source only.
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = text.replace('\n', " ");
        }
    }

    fn schema() -> String {
        let settings = SchemaSettings::draft2020_12();
        let mut schema = settings.into_generator().into_root_schema_for::<File>();
        RecursiveTransform(without_null).transform(&mut schema);
        // Told apart by one key, so that an editor knows which of the two is meant.
        for name in ["type", "properties", "required"] {
            schema.remove(name);
        }
        schema.insert("if".into(), json!({ "required": ["profile"] }));
        schema.insert("then".into(), json!({ "$ref": "#/$defs/Several" }));
        schema.insert("else".into(), json!({ "$ref": "#/$defs/ProfileTable" }));
        serde_json::to_string_pretty(&schema).unwrap() + "\n"
    }

    /// With `BLESS=1` in the environment, it writes the file.
    #[test]
    fn the_schema_is_that_of_the_types() {
        if env::var_os("BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/profile/schema.json");
            fs::write(path, schema()).unwrap();
        } else {
            assert_eq!(
                JSON_SCHEMA,
                schema(),
                "run the test with BLESS=1 to write it"
            );
        }
    }
}
