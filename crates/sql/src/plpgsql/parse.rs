//! Text → tree: blocks, declarations, and what all statements need of the parser.
//!
//! Not here: the statements (`statement`), RAISE (`raise`).

use std::sync::Arc;

use mainstay_core::catalog::{Catalog, Relation, Routine};
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::conditions;
use super::lexer::{Token, TokenKind, tokens};
use super::names::lookup;
use super::tree::*;
use crate::analyse::types;
use crate::ast;
use crate::parse as sql;

/// The longest that blocks and loops may stand in each other.
const DEPTH_MAX: usize = 100;

/// Words that are no names in PL/pgSQL unless quoted.
const RESERVED: &[&str] = &[
    "all", "begin", "by", "case", "declare", "else", "end", "execute", "for", "foreach", "from", "if", "in", "into",
    "loop", "not", "null", "or", "then", "to", "using", "when", "while",
];

type Result<T> = std::result::Result<T, DatabaseError>;

/// Reads the body of a `LANGUAGE plpgsql` routine against a catalog, which has the types of its variables.
///
/// Errors: 42601 and what else PostgreSQL finds when a function is made; 0A000 for what only PostgreSQL has.
pub fn parse(catalog: &Catalog, routine: &Routine) -> Result<Function> {
    let mut parser = Parser::new(catalog, routine)?;
    parser.prologue()?;
    let conflicts = parser.function_options()?;
    let block = parser.function_block()?;
    Ok(Function {
        conflicts,
        name: routine.name.name.clone(),
        variables: parser.variables,
        block,
        arguments: parser.arguments,
        outputs: parser.outputs,
        found: parser.found,
        trigger: parser.trigger,
        fragments: parser.fragments,
        names: parser.names,
    })
}

/// The type that a trigger function returns.
pub fn is_trigger(ty: &Type) -> bool {
    matches!(ty, Type::Other(name) if name.schema == *"pg_catalog" && name.name == *"trigger")
}

pub(super) struct Parser<'a> {
    pub catalog: &'a Catalog,
    pub routine: &'a Routine,
    pub text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    pub variables: Vec<Variable>,
    names: Vec<Entry>,
    pub scope: Option<usize>,
    arguments: Vec<VariableId>,
    pub outputs: Vec<VariableId>,
    found: VariableId,
    trigger: Option<TriggerVariables>,
    fragments: usize,
    depth: usize,
}

/// An expression or statement that was taken off the text, and the word or symbol that ended it.
pub(super) struct Taken {
    pub fragment: Fragment,
    pub end: String,
}

impl<'a> Parser<'a> {
    fn new(catalog: &'a Catalog, routine: &'a Routine) -> Result<Self> {
        Ok(Parser {
            catalog,
            routine,
            text: &routine.body,
            tokens: tokens(&routine.body)?,
            at: 0,
            variables: Vec::new(),
            names: Vec::new(),
            scope: None,
            arguments: Vec::new(),
            outputs: Vec::new(),
            found: 0,
            trigger: None,
            fragments: 0,
            depth: 0,
        })
    }

    /// The variables that every function has: arguments, results, `FOUND`, and a trigger's.
    fn prologue(&mut self) -> Result<()> {
        let routine = self.routine;
        self.open(routine.name.name.clone(), false, true);
        for argument in &routine.arguments {
            let ty = self.variable_type(&argument.ty, TypeModifier::None)?;
            let id = self.variable(argument.name.clone(), ty, 0);
            if !argument.name.is_empty() {
                self.offer(id);
            }
            self.arguments.push(id);
        }
        for (name, ty) in &routine.returns.columns {
            let shared = self
                .arguments
                .iter()
                .copied()
                .find(|id| !name.is_empty() && self.variables[*id].name == *name);
            let id = match shared {
                Some(id) => id,
                None => {
                    let ty = self.variable_type(ty, TypeModifier::None)?;
                    let id = self.variable(name.clone(), ty, 0);
                    if !name.is_empty() {
                        self.offer(id);
                    }
                    id
                }
            };
            self.outputs.push(id);
        }
        if is_trigger(&routine.returns.ty) {
            let text = || VariableType::Scalar {
                ty: Type::Text,
                modifier: TypeModifier::None,
            };
            let name = || VariableType::Scalar {
                ty: Type::Name,
                modifier: TypeModifier::None,
            };
            let number = VariableType::Scalar {
                ty: Type::Int4,
                modifier: TypeModifier::None,
            };
            let mut made = |name: &str, ty: VariableType| {
                let id = self.variable(Ident::new(name), ty, 0);
                self.offer(id);
                id
            };
            self.trigger = Some(TriggerVariables {
                new: made("new", VariableType::Record),
                old: made("old", VariableType::Record),
                name: made("tg_name", name()),
                when: made("tg_when", text()),
                level: made("tg_level", text()),
                operation: made("tg_op", text()),
                table: made("tg_table_name", name()),
                schema: made("tg_table_schema", name()),
                count: made("tg_nargs", number),
                arguments: Vec::new(),
            });
            // The old spelling of TG_TABLE_NAME.
            let table = self.trigger.as_ref().map(|trigger| trigger.table);
            if let Some(table) = table {
                self.offer_as(Ident::new("tg_relname"), table);
            }
            self.trigger_arguments()?;
        }
        self.found = self.variable(
            Ident::new("found"),
            VariableType::Scalar {
                ty: Type::Bool,
                modifier: TypeModifier::None,
            },
            0,
        );
        self.offer(self.found);
        Ok(())
    }

