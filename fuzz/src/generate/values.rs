//! Values worth trying: boundaries, odd spellings, what other programs get wrong.
//!
//! Lives here: literals by type, and what the arguments of some functions must look like to say anything.
//! Not here: how they are put together (`expression`).
//!
//! Left out, because documented: NaN floats, years outside 1 to 9999, infinite times (difference 4).

use mainstay_core::types::Type;

use crate::random::Random;

/// The texts of a type's values; the input functions of both engines accept them.
pub fn texts(ty: &Type) -> &'static [&'static str] {
    match ty {
        Type::Bool => &["true", "false"],
        Type::Int2 => &["0", "1", "-1", "2", "3", "7", "42", "100", "32767", "-32768", "32766"],
        Type::Int4 => &[
            "0",
            "1",
            "-1",
            "2",
            "3",
            "5",
            "10",
            "99",
            "1000",
            "65536",
            "2147483647",
            "-2147483648",
            "-2147483647",
        ],
        Type::Int8 => &[
            "0",
            "1",
            "-1",
            "2",
            "17",
            "2147483648",
            "-2147483649",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "1000000000000",
        ],
        Type::Float4 => &[
            "0", "1", "1.5", "-2.25", "3.4e38", "1e-40", "0.1", "16777217", "1e10", "Infinity",
        ],
        Type::Float8 => &[
            "0",
            "1",
            "0.1",
            "0.3",
            "-1.5",
            "2.5",
            "3.5",
            "1e15",
            "1e-5",
            "123456789.125",
            "1e300",
            "5e-324",
            "1e21",
            "-Infinity",
        ],
        Type::Numeric => &[
            "0",
            "0.0",
            "1",
            "1.0",
            "1.50",
            "-1.5",
            "2.5",
            "3.14159",
            "0.000001",
            "100",
            "1e3",
            "-0.5",
            "10.10",
            "99999999999999999999.99",
            "12345678901234567890",
            "0.1",
            "7",
            "NaN",
        ],
        Type::Text | Type::Varchar | Type::Name => &[
            "",
            "a",
            "b",
            "A",
            "abc",
            "ABC",
            "Abc def",
            " a b ",
            "é",
            "É",
            "naïve",
            "日本",
            "😀x",
            "ß",
            "İ",
            "it''s",
            "a\"b",
            "a\\b",
            "100%",
            "a_b",
            "%",
            "_",
            "x,y",
            "1",
            "-5",
            "3.5",
            "true",
            "null",
            "line\nfeed",
            "tab\there",
            "foo bar baz",
            "aaa",
            "{a,b}",
            "2024-01-31",
        ],
        Type::Uuid => &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12",
        ],
        Type::Date => &[
            "2024-01-31",
            "2024-02-29",
            "2023-02-28",
            "2000-01-01",
            "1999-12-31",
            "1970-01-01",
            "2024-12-30",
            "2021-01-03",
            "1900-03-01",
            "2038-01-19",
        ],
        Type::Time => &[
            "00:00:00",
            "12:30:00",
            "23:59:59.999999",
            "01:02:03.5",
            "12:00",
            "24:00:00",
        ],
        Type::Timestamp => &[
            "2024-01-31 10:00:00",
            "2024-02-29 23:59:59.999999",
            "1999-12-31 00:00:00",
            "2024-03-31 01:30:00",
            "1970-01-01 00:00:00",
            "2023-10-29 02:30:00.5",
            "2024-12-30 12:00:00",
        ],
        Type::Timestamptz => &[
            "2024-01-31 10:00:00+00",
            "2024-02-29 23:59:59.999999+02",
            "1999-12-31 00:00:00-05",
            "2024-03-31 01:30:00+00",
            "1970-01-01 00:00:00+00",
            "2023-10-29 02:30:00.5+05:30",
            "2024-06-30 22:15:00Z",
        ],
        Type::Interval => &[
            "1 day",
            "-1 day",
            "1 month",
            "1 year 2 mons 3 days 04:05:06.7",
            "00:00:00",
            "36:00:00",
            "-00:00:01.5",
            "1 mon -1 day",
            "30 days",
            "0.5 days",
            "100 years",
            "1 week",
        ],
        Type::Json => &[
            "{}",
            "[]",
            "null",
            "true",
            "1",
            "1.50",
            "\"a\"",
            "{\"a\": 1}",
            "{\"b\":[1,2,{\"c\":null}],\"a\":\"x\"}",
            "[1, \"two\", null, 3.0]",
            "{\"a\":1,\"a\":2}",
            "\"\\u00e9\\n\"",
            " [ 1 , 2 ] ",
        ],
        Type::Jsonb => &[
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "1",
            "1.50",
            "-0.0",
            "1e2",
            "\"a\"",
            "{\"a\": 1}",
            "{\"b\":[1,2,{\"c\":null}],\"a\":\"x\"}",
            "[1, \"two\", null, 3.0]",
            "{\"a\":1,\"a\":2,\"aa\":3}",
            "\"\\u00e9\\n\"",
            "{\"a\":{\"b\":{\"c\":[0,1]}}}",
            "[[1],[2,[3]]]",
            "12345678901234567890.5",
        ],
        Type::Bytea => &["\\x", "\\x00", "\\xdeadbeef", "\\x616263", "\\xff00"],
        Type::Array(element) => match **element {
            Type::Int4 | Type::Int8 => &[
                "{}",
                "{1}",
                "{1,2,3}",
                "{1,NULL,3}",
                "{-1,2147483647}",
                "{3,2,1}",
                "{1,1}",
            ],
            Type::Text => &[
                "{}",
                "{a}",
                "{a,b,c}",
                "{a,NULL}",
                "{\"x,y\",\"\"}",
                "{\"a\\\"b\",\"NULL\"}",
                "{b,a,a}",
            ],
            _ => &["{}"],
        },
        _ => &[],
    }
}

