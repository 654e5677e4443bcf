use tokio::io::duplex;

use super::*;

/// What is made of this answer, and what is left after it.
async fn answered(answer: &[u8]) -> (io::Result<Answer>, Vec<u8>) {
    let (mut client, mut proxy) = duplex(64 * 1024);
    proxy.write_all(answer).await.unwrap();
    proxy.shutdown().await.unwrap();
    let answer = ask(&mut client, "as.example:443", None).await;
    let mut left = Vec::new();
    client.read_to_end(&mut left).await.unwrap();
    (answer, left)
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_end_and_no_further() {
    for (answer, status, left) in [
        ("HTTP/1.1 200 OK\r\n\r\n", 200, ""),
        ("HTTP/1.0 200 Connection established\r\n\r\n", 200, ""),
        ("HTTP/1.1 204\r\nVia: a\r\n\r\nhello", 204, "hello"),
        ("HTTP/1.1 200 OK\n\n", 200, ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\nwhy",
            403,
            "why",
        ),
    ] {
        let (found, rest) = answered(answer.as_bytes()).await;
        assert_eq!(found.unwrap().status, status, "{answer}");
        assert_eq!(rest, left.as_bytes(), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    let endless = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; MAX_HEAD]].concat();
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MAX_INTERIM + 1);
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
        &endless,
        interim.as_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(40)]);
        assert!(answered(answer).await.0.is_err(), "{shown}");
    }
}

#[tokio::test]
async fn the_schemes_of_a_proxy_are_told() {
    let answer = "HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Negotiate\r\n\
                  proxy-authenticate:  Basic realm=\"a, b\"\r\nProxy-Authenticate: \r\n\
                  Proxy-Authenticate: <script>\r\nWWW-Authenticate: Digest\r\n\r\n";
    let answer = answered(answer.as_bytes()).await.0.unwrap();
    assert_eq!(answer.schemes, ["Negotiate", "Basic"]);
}

#[tokio::test]
async fn the_request_names_host_and_port() {
    for (target, authority) in [
        ("https://as.example/token?a=b", "as.example:443"),
        ("https://as.example:8443", "as.example:8443"),
        ("https://[::1]/", "[::1]:443"),
    ] {
        let target: Uri = target.parse().unwrap();
        assert_eq!(super::authority(&target), authority);
    }

    let (mut client, mut proxy) = duplex(1024);
    proxy.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let credentials = HeaderValue::from_static("Basic dTpw");
    let answer = ask(&mut client, "as.example:443", Some(&credentials)).await;
    assert!(answer.unwrap().status.is_success());
    drop(client);
    let mut request = String::new();
    proxy.read_to_string(&mut request).await.unwrap();
    assert_eq!(
        request,
        "CONNECT as.example:443 HTTP/1.1\r\nHost: as.example:443\r\n\
         Proxy-Authorization: Basic dTpw\r\n\r\n"
    );
}