    /// Each `TG_ARGV[n]` of the body is a variable of its own: PostgreSQL counts this array from 0, and no other.
    fn trigger_arguments(&mut self) -> Result<()> {
        for at in 0..self.tokens.len() {
            let TokenKind::Word(word) = &self.tokens[at].kind else {
                continue;
            };
            match word.as_str() {
                "tg_relid" => {
                    let line = self.line_of(self.tokens[at].start);
                    return Err(self.refuse("TG_RELID", Some("TG_TABLE_NAME"), line));
                }
                "tg_argv" => {}
                _ => continue,
            }
            let Some(index) = self.argument_index(at) else {
                let line = self.line_of(self.tokens[at].start);
                return Err(self.refuse("TG_ARGV but with a constant index", Some("TG_ARGV[0]"), line));
            };
            let known = self
                .trigger
                .as_ref()
                .is_some_and(|trigger| trigger.arguments.iter().any(|(other, _)| *other == index));
            if known {
                continue;
            }
            let ty = VariableType::Scalar {
                ty: Type::Text,
                modifier: TypeModifier::None,
            };
            let id = self.variable(Ident::from(format!("tg_argv[{index}]")), ty, 0);
            self.offer(id);
            if let Some(trigger) = &mut self.trigger {
                trigger.arguments.push((index, id));
            }
        }
        Ok(())
    }

    /// `n` of a `TG_ARGV[n]` that begins with this token.
    fn argument_index(&self, at: usize) -> Option<usize> {
        let [_, open, number, close] = self.tokens.get(at..at + 4)? else {
            return None;
        };
        let is = |token: &Token, symbol: &str| token.kind == TokenKind::Symbol && self.spelled(token) == symbol;
        (is(open, "[") && number.kind == TokenKind::Number && is(close, "]"))
            .then(|| self.spelled(number).parse().ok())
            .flatten()
    }

    /// The text with `"tg_argv[n]"` for each `TG_ARGV[n]`.
    pub(super) fn with_trigger_arguments(&self, text: &str, offset: usize) -> String {
        let mut made = String::with_capacity(text.len());
        let mut copied = offset;
        for at in 0..self.tokens.len() {
            let token = &self.tokens[at];
            let inside = token.start >= offset && token.end <= offset + text.len();
            if inside
                && matches!(&token.kind, TokenKind::Word(word) if *word == *"tg_argv")
                && let Some(index) = self.argument_index(at)
            {
                made.push_str(self.text.get(copied..token.start).unwrap_or_default());
                made.push_str("\"tg_argv[");
                made.push_str(&index.to_string());
                made.push_str("]\"");
                copied = self.tokens[at + 3].end;
            }
        }
        made.push_str(self.text.get(copied..offset + text.len()).unwrap_or_default());
        made
    }

