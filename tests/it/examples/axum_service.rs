//! A service that calls another.

#[path = "../../../examples/axum_service.rs"]
#[allow(dead_code, reason = "its `main` isn't called here")]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_its_story() {
    let mut told = Vec::new();
    example::run(&mut told).await.unwrap();
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "\
the call                  the caller got    the upstream saw
a probe before all calls  200               nothing
an order                  200               a good token
after a rollover          200               a refused token, then a good token
no token can be had       503, Retry-After  nothing
a probe                   503               nothing
it is back                200               a good token
a probe                   200               nothing
every token is refused    502               a refused token, then a refused token
as told
"
    );
}
