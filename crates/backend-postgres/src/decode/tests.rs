use super::*;

fn field(bytes: Option<&[u8]>) -> Vec<u8> {
    match bytes {
        Some(bytes) => [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat(),
        None => u32::MAX.to_be_bytes().to_vec(),
    }
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = (fields.len() as u16).to_be_bytes().to_vec();
    fields.iter().for_each(|bytes| out.extend(field(*bytes)));
    out
}

fn record(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = (fields.len() as u32).to_be_bytes().to_vec();
    for bytes in fields {
        out.extend(25_u32.to_be_bytes());
        out.extend(field(*bytes));
    }
    out
}

fn records(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [1_u32, 0, 2249, rows.len() as u32, 1] {
        out.extend(word.to_be_bytes());
    }
    rows.iter().for_each(|bytes| out.extend(field(Some(bytes))));
    out
}

fn one_text(name: &str) -> Shape {
    Shape {
        members: vec![Member::value(name, Cell::Text)],
        strip_nulls: false,
    }
}

fn json(shape: &Shape, row: &[u8]) -> String {
    let mut out = Vec::new();
    json_row(&mut out, shape, row).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn embeds_nest_and_empty_ones_are_lists_or_null() {
    let shape = Shape {
        members: vec![
            Member::value("id", Cell::Integer),
            Member::value("items", Cell::Rows(Box::new(one_text("t")))),
            Member::value("owner", Cell::Row(Box::new(one_text("name")))),
        ],
        strip_nulls: false,
    };
    let items = records(&[record(&[Some(b"a")]), record(&[None])]);
    let owner = record(&[Some(b"x\"y")]);
    let full = row(&[Some(&[0, 0, 0, 7]), Some(&items), Some(&owner)]);
    assert_eq!(
        json(&shape, &full),
        r#"{"id":7,"items":[{"t":"a"},{"t":null}],"owner":{"name":"x\"y"}}"#
    );
    assert_eq!(
        json(&shape, &row(&[None, None, None])),
        r#"{"id":null,"items":[],"owner":null}"#
    );
    let stripped = Shape {
        strip_nulls: true,
        ..shape
    };
    assert_eq!(json(&stripped, &row(&[None, None, None])), r#"{"items":[]}"#);
}

#[test]
fn spreads_become_members_and_arrays() {
    let shape = Shape {
        members: vec![Member::SpreadOne(one_text("a")), Member::SpreadMany(one_text("b"))],
        strip_nulls: false,
    };
    let many = records(&[record(&[Some(b"x")]), record(&[None])]);
    assert_eq!(
        json(&shape, &row(&[Some(&record(&[Some(b"v")])), Some(&many)])),
        r#"{"a":"v","b":["x",null]}"#
    );
    assert_eq!(json(&shape, &row(&[None, None])), r#"{"a":null,"b":[]}"#);
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    let shape = Shape {
        members: vec![Member::value("u", Cell::Uuid)],
        strip_nulls: false,
    };
    assert_eq!(json_row(&mut Vec::new(), &shape, &row(&[Some(b"short")])), Err(Misfit));
    assert_eq!(json_row(&mut Vec::new(), &shape, &[0, 1]), Err(Misfit));
}

#[test]
fn csv_quotes_what_needs_it_and_embeds_are_json() {
    let shape = Shape {
        members: vec![
            Member::value("a,b", Cell::Text),
            Member::value("e", Cell::Rows(Box::new(one_text("t")))),
            Member::SpreadOne(one_text("s")),
        ],
        strip_nulls: false,
    };
    let mut out = Vec::new();
    csv_header(&mut out, &shape);
    out.push(b'\n');
    let items = records(&[record(&[Some(b"x")])]);
    csv_row(&mut out, &shape, &row(&[Some(b"t"), Some(&items), None])).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\"a,b\",e,s\nt,\"[{\"\"t\"\":\"\"x\"\"}]\","
    );
}