    /// `#variable_conflict …` before the block; the last one counts.
    fn function_options(&mut self) -> Result<Conflicts> {
        let mut conflicts = Conflicts::default();
        while self.is_symbol("#") {
            let line = self.line();
            self.advance();
            if !self.take_word("variable_conflict") {
                return Err(self.refuse("options of a PL/pgSQL function (#…)", Some("labels before names"), line));
            }
            conflicts = match () {
                () if self.take_word("error") => Conflicts::Error,
                () if self.take_word("use_variable") => Conflicts::UseVariable,
                () if self.take_word("use_column") => Conflicts::UseColumn,
                () => return Err(self.syntax_error()),
            };
        }
        Ok(conflicts)
    }

    fn function_block(&mut self) -> Result<Block> {
        let label = self.label()?;
        let block = self.block(label)?;
        self.take_symbol(";");
        match self.peek().kind {
            TokenKind::End => Ok(block),
            _ => Err(self.syntax_error()),
        }
    }

    // Tokens.

    pub(super) fn peek(&self) -> &Token {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, count: usize) -> &Token {
        &self.tokens[(self.at + count).min(self.tokens.len() - 1)]
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    /// Gives the last token back.
    pub(super) fn step_back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub(super) fn spelled(&self, token: &Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    pub(super) fn line_of(&self, offset: usize) -> u32 {
        let before = self.text.get(..offset).unwrap_or_default();
        // A line feed directly behind the opening quote is not counted by PostgreSQL either: it is line 1 then.
        before.bytes().filter(|byte| *byte == b'\n').count() as u32 + 1
    }

    pub(super) fn line(&self) -> u32 {
        self.line_of(self.peek().start)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(found) if *found == *word)
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        let token = self.peek();
        token.kind == TokenKind::Symbol && self.spelled(token) == symbol
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        match self.take_word(word) {
            true => Ok(()),
            false => Err(self.syntax_error()),
        }
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        match self.take_symbol(symbol) {
            true => Ok(()),
            false => Err(self.syntax_error()),
        }
    }

    /// 42601 at the token that is next.
    pub(super) fn syntax_error(&self) -> DatabaseError {
        self.error("syntax error")
    }

    /// 42601 with a message, at the token that is next.
    pub(super) fn error(&self, message: &str) -> DatabaseError {
        self.error_at(message, self.peek())
    }

    fn error_at(&self, message: &str, token: &Token) -> DatabaseError {
        let place = match token.kind {
            TokenKind::End => "end of input".to_owned(),
            _ => format!("or near \"{}\"", self.spelled(token)),
        };
        self.at_offset(
            DatabaseError::new("42601", format!("{message} at {place}")),
            token.start,
        )
    }

    /// Adds the character position in the body.
    pub(super) fn at_offset(&self, error: DatabaseError, offset: usize) -> DatabaseError {
        let position = self.text.get(..offset).unwrap_or_default().chars().count() as u32 + 1;
        error.at(position)
    }

    pub(super) fn refuse(&self, feature: &str, alternative: Option<&str>, line: u32) -> DatabaseError {
        DatabaseError::unavailable(feature, &self.routine.name.name, line, alternative)
    }

    /// A name that is being declared or used as a label: any word that is not reserved.
    pub(super) fn any_name(&mut self) -> Result<Ident> {
        match self.peek().kind.clone() {
            TokenKind::Quoted(name) => {
                self.advance();
                Ok(name)
            }
            TokenKind::Word(name) if !RESERVED.contains(&name.as_str()) => {
                self.advance();
                Ok(name)
            }
            _ => Err(self.syntax_error()),
        }
    }

    // Names.

    pub(super) fn open(&mut self, label: Ident, is_loop: bool, is_function: bool) {
        self.names.push(Entry {
            before: self.scope,
            kind: EntryKind::Label { is_loop, is_function },
            name: label,
        });
        self.scope = Some(self.names.len() - 1);
    }

    pub(super) fn variable(&mut self, name: Ident, ty: VariableType, line: u32) -> VariableId {
        self.variables.push(Variable {
            name,
            ty,
            constant: false,
            not_null: false,
            default: None,
            line,
        });
        self.variables.len() - 1
    }

    /// Puts a variable in scope under its name.
    pub(super) fn offer(&mut self, id: VariableId) {
        self.offer_as(self.variables[id].name.clone(), id);
    }

    fn offer_as(&mut self, name: Ident, id: VariableId) {
        let is_row = !matches!(self.variables[id].ty, VariableType::Scalar { .. });
        self.names.push(Entry {
            before: self.scope,
            kind: EntryKind::Variable { id, is_row },
            name,
        });
        self.scope = Some(self.names.len() - 1);
    }

    /// The label entry of that name, with whether it is a loop's.
    pub(super) fn find_label(&self, name: &Ident) -> Option<bool> {
        let mut at = self.scope;
        while let Some(index) = at {
            let entry = &self.names[index];
            if let EntryKind::Label { is_loop, is_function } = entry.kind
                && entry.name == *name
                && !is_function
            {
                return Some(is_loop);
            }
            at = entry.before;
        }
        None
    }

    /// True inside any loop of the function.
    pub(super) fn is_in_loop(&self) -> bool {
        let mut at = self.scope;
        while let Some(index) = at {
            if matches!(self.names[index].kind, EntryKind::Label { is_loop: true, .. }) {
                return true;
            }
            at = self.names[index].before;
        }
        false
    }

    /// The names of a dotted reference that begins with the next token, without taking it: names and tokens.
    pub(super) fn dotted(&self) -> (Vec<Ident>, usize) {
        let mut names = Vec::new();
        let mut count = 0;
        loop {
            match &self.ahead(count).kind {
                TokenKind::Quoted(name) => names.push(name.clone()),
                TokenKind::Word(name) if count > 0 || !RESERVED.contains(&name.as_str()) => names.push(name.clone()),
                _ => break,
            }
            count += 1;
            let dot = self.ahead(count);
            if names.len() == 3 || dot.kind != TokenKind::Symbol || self.spelled(dot) != "." {
                break;
            }
            match self.ahead(count + 1).kind {
                TokenKind::Word(_) | TokenKind::Quoted(_) => count += 1,
                _ => break,
            }
        }
        (names, count)
    }

    /// The variable or field that the next tokens name, if they name one; takes nothing.
    pub(super) fn target_ahead(&self) -> Option<(Target, usize)> {
        let (names, mut count) = self.dotted();
        if names.is_empty() {
            return None;
        }
        // As many parts as name something: `a.b.c` may be a variable `a.b` with something behind it.
        let (variable, used) = lookup(&self.names, self.scope, &names)?;
        let field = names.get(used).cloned();
        let parts = used + usize::from(field.is_some());
        count = count.min(parts * 2 - 1);
        Some((Target { variable, field }, count))
    }

    /// Takes a variable or field to assign to.
    ///
    /// Errors: 42601 `"x" is not a known variable`, 22005 for a constant.
    pub(super) fn target(&mut self) -> Result<Target> {
        match self.target_ahead() {
            Some((target, count)) => {
                self.assignable(&target)?;
                for _ in 0..count {
                    self.advance();
                }
                Ok(target)
            }
            None => Err(self.unknown_variable()),
        }
    }

    pub(super) fn assignable(&self, target: &Target) -> Result<()> {
        let variable = &self.variables[target.variable];
        if variable.constant {
            let message = format!("variable \"{}\" is declared CONSTANT", variable.name);
            return Err(self.at_offset(DatabaseError::new("22005", message), self.peek().start));
        }
        Ok(())
    }

    /// 42601 for a name that stands where a variable must.
    pub(super) fn unknown_variable(&self) -> DatabaseError {
        let (names, _) = self.dotted();
        if names.is_empty() {
            return self.syntax_error();
        }
        let shown: Vec<&str> = names.iter().map(Ident::as_str).collect();
        let message = format!("\"{}\" is not a known variable", shown.join("."));
        self.at_offset(DatabaseError::new("42601", message), self.peek().start)
    }

    // Types.

    /// What a variable of a type holds: a table's row type has fields.
    pub(super) fn variable_type(&self, ty: &Type, modifier: TypeModifier) -> Result<VariableType> {
        Ok(match ty {
            Type::Record => VariableType::Record,
            Type::Composite(name) => match self.catalog.relations.get(name) {
                Some(relation) => row_type(relation),
                None => VariableType::Scalar {
                    ty: ty.clone(),
                    modifier,
                },
            },
            Type::Void => {
                return Err(DatabaseError::new("42601", "variable cannot have pseudo-type void"));
            }
            _ => VariableType::Scalar {
                ty: ty.clone(),
                modifier,
            },
        })
    }

    /// Reads a type up to the word or symbol that may follow one in a declaration.
    fn declared_type(&mut self) -> Result<VariableType> {
        let line = self.line();
        let first = self.at;
        let (names, count) = self.dotted();
        let percent = self.ahead(count);
        if !names.is_empty() && percent.kind == TokenKind::Symbol && self.spelled(percent) == "%" {
            let suffix = match &self.ahead(count + 1).kind {
                TokenKind::Word(word) => word.to_string(),
                _ => String::new(),
            };
            let bracket = self.ahead(count + 2);
            let is_array = bracket.kind == TokenKind::Symbol && self.spelled(bracket) == "[";
            match suffix.as_str() {
                "type" | "rowtype" if is_array => {
                    // Arrays of %TYPE came with PostgreSQL 17.
                    for _ in 0..count + 2 {
                        self.advance();
                    }
                    return Err(self.syntax_error());
                }
                "type" => {
                    let ty = self.copied_type(&names)?;
                    for _ in 0..count + 2 {
                        self.advance();
                    }
                    return Ok(ty);
                }
                "rowtype" => {
                    let relation = self.relation(&names)?;
                    for _ in 0..count + 2 {
                        self.advance();
                    }
                    return Ok(row_type(&relation));
                }
                _ => {}
            }
        }
        if self.is_word("record") && names.len() == 1 {
            self.advance();
            return Ok(VariableType::Record);
        }
        let mut depth = 0_usize;
        loop {
            let token = self.peek();
            match &token.kind {
                TokenKind::End => break,
                TokenKind::Word(word) if depth == 0 && matches!(word.as_str(), "not" | "default" | "collate") => break,
                TokenKind::Symbol => match self.spelled(token) {
                    "(" | "[" => depth += 1,
                    ")" | "]" if depth > 0 => depth -= 1,
                    ";" | ":=" | "=" | ")" | "," if depth == 0 => break,
                    ";" => break,
                    _ => {}
                },
                _ => {}
            }
            self.advance();
        }
        if self.at == first {
            return Err(self.error("missing data type declaration"));
        }
        let begin = self.tokens[first].start;
        let written = self.text.get(begin..self.tokens[self.at - 1].end).unwrap_or_default();
        let ty = self.written_type(written, begin, line)?;
        if self.is_word("collate") {
            return Err(self.refuse("COLLATE of a variable", None, line));
        }
        Ok(ty)
    }

    fn written_type(&self, written: &str, begin: usize, line: u32) -> Result<VariableType> {
        let invalid = || {
            let message = format!("invalid type name \"{written}\"");
            self.at_offset(DatabaseError::new("42601", message), begin)
        };
        let mut text = String::from("NULL::");
        text.push_str(written);
        let parsed = sql::expression(&text).map_err(|error| match error.sqlstate.as_str() {
            "42601" => {
                let error = DatabaseError {
                    position: None,
                    ..error
                };
                self.at_offset(error, begin)
            }
            _ => error,
        })?;
        let ast::ExprKind::Cast { ty: name, .. } = &parsed.kind else {
            return Err(invalid());
        };
        if name.set_of {
            return Err(invalid());
        }
        // A relation's name is the type of its rows.
        if name.array_dimensions == 0 && Type::from_builtin_name(&name.name).is_none() {
            let mut parts = Vec::new();
            parts.extend(name.schema.clone());
            parts.push(name.name.clone());
            if let Ok(relation) = self.relation(&parts) {
                return Ok(row_type(&relation));
            }
        }
        let path = &self.routine.search_path;
        match types::resolve(self.catalog, path, name, line) {
            Ok((ty, modifier)) => self.variable_type(&ty, modifier),
            Err(error) if error.sqlstate == "42704" => {
                let error = DatabaseError {
                    position: None,
                    ..error
                };
                Err(self.at_offset(error, begin))
            }
            Err(error) => Err(error),
        }
    }

    /// `name%TYPE`: a variable's type or a column's.
    fn copied_type(&self, names: &[Ident]) -> Result<VariableType> {
        if let Some((variable, used)) = lookup(&self.names, self.scope, names) {
            match (names.get(used), &self.variables[variable].ty) {
                (None, ty) => return Ok(ty.clone()),
                (Some(field), VariableType::Row { fields, .. }) => {
                    if let Some(field) = fields.iter().find(|other| other.name == *field) {
                        return self.variable_type(&field.ty, field.modifier);
                    }
                }
                _ => {}
            }
        }
        let shown: Vec<&str> = names.iter().map(Ident::as_str).collect();
        let [path @ .., column] = names else {
            return Err(self.syntax_error());
        };
        if path.is_empty() {
            let message = format!("type \"{}\" does not exist", shown.join("."));
            return Err(DatabaseError::new("42704", message));
        }
        // What is not found is no name to PostgreSQL's parser, which stumbles over what follows.
        let unknown = || DatabaseError::new("42601", "syntax error at or near \"%\"");
        let relation = self.relation(path).map_err(|_| unknown())?;
        let (_, column) = relation.column(column).ok_or_else(unknown)?;
        self.variable_type(&column.ty, column.modifier)
    }

    fn relation(&self, names: &[Ident]) -> Result<Arc<Relation>> {
        let found = match names {
            [name] => self.catalog.find_relation(&self.routine.search_path, name),
            [schema, name] => self.catalog.relation(&QualifiedName::new(schema.clone(), name.clone())),
            _ => None,
        };
        found.cloned().ok_or_else(|| {
            let shown: Vec<&str> = names.iter().map(Ident::as_str).collect();
            DatabaseError::new("42P01", format!("relation \"{}\" does not exist", shown.join(".")))
        })
    }

    // Expressions.

    /// Takes everything up to one of `until` (words or symbols) outside parentheses; the end is taken too.
    ///
    /// Errors: 42601 in PostgreSQL's words, also for an expression that is none.
    pub(super) fn expression(&mut self, until: &[&str], wanted: &str) -> Result<Taken> {
        let taken = self.raw(until, wanted, true)?;
        self.check_expression(&taken.fragment)?;
        Ok(taken)
    }

    /// The same for a whole query.
    pub(super) fn query(&mut self, until: &[&str], wanted: &str) -> Result<Taken> {
        let taken = self.raw(until, wanted, false)?;
        self.check_statement(&taken.fragment)?;
        Ok(taken)
    }

    pub(super) fn raw(&mut self, until: &[&str], wanted: &str, is_expression: bool) -> Result<Taken> {
        let first = self.peek().clone();
        let mut depth = 0_usize;
        let mut end = first.start;
        loop {
            let token = self.peek().clone();
            let spelled = match &token.kind {
                TokenKind::Word(word) => word.to_string(),
                TokenKind::Symbol => self.spelled(&token).to_owned(),
                TokenKind::End => {
                    if depth > 0 {
                        return Err(self.error("mismatched parentheses"));
                    }
                    return Err(self.syntax_error());
                }
                _ => String::new(),
            };
            if depth == 0 && until.contains(&spelled.as_str()) {
                break;
            }
            match spelled.as_str() {
                "(" | "[" => depth += 1,
                ")" | "]" => {
                    depth = match depth.checked_sub(1) {
                        Some(depth) => depth,
                        None => return Err(self.error("mismatched parentheses")),
                    }
                }
                ";" => {
                    if depth > 0 {
                        return Err(self.error("mismatched parentheses"));
                    }
                    return Err(self.missing(wanted, is_expression));
                }
                _ => {}
            }
            end = token.end;
            self.advance();
        }
        if end == first.start {
            return Err(self.error(if is_expression {
                "missing expression"
            } else {
                "missing SQL statement"
            }));
        }
        let ended = self.advance();
        let text = self.text.get(first.start..end).unwrap_or_default();
        let text = match &self.trigger {
            Some(trigger) if !trigger.arguments.is_empty() => self.with_trigger_arguments(text, first.start),
            _ => text.to_owned(),
        };
        let fragment = self.fragment(&text, first.start);
        let end = match &ended.kind {
            TokenKind::Word(word) => word.to_string(),
            _ => self.spelled(&ended).to_owned(),
        };
        Ok(Taken { fragment, end })
    }

    fn missing(&self, wanted: &str, is_expression: bool) -> DatabaseError {
        let kind = if is_expression {
            "SQL expression"
        } else {
            "SQL statement"
        };
        let message = format!("missing \"{wanted}\" at end of {kind}");
        self.at_offset(DatabaseError::new("42601", message), self.peek().start)
    }

    pub(super) fn fragment(&mut self, text: &str, offset: usize) -> Fragment {
        let id = self.fragments;
        self.fragments += 1;
        Fragment {
            id,
            text: Arc::from(text),
            line: self.line_of(offset),
            scope: self.scope,
        }
    }

    /// Errors: 42601, as the SQL parser says it.
    pub(super) fn check_expression(&self, fragment: &Fragment) -> Result<()> {
        let mut text = String::from(super::SELECT);
        text.push_str(&fragment.text);
        self.checked(&text)
    }

    pub(super) fn check_statement(&self, fragment: &Fragment) -> Result<()> {
        self.checked(&fragment.text)
    }

    fn checked(&self, text: &str) -> Result<()> {
        let statements = sql::kept(text).map_err(|error| DatabaseError {
            position: None,
            ..error
        })?;
        match statements.as_slice() {
            [only] => match &only.ast {
                ast::Statement::Unsupported(refused) => {
                    Err(self.refuse(&refused.feature, refused.alternative.as_deref(), self.line()))
                }
                _ => Ok(()),
            },
            _ => Err(self.syntax_error()),
        }
    }

    // Blocks.

    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            return Err(DatabaseError::new("54001", "stack depth limit exceeded"));
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        done
    }

