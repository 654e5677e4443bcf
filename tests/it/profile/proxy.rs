//! The proxies on the way to the authorization server and to the API.

use tower_oauth::{
    profile::{ProfileError, Stage},
    testing::FakeProxy,
    tls::Proxy,
};

use super::world::World;

/// A profile with these lines about the proxy to one of the two servers.
fn text(world: &World, table: &str, lines: &str) -> String {
    world.register_jwt();
    let lines = lines.lines().map(|line| format!("{table}.proxy.{line}\n"));
    format!(
        "{}tls_client_certificate_bound_access_tokens = true\napi.allowed_origins = [\"{}\"]\n{}",
        world.with_jwt(),
        world.resource.origin(),
        lines.collect::<String>()
    )
}

/// Which server a proxy was asked for in a call of this profile, if it was.
async fn asked(world: &World, proxy: &FakeProxy, text: &str) -> Option<String> {
    let before = proxy.requests().len();
    world.call(text).await.unwrap();
    let requests = proxy.requests();
    assert!(requests.len() <= before + 1);
    requests
        .get(before)
        .map(|request| format!("https://{}", request.target()))
}

fn server(world: &World, table: &str) -> Option<String> {
    Some(if table == "api" {
        world.resource.origin().to_owned()
    } else {
        world.server.issuer().to_owned()
    })
}

fn proxy_of(world: &World, table: &str, lines: &str) -> Result<Option<Proxy>, ProfileError> {
    let profile = world.load(&text(world, table, lines)).unwrap();
    if table == "api" {
        profile.api_proxy()
    } else {
        profile.proxy()
    }
}

pub(crate) async fn url(world: &World, table: &str) {
    let proxy = FakeProxy::start().await.unwrap();
    let text = text(world, table, &format!("url = \"{}\"", proxy.url()));
    assert_eq!(asked(world, &proxy, &text).await, server(world, table));
}

pub(crate) async fn no_proxy(world: &World, table: &str) {
    let proxy = FakeProxy::start().await.unwrap();
    let lines = format!(
        "url = \"{}\"\nno_proxy = [\"a\", \"127.0.0.0/8\"]",
        proxy.url()
    );
    assert_eq!(
        asked(world, &proxy, &text(world, table, &lines)).await,
        None
    );
}

/// Tests can't set variables; but it is the environment that is asked, whatever it says.
pub(crate) async fn from_environment(world: &World, table: &str) {
    let target = "https://somewhere.example".parse().unwrap();
    let ours = proxy_of(world, table, "from_environment = true")
        .unwrap()
        .unwrap();
    let theirs = Proxy::from_env().unwrap();
    assert_eq!(ours.server_for(&target), theirs.server_for(&target));
}

pub(crate) async fn credentials(world: &World, table: &str) {
    let proxy = FakeProxy::start().await.unwrap();
    proxy.require_basic_auth("orders", "hunter 2");
    let lines = format!("url = \"{}\"", proxy.url());
    world.call(&text(world, table, &lines)).await.unwrap_err();
    let lines = format!("{lines}\nusername = \"orders\"\npassword_file = \"secret\"");
    let text = text(world, table, &lines);
    assert_eq!(asked(world, &proxy, &text).await, server(world, table));
}

pub(crate) async fn password_env(world: &World, table: &str) {
    let proxy = FakeProxy::start().await.unwrap();
    proxy.require_basic_auth("orders", "tower-oauth");
    let lines = |name: &str| {
        let url = proxy.url();
        format!("url = \"{url}\"\nusername = \"orders\"\npassword_env = \"{name}\"")
    };
    let text = text(world, table, &lines("CARGO_PKG_NAME"));
    assert_eq!(asked(world, &proxy, &text).await, server(world, table));
    let error = proxy_of(world, table, &lines("TOWER_OAUTH_UNSET")).unwrap_err();
    assert_eq!(error.stage(), Stage::Secret);
    assert_eq!(
        error.faults()[0].key(),
        format!("{table}.proxy.password_env")
    );
}
