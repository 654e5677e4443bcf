use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE},
};

/// Removes what is for one connection only and not for the next ([RFC 9110 section 7.6.1]).
///
/// A gateway calls it twice: on the caller's request before it goes up, and on the upstream's
/// response before it goes down. These fields are removed, however often they are there:
/// `Connection` and every field that it names, `Keep-Alive`, `Proxy-Connection`, `TE`,
/// `Transfer-Encoding`, `Upgrade`, `Proxy-Authorization`, `Proxy-Authenticate` and
/// `Proxy-Authentication-Info`. `TE: trailers` stays, without what else `TE` says: gRPC servers
/// insist on it. So does `Trailer`, because trailers pass.
///
/// The sender decides what `Connection` names. Call it **before** adding fields of your own, so that
/// nobody can have them removed.
///
/// What remains to be done by hand: `Host` is the gateway's own in a request that goes elsewhere,
/// and so is the version of a message. A protocol upgrade doesn't pass.
///
/// ```
/// use http::HeaderMap;
/// use tower_oauth::server::remove_hop_by_hop;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("connection", "close, x-lane".parse()?);
/// headers.insert("x-lane", "3".parse()?);
/// headers.insert("accept", "*/*".parse()?);
/// remove_hop_by_hop(&mut headers);
/// assert_eq!(headers.len(), 1);
/// assert_eq!(headers["accept"], "*/*");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
///
/// [RFC 9110 section 7.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let trailers = members(headers, &TE).any(|member| member.eq_ignore_ascii_case(b"trailers"));
    let named: Vec<_> = members(headers, &CONNECTION)
        .filter_map(|member| HeaderName::from_bytes(member).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
];

/// The members of a list, over all its fields.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of these fields, in the order of their names.
    fn left(fields: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        let texts = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        let mut left: Vec<_> = headers.iter().map(texts).collect();
        left.sort();
        left
    }

    fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        fields.iter().map(owned).collect()
    }

    #[test]
    fn every_field_of_the_list_goes_and_all_others_stay() {
        let mut fields = vec![("accept", "*/*"), ("te-deum", "stays"), ("trailer", "sum")];
        let others = owned(&fields);
        for name in &HOP_BY_HOP {
            let name = name.as_str().to_owned().leak();
            fields.extend([(&*name, "x"), (&*name, "y")]);
        }
        assert_eq!(left(&fields), others);
    }

    #[test]
    fn what_connection_names_goes_however_it_is_written() {
        let fields = [
            ("connection", "close ,, X-A;q=1,\tX-B "),
            ("connection", "x-c,not a name,x-d"),
            ("x-a", "stays: a parameter is no part of a name"),
            ("x-b", ""),
            ("x-c", ""),
            ("x-d", ""),
            ("x-d", "again"),
            ("x-e", "stays"),
        ];
        assert_eq!(left(&fields), owned(&[fields[2], fields[7]]));
    }

    #[test]
    fn a_value_that_is_no_text_hides_no_name() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"\xff, x-a").unwrap();
        headers.insert(CONNECTION, value);
        headers.insert("x-a", HeaderValue::from_static(""));
        remove_hop_by_hop(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn of_te_only_trailers_stays_even_where_connection_names_it() {
        for (te, stays) in [
            ("trailers", true),
            ("gzip;q=0.5, Trailers", true),
            ("gzip", false),
            ("trailers-not", false),
        ] {
            let left = left(&[("connection", "te"), ("te", te)]);
            let expected: &[_] = if stays { &[("te", "trailers")] } else { &[] };
            assert_eq!(left, owned(expected), "{te}");
        }
    }
}