    /// `<<label>>`, if there is one.
    pub(super) fn label(&mut self) -> Result<Option<Ident>> {
        if !self.take_symbol("<<") {
            return Ok(None);
        }
        let name = self.any_name()?;
        self.expect_symbol(">>")?;
        Ok(Some(name))
    }

    /// The name behind END, which must be the label.
    pub(super) fn end_label(&mut self, label: Option<&Ident>) -> Result<()> {
        if self.is_symbol(";") || self.peek().kind == TokenKind::End {
            return Ok(());
        }
        let offset = self.peek().start;
        let name = self.any_name()?;
        let message = match label {
            Some(label) if *label == name => return Ok(()),
            Some(label) => format!("end label \"{name}\" differs from block's label \"{label}\""),
            None => format!("end label \"{name}\" specified for unlabeled block"),
        };
        Err(self.at_offset(DatabaseError::new("42601", message), offset))
    }

    /// `[DECLARE …] BEGIN … END [label]`; the semicolon is left.
    pub(super) fn block(&mut self, label: Option<Ident>) -> Result<Block> {
        self.deeper(|parser| {
            let outer = parser.scope;
            let name = label.clone().unwrap_or_else(|| Ident::new(""));
            parser.open(name, false, false);
            let declared = parser.declarations()?;
            parser.expect_word("begin")?;
            let body = parser.statements(&["end", "exception"])?;
            let handlers = match parser.take_word("exception") {
                true => Some(parser.handlers()?),
                false => None,
            };
            parser.expect_word("end")?;
            parser.scope = outer;
            parser.end_label(label.as_ref())?;
            Ok(Block {
                label,
                declared,
                body,
                handlers,
            })
        })
    }

