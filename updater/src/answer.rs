//! What an error of the API server says about the request: was it carried out, and is there a point in repeating it.

/// The fate of a request that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// 409: the object that the request would make is there.
    AlreadyExists,
    /// 409: the object is not as the request presumed, or another one that the server had to change with it.
    Conflict,
    /// Not carried out, and it will not be as long as nobody changes something.
    Refused,
    /// It may have been carried out or not; the same request may succeed later.
    Unknown,
}

/// Reads an error. Only an answer of the API server can say that nothing was done.
pub(crate) fn failure(error: &kube::Error) -> Failure {
    let kube::Error::Api(status) = error else {
        return Failure::Unknown;
    };
    match status.code {
        409 if status.reason == "AlreadyExists" => Failure::AlreadyExists,
        // Also of a creation, where a quota was changed at the same moment.
        409 => Failure::Conflict,
        // Too many requests and timeouts are states of the server; everything else below 500 is about the request.
        408 | 429 | 500.. => Failure::Unknown,
        _ => Failure::Refused,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn only_an_answer_about_the_request_itself_says_that_repeating_it_is_no_use() {
        let cases = [
            (400, Failure::Refused),
            (403, Failure::Refused),
            (404, Failure::Refused),
            (408, Failure::Unknown),
            (409, Failure::Conflict),
            (422, Failure::Refused),
            (429, Failure::Unknown),
            (500, Failure::Unknown),
            (504, Failure::Unknown),
        ];
        for (code, expected) in cases {
            let error = kube::Error::Api(Box::new(Status::failure("no", "because").with_code(code)));
            assert_eq!(failure(&error), expected, "{code}");
        }
    }

    #[test]
    fn only_an_object_that_is_there_says_that_it_was_made_before() {
        for (reason, expected) in [
            ("AlreadyExists", Failure::AlreadyExists),
            ("Conflict", Failure::Conflict),
        ] {
            let status = Status::failure("Operation cannot be fulfilled", reason).with_code(409);
            assert_eq!(failure(&kube::Error::Api(Box::new(status))), expected, "{reason}");
        }
    }

    #[test]
    fn a_lost_connection_says_nothing_about_the_request() {
        let error = kube::Error::Service("connection reset".into());
        assert_eq!(failure(&error), Failure::Unknown);
    }
}
