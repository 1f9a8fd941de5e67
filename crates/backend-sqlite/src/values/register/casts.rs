//! Input, output, casts and type modifiers.

use super::super::cast::{self, Input, Kind, Stored};
use super::super::datetime::interval::Interval;
use super::super::datetime::{DAY_US, date_text, read_timestamp, time_text, timestamp_text, timestamptz_text};
use super::super::errors::{PgError, Result};
use super::super::integer::{INT2, INT4, INT8, Width};
use super::super::numeric::Numeric;
use super::super::{array, float, jsonb, text};
use super::{Args, Registry};

fn context(a: &Args<'_, '_>) -> Result<Input> {
    Ok(Input {
        now: a.text_or_null(1)?.map(read_timestamp).transpose()?,
    })
}

fn is_time(kind: &Kind) -> bool {
    matches!(kind, Kind::Date | Kind::Time | Kind::Timestamp | Kind::Timestamptz)
}

pub(super) fn add(to: &mut Registry) {
    for kind in Kind::SCALARS {
        let name = kind.name();
        let arguments = if is_time(&kind) { "text [, timestamptz]" } else { "text" };
        for prefix in ["pg_in_", "pg_cast_text_"] {
            if prefix == "pg_cast_text_" && kind == Kind::Text {
                continue;
            }
            let kind = kind.clone();
            to.add(format!("{prefix}{name}"), arguments, name, move |a| {
                cast::input(&kind, a.text(0)?, &context(a)?)
            });
        }
        let element = kind.clone();
        to.add(format!("pg_in_array_{name}"), "text", "T[]", move |a| {
            array::parse(&element, a.text(0)?, &Input::default())
        });
        let element = kind.clone();
        to.add(format!("pg_out_array_{name}"), "T[]", "text", move |a| {
            array::output(&element, a.text(0)?)
        });
        let element = kind.clone();
        to.add(format!("pg_out_{name}"), name, "text", move |a| {
            cast::output(&element, a.raw(0))
        });
        if kind != Kind::Text {
            let element = kind.clone();
            to.add(format!("pg_cast_{name}_text"), name, "text", move |a| {
                cast::cast_text(&element, a.raw(0))
            });
        }
        let element = kind.clone();
        to.add(format!("pg_to_json_{name}"), name, "json", move |a| {
            let mut out = Vec::new();
            cast::write_json(&element, a.raw(0), &mut out);
            String::from_utf8(out).map_err(|_| PgError::internal("stored text is not UTF-8"))
        });
        let element = kind.clone();
        to.add(format!("pg_to_jsonb_{name}"), name, "jsonb", move |a| {
            cast::to_jsonb(&element, a.raw(0))
        });
        to.add(format!("pg_to_json_array_{name}"), "T[]", "json", |a| {
            Ok(a.text(0)?.to_owned())
        });
        to.add(format!("pg_to_jsonb_array_{name}"), "T[]", "jsonb", |a| {
            jsonb::canonical(a.text(0)?)
        });
    }
    numbers(to);
    others(to);
    modifiers(to);
}

fn f32_of(number: &Numeric) -> Result<f64> {
    match number {
        Numeric::Finite(_) => float::parse_f32(&number.to_string()).map(f64::from),
        other => float::to_f32(other.to_f64()?),
    }
}

