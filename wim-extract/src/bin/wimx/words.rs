//! Lines of words: commands of `update`, sources of `capture --source-list`.

/// The words of a line; quotes hold together what white space divides. A line that begins with `#` or
/// `;` is a comment.
pub(crate) fn words(line: &[u8]) -> Words<'_> {
    match line.trim_ascii() {
        [b'#' | b';', ..] => Words(&[]),
        line => Words(line),
    }
}

/// What of a line has not been read yet.
pub(crate) struct Words<'a>(&'a [u8]);

impl Iterator for Words<'_> {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        let (word, behind) = match *rest.first()? {
            quote @ (b'"' | b'\'') => {
                let end = rest[1..].iter().position(|&byte| byte == quote);
                let Some(end) = end else { return Some(Err("a quotation mark is missing".into())) };
                (&rest[1..=end], &rest[end + 2..])
            }
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace);
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        self.0 = behind.trim_ascii_start();
        Some(Ok(word.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Result<Vec<String>, String> {
        let text = |word| String::from_utf8(word).expect("UTF-8");
        words(line.as_bytes()).map(|word| Ok(text(word?))).collect()
    }

    #[test]
    fn lines() {
        for (line, words) in [
            ("", vec![]),
            ("  # add a b", vec![]),
            (" ;add a b", vec![]),
            ("add ;a", vec!["add", ";a"]),
            ("add 'a'b", vec!["add", "a", "b"]),
            ("add a  b\r", vec!["add", "a", "b"]),
            ("add 'a b' \"c 'd\"", vec!["add", "a b", "c 'd"]),
            ("delete \"\"", vec!["delete", ""]),
            ("rename a#b #", vec!["rename", "a#b", "#"]),
        ] {
            assert_eq!(texts(line), Ok(words.into_iter().map(str::to_owned).collect()), "{line}");
        }
        assert!(texts("add 'a b").is_err());
    }
}
