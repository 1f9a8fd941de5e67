//! Lays out TypeScript in lines of 80 characters.
//!
//! Lives here: where a type is broken into lines, and how it is indented. Not here: which types there are.
//! Source: Wadler, "A prettier printer"; the choices (what stays together, where a comma ends a line) are those of the
//! formatter that the Supabase command line runs over its output, so that a file does not change when it is made here.

use super::names;

const WIDTH: usize = 80;
const INDENT: usize = 2;

/// A type as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ts {
    /// Text that is never broken.
    Word(String),
    /// One member a line.
    Record(Vec<Member>),
    /// In one line if it fits.
    Inline(Vec<Member>),
    Union(Vec<Ts>),
    Array(Box<Ts>),
    Tuple(Vec<Ts>),
    /// `{ error: true } & "why"`
    Refusal(String),
}

/// `key: value`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    key: String,
    value: Ts,
}

impl Member {
    /// A member that is always there.
    pub fn new(name: &str, value: Ts) -> Self {
        Member {
            key: names::key(name),
            value,
        }
    }

    /// A member that may be left out.
    pub fn optional(name: &str, value: Ts) -> Self {
        let mut member = Member::new(name, value);
        member.key.push('?');
        member
    }
}

impl Ts {
    /// Text that is never broken.
    pub fn word(text: impl Into<String>) -> Self {
        Ts::Word(text.into())
    }

    /// A text as a type.
    pub fn literal(text: &str) -> Self {
        Ts::Word(names::literal(text))
    }

    /// An object with these members, or one that has none.
    pub fn members_or_never(members: Vec<Member>) -> Self {
        match members.is_empty() {
            true => Ts::Record(vec![Member {
                key: "[_ in never]".into(),
                value: Ts::word("never"),
            }]),
            false => Ts::Record(members),
        }
    }

    /// This or null. `unknown` may be null already.
    pub fn or_null(self) -> Self {
        match self {
            Ts::Word(text) if text == "unknown" => Ts::Word(text),
            Ts::Union(mut parts) => {
                parts.push(Ts::word("null"));
                Ts::Union(parts)
            }
            other => Ts::Union(vec![other, Ts::word("null")]),
        }
    }
}

/// A document whose lines are not settled yet.
enum Doc {
    Text(String),
    All(Vec<Doc>),
    /// One line if it fits, else a line at each [`Doc::Line`] of it.
    Group {
        is_broken: bool,
        inner: Box<Doc>,
    },
    Indent(Box<Doc>),
    /// A line's end, or this text.
    Line(&'static str),
    /// A line's end.
    End,
    /// Text of broken groups, of others.
    Either(&'static str, &'static str),
}

impl Doc {
    fn text(text: impl Into<String>) -> Doc {
        Doc::Text(text.into())
    }

    fn group(inner: Doc) -> Doc {
        Doc::Group {
            is_broken: inner.ends_line(),
            inner: Box::new(inner),
        }
    }

    fn indent(inner: Doc) -> Doc {
        Doc::Indent(Box::new(inner))
    }

