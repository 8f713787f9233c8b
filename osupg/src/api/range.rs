//! The `Range` header: which bytes of a representation a client asks for (RFC 9110, section 14).

/// Ranges that one request may ask for. A request for more is answered with the whole, which the
/// standard allows: many small ranges are how a small request is made to cost much.
const MOST: usize = 16;

/// A run of bytes: from `start` up to, not including, `end`. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first byte.
    pub(crate) start: u64,
    /// The byte after the last.
    pub(crate) end: u64,
}

impl Span {
    /// Bytes in it.
    pub(crate) const fn len(self) -> u64 {
        self.end - self.start
    }
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: there is no such header, or one that is to be ignored.
    Whole,
    /// These, in the order asked for; at least one.
    Spans(Vec<Span>),
    /// Nothing of what there is: status 416.
    Nothing,
}

/// Reads the header for a representation of `len` bytes. What is not well formed, or has another
/// unit than bytes, counts as absent.
pub(crate) fn parse(header: &str, len: u64) -> Wanted {
    let Some((unit, set)) = header.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut asked = 0;
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])) {
        if spec.is_empty() {
            continue;
        }
        asked += 1;
        if asked > MOST {
            return Wanted::Whole;
        }
        match span(spec, len) {
            Err(()) => return Wanted::Whole,
            Ok(None) => {}
            Ok(Some(span)) => spans.push(span),
        }
    }
    match (asked, spans.is_empty()) {
        (0, _) => Wanted::Whole,
        (_, true) => Wanted::Nothing,
        // Overlapping ranges would send the same bytes twice.
        (_, false) if overlap(&spans) => Wanted::Whole,
        (_, false) => Wanted::Spans(spans),
    }
}

/// One of `first-last`, `first-` and `-length`; `None` where nothing of it exists.
fn span(spec: &str, len: u64) -> Result<Option<Span>, ()> {
    let (first, last) = spec.split_once('-').ok_or(())?;
    if first.is_empty() {
        let length = number(last)?.min(len);
        return Ok((length > 0).then(|| Span { start: len - length, end: len }));
    }
    let start = number(first)?;
    let end = match last {
        "" => len,
        _ => {
            let last = number(last)?;
            if last < start {
                return Err(());
            }
            last.saturating_add(1).min(len)
        }
    };
    Ok((start < len).then_some(Span { start, end }))
}

/// Digits. A number beyond 64 bits is beyond every representation too.
fn number(text: &str) -> Result<u64, ()> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

fn overlap(spans: &[Span]) -> bool {
    let mut sorted = spans.to_vec();
    sorted.sort_by_key(|span| span.start);
    sorted.windows(2).any(|pair| pair[0].end > pair[1].start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(list: &[(u64, u64)]) -> Wanted {
        Wanted::Spans(list.iter().map(|&(start, end)| Span { start, end }).collect())
    }

    #[test]
    fn the_three_forms_are_read() {
        assert_eq!(parse("bytes=0-499", 1000), spans(&[(0, 500)]));
        assert_eq!(parse("bytes=500-", 1000), spans(&[(500, 1000)]));
        assert_eq!(parse("bytes=-200", 1000), spans(&[(800, 1000)]));
        assert_eq!(parse("Bytes = 0-0 ,\t-1", 1000), spans(&[(0, 1), (999, 1000)]));
        assert_eq!(parse("bytes=900-5000", 1000), spans(&[(900, 1000)]));
        assert_eq!(parse("bytes=-5000", 1000), spans(&[(0, 1000)]));
        assert_eq!(parse("bytes=0-99999999999999999999999", 1000), spans(&[(0, 1000)]));
    }

    #[test]
    fn what_does_not_exist_is_told_from_what_makes_no_sense() {
        for nothing in ["bytes=1000-", "bytes=-0", "bytes=2000-3000", "bytes=99999999999999999999-"]
        {
            assert_eq!(parse(nothing, 1000), Wanted::Nothing, "{nothing}");
        }
        assert_eq!(parse("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(parse("bytes=2000-,0-9", 1000), spans(&[(0, 10)]));
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=0x1-2",
            "lines=0-1",
            "bytes=0-5,3-8",
        ] {
            assert_eq!(parse(ignored, 1000), Wanted::Whole, "{ignored}");
        }
    }

    #[test]
    fn many_ranges_are_the_whole() {
        let many = |count| {
            let list: Vec<_> = (0..count).map(|at| format!("{0}-{0}", at * 2)).collect();
            parse(&format!("bytes={}", list.join(",")), 1000)
        };
        assert!(matches!(many(MOST), Wanted::Spans(spans) if spans.len() == MOST));
        assert_eq!(many(MOST + 1), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn spans_lie_within(header in "bytes=[0-9,\\- ]{0,40}|.{0,60}", len in 0u64..2000) {
            if let Wanted::Spans(spans) = parse(&header, len) {
                prop_assert!(!spans.is_empty());
                for span in spans {
                    prop_assert!(span.start < span.end && span.end <= len);
                }
            }
        }
    }
}
