//! The example does as it says.

#[path = "../../../examples/reqwest_middleware.rs"]
#[allow(dead_code, unreachable_pub, reason = "its `main` isn't called here")]
mod program;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_what_happened() {
    let mut told = Vec::new();
    program::run(&mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(
        told,
        "\
token requests: 1, calls: 20  20 orders, streams among them, share a token
token requests: 2, calls: 60  the server forgets it: 20 orders are refused and sent again
token requests: 2, calls: 61  a redirect to somebody else is followed without the token
token requests: 3, calls: 63  the API refuses every token: the answer says what to change
token requests: 4, calls: 83  20 orders share one that is bound to a certificate
as told
"
    );
}