/// A literal of `ty` in one of the ways to write it, or `None` for a type that has none here.
pub fn literal(random: &mut Random, ty: &Type) -> Option<String> {
    if let Type::Enum(name) = ty {
        let label = *random.pick(LABELS);
        return Some(format!("'{}'::{}", label.replace('\'', "''"), name.name));
    }
    let texts = texts(ty);
    if texts.is_empty() {
        return None;
    }
    let text = *random.pick(texts);
    Some(match ty {
        Type::Bool => text.to_owned(),
        Type::Int4 if random.chance(70) && !text.starts_with('-') => text.to_owned(),
        Type::Numeric if random.chance(60) && text.contains('.') && !text.starts_with('-') => text.to_owned(),
        // The quotes in the list are doubled already.
        _ if random.chance(85) => format!("'{text}'::{}", spelled(random, ty)),
        _ => format!("cast('{text}' as {ty})"),
    })
}

fn spelled(random: &mut Random, ty: &Type) -> String {
    let short = random.chance(50);
    if short && !matches!(ty, Type::Array(_)) {
        ty.internal_name()
    } else {
        ty.to_string()
    }
}

/// The labels of the enum that every schema has, in declared order.
pub const LABELS: &[&str] = &["sad", "ok", "happy", "it's", "Über"];

/// What an argument must look like for a function to do something with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    Small,
    Tiny,
    Count,
    Code,
    Shift,
    Unit,
    Field,
    TimeFormat,
    NumberFormat,
    Encoding,
    Charset,
    Zone,
    Pattern,
    Like,
    Flags,
    FormatString,
    Month,
    Year,
    Seconds,
    Stride,
    Path,
    Factor,
    Exponent,
    Castable,
    DateText,
    DateFormat,
}

