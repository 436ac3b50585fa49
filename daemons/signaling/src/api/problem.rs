//! Errors as problem details (RFC 9457), with the protocol's error code as member `code`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mobz_core::signal::Code;
use mobz_runtime::control::ControlError;
use serde_json::json;

/// One problem.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let (status, code) = match &error {
            ControlError::NoSuchRoom(_) => (StatusCode::NOT_FOUND, Code::NoSuchRoom),
            ControlError::NoSuchUser { .. } => (StatusCode::NOT_FOUND, Code::NoSuchUser),
            ControlError::NoSuchMunit(_) => (StatusCode::NOT_FOUND, Code::NoSuchMunit),
            ControlError::NoSuchStation(_) => (StatusCode::NOT_FOUND, Code::NoSuchStation),
            ControlError::Refused(refusal) => (StatusCode::CONFLICT, refusal.code),
            ControlError::Node(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Internal),
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, headers, body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
