//! A profile's keys, each with its effect on the wire, or its refusal.

mod api;
mod credentials;
mod discovery;
mod proxy;
mod requests;
mod schedule;
mod trust;
mod world;

use std::{collections::BTreeSet, future::Future, pin::Pin};

use serde_json::Value;

use self::world::World;

/// A key of the schema, and what shows that it has an effect.
type Row = (
    &'static str,
    for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
);

/// The table of a key's check.
macro_rules! rows {
    ($($key:literal => $check:path $(, $argument:expr)?;)*) => {
        [$(($key, |world| Box::pin($check(world $(, $argument)?)))),*]
    };
}

const ROWS: &[Row] = &rows! {
    "$schema" => requests::schema;
    "issuer" => requests::issuer;
    "token_endpoint" => requests::token_endpoint;
    "mtls_token_endpoint" => requests::mtls_token_endpoint;
    "revocation_endpoint" => requests::revocation;
    "revoke_on_shutdown" => requests::revocation;
    "discovery.well_known" => discovery::well_known;
    "discovery.next_on_client_errors" => discovery::next_on_client_errors;
    "discovery.endpoint_hosts" => discovery::endpoint_hosts;
    "discovery.renew_after" => discovery::renew_after;
    "allow_plain_http" => requests::allow_plain_http;
    "client_id" => requests::client_id;
    "scope" => requests::parameter, ("scope = \"b a\"", "scope", "b a");
    "resource" => requests::parameter, ("resource = [\"https://r\"]", "resource", "https://r");
    "audience" => requests::parameter, ("audience = [\"x\"]", "audience", "x");
    "extra_parameters" => requests::parameter, ("extra_parameters.a = \"b c\"", "a", "b c");
    "extra_parameter_files" =>
        requests::parameter, ("extra_parameter_files.a = \"secret\"", "a", "hunter 2");
    "extra_headers" => requests::header, "extra_headers.x-a = \"hunter 2\"";
    "extra_header_files" => requests::header, "extra_header_files.x-a = \"secret\"";
    "token_endpoint_auth_method" => credentials::method;
    "client_secret_file" => credentials::client_secret_file;
    "client_secret_env" => credentials::client_secret_env;
    "client_secret_form_encoding" => credentials::client_secret_form_encoding;
    "keystore.path" => credentials::keystore_path;
    "keystore.certificate_file" => credentials::pem_files;
    "keystore.key_file" => credentials::pem_files;
    "keystore.alias" => credentials::alias;
    "keystore.password_file" => credentials::keystore_path;
    "keystore.password_env" => credentials::password_env;
    "keystore.key_password_file" => credentials::key_password;
    "keystore.key_password_env" => credentials::key_password;
    "keystore.allow_unverified" => credentials::allow_unverified;
    "keystore.poll_interval" => schedule::poll_interval;
    "keystore.expiry_notices" => schedule::expiry_notices;
    "assertion.file" => credentials::assertion_file;
    "assertion.without_client_id" => credentials::assertion_file;
    "assertion.key_file" => credentials::bare_key;
    "assertion.alg" => credentials::bare_key;
    "assertion.aud" => credentials::assertion, ("aud = \"https://x\"", "/claims/aud", "https://x");
    "assertion.aud_from" => credentials::audience_from;
    "assertion.kid" => credentials::assertion, ("kid = \"k\"", "/header/kid", "k");
    "assertion.without_kid" => credentials::assertion, ("without_kid = true", "/header/kid", "");
    "assertion.typ" => credentials::assertion, ("typ = \"JWT\"", "/header/typ", "JWT");
    "assertion.without_typ" => credentials::assertion, ("without_typ = true", "/header/typ", "");
    "assertion.x5t_s256" => credentials::certificate_in_header;
    "assertion.x5c" => credentials::certificate_in_header;
    "assertion.lifetime" => credentials::assertion_lifetime;
    "tls_client_certificate_bound_access_tokens" => credentials::bound_tokens;
    "require_bound_tokens" => credentials::require_bound_tokens;
    "authorization_server.truststore.path" => trust::of_the_server;
    "authorization_server.truststore.platform" => trust::platform, "authorization_server";
    "authorization_server.truststore.password_file" => trust::password, "authorization_server";
    "authorization_server.truststore.password_env" => trust::password, "authorization_server";
    "authorization_server.truststore.allow_unverified" =>
        trust::allow_unverified, "authorization_server";
    "authorization_server.proxy.url" => proxy::url, "authorization_server";
    "authorization_server.proxy.from_environment" =>
        proxy::from_environment, "authorization_server";
    "authorization_server.proxy.username" => proxy::credentials, "authorization_server";
    "authorization_server.proxy.password_file" => proxy::credentials, "authorization_server";
    "authorization_server.proxy.password_env" => proxy::password_env, "authorization_server";
    "authorization_server.proxy.no_proxy" => proxy::no_proxy, "authorization_server";
    "api.proxy.url" => proxy::url, "api";
    "api.proxy.from_environment" => proxy::from_environment, "api";
    "api.proxy.username" => proxy::credentials, "api";
    "api.proxy.password_file" => proxy::credentials, "api";
    "api.proxy.password_env" => proxy::password_env, "api";
    "api.proxy.no_proxy" => proxy::no_proxy, "api";
    "api.truststore.path" => trust::of_the_api;
    "api.truststore.platform" => trust::platform, "api";
    "api.truststore.password_file" => trust::password, "api";
    "api.truststore.password_env" => trust::password, "api";
    "api.truststore.allow_unverified" => trust::allow_unverified, "api";
    "api.allowed_origins" => api::allowed_origins;
    "api.any_https" => api::any_https;
    "api.allow_plain_http" => api::allow_plain_http;
    "api.foreign_origins" => api::foreign_origins;
    "api.origin_without_authority" => api::origin_without_authority;
    "api.replace_authorization" => api::replace_authorization;
    "api.replay_limit" => api::replay_limit;
    "api.rejection_as_error" => api::rejection_as_error;
    "lifetime.margin" => schedule::margin;
    "lifetime.assumed" => schedule::assumed;
    "lifetime.max_token_age" => schedule::max_token_age;
    "limits.deadline" => schedule::deadline;
    "limits.max_answer" => schedule::max_answer;
    "limits.fetch_deadline" => schedule::fetch_deadline;
};

