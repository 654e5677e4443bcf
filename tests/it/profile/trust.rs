//! Who vouches for the servers.

use tower_oauth::{
    ErrorKind,
    profile::{Profile, ProfileError, Stage},
    service::Error,
    tls::TrustAnchors,
};

use super::world::World;

pub(crate) async fn of_the_server(world: &World) {
    let text = world.with_secret();
    world.request(&text).await;
    let ours = "authorization_server.truststore.path = \"ca.pem\"";
    let text = text.replace(ours, &ours.replace("ca.pem", "other-ca.pem"));
    let error = world.fetch(&text).await.err().unwrap();
    assert!(error.to_string().contains("trust"), "{error}");
}

pub(crate) async fn of_the_api(world: &World) {
    world.register_jwt();
    let text = format!(
        "{}tls_client_certificate_bound_access_tokens = true\napi.allowed_origins = [\"{}\"]\n",
        world.with_jwt(),
        world.resource.origin(),
    );
    world.call(&text).await.unwrap();
    let ours = "api.truststore.path = \"ca.pem\"";
    let text = text.replace(ours, &ours.replace("ca.pem", "other-ca.pem"));
    let error = world.call(&text).await.unwrap_err();
    assert!(matches!(error, Error::Inner(_)), "{error}");
}

/// The anchors of a profile with these lines about one of the two servers.
fn trust(world: &World, table: &str, lines: &str) -> Result<TrustAnchors, ProfileError> {
    let stores = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores");
    let path = format!("{table}.truststore.path = \"ca.pem\"\n");
    let lines = lines.replace("STORES", stores);
    let lines = lines
        .lines()
        .map(|line| format!("{table}.truststore.{line}\n"));
    let text = world.with_secret().replace(&path, "") + &lines.collect::<String>();
    let profile: Profile = world.load(&text)?;
    if table == "api" {
        profile.api_trust()
    } else {
        profile.trust().map(|trust| trust.expect("it is https"))
    }
}

pub(crate) async fn platform(world: &World, table: &str) {
    if cfg!(feature = "platform-roots") {
        trust(world, table, "platform = true").unwrap();
        if table == "authorization_server" {
            // The operating system doesn't know the authority of this test.
            let ours = "authorization_server.truststore.path = \"ca.pem\"";
            let text = world.with_secret();
            let text = text.replace(ours, "authorization_server.truststore.platform = true");
            let error = world.fetch(&text).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        }
    } else {
        let error = trust(world, table, "platform = true").unwrap_err();
        assert_eq!(
            error.faults()[0].key(),
            format!("{table}.truststore.platform")
        );
        assert!(error.to_string().contains("`platform-roots`"), "{error}");
    }
}

pub(crate) async fn password(world: &World, table: &str) {
    let path = "path = 'STORES/keytool-trust.p12'\n";
    let by = |line: &str| trust(world, table, &format!("{path}{line}\n"));
    by("password_file = \"changeit\"").unwrap();
    // These hold another password.
    for line in [
        "password_file = \"secret\"",
        "password_env = \"CARGO_PKG_NAME\"",
    ] {
        let error = by(line).unwrap_err();
        assert_eq!(error.stage(), Stage::Trust);
        let key = line.split(' ').next().unwrap();
        assert_eq!(error.faults()[0].key(), format!("{table}.truststore.{key}"));
        assert!(error.to_string().contains("wrong"), "{error}");
    }
}

pub(crate) async fn allow_unverified(world: &World, table: &str) {
    let path = "path = 'STORES/keytool-trust.jks'\n";
    trust(world, table, path).unwrap_err();
    trust(world, table, &format!("{path}allow_unverified = true\n")).unwrap();
}
