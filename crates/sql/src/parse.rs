//! PostgreSQL text → statements, by PostgreSQL's own grammar.
//!
//! Lives here: the parser's thread, size limits, splitting into statements, syntax errors with positions.
//! Not here: the trees (`ast`), their conversion (`convert`).
//! Parsing is for migrations, routine bodies, policies and the console; no request's text comes here.

mod codes;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RawStmt};

use crate::ast::{Expr, Statement};
use crate::convert::{self, Context, Leaf, newlines};

/// The longest text that is parsed at once, in bytes. Above it a statement is refused; a script is parsed in parts.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The longest script, in bytes.
pub const SCRIPT_BYTES_MAX: usize = 256 << 20;

/// The parser thread's stack, in bytes of address space. The parser's trees are as deep as it allows (10,000 messages)
/// and are decoded and dropped by recursion, in an unoptimised build with some 13 kB a message; memory is only used
/// by texts that are so deep.
const STACK_BYTES: usize = 256 << 20;

/// Texts kept after parsing. Policies, defaults, checks and views are analysed again for every new plan.
const TEXTS_KEPT_MAX: usize = 4096;

/// One statement of a text.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    pub ast: Statement,
    /// The statement's own text, without the semicolon and without white space or comments before it.
    pub text: String,
    /// The line of the whole text on which it starts, from 1.
    pub line: u32,
    /// Where it starts in the whole text, in bytes.
    pub offset: usize,
}

/// Splits `text` into statements and reads them.
///
/// Errors: 42601 with PostgreSQL's message and a 1-based character position in `text`; 54000 for a statement above
/// [`TEXT_BYTES_MAX`] or a text above [`SCRIPT_BYTES_MAX`]; 0A000 for a part of a statement that only PostgreSQL has.
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>, DatabaseError> {
    on_parser_thread(|| match text.len() {
        0..=TEXT_BYTES_MAX => parse_here(text),
        length if length <= SCRIPT_BYTES_MAX => parse_in_parts(text),
        _ => Err(too_long("script", SCRIPT_BYTES_MAX)),
    })
}

/// One statement of a text that is read as far as it can be.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The line of the whole text on which it starts, from 1.
    pub line: u32,
    /// As [`parse`] words it.
    pub parsed: Result<ParsedStatement, DatabaseError>,
    /// Names of what it makes: relations, types, functions, columns.
    pub defines: Vec<Ident>,
    /// Every name in it, in lower case.
    pub words: HashSet<String>,
}

/// Reads each statement by itself, so that one that cannot be read does not hide the others.
///
/// Errors: for a text that cannot even be split into statements.
pub fn parse_each(text: &str) -> Result<Vec<Piece>, DatabaseError> {
    on_parser_thread(|| {
        let Ok(pieces) = pg_query::split_with_scanner(text) else {
            // The parser says what is wrong, and where.
            raw_statements(text)?;
            return Err(DatabaseError::new("42601", "the text cannot be split into statements"));
        };
        let mut ranges = Vec::new();
        let mut covered = 0;
        for piece in pieces {
            let begin = piece.as_ptr() as usize - text.as_ptr() as usize;
            ranges.extend(between(text, covered, begin));
            ranges.push((begin, begin + piece.len()));
            covered = begin + piece.len();
        }
        ranges.extend(between(text, covered, text.len()));
        let mut found = Vec::new();
        let (mut counted, mut line) = (0, 1);
        for (begin, end) in ranges {
            let start = skip_blank(text, begin).min(end);
            line += newlines(&text.as_bytes()[counted..start]);
            counted = start;
            let own = text.get(start..end).unwrap_or_default();
            if own.trim().is_empty() {
                continue;
            }
            let parsed = parse_from_line(own, line, |ctx| ctx).and_then(|mut statements| {
                statements
                    .pop()
                    .ok_or_else(|| DatabaseError::new("42601", "an empty statement"))
            });
            let defines = raw_statements(own)
                .ok()
                .and_then(|raw| raw.into_iter().next())
                .and_then(|raw| raw.stmt)
                .and_then(|node| node.node)
                .map(|node| convert::defined(&node))
                .unwrap_or_default();
            found.push(Piece {
                line,
                parsed: parsed
                    .map(|statement| ParsedStatement {
                        offset: start,
                        ..statement
                    })
                    .map_err(without_position),
                defines,
                words: words(own),
            });
        }
        Ok(found)
    })
}

