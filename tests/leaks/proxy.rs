//! The credentials of a proxy, on good ways and bad ones.

use http::StatusCode;
use tower_oauth::{testing::FakeProxy, tls::Proxy};

use super::{By, Collector, Secrets, World, assert_unseen};

const PASSWORD: &str = r#"a "proxy's" pass/word with \ and :+&=%@ in it"#;

#[tokio::test]
async fn the_credentials_of_a_proxy_are_not_seen() {
    let collector = Collector::listening();
    let world = World::new().await;
    let mut secrets = Secrets::default();
    secrets.text("the proxy's password", PASSWORD);
    secrets.text("the pair", &format!("orders:{PASSWORD}"));

    let fake = FakeProxy::start().await.unwrap();
    fake.require_basic_auth("orders", PASSWORD);
    let encoded: String = PASSWORD.bytes().map(|it| format!("%{it:02x}")).collect();
    let address = |scheme: &str, password: &str| {
        let at = format!("{scheme}://orders:{password}@");
        fake.url().replace("http://", &at)
    };
    let settings = [
        Proxy::http(fake.url()).unwrap(),
        Proxy::http(&address("http", &encoded)).unwrap(),
        Proxy::http(&address("http", "wrong")).unwrap(),
    ];
    let [none, good, wrong] = settings;
    let also_good = none.clone().basic_auth("orders", PASSWORD).unwrap();
    for proxy in [&none, &good, &also_good, &wrong] {
        collector.debug(proxy);
    }
    collector.error(&Proxy::http(&address("socks5", &encoded)).unwrap_err());
    collector.error(&Proxy::http(&address("http", PASSWORD)).unwrap_err());
    collector.error(&none.clone().basic_auth("a:b", PASSWORD).unwrap_err());

    let mut outcomes = Vec::new();
    let mut ask = async |proxy: &Proxy| {
        let source = world.source(By::Secret).proxy(proxy.clone());
        collector.debug(&source);
        let outcome = world.handle(source).token().await;
        outcomes.push(outcome.is_ok());
        if let Err(error) = outcome {
            collector.error(&error);
        }
    };
    ask(&good).await;
    ask(&also_good).await;
    ask(&none).await;
    ask(&wrong).await;
    fake.refuse(StatusCode::BAD_GATEWAY);
    ask(&good).await;
    fake.close_early();
    ask(&good).await;
    fake.intercept(&world.pki).unwrap();
    ask(&good).await;
    assert_eq!(outcomes, [true, true, false, false, false, false, false]);
    collector.debug(&fake);
    collector.debug(&fake.requests());
    assert_unseen(&secrets);
}
