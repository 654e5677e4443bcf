//! A hyper client.

#[path = "../../../examples/hyper_client.rs"]
#[allow(dead_code, reason = "its `main` isn't called here")]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_its_story() {
    let mut told = Vec::new();
    example::run(&mut told).await.unwrap();
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "\
an order over HTTP/1.1: 200 OK
an order over HTTP/2.0: 200 OK
after a rollover: 200 OK, arrived whole 2 times
after a rollover: 200 OK, arrived whole 1 times
too large to be sent again: 401 Unauthorized, The access token is refused.
the next one: 200 OK
no token can be had: an error of kind transport, which may pass
as told
"
    );
}
