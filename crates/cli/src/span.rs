//! Spans as people write and read them.

use std::time::Duration;
use tlease_core::time::Span;

/// A span as people write it: `500ms`, `10s`, `5m`, `2h`.
pub(crate) fn parse(text: &str) -> Result<Span, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a number and a unit, as in 500ms, 10s, 5m, 2h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "write a whole number before the unit")?;
    let span_ms = number.checked_mul(unit_ms).filter(|span_ms| *span_ms <= SPAN_MAX_MS);
    span_ms.map(Span::from_millis).ok_or_else(|| "at most 1000 hours".into())
}

/// A term: a span that is not zero.
pub(crate) fn parse_term(text: &str) -> Result<Span, String> {
    match parse(text)? {
        Span::ZERO => Err("a lease of no length holds nothing; ask for at least 10ms".into()),
        term => Ok(term),
    }
}

/// A span for people: three digits or so, rounded down.
pub(crate) fn show(span: Span) -> String {
    let duration = Duration::from(span);
    let secs = duration.as_secs();
    match secs {
        0 => format!("{}ms", duration.as_millis()),
        1..=59 => {
            let tenths = duration.subsec_millis() / 100;
            if tenths == 0 { format!("{secs}s") } else { format!("{secs}.{tenths}s") }
        }
        60..=3_599 => two(secs / 60, "m", secs % 60, "s"),
        _ => two(secs / 3_600, "h", secs % 3_600 / 60, "m"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

/// Whole milliseconds, rounded down.
pub(crate) const fn millis(span: Span) -> u64 {
    span.as_nanos() / 1_000_000
}

/// Six weeks: no lease is that long, and every sum of spans stays far from overflow.
const SPAN_MAX_MS: u64 = 1_000 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_a_unit_and_have_an_end() {
        assert_eq!(parse("500ms"), Ok(Span::from_millis(500)));
        assert_eq!(parse("2h"), Ok(Span::from_secs(7_200)));
        for wrong in ["", "5", "s", "1.5s", "-1s", "1001h", "99999999999999999999s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse_term("0s").is_err());
        assert!(parse("0s").is_ok());
    }

    #[test]
    fn spans_read_as_they_are_written() {
        for (span_ms, shown) in [
            (0, "0ms"),
            (999, "999ms"),
            (4_250, "4.2s"),
            (10_000, "10s"),
            (60_000, "1m"),
            (90_000, "1m30s"),
            (7_260_000, "2h1m"),
        ] {
            assert_eq!(show(Span::from_millis(span_ms)), shown);
        }
    }
}
