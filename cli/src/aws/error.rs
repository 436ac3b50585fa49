//! What AWS refuses, in words, and with the exit code that fits.

use std::error::Error;

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

use super::LOG_IN;
use crate::deploy::cause::advice;
use crate::error::{Failure, chain};

/// Codes for credentials that are wrong or have expired.
const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
];
/// Codes for what the credentials may not do.
const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];
/// Codes for being asked too much at once.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
];

/// A failed request, told.
pub fn failure<E>(what: &str, error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(code) = code(error) else {
        let why = reason(error);
        if why.contains("credentials") {
            return Failure::refused(what, why, LOG_IN);
        }
        let remedy = "check the network and AWS_ENDPOINT_URL, then run the same command again";
        return Failure::unreachable(what, format!("AWS cannot be reached: {why}"), remedy);
    };
    let why = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or(code);
    let is_of = |codes: &[&str]| codes.contains(&code);
    if is_of(CREDENTIALS) {
        Failure::refused(what, format!("AWS does not take the credentials ({code}): {why}"), LOG_IN)
    } else if is_of(DENIED) {
        let remedy = advice("AccessDenied").unwrap_or_default();
        Failure::refused(what, why, remedy)
    } else if is_of(THROTTLED) {
        let why = format!("AWS was asked too much at once, also when asked again and again ({code})");
        Failure::unreachable(what, why, "run the same command again in a minute")
    } else {
        Failure::failed(
            what,
            why,
            advice(why).unwrap_or("mend what is said above, then run the same command again"),
        )
    }
}

/// The code of what AWS answered; `None` where it did not answer.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().map(|error| error.code().unwrap_or("an error without a code"))
}

/// What AWS said.
pub fn message<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default()
}

/// Why no answer came.
fn reason<E: Error + 'static>(error: &SdkError<E>) -> String {
    // The outermost words are only "dispatch failure".
    error.source().map_or_else(|| error.to_string(), chain)
}