/// What the splitter leaves out because no keyword is in it, up to each semicolon.
fn between(text: &str, from: usize, to: usize) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut begin = from;
    for part in text.get(from..to).unwrap_or_default().split(';') {
        ranges.push((begin, begin + part.len()));
        begin += part.len() + 1;
    }
    ranges
}

/// A position in one statement means nothing in the whole text.
fn without_position(mut error: DatabaseError) -> DatabaseError {
    error.position = None;
    error
}

fn words(text: &str) -> HashSet<String> {
    text.split(|one: char| !(one.is_alphanumeric() || one == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// `text` without its `BEGIN`s and `COMMIT`s, for who runs it in a transaction of their own. Blanks stand in their
/// place, one a character, so that positions and lines stay as they are.
///
/// Errors: 2D000 for what would undo or leave that transaction. A text that cannot be split comes back as it is: whoever
/// runs it finds the same fault.
pub fn without_transactions(text: &str) -> Result<Cow<'_, str>, DatabaseError> {
    let Ok(pieces) = pg_query::split_with_scanner(text) else {
        return Ok(Cow::Borrowed(text));
    };
    let mut made = String::new();
    let mut copied = 0;
    for piece in pieces {
        let start = skip_blank(piece, 0);
        let statement = piece.get(start..).unwrap_or_default();
        if !begins_like_transaction_control(statement) {
            continue;
        }
        let Some(kind) = on_parser_thread(|| Ok(transaction_control(statement)))? else {
            continue;
        };
        use pg_query::protobuf::TransactionStmtKind as Kind;
        let begin = statement.as_ptr() as usize - text.as_ptr() as usize;
        if !matches!(
            kind,
            Kind::TransStmtBegin | Kind::TransStmtStart | Kind::TransStmtCommit
        ) {
            let message = "a script runs in one transaction of its own and cannot undo or leave it";
            let position = text.get(..begin).unwrap_or_default().chars().count() as u32 + 1;
            return Err(DatabaseError::new("2D000", message)
                .hint("Leave the statement out.")
                .at(position));
        }
        made.push_str(text.get(copied..begin).unwrap_or_default());
        made.extend(statement.chars().map(|one| if one == '\n' { one } else { ' ' }));
        copied = begin + statement.len();
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(text));
    }
    made.push_str(text.get(copied..).unwrap_or_default());
    Ok(Cow::Owned(made))
}

fn begins_like_transaction_control(statement: &str) -> bool {
    let end = statement
        .find(|one: char| !one.is_ascii_alphabetic())
        .unwrap_or(statement.len());
    let word = &statement[..end];
    [
        "begin",
        "start",
        "commit",
        "end",
        "rollback",
        "abort",
        "savepoint",
        "release",
        "prepare",
    ]
    .iter()
    .any(|known| word.eq_ignore_ascii_case(known))
}

fn transaction_control(statement: &str) -> Option<pg_query::protobuf::TransactionStmtKind> {
    let raw = raw_statements(statement).ok()?;
    let [only] = raw.as_slice() else { return None };
    match only.stmt.as_deref()?.node.as_ref()? {
        NodeEnum::TransactionStmt(control) => Some(control.kind()),
        _ => None,
    }
}

/// [`parse`] for texts that are analysed again and again: views' definitions, routines' bodies.
pub fn kept(text: &str) -> Result<Arc<Vec<ParsedStatement>>, DatabaseError> {
    static KEPT: LazyLock<Mutex<Kept<Vec<ParsedStatement>>>> = LazyLock::new(Mutex::default);
    remember(&KEPT, text, || parse(text))
}

/// [`kept`] for a routine's body that becomes a part of another text: nothing in it has a position.
pub fn inlined(text: &str) -> Result<Arc<Vec<ParsedStatement>>, DatabaseError> {
    static KEPT: LazyLock<Mutex<Kept<Vec<ParsedStatement>>>> = LazyLock::new(Mutex::default);
    remember(&KEPT, text, || {
        on_parser_thread(|| parse_from_line(text, 1, Context::without_positions))
    })
}

/// Reads one expression, as a policy or a default has it. Parsed expressions are kept, so this is cheap when repeated.
///
/// Errors: as [`parse`]; positions are in `text`.
pub fn expression(text: &str) -> Result<Arc<Expr>, DatabaseError> {
    static KEPT: LazyLock<Mutex<Kept<Expr>>> = LazyLock::new(Mutex::default);
    remember(&KEPT, text, || on_parser_thread(|| expression_here(text)))
}

/// Takes a condition apart into the members of its ANDs and ORs.
///
/// Errors: as [`expression`].
pub(crate) fn leaves(text: &str) -> Result<Vec<Leaf>, DatabaseError> {
    on_parser_thread(|| with_expression(text, |value, _| convert::leaves(value)))
}

type Kept<T> = HashMap<Box<str>, Arc<T>>;

fn remember<T>(
    store: &Mutex<Kept<T>>,
    text: &str,
    make: impl FnOnce() -> Result<T, DatabaseError>,
) -> Result<Arc<T>, DatabaseError> {
    if let Some(found) = store.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
        return Ok(found.clone());
    }
    let made = Arc::new(make()?);
    let mut kept = store.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= TEXTS_KEPT_MAX {
        kept.clear();
    }
    kept.insert(text.into(), made.clone());
    Ok(made)
}

