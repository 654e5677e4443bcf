//! The variables that curl made common, as far as they concern https.

use std::ffi::OsString;

use super::{InvalidProxy, Proxy, Server};

pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Proxy, InvalidProxy> {
    let first = |names: &[&'static str]| {
        for &name in names {
            let value = variable(name).unwrap_or_default();
            if !value.is_empty() {
                return match value.into_string() {
                    Ok(value) => Ok(Some((name, value))),
                    Err(_) => Err(InvalidProxy::NotAnAddress.of_variable(name)),
                };
            }
        }
        Ok(None)
    };
    let server = match first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])? {
        Some((name, address)) => {
            Some(Server::parse(&address).map_err(|error| error.of_variable(name))?)
        }
        None => None,
    };
    let proxy = Proxy::new(server, false, String::new());
    Ok(match first(&["NO_PROXY", "no_proxy"])? {
        Some((_, hosts)) => proxy.no_proxy(hosts),
        None => proxy,
    })
}
