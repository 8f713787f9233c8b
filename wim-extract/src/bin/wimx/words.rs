//! Lines of words: commands of `update`, sources of `capture --source-list`.

/// The words of a line; quotes hold together what white space divides.
pub(crate) fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while let Some(&first) = rest.first() {
        let (word, behind) = match first {
            b'#' if words.is_empty() => break,
            b'"' | b'\'' => {
                let end = rest[1..].iter().position(|&byte| byte == first);
                let end = end.ok_or("a quotation mark is missing")?;
                (&rest[1..=end], &rest[end + 2..])
            }
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace);
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        words.push(word.to_vec());
        rest = behind.trim_ascii_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Result<Vec<String>, String> {
        let text = |word| String::from_utf8(word).expect("UTF-8");
        Ok(words(line.as_bytes())?.into_iter().map(text).collect())
    }

    #[test]
    fn lines() {
        for (line, words) in [
            ("", vec![]),
            ("  # add a b", vec![]),
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
