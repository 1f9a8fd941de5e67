//! Rows of one width, their values as text in one buffer.

/// What marks a null in [`Rows`].
const NULL: u32 = u32::MAX;

/// Rows of one width, their values as text in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    width: usize,
    count: usize,
    text: Vec<u8>,
    /// Bytes of each value, or [`NULL`].
    lengths: Vec<u32>,
}

impl Rows {
    /// No rows, of `width` values each.
    pub fn new(width: usize) -> Self {
        Rows {
            width,
            ..Rows::default()
        }
    }

    /// Appends the next value of the row in the making. A value of 4 GiB or more is cut: no engine stores one.
    pub fn push(&mut self, value: Option<&[u8]>) {
        match value {
            Some(bytes) => self.push_with(|text| text.extend_from_slice(bytes)),
            None => self.lengths.push(NULL),
        }
    }

    /// Appends the next value, written by `write`.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        let length = self.text.len() - start;
        self.lengths.push(u32::try_from(length).unwrap_or(NULL - 1));
    }

    /// Ends a row.
    pub fn end_row(&mut self) {
        self.count += 1;
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all values together.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Calls `each` with the values of every row, in order, until it fails.
    pub fn each<'a, E>(&'a self, mut each: impl FnMut(&[Option<&'a [u8]>]) -> Result<(), E>) -> Result<(), E> {
        let mut row: Vec<Option<&[u8]>> = Vec::with_capacity(self.width);
        let mut at = 0;
        let mut lengths = self.lengths.iter();
        for _ in 0..self.count {
            row.clear();
            for length in lengths.by_ref().take(self.width) {
                if *length == NULL {
                    row.push(None);
                } else {
                    let end = at + *length as usize;
                    row.push(self.text.get(at..end));
                    at = end;
                }
            }
            each(&row)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let mut rows = Rows::new(3);
        rows.push(Some(b"1"));
        rows.push(None);
        rows.push(Some(b""));
        rows.end_row();
        rows.push_with(|text| text.extend_from_slice("käse".as_bytes()));
        rows.push(Some(b"x"));
        rows.push(None);
        rows.end_row();
        let mut seen: Vec<Vec<Option<String>>> = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        rows.each::<()>(|row| {
            seen.push(row.iter().map(|value| value.map(text)).collect());
            Ok(())
        })
        .unwrap();
        assert_eq!(
            seen,
            [
                [Some("1".into()), None, Some(String::new())],
                [Some("käse".into()), Some("x".into()), None]
            ]
        );
        assert_eq!((rows.len(), rows.bytes(), rows.width()), (2, 7, 3));
    }

    #[test]
    fn a_row_without_columns_is_a_row() {
        let mut rows = Rows::new(0);
        rows.end_row();
        let mut seen = 0;
        rows.each::<()>(|row| {
            seen += 1 + row.len();
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, 1);
    }
}
