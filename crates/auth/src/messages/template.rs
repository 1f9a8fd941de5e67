//! Templates of messages, in the part of Go's template language that mails are written in.
//!
//! `{{ .Email }}`, `{{ .Data.name }}`, `{{ if … }} {{ else if … }} {{ else }} {{ end }}`, `{{ with … }}`, `{{ range … }}`,
//! `{{/* … */}}`, `{{-` and `-}}`; the functions `eq`, `ne`, `and`, `or`, `not`, `len`. Anything else is refused when the
//! template is read, so that no mail goes out with half of it missing.
//! Invariant: a value is text wherever it stands; in a page it is escaped for text and for quoted attributes, and an
//! address of a user's own runs nothing.
//!
//! Source: Go, packages `text/template` and `html/template`.

mod parse;

use serde_json::Value as Json;

/// Bytes of a template, at most.
const BYTES_MAX: usize = 256 * 1024;
/// Bytes of a message, at most.
const RENDERED_BYTES_MAX: usize = 512 * 1024;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    Nothing,
    Html,
}

/// A template that was read.
#[derive(Clone, Debug, Default)]
pub struct Template(Vec<Node>);

#[derive(Clone, Debug)]
enum Node {
    Text(String),
    Value(Expression),
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
    With(Expression, Vec<Node>, Vec<Node>),
    Range(Expression, Vec<Node>, Vec<Node>),
}

#[derive(Clone, Debug)]
enum Expression {
    /// Members from the value at hand, or from the message's data.
    Path {
        is_from_root: bool,
        members: Vec<String>,
    },
    Literal(Json),
    Call(Function, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Eq,
    Ne,
    And,
    Or,
    Not,
    Len,
}

impl Template {
    /// Reads a template. Errors: what is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("it is larger than {BYTES_MAX} bytes"));
        }
        parse::template(text).map(Template)
    }

    /// Writes the message that `data` makes. What is missing is nothing.
    pub fn render(&self, data: &Json, escape: Escape) -> String {
        let mut out = Writer {
            text: String::new(),
            escape,
            root: data,
        };
        out.nodes(&self.0, data);
        out.text
    }
}

struct Writer<'a> {
    text: String,
    escape: Escape,
    root: &'a Json,
}

impl Writer<'_> {
    fn nodes(&mut self, nodes: &[Node], here: &Json) {
        for node in nodes {
            if self.text.len() > RENDERED_BYTES_MAX {
                return;
            }
            match node {
                Node::Text(text) => self.text.push_str(text),
                Node::Value(expression) => {
                    let value = self.value(expression, here);
                    self.put(&value);
                }
                Node::If(branches, otherwise) => {
                    let chosen = branches
                        .iter()
                        .find(|(condition, _)| is_true(&self.value(condition, here)))
                        .map_or(otherwise, |(_, nodes)| nodes);
                    self.nodes(chosen, here);
                }
                Node::With(expression, nodes, otherwise) => {
                    let value = self.value(expression, here);
                    match is_true(&value) {
                        true => self.nodes(nodes, &value),
                        false => self.nodes(otherwise, here),
                    }
                }
                Node::Range(expression, nodes, otherwise) => match self.value(expression, here) {
                    Json::Array(items) if !items.is_empty() => items.iter().for_each(|item| self.nodes(nodes, item)),
                    Json::Object(members) if !members.is_empty() => {
                        members.values().for_each(|value| self.nodes(nodes, value));
                    }
                    _ => self.nodes(otherwise, here),
                },
            }
        }
    }

    fn value(&self, expression: &Expression, here: &Json) -> Json {
        match expression {
            Expression::Literal(value) => value.clone(),
            Expression::Path { is_from_root, members } => {
                let from = if *is_from_root { self.root } else { here };
                let found = members.iter().try_fold(from, |value, member| value.get(member));
                found.cloned().unwrap_or(Json::Null)
            }
            Expression::Call(function, arguments) => {
                let mut values = arguments.iter().map(|argument| self.value(argument, here));
                let mut next = || values.next().unwrap_or(Json::Null);
                match function {
                    Function::Not => Json::Bool(!is_true(&next())),
                    Function::Ne => Json::Bool(next() != next()),
                    Function::Eq => {
                        let first = next();
                        Json::Bool(values.any(|value| value == first))
                    }
                    Function::Len => match next() {
                        Json::String(text) => text.len().into(),
                        Json::Array(items) => items.len().into(),
                        Json::Object(members) => members.len().into(),
                        _ => 0.into(),
                    },
                    Function::And => last_or_first(values, |value| !is_true(value)),
                    Function::Or => last_or_first(values, is_true),
                }
            }
        }
    }

    fn put(&mut self, value: &Json) {
        let text = match value {
            Json::Null => return,
            Json::String(text) => text.clone(),
            value => value.to_string(),
        };
        if self.escape == Escape::Nothing {
            self.text.push_str(&text);
            return;
        }
        if self.begins_an_address() && !is_harmless(&text) {
            self.text.push('#');
            return;
        }
        escape(&mut self.text, &text);
    }

    /// True if what comes next is where a link or an image begins.
    fn begins_an_address(&self) -> bool {
        let before = self.text.trim_end();
        let before = before.strip_suffix(['"', '\'']).unwrap_or(before).trim_end();
        let Some(before) = before.strip_suffix('=') else {
            return false;
        };
        let before = before.trim_end().to_ascii_lowercase();
        ["href", "src", "action", "background"]
            .iter()
            .any(|name| before.ends_with(name))
    }
}