    fn declarations(&mut self) -> Result<Vec<VariableId>> {
        let mut declared = Vec::new();
        if !self.take_word("declare") {
            return Ok(declared);
        }
        let level = self.scope;
        while !self.is_word("begin") {
            // PostgreSQL lets DECLARE be repeated.
            if self.take_word("declare") {
                continue;
            }
            let line = self.line();
            let token = self.peek().clone();
            let name = self.any_name()?;
            let twice = self.names[level.map_or(0, |level| level)..]
                .iter()
                .any(|entry| matches!(entry.kind, EntryKind::Variable { .. }) && entry.name == name)
                && self.is_declared_here(&name, level);
            if twice {
                return Err(self.error_at("duplicate declaration", &token));
            }
            if self.take_word("alias") {
                self.expect_word("for")?;
                let id = match self.peek().kind {
                    TokenKind::Parameter => {
                        let spelled = self.spelled(self.peek());
                        let number = spelled.get(1..).and_then(|digits| digits.parse::<usize>().ok());
                        let id = number
                            .and_then(|number| number.checked_sub(1))
                            .and_then(|index| self.arguments.get(index).copied());
                        let missing = format!("variable \"{spelled}\" does not exist");
                        let offset = self.peek().start;
                        let id = id.ok_or_else(|| self.at_offset(DatabaseError::new("42704", missing), offset))?;
                        self.advance();
                        id
                    }
                    _ => match self.target_ahead() {
                        Some((Target { variable, field: None }, count)) => {
                            for _ in 0..count {
                                self.advance();
                            }
                            variable
                        }
                        _ => {
                            let (names, _) = self.dotted();
                            let shown: Vec<&str> = names.iter().map(Ident::as_str).collect();
                            let message = format!("variable \"{}\" does not exist", shown.join("."));
                            return Err(self.at_offset(DatabaseError::new("42704", message), self.peek().start));
                        }
                    },
                };
                self.offer_as(name, id);
                self.expect_symbol(";")?;
                continue;
            }
            let constant = self.take_word("constant");
            if self.is_word("cursor") || self.is_word("scroll") || (self.is_word("no") && !constant) {
                return Err(self.refuse("cursors", Some("FOR … IN query LOOP"), line));
            }
            let ty = self.declared_type()?;
            let mut not_null = false;
            if self.take_word("not") {
                self.expect_word("null")?;
                not_null = true;
            }
            let mut default = None;
            if self.take_symbol(":=") || self.take_symbol("=") || self.take_word("default") {
                default = Some(self.expression(&[";"], ";")?.fragment);
            } else {
                self.expect_symbol(";")?;
            }
            if not_null && default.is_none() {
                let message = format!("variable \"{name}\" must have a default value, since it's declared NOT NULL");
                return Err(self.at_offset(DatabaseError::new("22004", message), token.start));
            }
            let id = self.variable(name, ty, line);
            let variable = &mut self.variables[id];
            (variable.constant, variable.not_null, variable.default) = (constant, not_null, default);
            self.offer(id);
            declared.push(id);
        }
        Ok(declared)
    }

