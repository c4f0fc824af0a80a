//! Where a call of a component stands among traces: the context of the W3C.

use crate::load::hex;

/// The trace that a call begins, and the span in it that is the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    trace: [u8; 16],
    span: [u8; 8],
}

impl Trace {
    /// A trace that nobody else has. Without randomness it is the one that is none.
    pub(crate) fn begin() -> Self {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        if getrandom::fill(&mut trace).and_then(|()| getrandom::fill(&mut span)).is_err() {
            return Self { trace: [0; 16], span: [0; 8] };
        }
        Self { trace, span }
    }

    /// Its identity, for logs.
    pub(crate) fn id(&self) -> String {
        hex(&self.trace)
    }

    /// Add it to the headers of a request that says nothing of a trace itself.
    pub(crate) fn mark(&self, headers: &mut Vec<(String, String)>) {
        let says = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        if !says && self.trace != [0; 16] && self.span != [0; 8] {
            let parent = format!("00-{}-{}-01", hex(&self.trace), hex(&self.span));
            headers.push(("traceparent".to_owned(), parent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_marked_once_and_as_the_standard_says() {
        let trace = Trace { trace: [0xab; 16], span: [1; 8] };
        let mut headers = Vec::new();
        trace.mark(&mut headers);
        let parent = format!("00-{}-{}-01", "ab".repeat(16), "01".repeat(8));
        assert_eq!(headers, [("traceparent".to_owned(), parent)]);
        let own = vec![("Traceparent".to_owned(), "its own".to_owned())];
        let mut headers = own.clone();
        trace.mark(&mut headers);
        assert_eq!(headers, own);
        let mut headers = Vec::new();
        Trace { trace: [0; 16], span: [1; 8] }.mark(&mut headers);
        assert!(headers.is_empty(), "zeros are no trace");
        assert_ne!(Trace::begin(), Trace::begin());
    }
}
