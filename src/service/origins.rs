use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use http::{HeaderMap, Uri, header::HOST, uri::Scheme};

use crate::refresh::OriginId;

/// Where the token may go: a list of origins (scheme, host, port), without which no layer can be
/// built (RFC 6750 section 5.3).
///
/// A request for any other origin is an error and is not sent, unless
/// [`foreign`](Self::foreign) says otherwise. Plain `http` is only allowed for loopback hosts,
/// unless [`allow_plain_http`](Self::allow_plain_http) says otherwise.
#[derive(Clone, Debug)]
pub struct AllowedOrigins {
    listed: Arc<[Origin]>,
    any_https: bool,
    plain_http: bool,
    foreign: ForeignOrigin,
    fixed: Option<usize>,
}

/// What happens to a request for an origin that isn't allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ForeignOrigin {
    /// The call fails and nothing is sent.
    #[default]
    Refuse,
    /// The request is sent as it is, without a token: for a layer below something that follows
    /// redirects.
    SendWithout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// To an allowed origin.
    Allowed(OriginId),
    /// Elsewhere: it gets no token.
    Elsewhere,
}

impl AllowedOrigins {
    /// Allows these origins, such as `https://api.example` or `https://api.example:8443`.
    ///
    /// # Errors
    ///
    /// A text that isn't an origin (it has a path, a query, user information, or another scheme
    /// than `http` and `https`), or an empty list.
    pub fn new<I>(origins: I) -> Result<Self, OriginError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let listed: Arc<[Origin]> = origins
            .into_iter()
            .map(|origin| Origin::parse(origin.as_ref()))
            .collect::<Result<_, _>>()?;
        if listed.is_empty() {
            return Err(OriginError(Fault::NoOrigin));
        }
        Ok(Self {
            listed,
            any_https: false,
            plain_http: false,
            foreign: ForeignOrigin::Refuse,
            fixed: None,
        })
    }

    /// Allows every `https` origin. Whoever decides where requests go then gets the token.
    pub fn any_https() -> Self {
        Self {
            listed: Arc::new([]),
            any_https: true,
            plain_http: false,
            foreign: ForeignOrigin::Refuse,
            fixed: None,
        }
    }

    /// Allows plain `http` for the listed origins that aren't loopback hosts: for a mesh whose
    /// sidecar speaks TLS. Whoever can read the traffic then has the token. Default: not allowed.
    #[must_use]
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// What happens to a request for any other origin. Default: [`ForeignOrigin::Refuse`].
    #[must_use]
    pub fn foreign(mut self, foreign: ForeignOrigin) -> Self {
        self.foreign = foreign;
        self
    }

    /// Says where requests go whose URI has no host, as with a service that is connected to one
    /// server. Default: such requests are refused.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_authority(mut self, origin: &str) -> Result<Self, OriginError> {
        let origin = Origin::parse(origin)?;
        let listed = self.listed.iter().position(|it| *it == origin);
        self.fixed = Some(listed.unwrap_or(self.listed.len()));
        if listed.is_none() {
            self.listed = self.listed.iter().cloned().chain([origin]).collect();
        }
        Ok(self)
    }

    /// Where this request goes. Allocates only to refuse.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Destination, OriginError> {
        let Some(asked) = Asked::of(uri) else {
            // What names a host in an odd way must not pass for what names none.
            return match uri.authority() {
                Some(_) => Err(OriginError(Fault::NoWebOrigin)),
                None => self.check_fixed(headers),
            };
        };
        asked.check_host(headers)?;
        let listed = self.listed.iter().position(|it| asked.is(it));
        match listed {
            Some(at) if asked.https || self.plain_http || is_loopback(asked.host) => {
                Ok(Destination::Allowed(OriginId(at as u64)))
            }
            None if self.any_https && asked.https => Ok(Destination::Allowed(asked.id())),
            _ if self.foreign == ForeignOrigin::SendWithout => Ok(Destination::Elsewhere),
            Some(_) => Err(OriginError(Fault::PlainHttp(asked.to_string()))),
            None if self.any_https => Err(OriginError(Fault::PlainHttp(asked.to_string()))),
            None => Err(OriginError(Fault::Foreign(asked.to_string()))),
        }
    }

    fn check_fixed(&self, headers: &HeaderMap) -> Result<Destination, OriginError> {
        let fixed = self
            .fixed
            .and_then(|at| Some((at, self.listed.get(at)?)))
            .ok_or(OriginError(Fault::NoAuthority))?;
        let (at, origin) = fixed;
        let asked = Asked::from(origin);
        asked.check_host(headers)?;
        if !(asked.https || self.plain_http || is_loopback(asked.host)) {
            return Err(OriginError(Fault::PlainHttp(asked.to_string())));
        }
        Ok(Destination::Allowed(OriginId(at as u64)))
    }

    /// The URI, if the name of its origin can't be had from the list.
    pub(super) fn unlisted(&self, uri: &Uri) -> Option<Uri> {
        self.any_https.then(|| uri.clone())
    }

    /// The name of an origin, for events and errors.
    pub(super) fn name(&self, id: OriginId, unlisted: Option<&Uri>) -> String {
        let listed = usize::try_from(id.0)
            .ok()
            .and_then(|at| self.listed.get(at));
        listed
            .map(Asked::from)
            .or_else(|| Asked::of(unlisted?))
            .map_or_else(|| "?".to_owned(), |asked| asked.to_string())
    }

    /// Whether this URI is of that origin.
    #[cfg(feature = "tower-http")]
    pub(super) fn is_of(&self, uri: &Uri, id: OriginId) -> bool {
        self.check(uri, &HeaderMap::new()) == Ok(Destination::Allowed(id))
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, OriginError> {
        let fault = || OriginError(Fault::NotAnOrigin(text.escape_debug().to_string()));
        let uri: Uri = text.parse().map_err(|_| fault())?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        match Asked::of(&uri) {
            Some(asked) if bare && plain && !text.contains('#') => Ok(Self {
                https: asked.https,
                host: asked.host.to_ascii_lowercase(),
                port: asked.port,
            }),
            _ => Err(fault()),
        }
    }
}

