//! Telling the services apart on one address, and what goes wrong before any of them answers.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Shared, json as documents, query};

/// What a service answers.
pub(super) enum Answer {
    /// XML, done.
    Xml(String),
    /// JSON, done.
    Json(Value),
    /// Refused, with code and message.
    Refused(&'static str, String),
}

/// Serves on a free port, for as long as the runtime lives; → its URL.
pub(super) async fn serve(shared: Arc<Shared>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| answer(Arc::clone(&shared), request));
                let connection = hyper::server::conn::http1::Builder::new();
                // A connection that is cut ends in an error, as it should.
                let _ = connection.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    url
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
    let form: Vec<(String, String)> = match &target {
        None if head.method == Method::POST && head.uri.path() == "/" && head.uri.query().is_none() => {
            form_urlencoded::parse(&body).into_owned().collect()
        }
        _ => Vec::new(),
    };
    let action = match (&target, form.iter().find(|(key, _)| key == "Action")) {
        (Some(target), _) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        (None, Some((_, action))) => action.clone(),
        (None, None) => format!("S3 {}", head.method),
    };
    let is_json = target.is_some();
    let delay = shared.world().delay;
    tokio::time::sleep(delay).await;
    let fault = {
        let mut world = shared.world();
        if world.cut > 0 {
            world.cut -= 1;
            return Err(io::Error::other("cut"));
        }
        world.asked.push(action.clone());
        let throttled = world.throttled.iter_mut().find(|(name, times)| *name == action && *times > 0);
        if let Some((_, times)) = throttled {
            *times -= 1;
            Some(("Throttling", "Rate exceeded"))
        } else if world.expired {
            Some(("ExpiredToken", "The security token included in the request is expired"))
        } else {
            None
        }
    };
    let answer = match fault {
        Some((code, message)) => Answer::Refused(code, message.to_owned()),
        None if is_json => {
            let body: Value = serde_json::from_slice(&body).unwrap_or(json!({}));
            documents::answer(&shared, &action, &body)
        }
        None if form.is_empty() => return Ok(super::query::objects(&shared, &head, &body)),
        None => query::answer(&shared, &action, &query::Form(form)),
    };
    Ok(written(answer, is_json))
}

fn written(answer: Answer, is_json: bool) -> Response<Full<Bytes>> {
    let (status, kind, body) = match answer {
        Answer::Xml(body) => (StatusCode::OK, "text/xml", body),
        Answer::Json(body) => (StatusCode::OK, "application/x-amz-json-1.1", body.to_string()),
        Answer::Refused(code, message) if is_json => {
            let body = json!({ "__type": code, "message": message }).to_string();
            (StatusCode::BAD_REQUEST, "application/x-amz-json-1.1", body)
        }
        Answer::Refused(code, message) => {
            let message = query::escaped(&message);
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            (StatusCode::BAD_REQUEST, "text/xml", body)
        }
    };
    respond(status, kind, body)
}

pub(super) fn respond(status: StatusCode, kind: &str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", kind);
    let response = response.body(Full::new(Bytes::from(body)));
    response.unwrap_or_else(|_| Response::new(Full::new(Bytes::new())))
}
