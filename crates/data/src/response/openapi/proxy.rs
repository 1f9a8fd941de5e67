//! `openapi-server-proxy-uri`: where the outside finds the API.

/// A proxy's address in the document's parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: String,
    /// With the port.
    pub host: String,
    pub path: String,
}

impl Proxy {
    /// Reads `http://…` or `https://…`; nothing else is an address of an API.
    pub fn parse(uri: &str) -> Option<Proxy> {
        let (scheme, rest) = uri.split_once("://")?;
        let scheme = scheme.to_lowercase();
        let port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.is_empty() || authority.contains('@') {
            return None;
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
        let host = if has_port {
            authority.to_owned()
        } else {
            format!("{authority}:{port}")
        };
        Some(Proxy {
            scheme,
            host,
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_path() {
        let proxy = Proxy::parse("https://postgrest.com/openapi.json").unwrap();
        assert_eq!((&*proxy.host, &*proxy.path), ("postgrest.com:443", "/openapi.json"));
        assert_eq!(Proxy::parse("http://a:8080").unwrap().host, "a:8080");
        assert_eq!(Proxy::parse("ftp://a"), None);
        assert_eq!(Proxy::parse("https://user@a"), None);
    }
}
