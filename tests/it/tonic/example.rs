//! The example does what it tells.

#[path = "../../../examples/tonic_client.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod told;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_prints_what_happens() {
    let mut out = Vec::new();
    told::run(&mut out).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<_> = out.lines().collect();
    let [first, second, third, last] = lines.as_slice() else {
        panic!("{out}");
    };
    assert_eq!(*first, "the first call gets a token: tea, milk");
    let healed = "a stream is refused while it is sent, and sent again: bread, jam";
    assert_eq!(*second, healed);
    let unavailable = "no token can be had: Unavailable, no access token: ";
    assert!(third.starts_with(unavailable), "{third}");
    assert_eq!(*last, "as told, by an error of kind transport");
}
