//! What is asked for, without the rest of a request: a player's request waits for most of its life, and with
//! its head as it came it would hold on to the buffers that the head was read into.

use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};

/// The headers that an answer depends on.
const HEADERS: [HeaderName; 4] =
    [header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::IF_RANGE, header::RANGE];

/// One request, as far as any answer needs it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    target: PathAndQuery,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    /// Copies what is needed.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        // Most have one.
        let mut headers = HeaderMap::with_capacity(1);
        for name in &HEADERS {
            for value in request.headers().get_all(name) {
                headers.append(name, value.clone());
            }
        }
        Self { method: request.method().clone(), target: target(request.uri()), headers }
    }

    pub(crate) fn path(&self) -> &str {
        self.target.path()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.query().unwrap_or_default()
    }
}

/// A copy of its own; that of `CONNECT` and the like is `/`, where nothing is.
fn target(uri: &Uri) -> PathAndQuery {
    let target = uri.path_and_query().and_then(|target| PathAndQuery::try_from(target.as_str()).ok());
    target.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_depends_on_is_kept_and_nothing_else() {
        let request = Request::get("http://127.0.0.1/hls/demo/index.m3u8?_HLS_msn=1")
            .header(header::ACCEPT_ENCODING, "gzip")
            .header(header::ACCEPT_ENCODING, "br")
            .header(header::RANGE, "bytes=0-1")
            .header(header::USER_AGENT, "a player")
            .body(())
            .unwrap();
        let asked = Asked::of(&request);
        assert_eq!((asked.path(), asked.query()), ("/hls/demo/index.m3u8", "_HLS_msn=1"));
        assert_eq!(asked.headers.len(), 3);
        assert_eq!(asked.headers.get_all(header::ACCEPT_ENCODING).iter().count(), 2);
        assert_eq!(asked.headers[header::RANGE], "bytes=0-1");
    }

    #[test]
    fn a_request_without_a_path_asks_for_the_root() {
        let request = Request::builder().method(Method::CONNECT).uri("127.0.0.1:1").body(()).unwrap();
        assert_eq!(Asked::of(&request).path(), "/");
    }
}