/// The first value for which `stops` holds, else the last.
fn last_or_first(values: impl Iterator<Item = Json>, stops: impl Fn(&Json) -> bool) -> Json {
    let mut last = Json::Null;
    for value in values {
        last = value;
        if stops(&last) {
            break;
        }
    }
    last
}

/// Go's truth: neither empty, zero, false nor absent.
fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(members) => !members.is_empty(),
    }
}

/// True unless the address names a scheme that runs what it says. Applications' own schemes are fine.
fn is_harmless(address: &str) -> bool {
    let bare: String = address
        .chars()
        .filter(|letter| !letter.is_whitespace() && !letter.is_control())
        .collect();
    let scheme = bare
        .split([':', '/', '?', '#'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    !matches!(scheme.as_str(), "javascript" | "vbscript" | "data")
}

/// Writes text so that it is text, also in a quoted attribute.
pub fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            '\0' => out.push('\u{FFFD}'),
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn html(template: &str, data: Json) -> String {
        Template::parse(template).unwrap().render(&data, Escape::Html)
    }

    #[test]
    fn values_are_put_in_and_escaped() {
        let data = json!({"Email": "a@x", "Data": {"name": "<b>\"O'Hara\"</b>", "n": 3}, "ConfirmationURL": "https://x/?a=1&b=2"});
        assert_eq!(
            html("Hi {{ .Data.name }}!", data.clone()),
            "Hi &lt;b&gt;&#34;O&#39;Hara&#34;&lt;/b&gt;!"
        );
        assert_eq!(
            html(r#"<a href="{{ .ConfirmationURL }}">{{.Email}}</a>"#, data.clone()),
            r#"<a href="https://x/?a=1&amp;b=2">a@x</a>"#
        );
        assert_eq!(html("{{ .Data.n }}{{ .Data.none.deep }}|", data.clone()), "3|");
        let plain = Template::parse("{{ .Data.name }}")
            .unwrap()
            .render(&data, Escape::Nothing);
        assert_eq!(plain, "<b>\"O'Hara\"</b>");
    }

    #[test]
    fn an_address_of_a_users_own_runs_nothing() {
        let data = |url: &str| json!({"Data": {"url": url}});
        for bad in [
            "javascript:alert(1)",
            " JavaScript:x",
            "java\tscript:x",
            "data:text/html,x",
        ] {
            assert_eq!(html("<a href='{{ .Data.url }}'>", data(bad)), "<a href='#'>", "{bad}");
        }
        assert_eq!(
            html("<a href = \"{{ .Data.url }}\">", data("https://x")),
            "<a href = \"https://x\">"
        );
        assert_eq!(html("<p>{{ .Data.url }}", data("data: x")), "<p>data: x");
    }

    #[test]
    fn conditions_choose() {
        let template = "{{ if eq .Data.lang \"de\" \"at\" }}Hallo{{ else if .Data.lang }}Hello{{ else }}?{{ end }}";
        for (lang, text) in [
            (json!("de"), "Hallo"),
            (json!("at"), "Hallo"),
            (json!("en"), "Hello"),
            (json!(""), "?"),
        ] {
            assert_eq!(html(template, json!({"Data": {"lang": lang}})), text);
        }
        assert_eq!(html(template, json!({})), "?");
        let data = json!({"A": 1, "B": 0, "C": [1, 2]});
        assert_eq!(html("{{ if and .A (not .B) (ne .A 2) }}y{{ end }}", data.clone()), "y");
        assert_eq!(html("{{ or .B .None \"z\" }}{{ len .C }}", data.clone()), "z2");
        assert_eq!(
            html(
                "{{ with .C }}[{{ range . }}{{ . }}{{ $.A }}{{ end }}]{{ end }}",
                data.clone()
            ),
            "[1121]"
        );
        assert_eq!(html("{{ range .None }}x{{ else }}none{{ end }}", data.clone()), "none");
        assert_eq!(html("a \n{{- /* no */ -}}\n b{{/* c */}}", data), "ab");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        for (bad, line) in [
            ("\n{{ .A", "line 2"),
            ("{{ if .A }}", "line 1"),
            ("{{ end }}", "line 1"),
            ("{{ printf \"%s\" .A }}", "printf"),
            ("a\nb\n{{ .A | html }}", "line 3"),
            ("{{ if }}x{{ end }}", "line 1"),
            ("{{ eq .A \"x }}", "line 1"),
            ("{{ template \"x\" }}", "template"),
            ("{{ else }}", "line 1"),
            ("{{ }}", "line 1"),
        ] {
            let error = Template::parse(bad).unwrap_err();
            assert!(error.contains(line), "{bad}: {error}");
        }
    }
}
