//! Reads a template.

use serde_json::{Value as Json, json};

use super::{Expression, Function, Node};

/// Conditions within conditions, at most.
const DEPTH_MAX: usize = 32;

/// Text, or what stands between `{{` and `}}`, with its line.
enum Piece<'a> {
    Text(&'a str),
    Action(&'a str, usize),
}

pub fn template(text: &str) -> Result<Vec<Node>, String> {
    let pieces = pieces(text)?;
    let mut reader = Reader {
        pieces: pieces.iter(),
        depth: 0,
    };
    let (nodes, end) = reader.nodes()?;
    match end {
        Stop::Text => Ok(nodes),
        Stop::Else(_, line) | Stop::End(line) => Err(format!("line {line}: nothing is open here")),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let (mut rest, mut line, mut trims) = (text, 1, false);
    while let Some(at) = rest.find("{{") {
        let (before, tail) = rest.split_at(at);
        let tail = &tail[2..];
        let line_here = line + before.matches('\n').count();
        let (tail_read, trims_before) = match tail.strip_prefix('-') {
            Some(tail) if tail.starts_with(char::is_whitespace) => (tail, true),
            _ => (tail, false),
        };
        let end = close(tail_read).ok_or_else(|| format!("line {line_here}: a `{{{{` is not closed"))?;
        let inside = &tail_read[..end];
        let mut before = if trims { before.trim_start() } else { before };
        if trims_before {
            before = before.trim_end();
        }
        found.push(Piece::Text(before));
        let (inside, trims_after) = match inside.strip_suffix('-') {
            Some(inside) if inside.ends_with(char::is_whitespace) => (inside, true),
            _ => (inside, false),
        };
        found.push(Piece::Action(inside.trim(), line_here));
        trims = trims_after;
        let after = &tail_read[end + 2..];
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    found.push(Piece::Text(if trims { rest.trim_start() } else { rest }));
    Ok(found)
}

/// Where the `}}` stands that is in no text.
fn close(text: &str) -> Option<usize> {
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let end = text.len() - comment.len() + comment.find("*/")? + 2;
        return text[end..].find("}}").map(|at| end + at);
    }
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some('"'), '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(letter),
            (None, '}') if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

/// What ended a run of nodes.
enum Stop<'a> {
    Text,
    /// `else`, with what stands behind it.
    Else(&'a str, usize),
    End(usize),
}

struct Reader<'a, 'p> {
    pieces: std::slice::Iter<'p, Piece<'a>>,
    depth: usize,
}

impl<'a> Reader<'a, '_> {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop<'a>), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Text("") => {}
                Piece::Text(text) => nodes.push(Node::Text((*text).to_owned())),
                Piece::Action(action, line) => {
                    let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
                    match word {
                        _ if action.starts_with("/*") && action.ends_with("*/") => {}
                        "end" if rest.is_empty() => return Ok((nodes, Stop::End(*line))),
                        "else" => return Ok((nodes, Stop::Else(rest.trim(), *line))),
                        "if" | "with" | "range" => nodes.push(self.block(word, rest, *line)?),
                        _ => nodes.push(Node::Value(expression(action, *line)?)),
                    }
                }
            }
        }
        Ok((nodes, Stop::Text))
    }

    fn block(&mut self, word: &str, rest: &str, line: usize) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!(
                "line {line}: more than {DEPTH_MAX} conditions within each other"
            ));
        }
        let unclosed = || Err(format!("line {line}: `{word}` has no `end`"));
        let head = expression(rest, line)?;
        let (first, mut end) = self.nodes()?;
        let (mut branches, mut otherwise) = (vec![(head, first)], Vec::new());
        loop {
            match end {
                Stop::Text => return unclosed(),
                Stop::End(_) => break,
                Stop::Else("", _) => {
                    (otherwise, end) = self.nodes()?;
                    match end {
                        Stop::End(_) => break,
                        Stop::Text => return unclosed(),
                        Stop::Else(_, line) => return Err(format!("line {line}: a second `else`")),
                    }
                }
                Stop::Else(condition, line) => {
                    let condition = match condition.strip_prefix("if") {
                        Some(condition) if word == "if" && condition.starts_with(char::is_whitespace) => condition,
                        _ => return Err(format!("line {line}: `else {condition}` is not known")),
                    };
                    let condition = expression(condition, line)?;
                    let nodes;
                    (nodes, end) = self.nodes()?;
                    branches.push((condition, nodes));
                }
            }
        }
        self.depth -= 1;
        Ok(match (word, branches.len()) {
            ("with" | "range", 1) => {
                let (head, nodes) = branches.remove(0);
                match word {
                    "with" => Node::With(head, nodes, otherwise),
                    _ => Node::Range(head, nodes, otherwise),
                }
            }
            _ => Node::If(branches, otherwise),
        })
    }
}

