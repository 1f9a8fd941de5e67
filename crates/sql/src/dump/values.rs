//! Rows as INSERTs of several rows each.

use mainstay_core::name::{Ident, QualifiedName};

use super::text::SqlText;

/// Rows of one INSERT, at most.
const ROWS_MAX: usize = 500;

/// Bytes of one INSERT, about; a row that is larger stands alone.
const BYTES_MAX: usize = 256 * 1024;

/// The rows of one table on their way into a text. The same rows give the same text, however they come.
#[derive(Debug)]
pub struct Inserts {
    head: String,
    /// For each column, how its values are written.
    kinds: Vec<Kind>,
    pending: String,
    rows: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Boolean,
    Text,
}

impl Inserts {
    /// `columns`: name and type. `overriding`: values for identities are given.
    pub fn new(table: &QualifiedName, columns: &[(Ident, String)], overriding: bool) -> Self {
        let mut head = SqlText::new();
        head.sql("INSERT INTO ").name(table).sql(" ");
        head.idents(columns.iter().map(|(name, _)| name));
        if overriding {
            head.sql(" OVERRIDING SYSTEM VALUE");
        }
        head.sql(" VALUES\n");
        Inserts {
            head: head.finish(),
            kinds: columns.iter().map(|(_, ty)| Kind::of(ty)).collect(),
            pending: String::new(),
            rows: 0,
        }
    }

    /// Takes one row; gives a statement, with its semicolon and a line's end, when enough have come.
    pub fn row(&mut self, values: &[Option<String>]) -> Option<String> {
        let mut text = SqlText::new();
        text.sql("(");
        text.each(values.iter().zip(&self.kinds), |text, (value, kind)| {
            write_value(text, *kind, value.as_deref());
        });
        text.sql(")");
        let row = text.finish();
        let full = self.rows >= ROWS_MAX || (self.rows > 0 && self.pending.len() + row.len() > BYTES_MAX);
        let statement = if full { self.finish() } else { None };
        if self.rows > 0 {
            self.pending.push_str(",\n");
        }
        self.pending.push_str(&row);
        self.rows += 1;
        statement
    }

    /// The rest.
    pub fn finish(&mut self) -> Option<String> {
        if self.rows == 0 {
            return None;
        }
        self.rows = 0;
        let rows = std::mem::take(&mut self.pending);
        Some([self.head.as_str(), &rows, ";\n"].concat())
    }
}

impl Kind {
    fn of(ty: &str) -> Self {
        match ty {
            "smallint" | "integer" | "bigint" | "real" | "double precision" | "numeric" => Kind::Number,
            "boolean" => Kind::Boolean,
            other if other.starts_with("numeric(") && other.ends_with(')') => Kind::Number,
            _ => Kind::Text,
        }
    }
}

fn write_value(text: &mut SqlText, kind: Kind, value: Option<&str>) {
    match (kind, value) {
        (_, None) => text.sql("NULL"),
        // As a number, minus zero would be zero.
        (Kind::Number, Some(number)) if is_number(number) && number != "-0" => text.kept(number),
        (Kind::Boolean, Some("t" | "true")) => text.sql("true"),
        (Kind::Boolean, Some("f" | "false")) => text.sql("false"),
        (_, Some(other)) => text.literal(other),
    };
}

/// True for what SQL writes as a number; `NaN` and `Infinity` are texts.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_by_their_type() {
        let columns: Vec<(Ident, String)> = [("a", "integer"), ("order", "boolean"), ("t", "text"), ("f", "real")]
            .map(|(name, ty)| (Ident::new(name), ty.to_owned()))
            .to_vec();
        let mut inserts = Inserts::new(&QualifiedName::new("public", "t"), &columns, true);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            inserts.row(&[some("-1"), some("t"), some("it's \\"), some("NaN")]),
            None
        );
        assert_eq!(inserts.row(&[None, some("f"), None, some("1e-07")]), None);
        assert_eq!(
            inserts.finish().unwrap(),
            "INSERT INTO public.t (a, \"order\", t, f) OVERRIDING SYSTEM VALUE VALUES\n\
             (-1, true, E'it''s \\\\', 'NaN'),\n(NULL, false, NULL, 1e-07);\n"
        );
        assert_eq!(inserts.finish(), None);
    }

    #[test]
    fn a_statement_ends_after_enough_rows() {
        let columns = [(Ident::new("a"), "integer".to_owned())];
        let mut inserts = Inserts::new(&QualifiedName::new("public", "t"), &columns, false);
        let statements = (0..=ROWS_MAX)
            .filter_map(|n| inserts.row(&[Some(n.to_string())]))
            .count();
        assert_eq!(statements, 1);
        assert_eq!(
            inserts.finish().unwrap(),
            format!("INSERT INTO public.t (a) VALUES\n({ROWS_MAX});\n")
        );
    }
}