    fn is_declared_here(&self, name: &Ident, level: Option<usize>) -> bool {
        let mut at = self.scope;
        while let Some(index) = at.filter(|index| Some(*index) != level) {
            let entry = &self.names[index];
            if entry.name == *name {
                return true;
            }
            at = entry.before;
        }
        false
    }

    fn handlers(&mut self) -> Result<Handlers> {
        let outer = self.scope;
        let text = || VariableType::Scalar {
            ty: Type::Text,
            modifier: TypeModifier::None,
        };
        let line = self.line();
        let sqlstate = self.variable(Ident::new("sqlstate"), text(), line);
        self.variables[sqlstate].constant = true;
        self.offer(sqlstate);
        let message = self.variable(Ident::new("sqlerrm"), text(), line);
        self.variables[message].constant = true;
        self.offer(message);
        let mut list = Vec::new();
        while self.take_word("when") {
            let mut conditions = Vec::new();
            loop {
                conditions.extend(self.condition()?);
                if !self.take_word("or") {
                    break;
                }
            }
            self.expect_word("then")?;
            let body = self.statements(&["when", "end"])?;
            list.push(Handler { conditions, body });
        }
        if list.is_empty() {
            return Err(self.syntax_error());
        }
        self.scope = outer;
        Ok(Handlers {
            sqlstate,
            message,
            list,
        })
    }

