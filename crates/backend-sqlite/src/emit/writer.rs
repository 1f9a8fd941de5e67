//! Writes SQL from parts that cannot be confused: literal text, quoted identifiers, placeholders.

use mainstay_core::name::{Ident, QualifiedName};

use super::binds::Bind;

/// The schema whose tables have no prefix in the file.
const PLAIN_SCHEMA: &str = "public";

/// SQL text and what stands behind its placeholders.
#[derive(Clone, Debug, Default)]
pub struct SqlWriter {
    text: String,
    binds: Vec<Bind>,
}

impl SqlWriter {
    /// An empty statement.
    pub fn new() -> Self {
        SqlWriter::default()
    }

    /// Text known at compile time.
    pub fn sql(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A quoted identifier.
    pub fn ident(&mut self, name: &Ident) -> &mut Self {
        self.quoted(&[name])
    }

    /// `left."right"` with both quoted.
    pub fn column(&mut self, table: &Ident, column: &Ident) -> &mut Self {
        self.quoted(&[table]).sql(".").quoted(&[column])
    }

    /// A table, index or other object by its name in the file: `"todos"`, `"auth.users"`.
    pub fn object(&mut self, name: &QualifiedName) -> &mut Self {
        if name.schema == PLAIN_SCHEMA {
            self.quoted(&[&name.name])
        } else {
            self.quoted(&[&name.schema, &name.name])
        }
    }

    /// A decimal number.
    pub fn number(&mut self, number: i64) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// A text constant of the schema's or a script's own text; a request's values are bound instead.
    pub fn literal(&mut self, text: &str) -> &mut Self {
        self.text.push('\'');
        for character in text.chars() {
            if character == '\'' {
                self.text.push('\'');
            }
            self.text.push(character);
        }
        self.text.push('\'');
        self
    }

    /// A bytes constant, likewise.
    pub fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.text.push_str("x'");
        self.text.push_str(&crate::values::bytea::hex(bytes).replace("\\x", ""));
        self.text.push('\'');
        self
    }

    /// An integer constant.
    pub fn integer(&mut self, number: i64) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// A floating point constant, likewise; infinities are numbers too large to read.
    pub fn real(&mut self, number: f64) -> &mut Self {
        let text = if number.is_infinite() {
            if number > 0.0 {
                "9e999".to_owned()
            } else {
                "-9e999".to_owned()
            }
        } else {
            format!("{number:e}")
        };
        if number.is_sign_negative() {
            self.text.push('(');
            self.text.push_str(&text);
            self.text.push(')');
        } else {
            self.text.push_str(&text);
        }
        self
    }

    /// A placeholder. The same bind twice is one placeholder.
    pub fn bind(&mut self, bind: Bind) -> &mut Self {
        let index = match self.binds.iter().position(|known| *known == bind) {
            Some(index) => index,
            None => {
                self.binds.push(bind);
                self.binds.len() - 1
            }
        };
        self.text.push('?');
        self.text.push_str(&(index + 1).to_string());
        self
    }

    /// Calls `each` for every item with `separator` between them.
    pub fn list<T>(
        &mut self,
        separator: &'static str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.sql(separator);
            }
            each(self, item);
        }
        self
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The binds so far.
    pub fn binds(&self) -> &[Bind] {
        &self.binds
    }

    /// The text and its binds, placeholder by placeholder.
    pub fn finish(self) -> (String, Vec<Bind>) {
        (self.text, self.binds)
    }

    /// Parts joined by a dot inside one pair of quotes.
    fn quoted(&mut self, parts: &[&Ident]) -> &mut Self {
        self.text.push('"');
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text.push('.');
            }
            for character in part.chars() {
                if character == '"' {
                    self.text.push('"');
                }
                self.text.push(character);
            }
        }
        self.text.push('"');
        self
    }
}

/// The name of an object in the file: `public.todos` → `todos`, `auth.users` → `auth.users`.
pub fn physical_name(name: &QualifiedName) -> Ident {
    if name.schema == PLAIN_SCHEMA {
        return name.name.clone();
    }
    let mut text = String::with_capacity(name.schema.len() + name.name.len() + 1);
    text.push_str(&name.schema);
    text.push('.');
    text.push_str(&name.name);
    Ident::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_and_binds_are_numbered() {
        let mut writer = SqlWriter::new();
        writer
            .sql("SELECT ")
            .ident(&Ident::new("a\"b"))
            .sql(" FROM ")
            .object(&QualifiedName::new("auth", "users"));
        writer
            .sql(" WHERE x = ")
            .bind(Bind::Text(3))
            .sql(" OR y = ")
            .bind(Bind::Integer(1))
            .sql(" OR z = ");
        writer.bind(Bind::Text(3));
        assert_eq!(
            writer.text(),
            r#"SELECT "a""b" FROM "auth.users" WHERE x = ?1 OR y = ?2 OR z = ?1"#
        );
        assert_eq!(writer.binds().len(), 2);
    }
}
