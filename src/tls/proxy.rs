mod environment;
mod error;
mod invalid;
mod tunnel;

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use zeroize::Zeroizing;

pub(super) use self::tunnel::{authority, tcp};
pub use self::{error::ProxyError, invalid::InvalidProxy};
use crate::secret::SecretString;

/// An HTTP proxy on the way to https servers: `CONNECT` (RFC 9110 section 9.3.6), then TLS from end
/// to end.
///
/// The proxy sees host and port of a server, and octets. Its credentials go to it alone, as Basic
/// (RFC 7617), and are never formatted. The connection to the proxy itself is plain http, so
/// whoever listens there sees them.
///
/// ```
/// use tower_oauth::tls::{Proxy, TlsConfig, TrustAnchors};
///
/// # fn example(trust: TrustAnchors) -> Result<(), Box<dyn std::error::Error>> {
/// let proxy = Proxy::http("http://proxy.example:3128")?
///     .basic_auth("orders", "the proxy's password")?
///     .no_proxy("localhost, .internal.example, 10.0.0.0/8");
/// let tls = TlsConfig::new(trust).proxy(proxy);
/// # let _ = tls;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Proxy {
    server: Option<Arc<Server>>,
    /// Whether it is asked for plain http addresses, too.
    for_plain_http: bool,
    no_proxy: String,
    rules: Arc<Matcher>,
}

#[derive(Clone)]
struct Server {
    uri: Uri,
    origin: String,
    credentials: Option<HeaderValue>,
}

impl Proxy {
    /// Goes through the proxy at this address, such as `http://proxy.example:3128`; without a port
    /// it is 80. User name and password may stand in it, percent-encoded.
    ///
    /// # Errors
    ///
    /// An [`InvalidProxy`], also for proxies that are spoken to in TLS (`https://`) or SOCKS.
    pub fn http(address: &str) -> Result<Self, InvalidProxy> {
        Ok(Self::new(
            Some(Server::parse(address)?),
            true,
            String::new(),
        ))
    }

    /// Goes through the proxy that the environment names, or through none if it names none: that
    /// of `HTTPS_PROXY`, else of `ALL_PROXY`, but not for the hosts in `NO_PROXY`, which are as in
    /// [`no_proxy`](Self::no_proxy). Each may be written in small letters; capital ones come first,
    /// and an empty one counts for nothing.
    ///
    /// The environment is read here and now, and by nothing else in this crate. `HTTP_PROXY` is
    /// not looked at: it is for plain http, and in CGI anybody who sends a request can set it.
    ///
    /// # Errors
    ///
    /// An [`InvalidProxy`] names the variable.
    pub fn from_env() -> Result<Self, InvalidProxy> {
        environment::read(|name| std::env::var_os(name))
    }

    /// Authenticates to the proxy (RFC 7617). Default: what stands in its address, else nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy::UserName`]: there is a colon in the name, or a control character in either.
    pub fn basic_auth(
        mut self,
        user: &str,
        password: impl Into<SecretString>,
    ) -> Result<Self, InvalidProxy> {
        let password = password.into();
        if user.contains(|char: char| char == ':' || char.is_control())
            || password.expose().contains(char::is_control)
        {
            return Err(InvalidProxy::UserName);
        }
        let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
        let field = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair)));
        let mut field = HeaderValue::from_str(&field).expect("base64 is fit for a header field");
        field.set_sensitive(true);
        if let Some(server) = &mut self.server {
            Arc::make_mut(server).credentials = Some(field);
        }
        Ok(self)
    }

    /// Goes directly to these hosts, with commas between them, and to those of earlier calls: a
    /// name, which stands for all names below it as well, an IP address, a network such as
    /// `10.0.0.0/8`, or `*` for all. Ports can't be told apart. Default: none.
    #[must_use]
    pub fn no_proxy(self, hosts: impl AsRef<str>) -> Self {
        let hosts = hosts.as_ref().split(',').map(str::trim);
        // `*.example.com`, as Java writes it, is `.example.com` to the others.
        let hosts = hosts.map(|host| match host.strip_prefix('*') {
            Some(domain) if domain.starts_with('.') => domain,
            _ => host,
        });
        let all = self.no_proxy.split(',').chain(hosts);
        let all: Vec<_> = all.filter(|host| !host.is_empty()).collect();
        let no_proxy = all.join(",");
        let server = self.server.map(Arc::unwrap_or_clone);
        Self::new(server, self.for_plain_http, no_proxy)
    }

    /// The proxy on the way to this address, as `http://host:port`. `None`: the way is direct.
    pub fn server_for(&self, target: &Uri) -> Option<&str> {
        Some(&self.way_to(target)?.origin)
    }

    fn new(server: Option<Server>, for_plain_http: bool, no_proxy: String) -> Self {
        // Its `*` is for names alone.
        let all = no_proxy.split(',').any(|host| host == "*");
        let direct = if all { "*,0.0.0.0/0,::/0" } else { &no_proxy };
        let mut rules = Matcher::builder().no(direct);
        if let Some(server) = &server {
            rules = rules.https(&server.origin);
            if for_plain_http {
                rules = rules.http(&server.origin);
            }
        }
        Self {
            server: server.map(Arc::new),
            for_plain_http,
            no_proxy,
            rules: Arc::new(rules.build()),
        }
    }

    fn way_to(&self, target: &Uri) -> Option<&Server> {
        self.rules.intercept(target)?;
        self.server.as_deref()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("server", &self.server.as_ref().map(|it| &it.origin))
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
    }
}

impl Server {
    fn parse(address: &str) -> Result<Self, InvalidProxy> {
        let address = address.trim();
        match address.split_once("://") {
            Some((scheme, _)) if !scheme.eq_ignore_ascii_case("http") => {
                let scheme = scheme.chars().take(16).collect();
                return Err(InvalidProxy::Scheme { scheme });
            }
            _ => {}
        }
        let everything = Matcher::builder().https(address).build();
        let found = everything.intercept(&Uri::from_static("https://server.example"));
        let found = found.ok_or(InvalidProxy::NotAnAddress)?;
        let uri = found.uri();
        let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
            return Err(InvalidProxy::NotAnAddress);
        };
        // An `@` in a password that isn't encoded leaves a part of it in what is taken for the
        // host; a port out of range would be taken for none.
        let port = uri.port_u16();
        if host.is_empty()
            || authority.as_str().contains('@')
            || (authority.as_str() != host && port.is_none())
        {
            return Err(InvalidProxy::NotAnAddress);
        }
        Ok(Self {
            origin: format!("http://{host}:{}", port.unwrap_or(80)),
            credentials: found.basic_auth().cloned(),
            uri: uri.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