/// The hint for argument `at` of `name`, whose arguments are `types`.
pub fn hint(name: &str, at: usize, types: &[Type]) -> Option<Hint> {
    let first = types.first();
    Some(match (name, at) {
        ("repeat" | "lpad" | "rpad" | "substr" | "substring" | "left" | "right" | "split_part", 1..)
            if types.get(at) == Some(&Type::Int4) =>
        {
            Hint::Small
        }
        ("overlay", 2..) | ("round" | "trunc", 1) => Hint::Small,
        ("array_length" | "array_upper" | "array_lower", 1) => Hint::Tiny,
        ("factorial", 0) | ("width_bucket", 3) => Hint::Count,
        ("chr", 0) => Hint::Code,
        ("<<" | ">>", 1) => Hint::Shift,
        // A cast, which has no name.
        ("", 0) if matches!(first, Some(Type::Text | Type::Varchar)) => Hint::Castable,
        ("to_date" | "to_timestamp", 0) if first == Some(&Type::Text) => Hint::DateText,
        ("date_trunc", 0) => Hint::Unit,
        ("extract" | "date_part", 0) => Hint::Field,
        ("to_char", 1) => match first {
            Some(Type::Timestamp | Type::Timestamptz | Type::Interval | Type::Date) => Hint::TimeFormat,
            _ => Hint::NumberFormat,
        },
        ("to_date" | "to_timestamp", 1) => Hint::DateFormat,
        ("encode" | "decode", 1) => Hint::Encoding,
        ("convert_from" | "convert_to", 1) => Hint::Charset,
        ("timezone", 0) | ("date_trunc", 2) | ("make_timestamptz", 6) => Hint::Zone,
        ("~" | "!~" | "~*" | "!~*" | "regexp_replace" | "regexp_match" | "regexp_count" | "regexp_like", 1)
        | ("regexp_split_to_array", 1) => Hint::Pattern,
        ("substring", 1) => Hint::Pattern,
        ("regexp_replace", 3) | ("regexp_match" | "regexp_like", 2) => Hint::Flags,
        ("~~" | "!~~" | "~~*" | "!~~*", 1) => Hint::Like,
        ("format", 0) => Hint::FormatString,
        ("make_date" | "make_timestamp" | "make_timestamptz", 0) => Hint::Year,
        ("make_date" | "make_timestamp" | "make_timestamptz", 1..=4) | ("make_time", 0..=1) => Hint::Month,
        ("make_time", 2) | ("make_timestamp" | "make_timestamptz", 5) | ("make_interval", 6) => Hint::Seconds,
        ("make_interval", _) => Hint::Small,
        ("date_bin", 0) => Hint::Stride,
        ("jsonb_set" | "jsonb_insert", 1) | ("#>" | "#>>" | "#-", 1) => Hint::Path,
        ("+" | "-", 1) if first == Some(&Type::Date) && types.get(1) == Some(&Type::Int4) => Hint::Small,
        ("+", 0) if first == Some(&Type::Int4) && types.get(1) == Some(&Type::Date) => Hint::Small,
        ("*" | "/", 1) if first == Some(&Type::Interval) => Hint::Factor,
        ("*", 0) if first == Some(&Type::Float8) && types.get(1) == Some(&Type::Interval) => Hint::Factor,
        ("power" | "pow" | "^", _) | ("exp", _) => Hint::Exponent,
        ("to_timestamp", 0) if first == Some(&Type::Float8) => Hint::Seconds,
        _ => return None,
    })
}

