//! CONNECT (RFC 9110 section 9.3.6).
//!
//! hyper-util has a `Tunnel` of its own. The type of its errors can't be named, and leaves out the
//! status, so that a proxy that forbids a host looks like one that can't reach it; it takes no
//! status but 200, and loses octets that come with the answer.

use std::io;

use http::{HeaderValue, StatusCode, Uri};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tower::{Service, ServiceExt};
use zeroize::Zeroizing;

use super::{Proxy, ProxyError, Server};
use crate::error::BoxError;

/// What the head of an answer may have.
const MAX_HEAD: usize = 16 * 1024;

/// What a proxy may send before its answer: `100 Continue` and the like.
const MAX_INTERIM: usize = 8;

impl Proxy {
    /// A connection to this address: through the proxy if it is on the way, else directly.
    pub(in crate::tls) async fn connect(
        self,
        mut tcp: HttpConnector,
        target: Uri,
    ) -> Result<TokioIo<TcpStream>, BoxError> {
        match self.tunnel_over(&mut tcp, &target).await? {
            Some(tunnel) => Ok(TokioIo::new(tunnel)),
            None => Ok(tcp.ready().await?.call(target).await?),
        }
    }

    async fn tunnel_over(
        &self,
        tcp: &mut HttpConnector,
        target: &Uri,
    ) -> Result<Option<TcpStream>, ProxyError> {
        let Some(server) = self.way_to(target) else {
            return Ok(None);
        };
        let connected = async { tcp.ready().await?.call(server.uri.clone()).await };
        let connected = connected.await.map_err(|error| ProxyError::Unreachable {
            proxy: server.origin.clone(),
            source: error.into(),
        })?;
        let mut stream = connected.into_inner();
        let target = authority(target);
        let answer = ask(&mut stream, &target, server.credentials.as_ref())
            .await
            .map_err(|error| ProxyError::Broken {
                proxy: server.origin.clone(),
                source: error.into(),
            })?;
        answer.check(server, target)?;
        Ok(Some(stream))
    }
}

/// TCP as all clients of this house want it.
pub(in crate::tls) fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // A request of two writes, such as a head and a body, or one over HTTP/2, would wait for the
    // acknowledgement of the first, which the other side puts off for 40 ms.
    tcp.set_nodelay(true);
    tcp
}

/// Host and port. An address has a host by the time that it is connected to.
pub(in crate::tls) fn authority(target: &Uri) -> String {
    let host = target.host().unwrap_or_default();
    format!("{host}:{}", target.port_u16().unwrap_or(443))
}

/// The proxy's answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    /// The schemes of authentication that it offers.
    schemes: Vec<String>,
}

/// Asks for a tunnel. What comes after the head of the answer is left for whoever reads next.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &str,
    credentials: Option<&HeaderValue>,
) -> io::Result<Answer> {
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    let mut request = Zeroizing::new(Vec::with_capacity(head.len() + 1024));
    request.extend_from_slice(head.as_bytes());
    if let Some(credentials) = credentials {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(credentials.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    for _ in 0..=MAX_INTERIM {
        let answer = Answer::parse(&head_of(stream).await?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))?;
        if !answer.status.is_informational() {
            return Ok(answer);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "no end of interim answers",
    ))
}

/// Octet by octet: there are few of them, once a connection, and none is read too many.
async fn head_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !(head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")) {
        if head.len() == MAX_HEAD {
            let error = io::Error::new(io::ErrorKind::InvalidData, "the answer has no end");
            return Err(error);
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

impl Answer {
    fn parse(head: &[u8]) -> Option<Self> {
        let mut lines = head.split(|&octet| octet == b'\n');
        let version = lines.next()?.strip_prefix(b"HTTP/1.")?;
        let [b'0' | b'1', b' ', status @ ..] = version else {
            return None;
        };
        let (status, rest) = status.split_at_checked(3)?;
        if !matches!(rest.first(), None | Some(b' ' | b'\r')) {
            return None;
        }
        let schemes = lines.filter_map(offered_scheme).collect();
        let status = StatusCode::from_bytes(status).ok()?;
        Some(Self { status, schemes })
    }

    fn check(self, server: &Server, target: String) -> Result<(), ProxyError> {
        let proxy = server.origin.clone();
        match self.status {
            status if status.is_success() => Ok(()),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(ProxyError::Unauthenticated {
                proxy,
                sent: server.credentials.is_some(),
                schemes: self.schemes,
            }),
            status => Err(ProxyError::Refused {
                proxy,
                target,
                status,
            }),
        }
    }
}

/// The first word of a `Proxy-Authenticate` field (RFC 9110 section 11.7.1).
fn offered_scheme(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let (name, value) = line.split_once(':')?;
    if !name.eq_ignore_ascii_case("proxy-authenticate") {
        return None;
    }
    let scheme = value.trim().split([' ', ',', '\t']).next()?;
    let fit = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let is_scheme = !scheme.is_empty() && scheme.len() <= 32 && scheme.chars().all(fit);
    is_scheme.then(|| scheme.to_owned())
}

#[cfg(test)]
mod tests;