    fn ends_line(&self) -> bool {
        match self {
            Doc::All(parts) => parts.iter().any(Doc::ends_line),
            Doc::Group { is_broken, .. } => *is_broken,
            Doc::Indent(inner) => inner.ends_line(),
            Doc::End => true,
            Doc::Text(_) | Doc::Line(_) | Doc::Either(..) => false,
        }
    }
}

/// An enum's name and labels.
pub type Enum = (String, Vec<String>);

/// `export const` …: the values of enums, schema by schema.
pub fn constants(schemas: &[(&str, Vec<Enum>)]) -> String {
    let record = |members: Vec<Doc>| match members.is_empty() {
        true => Doc::text("{}"),
        false => {
            let lines = members
                .into_iter()
                .flat_map(|member| [Doc::End, member, Doc::text(",")])
                .collect();
            Doc::All(vec![
                Doc::text("{"),
                Doc::indent(Doc::All(lines)),
                Doc::End,
                Doc::text("}"),
            ])
        }
    };
    let member = |name: &str, value: Doc| Doc::All(vec![Doc::text(format!("{}: ", names::key(name))), value]);
    let schemas = schemas.iter().map(|(schema, enums)| {
        let enums = enums.iter().map(|(name, labels)| {
            let labels = labels.iter().map(|label| Doc::text(names::literal(label))).collect();
            member(name, bracketed(labels))
        });
        member(schema, record(vec![member("Enums", record(enums.collect()))]))
    });
    printed(&record(schemas.collect()))
}

/// The text of `ts`.
pub fn typed(ts: &Ts) -> String {
    printed(&document(ts))
}

fn document(ts: &Ts) -> Doc {
    match ts {
        Ts::Word(text) => Doc::text(text.clone()),
        Ts::Record(members) if members.is_empty() => Doc::text("{}"),
        Ts::Record(members) => {
            let lines = members.iter().flat_map(|one| [Doc::End, member(one)]).collect();
            Doc::group(Doc::All(vec![
                Doc::text("{"),
                Doc::indent(Doc::All(lines)),
                Doc::End,
                Doc::text("}"),
            ]))
        }
        Ts::Inline(members) => {
            let mut parts = Vec::new();
            for (position, one) in members.iter().enumerate() {
                if position > 0 {
                    parts.push(Doc::Either("", ";"));
                }
                parts.push(Doc::Line(" "));
                parts.push(member(one));
            }
            Doc::group(Doc::All(vec![
                Doc::text("{"),
                Doc::indent(Doc::All(parts)),
                Doc::Line(" "),
                Doc::text("}"),
            ]))
        }
        Ts::Union(parts) => union(parts, false),
        Ts::Array(element) => match &**element {
            Ts::Union(parts) if parts.len() > 1 => Doc::All(vec![Doc::text("("), union(parts, true), Doc::text(")[]")]),
            other => Doc::All(vec![document(other), Doc::text("[]")]),
        },
        Ts::Tuple(elements) => bracketed(elements.iter().map(document).collect()),
        Ts::Refusal(why) => {
            let object = Ts::Inline(vec![Member::new("error", Ts::word("true"))]);
            Doc::group(Doc::All(vec![
                document(&object),
                Doc::text(format!(" & {}", names::literal(why))),
            ]))
        }
    }
}

fn member(member: &Member) -> Doc {
    Doc::All(vec![Doc::text(format!("{}: ", member.key)), document(&member.value)])
}

/// `[a, b]`; with a comma after the last where it is broken.
fn bracketed(elements: Vec<Doc>) -> Doc {
    if elements.is_empty() {
        return Doc::text("[]");
    }
    let mut parts = Vec::new();
    for (position, element) in elements.into_iter().enumerate() {
        match position {
            0 => parts.push(Doc::Line("")),
            _ => parts.extend([Doc::text(","), Doc::Line(" ")]),
        }
        parts.push(element);
    }
    Doc::group(Doc::All(vec![
        Doc::text("["),
        Doc::indent(Doc::All(parts)),
        Doc::Either(",", ""),
        Doc::Line(""),
        Doc::text("]"),
    ]))
}

/// Broken, each part has a line of its own and a bar before it. An object or null stays on the line it began.
fn union(parts: &[Ts], in_parentheses: bool) -> Doc {
    let is_null = |part: &Ts| matches!(part, Ts::Word(text) if text == "null");
    let is_object = |part: &Ts| matches!(part, Ts::Record(_) | Ts::Inline(_));
    let hugs = parts.len() <= 1
        || parts.iter().any(is_object) && parts.iter().filter(|part| is_null(part)).count() == parts.len() - 1;
    let mut pieces = Vec::new();
    if !hugs {
        pieces.extend([Doc::Line(""), Doc::Either("| ", "")]);
    }
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            pieces.push(match hugs {
                true => Doc::text(" "),
                false => Doc::Line(" "),
            });
            pieces.push(Doc::text("| "));
        }
        pieces.push(match hugs {
            true => document(part),
            false => Doc::indent(document(part)),
        });
    }
    if hugs {
        return Doc::All(pieces);
    }
    let mut whole = vec![Doc::indent(Doc::All(pieces))];
    if in_parentheses {
        whole.push(Doc::Line(""));
    }
    Doc::group(Doc::All(whole))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Flat,
    Broken,
}

