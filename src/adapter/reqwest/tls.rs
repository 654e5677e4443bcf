use std::any::Any;

use crate::{error::TokenError, tls::TlsConfig};

/// These TLS settings for a reqwest client, to be given to
/// [`tls_backend_preconfigured`](https://docs.rs/reqwest/0.13/reqwest/struct.ClientBuilder.html#method.tls_backend_preconfigured),
/// which reqwest has with its feature `rustls` or `rustls-no-provider`.
///
/// Each call makes a configuration of its own: clients that were built of different ones never share
/// a session. HTTP/2 is offered to servers when this crate's feature `http2` is on.
///
/// ```no_run
/// use tower_oauth::{adapter::reqwest::tls_backend, tls::{TlsConfig, TrustAnchors}};
///
/// let tls = TlsConfig::new(TrustAnchors::from_pem_file("ca.crt")?);
/// let client = reqwest::Client::builder()
///     .tls_backend_preconfigured(tls_backend(&tls)?)
///     .build()?;
/// # let _ = client;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Kind [`Configuration`](crate::ErrorKind::Configuration): rustls refuses the settings.
pub fn tls_backend(tls: &TlsConfig) -> Result<impl Any + Send + Sync + use<>, TokenError> {
    let config = tls.client_config()?;
    #[cfg(feature = "http2")]
    let config = {
        let mut config = config;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    };
    Ok(config)
}