/// The origin of a request, borrowed from its URI.
struct Asked<'a> {
    https: bool,
    host: &'a str,
    port: u16,
}

impl<'a> Asked<'a> {
    fn of(uri: &'a Uri) -> Option<Self> {
        let https = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTPS => true,
            scheme if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        let authority = uri.authority()?;
        let port = match authority.port_u16() {
            Some(port) => port,
            // What follows the host and is no port must not pass for the default one.
            None if authority.as_str().ends_with(host) => default_port(https),
            None => return None,
        };
        Some(Self { https, host, port })
    }

    fn is(&self, origin: &Origin) -> bool {
        self.https == origin.https
            && self.port == origin.port
            && self.host.eq_ignore_ascii_case(&origin.host)
    }

    /// Every `Host` header must mean this origin (RFC 9110 section 7.2).
    fn check_host(&self, headers: &HeaderMap) -> Result<(), OriginError> {
        let mut hosts = headers.get_all(HOST).iter();
        if hosts.all(|host| self.is_named_by(host.as_bytes())) {
            Ok(())
        } else {
            Err(OriginError(Fault::Host(self.to_string())))
        }
    }

    fn is_named_by(&self, header: &[u8]) -> bool {
        let host = self.host.as_bytes();
        let Some((name, rest)) = header.split_at_checked(host.len()) else {
            return false;
        };
        let port = match rest {
            [] => Some(default_port(self.https)),
            [b':', digits @ ..] => std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok()),
            _ => None,
        };
        name.eq_ignore_ascii_case(host) && port == Some(self.port)
    }

    /// A number for an origin that isn't on a list.
    fn id(&self) -> OriginId {
        let mut hasher = DefaultHasher::new();
        for byte in self.host.bytes() {
            byte.to_ascii_lowercase().hash(&mut hasher);
        }
        self.port.hash(&mut hasher);
        OriginId(hasher.finish())
    }
}

impl<'a> From<&'a Origin> for Asked<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self {
            https: origin.https,
            host: &origin.host,
            port: origin.port,
        }
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default_port(self.https) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Whether traffic for this host stays on the machine.
fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A token may not go there, or a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginError(Fault);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    NoOrigin,
    NotAnOrigin(String),
    Foreign(String),
    PlainHttp(String),
    NoAuthority,
    NoWebOrigin,
    Host(String),
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::NoOrigin => f.write_str(
                "no origin is allowed to get the token: name at least one, such as https://api.example",
            ),
            Fault::NotAnOrigin(text) => write!(
                f,
                "\"{text}\" is not an origin: write scheme, host and port only, such as https://api.example:8443"
            ),
            Fault::Foreign(origin) => write!(
                f,
                "the token may not go to {origin}, nothing was sent: add it to `AllowedOrigins`, or choose `ForeignOrigin::SendWithout`"
            ),
            Fault::PlainHttp(origin) => write!(
                f,
                "the token may not go to {origin} in the clear, nothing was sent: use https, or `AllowedOrigins::allow_plain_http`"
            ),
            Fault::NoAuthority => f.write_str(
                "the request's URI names no host, nothing was sent: say where it goes with `AllowedOrigins::without_authority`",
            ),
            Fault::NoWebOrigin => f.write_str(
                "the request's URI names no http or https origin, nothing was sent: write scheme, host and, if need be, port",
            ),
            Fault::Host(origin) => write!(
                f,
                "the request is for {origin} but its Host header names another, nothing was sent: remove the header"
            ),
        }
    }
}

impl std::error::Error for OriginError {}

#[cfg(test)]
mod tests;