fn numbers(to: &mut Registry) {
    const INTEGERS: [(&str, Width); 3] = [("int2", INT2), ("int4", INT4), ("int8", INT8)];
    for (name, width) in INTEGERS {
        for (other, _) in INTEGERS {
            if other != name {
                to.add(format!("pg_cast_{other}_{name}"), other, name, move |a| {
                    width.check(Some(a.int(0)?))
                });
            }
        }
        for other in ["float4", "float8"] {
            to.add(format!("pg_cast_{other}_{name}"), other, name, move |a| {
                float::to_integer(a.real(0)?, &width)
            });
        }
        to.add(format!("pg_cast_numeric_{name}"), "numeric", name, move |a| {
            a.numeric(0)?.to_integer(width.name, width.low, width.high)
        });
        to.add(format!("pg_cast_jsonb_{name}"), "jsonb", name, move |a| {
            Numeric::parse(a.json(0)?.number(width.name)?)?.to_integer(width.name, width.low, width.high)
        });
        to.add(format!("pg_cast_{name}_float4"), name, "float4", |a| {
            Ok(f64::from(a.int(0)? as f32))
        });
        to.add(format!("pg_cast_{name}_float8"), name, "float8", |a| {
            Ok(a.int(0)? as f64)
        });
        to.add(format!("pg_cast_{name}_numeric"), name, "numeric", |a| {
            Ok(Numeric::from(a.int(0)?))
        });
    }
    to.add("pg_cast_float4_float8", "float4", "float8", |a| a.real(0));
    to.add("pg_cast_float8_float4", "float8", "float4", |a| {
        float::to_f32(a.real(0)?)
    });
    to.add("pg_cast_float4_numeric", "float4", "numeric", |a| {
        Numeric::from_f32(a.real(0)? as f32)
    });
    to.add("pg_cast_float8_numeric", "float8", "numeric", |a| {
        Numeric::from_f64(a.real(0)?)
    });
    to.add("pg_cast_numeric_float8", "numeric", "float8", |a| {
        float::storable(a.numeric(0)?.to_f64()?)
    });
    to.add("pg_cast_numeric_float4", "numeric", "float4", |a| {
        float::storable(f32_of(&a.numeric(0)?)?)
    });
    to.add("pg_cast_jsonb_numeric", "jsonb", "numeric", |a| {
        Ok(a.json(0)?.number("numeric")?.to_owned())
    });
    to.add("pg_cast_jsonb_float8", "jsonb", "float8", |a| {
        Numeric::parse(a.json(0)?.number("double precision")?)?.to_f64()
    });
    to.add("pg_cast_jsonb_float4", "jsonb", "float4", |a| {
        f32_of(&Numeric::parse(a.json(0)?.number("real")?)?)
    });
    to.add("pg_cast_jsonb_bool", "jsonb", "bool", |a| a.json(0)?.boolean());
    to.add("pg_cast_int4_oid", "int4", "int8", |a| Ok(i64::from(a.int(0)? as u32)));
    to.add("pg_cast_oid_int4", "int8", "int4", |a| Ok(i64::from(a.int(0)? as i32)));
    to.add("pg_cast_int8_oid", "int8", "int8", |a| {
        u32::try_from(a.int(0)?)
            .map(i64::from)
            .map_err(|_| PgError::out_of_range("OID"))
    });
    to.add("pg_cast_bool_int4", "bool", "int4", |a| Ok(i64::from(a.bool(0)?)));
    to.add("pg_cast_int4_bool", "int4", "bool", |a| a.bool(0));
}

fn others(to: &mut Registry) {
    to.add("pg_cast_json_jsonb", "json", "jsonb", |a| jsonb::canonical(a.text(0)?));
    to.add("pg_cast_jsonb_json", "jsonb", "json", |a| Ok(a.text(0)?.to_owned()));
    to.add("pg_cast_date_timestamp", "date", "timestamp", |a| {
        Ok(timestamp_text(a.date(0)? * DAY_US))
    });
    to.add("pg_cast_date_timestamptz", "date", "timestamptz", |a| {
        Ok(timestamptz_text(a.date(0)? * DAY_US))
    });
    for name in ["timestamp", "timestamptz"] {
        to.add(format!("pg_cast_{name}_date"), name, "date", |a| {
            Ok(date_text(a.timestamp(0)?.div_euclid(DAY_US)))
        });
        to.add(format!("pg_cast_{name}_time"), name, "time", |a| {
            Ok(time_text(a.timestamp(0)?.rem_euclid(DAY_US)))
        });
    }
    to.add("pg_cast_timestamp_timestamptz", "timestamp", "timestamptz", |a| {
        Ok(timestamptz_text(a.timestamp(0)?))
    });
    to.add("pg_cast_timestamptz_timestamp", "timestamptz", "timestamp", |a| {
        Ok(timestamp_text(a.timestamp(0)?))
    });
    to.add("pg_cast_time_interval", "time", "interval", |a| {
        Ok(Interval {
            months: 0,
            days: 0,
            micros: a.time(0)?,
        })
    });
    to.add("pg_cast_interval_time", "interval", "time", |a| {
        Ok(time_text(a.interval(0)?.micros.rem_euclid(DAY_US)))
    });
    to.add("pg_enum_in", "text, text, text[]", "text", |a| {
        let (label, name) = (a.text(0)?, a.text(1)?);
        if a.texts(2)?.iter().flatten().any(|known| known == label) {
            Ok(label.to_owned())
        } else {
            Err(PgError::new(
                "22P02",
                format!("invalid input value for enum {name}: \"{label}\""),
            ))
        }
    });
}

fn modifiers(to: &mut Registry) {
    to.add("pg_typmod_numeric", "numeric, int4, int4", "numeric", |a| {
        a.numeric(0)?.apply_modifier(a.int(1)?, a.int(2)?)
    });
    to.add("pg_typmod_varchar", "text, int4", "text", |a| {
        text::assign_varchar(a.text(0)?, a.int(1)?).map(str::to_owned)
    });
    to.add("pg_trunc_varchar", "text, int4", "text", |a| {
        Ok(text::truncate(a.text(0)?, a.int(1)?).to_owned())
    });
    for kind in [Kind::Time, Kind::Timestamp, Kind::Timestamptz, Kind::Interval] {
        let name = kind.name();
        to.add(format!("pg_typmod_{name}"), "T, int4", name, move |a| {
            cast::round_text(&kind, a.text(0)?, a.int(1)?).map(Stored::Text)
        });
    }
}
