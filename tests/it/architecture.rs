//! The rooms of `src/` and their floors: nothing imports upward, on one floor a room may import
//! those to its left. That is one order of all rooms, so no circle can close either.
//!
//! The sources are read as text: what a build leaves out is held to the rule as well, and only
//! `#[cfg(test)]` items may import what they like. `lib.rs` belongs to no room.

mod lexemes;
mod source;

use std::{fs, path::Path};

use self::source::Source;

const FLOORS: [&[&str]; 11] = [
    &["error", "secret", "clock"],
    &["body", "challenge", "protocol"],
    &["token", "events", "keystore"],
    &["jose", "tls"],
    &["client_auth", "transport"],
    &["discovery", "grant"],
    &["store", "refresh"],
    &["cache"],
    &["service", "server"],
    &["profile", "adapter"],
    &["testing", "manual"],
];

/// The place of a room in the order of all rooms.
fn place(room: &str) -> Option<usize> {
    FLOORS
        .iter()
        .copied()
        .flatten()
        .position(|&known| known == room)
}

/// What breaks the rule of the house, one sentence each.
fn breaches(source: &Source) -> Vec<String> {
    let room = &source.module[0];
    let Some(own) = place(room) else {
        return vec![format!("`{room}` stands on no floor")];
    };
    let breach = |import: String| match place(&import) {
        None => Some(format!("`{import}`, which `{room}` imports, is no room")),
        Some(place) if place > own => Some(format!("`{room}` imports `{import}`")),
        Some(_) => None,
    };
    source.imports().into_iter().filter_map(breach).collect()
}

/// All files of `src/` but `lib.rs`, and those that are compiled for tests only.
fn sources() -> Vec<Source> {
    fn walk(directory: &Path, module: &[&str], sources: &mut Vec<Source>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                walk(&path, &[module, &[name]].concat(), sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = match name {
                    "lib" if module.is_empty() => continue,
                    "mod" => module.to_vec(),
                    _ => [module, &[name]].concat(),
                };
                sources.push(Source::new(&module, &fs::read_to_string(&path).unwrap()));
            }
        }
    }

    let mut sources = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walk(&root, &[], &mut sources);
    let for_tests: Vec<Vec<String>> = sources
        .iter()
        .flat_map(|source| source.test_modules.clone())
        .collect();
    sources.retain(|source| {
        !for_tests
            .iter()
            .any(|module| source.module.starts_with(module))
    });
    sources
}

#[test]
fn no_room_imports_upward() {
    let sources = sources();
    let breaches: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            let file = source.module.join("/");
            let breaches = breaches(source).into_iter();
            breaches.map(move |breach| format!("src/{file}: {breach}"))
        })
        .collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));

    // The rule holds for a house that has been seen.
    let grant = sources.iter().find(|it| it.module == ["grant", "source"]);
    let imports = grant.expect("the grants' trait has its file").imports();
    assert!(imports.contains(&"token".to_owned()), "{imports:?}");
}

fn planted(module: &[&str], text: &str) -> Vec<String> {
    breaches(&Source::new(module, text))
}

#[test]
fn an_import_of_a_higher_floor_is_a_breach() {
    let upward = ["`token` imports `service`"];
    let file = ["token", "lifetime"];
    for text in [
        "use crate::service;",
        "use crate::service::OAuth;",
        "pub(crate) use crate::service::{OAuth, Attach};",
        "fn f() -> crate::service::OAuth<()> { todo!() }",
        "fn f() { let c = 'c'; let q = '\\''; crate::service::call::<'a', ()>(); }",
        "fn f<'a>(s: &'a str) { crate::service::call() }",
        "use super::super::service::OAuth;",
        "use self::super::super::service::OAuth;",
        "mod deeper { use super::super::super::service::OAuth; }",
        "mod deeper { } use super::super::service::OAuth;",
        "use crate\n    ::service; // and why",
        "#[cfg(not(test))] use crate::service::OAuth;",
        "#[cfg(any(test, unix))] use crate::service::OAuth;",
        "struct A { #[cfg(test)] a: u8, b: u8 } use crate::service::OAuth;",
        "#[cfg(feature = \"testing\")] use crate::service::OAuth;",
    ] {
        assert_eq!(planted(&file, text), upward, "{text}");
    }
}

#[test]
fn an_import_of_a_room_to_the_right_is_a_breach() {
    assert_eq!(
        planted(&["challenge"], "use crate::protocol::Answer;"),
        ["`challenge` imports `protocol`"]
    );
    assert!(planted(&["protocol"], "use crate::challenge::parse;").is_empty());
    // So of two rooms that import each other, one always breaks the rule.
    assert_eq!(
        planted(&["error"], "use crate::secret::quote;"),
        ["`error` imports `secret`"]
    );
    assert!(planted(&["secret"], "use crate::error::BoxError;").is_empty());
}

#[test]
fn a_breach_inside_a_group_is_seen() {
    for text in [
        "use crate::{error::BoxError, service::OAuth};",
        "use crate::{error::{self, BoxError as Any}, service};",
        "use crate::{secret as hidden, service::{OAuth, layer::{A, B}}, clock::*};",
        "use {std::fmt, crate::service::OAuth};",
        "use super::{AccessToken, super::service};",
        "use super::super::{error::BoxError, service::OAuth};",
    ] {
        assert_eq!(
            planted(&["token", "cause"], text),
            ["`token` imports `service`"],
            "{text}"
        );
    }
    assert_eq!(
        planted(&["token"], "use crate::{service::A, refresh::B, error::C};"),
        ["`token` imports `service`", "`token` imports `refresh`"]
    );
}

#[test]
fn an_unknown_room_is_a_breach() {
    assert_eq!(
        planted(&["util"], "use crate::error::BoxError;"),
        ["`util` stands on no floor"]
    );
    // What the crate's root repeats is imported from its room.
    assert_eq!(
        planted(&["service"], "use crate::TokenError;"),
        ["`TokenError`, which `service` imports, is no room"]
    );
    assert_eq!(
        planted(&["service", "layer"], "use super::super::*;"),
        ["`*`, which `service` imports, is no room"]
    );
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    for text in [
        "use crate::{error::TokenError, secret, token::Cause};",
        "use super::{Cause, lifetime::Age}; use self::cause::service;",
        "// use crate::service;\n//! [x](crate::service)\n/// crate::service\n",
        "/* crate::service /* nested */ crate::service */",
        r##"const A: &str = "crate::service \" crate::service"; const B: &str = r#"" crate::service"#;"##,
        "pub(crate) fn f() {} pub(in crate::token) fn g() {}",
        "#[cfg(test)] mod tests { use super::super::*; use crate::service::OAuth; }",
        "#[cfg(all(test, feature = \"jwt\"))] #[path = \"x\"] mod tests { use crate::service; }",
        "#[cfg(all(test, any(feature = \"jwt\")))] use crate::service;",
        "#[cfg(test)] use crate::service::{OAuth}; #[cfg(test)] fn f(a: [u8; 2]) { crate::service::f() }",
        "mod a { use super::super::Cause; }",
    ] {
        assert_eq!(planted(&["token", "cause"], text), [""; 0], "{text}");
    }
}

#[test]
fn a_file_of_tests_is_told_from_the_others() {
    let source = Source::new(
        &["challenge", "parser"],
        "#[cfg(test)]\nmod tests; mod other;",
    );
    assert_eq!(source.test_modules, [["challenge", "parser", "tests"]]);
    assert!(
        sources()
            .iter()
            .all(|source| !source.module.ends_with(&["tests".to_owned()]))
    );
}
