//! An egress gateway, and what goes over its wires.

#[path = "../../../examples/axum_gateway/main.rs"]
#[allow(dead_code, reason = "its `main` isn't called here")]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_its_story() {
    let mut told = Vec::new();
    example::run(&mut told).await.unwrap();
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "\
the shop calls orders: 200
the office calls bills: 200
the shop calls bills: 403
a stranger calls orders: 403
the file changes while the shop calls: orders-next
a file with a mistake is refused: still orders-next
as told
"
    );
}