fn expression(text: &str, line: usize) -> Result<Expression, String> {
    let words = words(text).map_err(|problem| format!("line {line}: {problem}"))?;
    let mut rest = words.as_slice();
    let read = call(&mut rest, 0).map_err(|problem| format!("line {line}: {problem}"))?;
    match rest.first() {
        None => Ok(read),
        Some(word) => Err(format!("line {line}: `{}` is not known here", word.shown())),
    }
}

#[derive(Clone, Debug)]
enum Word {
    Open,
    Close,
    Text(String),
    Name(String),
}

impl Word {
    fn shown(&self) -> &str {
        match self {
            Word::Open => "(",
            Word::Close => ")",
            Word::Text(text) | Word::Name(text) => text,
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut found = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_whitespace() => {}
            '(' => found.push(Word::Open),
            ')' => found.push(Word::Close),
            '"' | '`' => {
                let mut inside = String::new();
                loop {
                    match letters.next() {
                        None => return Err("a text is not closed".into()),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some('n') => inside.push('\n'),
                            Some('t') => inside.push('\t'),
                            Some(letter @ ('"' | '\\')) => inside.push(letter),
                            _ => return Err("a `\\` in a text is not known".into()),
                        },
                        Some(letter) => inside.push(letter),
                    }
                }
                found.push(Word::Text(inside));
            }
            letter => {
                let mut name = String::from(letter);
                while let Some(letter) =
                    letters.next_if(|letter| !letter.is_whitespace() && !matches!(letter, '(' | ')' | '"' | '`'))
                {
                    name.push(letter);
                }
                found.push(Word::Name(name));
            }
        }
    }
    Ok(found)
}

/// A function with its arguments, or one operand.
fn call(rest: &mut &[Word], depth: usize) -> Result<Expression, String> {
    let function = match rest.first() {
        Some(Word::Name(name)) => function(name),
        _ => None,
    };
    let Some(function) = function else {
        return operand(rest, depth);
    };
    *rest = &rest[1..];
    let mut arguments = Vec::new();
    while !matches!(rest.first(), None | Some(Word::Close)) {
        arguments.push(operand(rest, depth)?);
    }
    let fits = match function {
        Function::Not | Function::Len => arguments.len() == 1,
        Function::Ne => arguments.len() == 2,
        Function::Eq => arguments.len() >= 2,
        Function::And | Function::Or => !arguments.is_empty(),
    };
    match fits {
        true => Ok(Expression::Call(function, arguments)),
        false => Err("a function has too few or too many arguments".into()),
    }
}

fn operand(rest: &mut &[Word], depth: usize) -> Result<Expression, String> {
    let Some((word, tail)) = rest.split_first() else {
        return Err("something is missing".into());
    };
    *rest = tail;
    match word {
        Word::Close => Err("a `)` too many".into()),
        Word::Text(text) => Ok(Expression::Literal(json!(text))),
        Word::Open => {
            if depth >= DEPTH_MAX {
                return Err(format!("more than {DEPTH_MAX} parentheses within each other"));
            }
            let inner = call(rest, depth + 1)?;
            match rest.split_first() {
                Some((Word::Close, tail)) => {
                    *rest = tail;
                    Ok(inner)
                }
                _ => Err("a `(` is not closed".into()),
            }
        }
        Word::Name(name) => named(name),
    }
}

fn named(name: &str) -> Result<Expression, String> {
    let literal = |value: Json| Ok(Expression::Literal(value));
    match name {
        "true" => return literal(json!(true)),
        "false" => return literal(json!(false)),
        "nil" => return literal(Json::Null),
        _ => {}
    }
    if name.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-')
        && let Ok(number) = name.parse::<i64>()
    {
        return literal(json!(number));
    }
    let (is_from_root, path) = match name.strip_prefix('$') {
        Some(path) => (true, path),
        None => (false, name),
    };
    let unknown = || format!("`{name}` is not known");
    let members = match path {
        "" if is_from_root => Vec::new(),
        "." if !is_from_root => Vec::new(),
        path => {
            let path = path.strip_prefix('.').ok_or_else(unknown)?;
            path.split('.').map(str::to_owned).collect()
        }
    };
    let is_name =
        |member: &String| !member.is_empty() && member.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    match members.iter().all(is_name) {
        true => Ok(Expression::Path { is_from_root, members }),
        false => Err(unknown()),
    }
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "eq" => Function::Eq,
        "ne" => Function::Ne,
        "and" => Function::And,
        "or" => Function::Or,
        "not" => Function::Not,
        "len" => Function::Len,
        _ => return None,
    })
}
