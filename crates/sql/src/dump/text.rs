//! SQL text from parts that cannot be confused: our words, quoted names, text constants, and text that a catalog keeps.

use mainstay_core::name::{Ident, QualifiedName};

use crate::ddl::{identifier, literal};

/// A statement, or a part of one, as it grows.
#[derive(Clone, Debug, Default)]
pub struct SqlText {
    text: String,
}

impl SqlText {
    /// Nothing yet.
    pub fn new() -> Self {
        SqlText::default()
    }

    /// Words known at compile time.
    pub fn sql(&mut self, words: &'static str) -> &mut Self {
        self.text.push_str(words);
        self
    }

    /// A name, in quotes where it needs them.
    pub fn ident(&mut self, name: &Ident) -> &mut Self {
        self.text.push_str(&identifier(name));
        self
    }

    /// `schema.name`.
    pub fn name(&mut self, name: &QualifiedName) -> &mut Self {
        self.ident(&name.schema).sql(".").ident(&name.name)
    }

    /// A text constant.
    pub fn literal(&mut self, text: &str) -> &mut Self {
        self.text.push_str(&literal(text));
        self
    }

    /// A whole number.
    pub fn number(&mut self, number: i64) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// PostgreSQL text that a catalog keeps: an expression, a type, a query.
    pub fn kept(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// `, ` before all but the first.
    pub fn comma(&mut self, position: usize) -> &mut Self {
        if position > 0 {
            self.text.push_str(", ");
        }
        self
    }

    /// Items with commas between them.
    pub fn each<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) -> &mut Self {
        for (position, item) in items.into_iter().enumerate() {
            self.comma(position);
            write(self, item);
        }
        self
    }

    /// `(a, b)`.
    pub fn idents<'a>(&mut self, names: impl IntoIterator<Item = &'a Ident>) -> &mut Self {
        self.sql("(");
        self.each(names, |text, name| {
            text.ident(name);
        });
        self.sql(")")
    }

    /// A text between dollar signs, with a tag that does not appear in it.
    pub fn dollar_quoted(&mut self, tag: &'static str, text: &str) -> &mut Self {
        let mut mark = ["$", tag, "$"].concat();
        while text.contains(&mark) {
            mark.insert(1, 'x');
        }
        self.text.push_str(&mark);
        self.text.push_str(text);
        self.text.push_str(&mark);
        self
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}
