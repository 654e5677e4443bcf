//! What the manual's page on profiles says is true, and so is the README's profile.

use super::parse;

const PAGE: &str = include_str!("../../manual/profile.md");
const README: &str = include_str!("../../../README.md");

/// A page's blocks of a language.
fn blocks(page: &'static str, language: &str) -> Vec<&'static str> {
    let begin = format!("\n```{language}\n");
    let rest = page.split(&begin).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_are_good() {
    let (toml, json) = (blocks(PAGE, "toml"), blocks(PAGE, "json"));
    assert_eq!((toml.len(), json.len()), (2, 1));
    parse("orders.toml", toml[0], None).unwrap();
    parse("orders.toml", toml[1], Some("orders")).unwrap();
    parse("orders.toml", toml[1], Some("kubernetes")).unwrap();
    parse("orders.json", json[0], None).unwrap();
}

#[test]
fn the_readmes_profile_is_good() {
    let [_dependency, profile] = blocks(README, "toml")[..] else {
        panic!("the README shows a dependency and a profile");
    };
    parse("orders.toml", profile, None).unwrap();
}

#[test]
fn the_errors_are_those_that_are_told() {
    let text = "\nclient_id = \"orders\"\ntoken_endpoint = \"https://as.example\"\n\
                token_endpoint_auth_method = \"tls_client_auth\"\nclient_secret = \"x\"\n\
                scopes = \"x\"\n\n\n[keystore]\npath = \"x\"\npoll_interval = 60\n";
    let error = parse("orders.toml", text, None).unwrap_err();
    assert_eq!(blocks(PAGE, "text")[0].trim_end(), error.to_string());
}
