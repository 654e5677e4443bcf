//! The manual's page on profiles tells the truth.

use super::parse;

const PAGE: &str = include_str!("../../manual/profile.md");

/// The blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("\n```{language}\n");
    let rest = PAGE.split(&begin).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_are_good() {
    let (toml, json) = (blocks("toml"), blocks("json"));
    assert_eq!((toml.len(), json.len()), (2, 1));
    parse("orders.toml", toml[0], None).unwrap();
    parse("orders.toml", toml[1], Some("orders")).unwrap();
    parse("orders.toml", toml[1], Some("kubernetes")).unwrap();
    parse("orders.json", json[0], None).unwrap();
}

#[test]
fn the_errors_are_those_that_are_told() {
    let text = "\nclient_id = \"orders\"\ntoken_endpoint = \"https://as.example\"\n\
                token_endpoint_auth_method = \"tls_client_auth\"\nclient_secret = \"x\"\n\
                scopes = \"x\"\n\n\n[keystore]\npath = \"x\"\npoll_interval = 60\n";
    let error = parse("orders.toml", text, None).unwrap_err();
    assert_eq!(blocks("text")[0].trim_end(), error.to_string());
}
