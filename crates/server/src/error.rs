//! The one place where a `Fault` becomes a status, a body and headers.

use bytes::Bytes;
use gauntlet_types::{Code, Dialect, Fault};
use gauntlet_wire::otlp::grpc::Status;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The status of a fault. SDKs choose their exception class by it.
pub fn status(fault: &Fault) -> StatusCode {
    match fault.code {
        Code::InvalidRequest | Code::PromptInvalid | Code::GuardrailBlocked | Code::UpstreamRefused => {
            StatusCode::BAD_REQUEST
        }
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::Killed => StatusCode::FORBIDDEN,
        Code::UnknownRoute | Code::UnknownModel | Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        // The model is known but may not be used before someone says what it costs.
        Code::UnpricedModel => StatusCode::BAD_REQUEST,
        Code::RateLimited | Code::BudgetExceeded => StatusCode::TOO_MANY_REQUESTS,
        Code::OutputInvalid | Code::UpstreamFailed => StatusCode::BAD_GATEWAY,
        Code::UpstreamTimeout | Code::NotCached => StatusCode::GATEWAY_TIMEOUT,
        Code::Overloaded | Code::Unavailable | Code::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The same in gRPC's words, by which exporters decide whether to try again (`grpc::Status::again`).
pub(crate) fn grpc_status(fault: &Fault) -> Status {
    match fault.code {
        // The same bytes would be refused again, so it is not gRPC's own RESOURCE_EXHAUSTED, which asks for patience.
        Code::InvalidRequest
        | Code::RequestTooLarge
        | Code::PromptInvalid
        | Code::GuardrailBlocked
        | Code::UpstreamRefused
        | Code::UnpricedModel
        | Code::OutputInvalid => Status::InvalidArgument,
        Code::UpstreamTimeout => Status::DeadlineExceeded,
        Code::UnknownRoute | Code::UnknownModel | Code::NotFound | Code::NotCached => Status::NotFound,
        Code::Forbidden | Code::Killed => Status::PermissionDenied,
        Code::RateLimited | Code::BudgetExceeded => Status::ResourceExhausted,
        Code::MethodNotAllowed => Status::Unimplemented,
        Code::Internal | Code::UpstreamFailed => Status::Internal,
        Code::Overloaded | Code::Unavailable | Code::Interrupted => Status::Unavailable,
        Code::Unauthorized => Status::Unauthenticated,
    }
}

/// The same as a number, for the record.
pub fn status_code(fault: &Fault) -> u16 {
    status(fault).as_u16()
}

/// An answer in the shape that OpenAI's SDKs read.
pub fn answer(fault: &Fault) -> http::Response<Bytes> {
    answer_in(Dialect::Chat, fault)
}

/// An answer in the shape that the SDKs of a dialect read.
pub(crate) fn answer_in(manners: Dialect, fault: &Fault) -> http::Response<Bytes> {
    let status = status(fault);
    let body = gauntlet_wire::error::body(manners, fault, status.as_u16(), None);
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    fault_headers(fault, answer.headers_mut());
    answer
}

fn fault_headers(fault: &Fault, headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    retry_after(fault, headers);
}

/// `Retry-After` in whole seconds, rounded up: sooner would be refused again. SDKs retry only where it may help.
pub(crate) fn retry_after(fault: &Fault, headers: &mut HeaderMap) {
    if let Some(wait) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000) as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_of_an_error() {
        for code in Code::ALL {
            let status = status(&Fault::us(code, "x"));
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}: {status}");
        }
    }
}