/// Runs `work` on a thread whose stack is deep enough, and waits for it. One at a time: the stack of a deep text is
/// memory that only its end gives back.
fn on_parser_thread<T: Send>(work: impl FnOnce() -> Result<T, DatabaseError> + Send) -> Result<T, DatabaseError> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |reason: String| DatabaseError::new("XX000", format!("the parser's thread failed: {reason}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("sql-parser".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| failed(error.to_string()))?;
        thread.join().unwrap_or_else(|_| Err(failed("panic".to_owned())))
    })
}

fn raw_statements(text: &str) -> Result<Vec<RawStmt>, DatabaseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(too_long("statement", TEXT_BYTES_MAX));
    }
    match pg_query::parse(text, 0) {
        Ok(parsed) => Ok(parsed.protobuf.stmts),
        Err(pg_query::Error::Parse(message)) => Err(syntax_error(text, message)),
        Err(pg_query::Error::Conversion(_)) => Err(DatabaseError::new(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
        Err(other) => Err(DatabaseError::new("XX000", other.to_string())),
    }
}

fn too_long(what: &str, bytes_max: usize) -> DatabaseError {
    DatabaseError::new("54000", format!("{what} too long")).detail(format!("It may have {bytes_max} bytes."))
}

/// Parses a long script in parts of whole statements, so that the trees of one part are gone before the next begins.
fn parse_in_parts(text: &str) -> Result<Vec<ParsedStatement>, DatabaseError> {
    let pieces = pg_query::split_with_scanner(text).map_err(|error| DatabaseError::new("42601", error.to_string()))?;
    let ends: Vec<usize> = pieces
        .iter()
        .map(|piece| piece.as_ptr() as usize - text.as_ptr() as usize + piece.len())
        .collect();
    let mut found = Vec::with_capacity(ends.len());
    let (mut begin, mut line) = (0, 0);
    for (index, &end) in ends.iter().enumerate() {
        // The next statement would make the part too long, or there is none.
        let is_last = ends.get(index + 1).is_none_or(|next| next - begin > TEXT_BYTES_MAX);
        if !is_last {
            continue;
        }
        let part = text.get(begin..end).unwrap_or_default();
        let statements = parse_here(part).map_err(|mut error| {
            let before = text.get(..begin).unwrap_or_default().chars().count() as u32;
            error.position = error.position.map(|at| at + before);
            error
        })?;
        found.extend(statements.into_iter().map(|statement| ParsedStatement {
            line: statement.line + line,
            offset: statement.offset + begin,
            ..statement
        }));
        // The semicolon stays behind; the statements of the next part begin after it.
        let next = text
            .get(end..)
            .and_then(|rest| rest.find(';'))
            .map_or(text.len(), |at| end + at + 1);
        line += newlines(&text.as_bytes()[begin..next]);
        begin = next;
    }
    Ok(found)
}

fn parse_here(text: &str) -> Result<Vec<ParsedStatement>, DatabaseError> {
    parse_from_line(text, 1, |ctx| ctx)
}

/// Reads a part of a text whose first line has this number.
fn parse_from_line<'t>(
    text: &'t str,
    first_line: u32,
    adapt: impl Fn(Context<'t>) -> Context<'t>,
) -> Result<Vec<ParsedStatement>, DatabaseError> {
    let raw = raw_statements(text)?;
    let mut found = Vec::with_capacity(raw.len());
    let (mut counted, mut line) = (0, first_line);
    for statement in &raw {
        let Some(node) = statement.stmt.as_deref().and_then(|node| node.node.as_ref()) else {
            continue;
        };
        let begin = statement.stmt_location.max(0) as usize;
        let end = match statement.stmt_len {
            length if length > 0 => begin + length as usize,
            _ => text.len(),
        };
        let start = skip_blank(text, begin).min(end);
        let end = start + text.get(start..end).unwrap_or_default().trim_end().len();
        line += newlines(&text.as_bytes()[counted..start]);
        counted = start;
        let ctx = adapt(Context::new(text, start, end, line));
        let ast = convert::statement(node, &ctx)?;
        found.push(ParsedStatement {
            ast,
            text: ctx.text().to_owned(),
            line,
            offset: start,
        });
    }
    Ok(found)
}

/// The keyword that makes an expression a statement.
const SELECT: &str = "SELECT ";

fn expression_here(text: &str) -> Result<Expr, DatabaseError> {
    with_expression(text, convert::expression)
}

/// Reads one expression and hands its tree on.
fn with_expression<T>(
    text: &str,
    work: impl FnOnce(&Node, &Context<'_>) -> Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    // The line feed ends a comment at the end of the text.
    let whole = format!("{SELECT}({text}\n)");
    let prefix = SELECT.len() + 1;
    let shift = |mut error: DatabaseError| {
        error.position = error.position.map(|at| at.saturating_sub(prefix as u32).max(1));
        error
    };
    let raw = raw_statements(&whole).map_err(shift)?;
    let not_one = || DatabaseError::new("42601", format!("not an expression: {text}"));
    let [statement] = raw.as_slice() else {
        return Err(not_one());
    };
    let Some(NodeEnum::SelectStmt(select)) = statement.stmt.as_deref().and_then(|node| node.node.as_ref()) else {
        return Err(not_one());
    };
    let [target] = select.target_list.as_slice() else {
        return Err(not_one());
    };
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return Err(not_one());
    };
    let plain = select.from_clause.is_empty() && select.where_clause.is_none() && target.name.is_empty();
    let Some(value) = target.val.as_deref().filter(|_| plain) else {
        return Err(not_one());
    };
    let ctx = Context::new(&whole, prefix, whole.len(), 1);
    work(value, &ctx)
}

/// The offset of the first byte from `from` on that is neither white space nor in a comment.
fn skip_blank(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        match bytes.get(at..).unwrap_or_default() {
            [b' ' | b'\t' | b'\r' | b'\n' | 0x0B | 0x0C, ..] => at += 1,
            [b'-', b'-', rest @ ..] => {
                at += 2 + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            }
            [b'/', b'*', ..] => at = skip_block_comment(bytes, at),
            _ => return at,
        }
    }
}