    fn condition(&mut self) -> Result<Vec<Condition>> {
        let offset = self.peek().start;
        let name = self.any_name()?;
        match name.as_str() {
            "others" => Ok(vec![Condition::Others]),
            "sqlstate" => Ok(vec![Condition::Code(self.sqlstate()?)]),
            _ => {
                let codes = conditions::codes_of(&name);
                if codes.is_empty() {
                    let message = format!("unrecognized exception condition \"{name}\"");
                    return Err(self.at_offset(DatabaseError::new("42704", message), offset));
                }
                Ok(codes.into_iter().map(|code| Condition::Code(code.to_owned())).collect())
            }
        }
    }

    /// The string behind `SQLSTATE`.
    pub(super) fn sqlstate(&mut self) -> Result<String> {
        let TokenKind::Text(code) = self.peek().kind.clone() else {
            return Err(self.syntax_error());
        };
        let valid = code.len() == 5
            && code
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        if !valid {
            return Err(self.error("invalid SQLSTATE code"));
        }
        self.advance();
        Ok(code)
    }
}

fn row_type(relation: &Relation) -> VariableType {
    VariableType::Row {
        ty: Type::Composite(relation.name.clone()),
        fields: fields_of(relation),
    }
}

/// A relation's columns as fields.
pub fn fields_of(relation: &Relation) -> Arc<[Field]> {
    relation
        .columns
        .iter()
        .map(|column| Field {
            name: column.name.clone(),
            ty: column.ty.clone(),
            modifier: column.modifier,
        })
        .collect()
}
