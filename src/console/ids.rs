//! Trace and span ids as numbers: cheap to keep, to compare and to look up.

/// A trace id; zero is invalid and never kept.
pub(super) type TraceId = u128;
/// A span id; zero means "none".
pub(super) type SpanId = u64;

/// The 16 bytes of an OTLP trace id, or nothing when the length is wrong or all are zero.
pub(super) fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    bytes.try_into().ok().map(u128::from_be_bytes).filter(|id| *id != 0)
}

/// The 8 bytes of an OTLP span id, or nothing when the length is wrong or all are zero.
pub(super) fn span_id(bytes: &[u8]) -> Option<SpanId> {
    bytes.try_into().ok().map(u64::from_be_bytes).filter(|id| *id != 0)
}

/// A trace id a person wrote: hexadecimal in either case, leading zeros optional.
pub(super) fn parse_trace_id(text: &str) -> Option<TraceId> {
    let hex = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().filter(|id| *id != 0)
}

/// What is said of a text that is no trace id.
pub(super) const NO_TRACE_ID: &str = "a trace id is 1 to 32 hexadecimal digits, not all of them 0";

/// 32 lower-case digits.
pub(super) fn trace_hex(id: TraceId) -> String {
    format!("{id:032x}")
}

/// 16 lower-case digits.
pub(super) fn span_hex(id: SpanId) -> String {
    format!("{id:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_trace_id_may_be_upper_case_and_short_but_not_signed_or_zero() {
        assert_eq!(parse_trace_id("00AB"), Some(0xab));
        assert_eq!(parse_trace_id(&trace_hex(7)), Some(7));
        for wrong in ["", "0", "+1", "0x1", "g", &"1".repeat(33)] {
            assert_eq!(parse_trace_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_of_a_wrong_length_are_not_ids() {
        assert_eq!(span_id(&[0, 0, 0, 0, 0, 0, 0, 1]), Some(1));
        assert_eq!(span_id(&[1]), None);
        assert_eq!(trace_id(&[0; 16]), None);
    }
}