/// The offset behind the (perhaps nested) block comment that starts at `at`.
fn skip_block_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// The parser's message as an error with its position, which its interface does not give.
fn syntax_error(text: &str, message: String) -> DatabaseError {
    let limits = [
        "stack depth limit exceeded",
        "memory exhausted",
        "parse tree is nested too deeply",
    ];
    if limits.iter().any(|limit| message.starts_with(limit)) {
        return DatabaseError::new("54001", "stack depth limit exceeded");
    }
    let position = error_offset(text, &message).map(|at| text[..at].chars().count() as u32 + 1);
    let message = codes::reworded(message);
    let error = DatabaseError::new(codes::of(text, &message), message);
    match position {
        Some(position) => error.at(position),
        None => error,
    }
}

/// Texts longer than this get no position: finding it parses the text again.
const POSITION_BYTES_MAX: usize = 64 << 10;

/// Where the grammar gave up: the token named by the message at which a prefix of the text first fails in the same way.
fn error_offset(text: &str, message: &str) -> Option<usize> {
    if message.ends_with("at end of input") {
        return Some(text.len());
    }
    let named = message.split_once(" at or near \"")?.1.strip_suffix('"')?;
    if text.len() > POSITION_BYTES_MAX {
        return None;
    }
    let Ok(tokens) = pg_query::scan_tokens(text) else {
        return text.rfind(named);
    };
    let candidates: Vec<(usize, usize)> = tokens
        .iter()
        .map(|token| (token.start.max(0) as usize, token.end.max(0) as usize))
        .filter(|(start, end)| text.get(*start..*end) == Some(named))
        .collect();
    if let [(start, _)] = candidates.as_slice() {
        return Some(*start);
    }
    // A prefix that ends before the offending token is at worst incomplete, so the first to fail is the one. Failing
    // is monotonic: search by halves.
    let fails =
        |end: usize| matches!(pg_query::parse(&text[..end], 0), Err(pg_query::Error::Parse(found)) if found == message);
    let first = candidates.partition_point(|(_, end)| !fails(*end));
    candidates.get(first).map(|(start, _)| *start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_is_read_by_itself() {
        let pieces = parse_each(
            "-- a remark; with a semicolon\nselect 1;;\n\nselct 1;\ncreate table t (\n a point); /* x */\nselect ';' ; bad",
        )
        .unwrap();
        let shown: Vec<(u32, bool)> = pieces.iter().map(|piece| (piece.line, piece.parsed.is_ok())).collect();
        assert_eq!(shown, [(2, true), (4, false), (5, true), (7, true), (7, false)]);
        assert_eq!(pieces[2].defines, ["t"]);
        assert!(pieces[2].words.contains("point"));
    }

    fn position_of(text: &str) -> (String, Option<u32>) {
        let error = parse(text).unwrap_err();
        (error.message, error.position)
    }

    #[test]
    fn statements_know_their_text_and_line() {
        let found = parse("-- first\nselect 1;\n\n/* a /* nested */ one */ select 'ä' ;\nselect 3 ").unwrap();
        let seen: Vec<_> = found.iter().map(|one| (one.text.as_str(), one.line)).collect();
        assert_eq!(seen, [("select 1", 2), ("select 'ä'", 4), ("select 3", 5)]);
    }

    #[test]
    fn a_script_loses_its_own_transactions_and_nothing_else() {
        let kept = |text: &str| without_transactions(text).map(Cow::into_owned);
        assert_eq!(kept("select 'begin; commit'").unwrap(), "select 'begin; commit'");
        assert_eq!(
            kept("-- ä\nBEGIN;\nselect 1; commit /* x\n */ and chain; end").unwrap(),
            format!(
                "-- ä\n     ;\nselect 1; {}\n{}; {}",
                " ".repeat(11),
                " ".repeat(13),
                " ".repeat(3)
            ),
        );
        let body = "create function f() returns int language plpgsql as $$ begin return 1; end $$";
        assert_eq!(kept(body).unwrap(), body);
        assert_eq!(kept("prepare p as select 1").unwrap(), "prepare p as select 1");
        for text in [
            "rollback",
            "select 1; ABORT;",
            "savepoint a",
            "prepare transaction 'x'",
            "commit prepared 'x'",
        ] {
            assert_eq!(kept(text).unwrap_err().sqlstate, "2D000", "{text}");
        }
    }

    #[test]
    fn syntax_errors_have_positions() {
        assert_eq!(
            position_of("select 1 +"),
            ("syntax error at end of input".into(), Some(11))
        );
        assert_eq!(
            position_of("select a b c"),
            ("syntax error at or near \"c\"".into(), Some(12))
        );
        assert_eq!(
            position_of("select 'ä', a from from x"),
            ("syntax error at or near \"from\"".into(), Some(20))
        );
        assert_eq!(position_of("select 'abc").1, Some(8));
    }

    #[test]
    fn deep_text_is_an_answer_and_not_a_crash() {
        let deep = format!("select {}1{}", "(".repeat(20_000), ")".repeat(20_000));
        assert!(parse(&deep).is_err() || parse(&deep).is_ok());
        let chain = format!("select 1{}", " + 1".repeat(2_000));
        assert_eq!(parse(&chain).unwrap_err().sqlstate, "54001");
        let long = format!("select '{}'", "x".repeat(TEXT_BYTES_MAX + 1));
        assert_eq!(parse(&long).unwrap_err().sqlstate, "54000");
    }

    #[test]
    fn the_deepest_texts_that_the_parser_reads_are_refused() {
        for text in [
            format!("select {}x{}", "@ (".repeat(4_900), ")".repeat(4_900)),
            format!("select x{}", " || x".repeat(4_900)),
            format!("select {}1{}", "(select ".repeat(1_650), ")".repeat(1_650)),
        ] {
            assert_eq!(parse(&text).unwrap_err().sqlstate, "54001");
        }
    }

    #[test]
    fn an_expression_is_one_expression() {
        assert_eq!(expression("a = 1 -- so").unwrap().position, 3);
        assert!(expression("1) , (2").is_err());
        assert!(expression("1 from t").is_err());
        assert_eq!(expression("a b c").unwrap_err().position, Some(3));
    }

    #[test]
    fn a_long_script_is_read_in_parts() {
        let row = format!(
            "-- a ; comment\ninsert into t values ('{}; not the end');\n\n",
            "é".repeat(5_000)
        );
        let script = row.repeat(300);
        assert!(script.len() > 2 * TEXT_BYTES_MAX);
        let read = parse(&script).unwrap();
        assert_eq!(read.len(), 300);
        for (index, statement) in read.iter().enumerate() {
            assert_eq!(statement.line as usize, 3 * index + 2);
            assert!(script[statement.offset..].starts_with("insert into t"));
            assert!(statement.text.ends_with("not the end')"));
        }
        assert_eq!(
            parse(&format!("{script}select from where;")).unwrap_err().sqlstate,
            "42601"
        );
    }

    #[test]
    fn statements_outside_the_subset_are_named() {
        let found = parse("select 1;\nmerge into t using s on true when matched then delete").unwrap();
        assert!(
            matches!(&found[1].ast, Statement::Unsupported(refusal) if refusal.feature == "MERGE" && refusal.line == 2)
        );
        assert_eq!(parse("select 1_000").unwrap_err().sqlstate, "0A000");
    }
}
