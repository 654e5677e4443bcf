use std::fmt;

use aws_lc_rs::digest;
use http::{HeaderMap, Method, Uri, Version, header, request};
use http_body::Body;
use http_body_util::BodyExt;

use crate::testing::net::Peer;

/// What a resource counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceCounters {
    /// Calls that reached the resource, whatever became of them.
    pub calls: u64,
    /// Calls answered as accepted.
    pub accepted: u64,
    /// Calls refused.
    pub refused: u64,
    /// Of those refused, calls with a token that is bound to another certificate than that of
    /// their connection.
    pub mismatched: u64,
    /// TLS connections.
    pub connections: u64,
    /// Connections that are open right now.
    pub open_connections: u64,
}

/// A call as it was on the wire.
///
/// `Debug` shows the names of header fields, not their values.
#[derive(Clone)]
pub struct ReceivedCall {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    certificate_thumbprint: Option<String>,
    connection: u64,
    pub(super) body: Option<ReceivedBody>,
    pub(super) accepted: Option<bool>,
}

impl ReceivedCall {
    pub(super) fn new(head: &request::Parts, peer: &Peer) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            headers: head.headers.clone(),
            certificate_thumbprint: peer.thumbprint.clone(),
            connection: peer.connection,
            body: None,
            accepted: None,
        }
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request target.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The HTTP version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The value of the `Authorization` field.
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get(header::AUTHORIZATION)?.to_str().ok()
    }

    /// The `x5t#S256` of the certificate that the client presented in the handshake.
    pub fn certificate_thumbprint(&self) -> Option<&str> {
        self.certificate_thumbprint.as_deref()
    }

    /// The number of the connection that it came on, from 1.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// The body, once it was read.
    pub fn body(&self) -> Option<&ReceivedBody> {
        self.body.as_ref()
    }

    /// Whether it was accepted; `None` until that is decided.
    pub fn accepted(&self) -> Option<bool> {
        self.accepted
    }
}

impl fmt::Debug for ReceivedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("ReceivedCall")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("headers", &headers)
            .field("certificate_thumbprint", &self.certificate_thumbprint)
            .field("connection", &self.connection)
            .field("body", &self.body)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}

// ===== impl ReceivedBody =====

/// The body of a call, as far as it came.
#[derive(Clone)]
pub struct ReceivedBody {
    length: u64,
    sha256: [u8; 32],
    trailers: Option<HeaderMap>,
    complete: bool,
}

impl ReceivedBody {
    pub(super) async fn read<B: Body + Unpin>(mut body: B) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut length = 0;
        let mut trailers = None;
        let mut complete = true;
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(mut data)) => {
                    use bytes::Buf;
                    while data.has_remaining() {
                        let chunk = data.chunk();
                        hash.update(chunk);
                        length += chunk.len() as u64;
                        data.advance(chunk.len());
                    }
                }
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => {
                    complete = false;
                    break;
                }
            }
        }
        Self {
            length,
            sha256: finish(hash),
            trailers,
            complete,
        }
    }

    /// Its length in octets.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its SHA-256.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The trailers, when there were any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Whether it came to its end, and wasn't broken off.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether it came whole and is exactly this.
    pub fn is(&self, content: &[u8]) -> bool {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(content);
        self.complete && finish(hash) == self.sha256
    }
}

impl fmt::Debug for ReceivedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedBody")
            .field("length", &self.length)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

fn finish(hash: digest::Context) -> [u8; 32] {
    let hash = hash.finish();
    hash.as_ref().try_into().expect("SHA-256 has 32 octets")
}