fn printed(doc: &Doc) -> String {
    let mut out = String::new();
    let mut column = 0;
    let mut rest = vec![(0, Mode::Broken, doc)];
    while let Some((indent, mode, doc)) = rest.pop() {
        match doc {
            Doc::Text(text) => {
                out.push_str(text);
                column += width(text);
            }
            Doc::All(parts) => rest.extend(parts.iter().rev().map(|part| (indent, mode, part))),
            Doc::Indent(inner) => rest.push((indent + INDENT, mode, inner)),
            Doc::Group { is_broken, inner } => {
                let is_flat = !is_broken && (mode == Mode::Flat || fits(inner, &rest, WIDTH.saturating_sub(column)));
                rest.push((indent, if is_flat { Mode::Flat } else { Mode::Broken }, inner));
            }
            Doc::Line(flat) if mode == Mode::Flat => {
                out.push_str(flat);
                column += flat.len();
            }
            Doc::Line(_) | Doc::End => {
                // The space after `key:` goes where a broken union begins a line of its own.
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            }
            Doc::Either(broken, flat) => {
                let text = if mode == Mode::Flat { flat } else { broken };
                out.push_str(text);
                column += text.len();
            }
        }
    }
    out
}

/// True if `doc` in one line, and what follows it up to the next place for a line's end, has no more than `room`.
fn fits(doc: &Doc, rest: &[(usize, Mode, &Doc)], room: usize) -> bool {
    let mut room = room;
    let mut following = rest.iter().rev();
    let mut stack = vec![(Mode::Flat, doc)];
    loop {
        let Some((mode, doc)) = stack.pop() else {
            let Some((_, mode, doc)) = following.next() else {
                return true;
            };
            stack.push((*mode, doc));
            continue;
        };
        let taken = match doc {
            Doc::Text(text) => width(text),
            Doc::All(parts) => {
                stack.extend(parts.iter().rev().map(|part| (mode, part)));
                0
            }
            Doc::Indent(inner) => {
                stack.push((mode, inner));
                0
            }
            Doc::Group { is_broken, inner } => {
                stack.push((if *is_broken { Mode::Broken } else { mode }, inner));
                0
            }
            Doc::Line(flat) if mode == Mode::Flat => flat.len(),
            Doc::Line(_) | Doc::End => return true,
            Doc::Either(broken, flat) => if mode == Mode::Flat { flat } else { broken }.len(),
        };
        if taken > room {
            return false;
        }
        room -= taken;
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(name: &str, value: Ts) -> Vec<Member> {
        vec![Member::new(name, value)]
    }

    #[test]
    fn what_fits_stays_in_one_line() {
        let short = Ts::Inline(members("Args", Ts::word("never")));
        assert_eq!(typed(&short), "{ Args: never }");
        let both = Ts::Inline(vec![
            Member::new("a", Ts::word("A")),
            Member::optional("b", Ts::word("B")),
        ]);
        assert_eq!(typed(&both), "{ a: A; b?: B }");
        let long = Ts::Inline(members("Args", Ts::word("x".repeat(80))));
        assert_eq!(typed(&long), format!("{{\n  Args: {}\n}}", "x".repeat(80)));
    }

    #[test]
    fn a_union_that_does_not_fit_has_a_line_for_each_part() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let union = Ts::Union(vec![Ts::literal(&a), Ts::literal(&b)]);
        let text = typed(&Ts::Record(members("k", union.clone())));
        assert_eq!(text, format!("{{\n  k:\n    | \"{a}\"\n    | \"{b}\"\n}}"));
        let text = typed(&Ts::Record(members("k", Ts::Array(Box::new(union)))));
        assert_eq!(text, format!("{{\n  k: (\n    | \"{a}\"\n    | \"{b}\"\n  )[]\n}}"));
        let few = Ts::Array(Box::new(Ts::Union(vec![Ts::literal("a"), Ts::literal("b")])));
        assert_eq!(typed(&few), "(\"a\" | \"b\")[]");
    }

    #[test]
    fn an_object_or_null_stays_where_it_began() {
        let row = Ts::Record(members("id", Ts::word("number"))).or_null();
        assert_eq!(typed(&row), "{\n  id: number\n} | null");
        assert_eq!(typed(&Ts::word("unknown").or_null()), "unknown");
        assert_eq!(typed(&Ts::Record(Vec::new())), "{}");
    }
}
