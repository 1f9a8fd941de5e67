//! The only place where SQL text is put together.
//!
//! Parts that cannot be confused: literals of ours ([`Sql::push`]), quoted identifiers ([`Sql::ident`]), bound values
//! ([`Sql::bind`]), and text that the database itself gave us ([`Sql::catalog_text`]). Request text is never pushed.

use std::fmt::Write;

use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::plan::ValueRef;
use mainstay_core::types::Type;

/// What a `$n` stands for; the value is found when the statement is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// A request value in PostgreSQL's input syntax.
    Value(ValueRef),
    /// A list value as an array literal.
    List(ValueRef),
    /// The body, as a JSON array.
    Payload,
    /// A call's arguments as one JSON object.
    Arguments(Vec<(String, ValueRef)>),
    /// The cap of an estimated count, or null.
    CountLimit,
    /// Text known when the statement was made.
    Constant(String),
}

/// SQL text in the making, with its parameters.
#[derive(Clone, Debug, Default)]
pub struct Sql {
    text: String,
    params: Vec<Param>,
}

impl Sql {
    /// Appends a piece of ours.
    pub fn push(&mut self, piece: &'static str) -> &mut Self {
        self.text.push_str(piece);
        self
    }

    /// Appends a quoted identifier.
    pub fn ident(&mut self, name: &str) -> &mut Self {
        quote_into(&mut self.text, name);
        self
    }

    /// Appends a quoted, schema-qualified name.
    pub fn name(&mut self, name: &QualifiedName) -> &mut Self {
        self.ident(&name.schema).push(".").ident(&name.name)
    }

    /// Appends `alias."column"`.
    pub fn column(&mut self, alias: &Alias, column: &Ident) -> &mut Self {
        self.alias(alias).push(".").ident(column)
    }

    /// Appends a table alias of ours.
    pub fn alias(&mut self, alias: &Alias) -> &mut Self {
        self.ident(&alias.0.clone())
    }

    /// Appends a type's name, quoted and qualified.
    pub fn type_name(&mut self, ty: &Type) -> &mut Self {
        match ty {
            Type::Array(element) => self.type_name(element).push("[]"),
            Type::Enum(name) | Type::Domain(name, _) | Type::Composite(name) | Type::Other(name) => self.name(name),
            builtin => {
                let name = builtin.internal_name();
                self.push("pg_catalog.").ident(&name)
            }
        }
    }

    /// Appends a placeholder.
    pub fn bind(&mut self, param: Param) -> &mut Self {
        self.params.push(param);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "${}", self.params.len());
        self
    }

    /// Appends text that PostgreSQL itself printed (`pg_get_expr`), such as a column's default.
    pub fn catalog_text(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a string literal: text from the catalog or from the operator, never from a request.
    pub fn literal(&mut self, text: &str) -> &mut Self {
        let literal = literal(text);
        self.text.push_str(&literal);
        self
    }

    /// Appends another text; its placeholders are numbered anew.
    pub fn append(&mut self, other: Sql) -> &mut Self {
        if self.params.is_empty() {
            self.text.push_str(&other.text);
            self.params = other.params;
            return self;
        }
        let offset = self.params.len();
        let mut rest = other.text.as_str();
        while let Some(at) = next_placeholder(rest) {
            self.text.push_str(&rest[..at]);
            let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let number: usize = rest[at + 1..at + 1 + digits].parse().unwrap_or(0);
            let _ = write!(self.text, "${}", number + offset);
            rest = &rest[at + 1 + digits..];
        }
        self.text.push_str(rest);
        self.params.extend(other.params);
        self
    }

    /// True if nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text and its parameters.
    pub fn finish(self) -> (String, Vec<Param>) {
        (self.text, self.params)
    }
}

/// The first `$n` outside of quotes.
fn next_placeholder(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    for (index, &byte) in bytes.iter().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if byte == b'$' && bytes.get(index + 1).is_some_and(u8::is_ascii_digit) => return Some(index),
            None => {}
        }
    }
    None
}

/// A table alias made by us: a letter and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias(String);

impl Alias {
    /// The `number`-th alias with that letter.
    pub fn numbered(letter: char, number: usize) -> Self {
        Alias(format!("{letter}{number}"))
    }
}

fn quote_into(out: &mut String, name: &str) {
    out.push('"');
    for character in name.chars() {
        if character == '"' {
            out.push('"');
        }
        out.push(character);
    }
    out.push('"');
}

/// `name` as a quoted identifier.
pub fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    quote_into(&mut out, name);
    out
}

/// `text` as a string literal. For text from the catalog or from the operator, never from a request.
pub fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_names_are_doubled() {
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .ident("a\"b; drop table x")
            .push(", ")
            .bind(Param::Value(3));
        assert_eq!(
            sql.finish(),
            ("SELECT \"a\"\"b; drop table x\", $1".into(), vec![Param::Value(3)])
        );
        assert_eq!(literal("it's\\"), "E'it''s\\\\'");
    }

    #[test]
    fn appended_text_is_numbered_after_ours() {
        let mut inner = Sql::default();
        inner
            .ident("$1")
            .push(" = ")
            .bind(Param::Value(0))
            .push(" + ")
            .bind(Param::Value(1));
        let mut outer = Sql::default();
        outer.bind(Param::Payload).push(" ");
        outer.append(inner);
        assert_eq!(outer.finish().0, "$1 \"$1\" = $2 + $3");
    }
}
