//! Reads `.env` files: `NAME=value` lines, comments, single and double quotes, `export`.

use std::collections::HashMap;
use std::path::Path;

use super::ConfigError;

/// Reads a file; a missing one is empty.
pub fn read(path: &Path) -> Result<HashMap<String, String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(HashMap::new()),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse(text: &str) -> HashMap<String, String> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    let text = text.strip_prefix("export ").unwrap_or(text);
    if text.starts_with('#') {
        return None;
    }
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    let value = if let Some(rest) = value.strip_prefix('\'') {
        rest.split('\'').next().unwrap_or_default().to_owned()
    } else if let Some(rest) = value.strip_prefix('"') {
        double_quoted(rest)
    } else {
        value.split(" #").next().unwrap_or_default().trim_end().to_owned()
    };
    Some((name.trim().to_owned(), value))
}

fn double_quoted(rest: &str) -> String {
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some(other) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_exports_are_understood() {
        let read = parse("# c\nA=1 # one\nexport B=\"two # \\\"x\\\"\\n\"\nC='$x'\nD=\nE = e=f\n");
        let get = |name: &str| read.get(name).map(String::as_str);
        assert_eq!(get("A"), Some("1"));
        assert_eq!(get("B"), Some("two # \"x\"\n"));
        assert_eq!(get("C"), Some("$x"));
        assert_eq!(get("D"), Some(""));
        assert_eq!(get("E"), Some("e=f"));
    }
}