#[tokio::test]
async fn every_key_has_an_effect() {
    for (_, check) in ROWS {
        check(&World::new().await).await;
    }
}

#[test]
fn every_key_of_the_schema_has_a_row() {
    let keys = keys();
    let rows: BTreeSet<String> = ROWS.iter().map(|(key, _)| (*key).to_owned()).collect();
    let missing: Vec<_> = keys.symmetric_difference(&rows).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(keys.len() > 50, "{keys:?}");
}

#[test]
fn every_key_of_the_schema_is_in_the_manual() {
    let page = include_str!("../../src/manual/profile.md");
    for key in keys() {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}

/// All keys of the schema.
fn keys() -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(tower_oauth::profile::JSON_SCHEMA).unwrap();
    let mut keys = BTreeSet::new();
    walk(&schema, &schema["$defs"]["ProfileTable"], "", &mut keys);
    keys
}

/// All keys below a table of the schema that aren't tables themselves.
fn walk(schema: &Value, table: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    let properties = table["properties"].as_object();
    for (name, property) in properties.expect("a table has properties") {
        let key = format!("{prefix}{name}");
        let referred = property["$ref"]
            .as_str()
            .and_then(|it| it.strip_prefix('#'));
        let meant = referred.map_or(property, |path| schema.pointer(path).expect("it is there"));
        if meant["properties"].is_object() {
            walk(schema, meant, &format!("{key}."), keys);
        } else {
            keys.insert(key);
        }
    }
}

#[tokio::test]
async fn a_profile_is_all_the_code_that_a_user_needs() {
    let world = World::new().await;
    let text = format!(
        "{}tls_client_certificate_bound_access_tokens = true\nrequire_bound_tokens = true\n\
         api.allowed_origins = [\"{}\"]\n",
        world.with_jwt(),
        world.resource.origin()
    );
    world.register_jwt();
    world.call(&text).await.unwrap();
    let call = world.resource.calls().pop().unwrap();
    assert_eq!(call.accepted(), Some(true));
    assert_eq!(
        call.certificate_thumbprint(),
        Some(world.client.thumbprint())
    );
}