/// A literal as `hint` wants it.
pub fn hinted(random: &mut Random, hint: Hint, ty: &Type) -> String {
    let of = |random: &mut Random, texts: &[&str]| -> String {
        let text = *random.pick(texts);
        match ty {
            Type::Text if random.chance(50) => format!("'{text}'"),
            Type::Array(_) | Type::Name | Type::Interval => format!("'{text}'::{ty}"),
            _ => format!("'{text}'::{}", ty.internal_name()),
        }
    };
    match hint {
        Hint::Small => random.between(-3, 12).to_string(),
        Hint::Tiny => random.between(-1, 2).to_string(),
        Hint::Count => random.between(-1, 25).to_string(),
        Hint::Code => (*random.pick(&[0, 65, 97, 233, 8364, 128512, 55296, 1114111, 1114112, -1])).to_string(),
        Hint::Shift => random.between(0, 15).to_string(),
        Hint::Unit => of(
            random,
            &[
                "second",
                "minute",
                "hour",
                "day",
                "week",
                "month",
                "quarter",
                "year",
                "decade",
                "century",
                "millennium",
                "milliseconds",
                "microseconds",
                "MONTH",
                "fortnight",
            ],
        ),
        Hint::Field => of(
            random,
            &[
                "second",
                "minute",
                "hour",
                "day",
                "week",
                "month",
                "quarter",
                "year",
                "decade",
                "century",
                "millennium",
                "milliseconds",
                "microseconds",
                "epoch",
                "dow",
                "isodow",
                "doy",
                "isoyear",
                "julian",
            ],
        ),
        Hint::TimeFormat => of(
            random,
            &[
                "YYYY-MM-DD",
                "YYYY-MM-DD HH24:MI:SS",
                "DD.MM.YY",
                "HH12:MI AM",
                "Mon DD",
                "FMMonth FMDD, YYYY",
                "Day",
                "FMDay",
                "Dy",
                "IYYY-IW",
                "Q",
                "DDD",
                "MS",
                "US",
                "SSSS",
                "D",
                "WW",
                "\"text\" YYYY",
                "HH24MISS",
                "DDth",
                "YYYY\"y\"",
                "month",
                "MONTH",
                "DY",
                "ID",
                "TZ",
                "CC",
                "J",
                "a.m.",
                "Y,YYY",
            ],
        ),
        Hint::NumberFormat => of(
            random,
            &[
                "999",
                "9990.00",
                "FM999.00",
                "000",
                "S999",
                "999MI",
                "9,999",
                "FM9,999.99",
                "0.99",
                "999PR",
                "9.9EEEE",
                "L99",
                "FM0000",
                "99D99",
                "9G999",
            ],
        ),
        Hint::Encoding => of(random, &["hex", "base64", "escape", "HEX", "nonsense"]),
        Hint::Charset => of(random, &["UTF8", "utf8"]),
        Hint::Zone => of(
            random,
            &[
                "UTC",
                "Europe/Berlin",
                "America/New_York",
                "Asia/Kolkata",
                "Australia/Sydney",
                "+02",
                "-05:30",
                "Nowhere/City",
            ],
        ),
        Hint::Pattern => of(
            random,
            &[
                "a",
                "^a",
                "b$",
                "[a-c]+",
                "(a|b)c",
                "a.c",
                "\\\\d+",
                "\\\\s",
                "[[:alpha:]]+",
                "^$",
                "x*",
                "a{2,3}",
                "\\\\w+\\\\M",
                "(?i)ABC",
                "[^a]",
                "é",
                "(a)(b)",
                ".",
                "a+?",
                "",
            ],
        )
        .replace("\\\\", "\\"),
        Hint::Like => of(
            random,
            &[
                "a%", "%a", "%b%", "_", "%", "", "A%", "a\\_b", "100\\%", "%é%", "abc", "a_c", "%\\\\%",
            ],
        ),
        Hint::Flags => of(random, &["", "g", "i", "gi"]),
        Hint::FormatString => of(
            random,
            &["%s", "%I", "%L", "[%s]", "%%", "%1$s %1$s", "%-5s|", "%5s", "none"],
        ),
        Hint::Month => random.between(0, 13).to_string(),
        Hint::Year => (*random.pick(&[1900, 1999, 2000, 2023, 2024])).to_string(),
        Hint::Seconds => (*random.pick(&["0", "1.5", "59.999", "30", "0.000001"])).to_owned(),
        Hint::Stride => of(random, &["15 minutes", "1 hour", "1 day", "7 days", "00:00:01"]),
        Hint::Path => of(
            random,
            &["{a}", "{a,b}", "{b,0}", "{0}", "{-1}", "{b,2,c}", "{}", "{zz}"],
        ),
        // What PostgreSQL reads as a time goes far beyond what is documented here (difference 4).
        Hint::Castable => of(
            random,
            &[
                "2024-02-29",
                "2024-01-31 10:00:00",
                "12:30:00",
                "1 day",
                "true",
                "f",
                "1",
                "-5",
                "1.50",
                "{}",
                "[1, 2]",
                "abc",
                "",
                "1e3",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "99999999999",
                " 7 ",
                "null",
                "2024-13-01",
                "yes",
            ],
        ),
        Hint::DateText => of(random, &["2024-12-30 12:30:45", "1999-12-31 00:00:00"]),
        Hint::DateFormat => of(random, &["YYYY-MM-DD", "YYYY-MM-DD HH24:MI:SS"]),
        Hint::Factor => (*random.pick(&["2", "0.5", "1.5", "3", "10"])).to_owned(),
        Hint::Exponent => match ty {
            Type::Numeric => (*random.pick(&["0", "1", "2", "0.5", "3", "10.0", "1.5"])).to_owned(),
            _ => format!("{}::float8", random.pick(&["0", "1", "2", "0.5", "3", "10", "-1"])),
        },
    }
}
