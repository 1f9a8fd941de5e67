//! The statements of a block.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;
use mainstay_core::types::{Type, TypeModifier};

use super::lexer::TokenKind;
use super::parse::{Parser, is_trigger};
use super::tree::*;
use crate::ast;
use crate::parse as sql;

type Result<T> = std::result::Result<T, DatabaseError>;

impl Parser<'_> {
    /// Statements up to one of the words `until`, which is left.
    pub(super) fn statements(&mut self, until: &[&str]) -> Result<Vec<Statement>> {
        let mut list = Vec::new();
        loop {
            if let TokenKind::Word(word) = &self.peek().kind
                && until.contains(&word.as_str())
            {
                return Ok(list);
            }
            if self.peek().kind == TokenKind::End {
                return Err(self.syntax_error());
            }
            list.push(self.deeper(|parser| parser.statement())?);
        }
    }

    fn statement(&mut self) -> Result<Statement> {
        let line = self.line();
        let label = self.label()?;
        let word = match &self.peek().kind {
            TokenKind::Word(word) => word.clone(),
            TokenKind::Quoted(_) => Ident::new(""),
            _ if self.spelled(self.peek()).starts_with('$') => {
                return Err(self.refuse("assignment to a numbered argument", Some("the argument's name"), line));
            }
            _ => return Err(self.syntax_error()),
        };
        let kind = match word.as_str() {
            "declare" | "begin" => {
                let block = self.block(label)?;
                self.expect_symbol(";")?;
                StatementKind::Block(Box::new(block))
            }
            "loop" | "while" | "for" | "foreach" => self.any_loop(label)?,
            _ if label.is_some() => return Err(self.syntax_error()),
            _ => self.plain(&word, line)?,
        };
        Ok(Statement { line, kind })
    }

    fn plain(&mut self, word: &str, line: u32) -> Result<StatementKind> {
        // A variable's name comes before every word that is not reserved: `return := 1` is an assignment.
        if let Some((_, count)) = self.target_ahead() {
            let next = self.ahead(count);
            if next.kind == TokenKind::Symbol && matches!(self.spelled(next), ":=" | "=" | "[") {
                return self.assignment();
            }
        }
        match word {
            "if" => self.conditional(),
            "case" => self.case(),
            "exit" | "continue" => self.exit(word == "exit"),
            "return" => self.returning(line),
            "raise" => self.raise(),
            "assert" => self.assertion(),
            "perform" => self.perform(),
            "null" => {
                self.advance();
                self.expect_symbol(";")?;
                Ok(StatementKind::Null)
            }
            "get" => self.diagnostics(),
            "execute" => Err(self.refuse("EXECUTE of a computed statement", Some("the statement itself"), line)),
            "open" | "fetch" | "move" | "close" => Err(self.refuse("cursors", Some("FOR … IN query LOOP"), line)),
            "commit" | "rollback" => Err(self.refuse("COMMIT and ROLLBACK in a function", None, line)),
            "call" | "do" => {
                let feature = format!("{} in a function", word.to_uppercase());
                Err(self.refuse(&feature, Some("PERFORM function()"), line))
            }
            _ => self.sql(),
        }
    }

    fn assignment(&mut self) -> Result<StatementKind> {
        let line = self.line();
        let target = self.target()?;
        if self.is_symbol("[") {
            return Err(self.refuse("assignment to an array's element", Some("assign the whole array"), line));
        }
        if !self.take_symbol(":=") && !self.take_symbol("=") {
            return Err(self.syntax_error());
        }
        let value = self.expression(&[";"], ";")?.fragment;
        Ok(StatementKind::Assign { target, value })
    }

    fn conditional(&mut self) -> Result<StatementKind> {
        self.advance();
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let condition = self.expression(&["then"], "THEN")?.fragment;
            branches.push((condition, self.statements(&["elsif", "elseif", "else", "end"])?));
            if self.take_word("elsif") || self.take_word("elseif") {
                continue;
            }
            if self.take_word("else") {
                otherwise = self.statements(&["end"])?;
            }
            break;
        }
        self.expect_word("end")?;
        self.expect_word("if")?;
        self.expect_symbol(";")?;
        Ok(StatementKind::If { branches, otherwise })
    }

    fn case(&mut self) -> Result<StatementKind> {
        let line = self.line();
        let outer = self.scope;
        self.advance();
        let mut operand = None;
        if !self.is_word("when") {
            let taken = self.raw(&["when"], "WHEN", true)?;
            self.check_expression(&taken.fragment)?;
            // Its type is known when it has a value; the name cannot be written.
            let id = self.variable(
                Ident::new(format!("__Case__Variable_{}__", self.variables.len())),
                VariableType::Record,
                line,
            );
            self.variables[id].ty = VariableType::Scalar {
                ty: Type::Unknown,
                modifier: TypeModifier::None,
            };
            self.open(Ident::new(""), false, false);
            self.offer(id);
            operand = Some((taken.fragment, id));
        } else {
            self.advance();
        }
        let mut whens = Vec::new();
        loop {
            let begin = self.peek().start;
            let taken = self.raw(&["then"], "THEN", true)?;
            let condition = match &operand {
                None => {
                    self.check_expression(&taken.fragment)?;
                    taken.fragment
                }
                Some((_, id)) => {
                    let mut text = String::from("\"");
                    text.push_str(&self.variables[*id].name);
                    text.push_str("\" IN (");
                    text.push_str(&taken.fragment.text);
                    text.push(')');
                    let fragment = self.fragment(&text, begin);
                    self.check_expression(&fragment)?;
                    fragment
                }
            };
            whens.push((condition, self.statements(&["when", "else", "end"])?));
            if !self.take_word("when") {
                break;
            }
        }
        let mut otherwise = None;
        if self.take_word("else") {
            otherwise = Some(self.statements(&["end"])?);
        }
        self.scope = outer;
        self.expect_word("end")?;
        self.expect_word("case")?;
        self.expect_symbol(";")?;
        Ok(StatementKind::Case(Case {
            operand,
            whens,
            otherwise,
        }))
    }

    fn any_loop(&mut self, label: Option<Ident>) -> Result<StatementKind> {
        let outer = self.scope;
        self.open(label.clone().unwrap_or_else(|| Ident::new("")), true, false);
        let kind = if self.take_word("while") {
            LoopKind::While(self.expression(&["loop"], "LOOP")?.fragment)
        } else if self.take_word("for") {
            self.for_loop()?
        } else if self.take_word("foreach") {
            self.foreach()?
        } else {
            self.expect_word("loop")?;
            LoopKind::Forever
        };
        let body = self.statements(&["end"])?;
        self.expect_word("end")?;
        self.expect_word("loop")?;
        self.scope = outer;
        self.end_label(label.as_ref())?;
        self.expect_symbol(";")?;
        Ok(StatementKind::Loop(Loop { label, kind, body }))
    }

    /// What stands between FOR and LOOP.
    fn for_loop(&mut self) -> Result<LoopKind> {
        let line = self.line();
        let known = self.target_ahead();
        let (names, count) = self.dotted();
        if names.is_empty() {
            return Err(self.syntax_error());
        }
        let begin = self.peek().start;
        // The variables of a query's loop must exist; an integer's loop makes its own.
        let mut targets = Vec::new();
        match &known {
            Some((target, count)) => {
                let is_row = self.is_row(target);
                targets.push(target.clone());
                for _ in 0..*count {
                    self.advance();
                }
                while self.take_symbol(",") {
                    if is_row {
                        return Err(self.row_in_list(begin));
                    }
                    targets.push(self.scalar_target()?);
                }
            }
            None => {
                for _ in 0..count {
                    self.advance();
                }
            }
        }
        if !self.take_word("in") {
            return Err(self.syntax_error());
        }
        if self.is_word("execute") {
            return Err(self.refuse("EXECUTE of a computed statement", Some("the statement itself"), line));
        }
        let reverse = self.take_word("reverse");
        let query_begin = self.peek().start;
        let taken = self.raw(&["..", "loop"], "LOOP", true)?;
        if taken.end == ".." {
            let [name] = names.as_slice() else {
                let message = "integer FOR loop must have only one target variable";
                return Err(self.at_offset(DatabaseError::new("42601", message), begin));
            };
            if targets.len() > 1 {
                let message = "integer FOR loop must have only one target variable";
                return Err(self.at_offset(DatabaseError::new("42601", message), begin));
            }
            self.check_expression(&taken.fragment)?;
            let upper = self.raw(&["loop", "by"], "LOOP", true)?;
            self.check_expression(&upper.fragment)?;
            let by = match upper.end.as_str() {
                "by" => Some(self.expression(&["loop"], "LOOP")?.fragment),
                _ => None,
            };
            let variable = self.variable(
                name.clone(),
                VariableType::Scalar {
                    ty: Type::Int4,
                    modifier: TypeModifier::None,
                },
                line,
            );
            self.offer(variable);
            return Ok(LoopKind::Integers {
                variable,
                reverse,
                from: taken.fragment,
                to: upper.fragment,
                by,
            });
        }
        if reverse {
            let message = "cannot specify REVERSE in query FOR loop";
            return Err(self.at_offset(DatabaseError::new("42601", message), query_begin));
        }
        self.check_statement(&taken.fragment)?;
        if targets.is_empty() {
            let message = "loop variable of loop over rows must be a record variable or list of scalar variables";
            return Err(self.at_offset(DatabaseError::new("42601", message), begin));
        }
        for target in &targets {
            self.assignable(target)?;
        }
        self.only_query(&taken.fragment, line)?;
        Ok(LoopKind::Query {
            targets,
            query: taken.fragment,
        })
    }

    fn foreach(&mut self) -> Result<LoopKind> {
        let line = self.line();
        let begin = self.peek().start;
        let Some((target, _)) = self.target_ahead() else {
            let message = "loop variable of FOREACH must be a known variable or list of variables";
            return Err(self.at_offset(DatabaseError::new("42601", message), begin));
        };
        let target = {
            let taken = self.target()?;
            debug_assert_eq!(taken, target);
            taken
        };
        if self.is_word("slice") {
            return Err(self.refuse("FOREACH … SLICE", Some("FOREACH over the elements"), line));
        }
        self.expect_word("in")?;
        self.expect_word("array")?;
        let array = self.expression(&["loop"], "LOOP")?.fragment;
        Ok(LoopKind::Elements { target, array })
    }

    fn exit(&mut self, leaves: bool) -> Result<StatementKind> {
        self.advance();
        let mut label = None;
        if !self.is_symbol(";") && !self.is_word("when") {
            let offset = self.peek().start;
            let name = self.any_name()?;
            let fault = match self.find_label(&name) {
                Some(true) => None,
                Some(false) if leaves => None,
                Some(false) => Some(format!("block label \"{name}\" cannot be used in CONTINUE")),
                None => Some(format!(
                    "there is no label \"{name}\" attached to any block or loop enclosing this statement"
                )),
            };
            if let Some(message) = fault {
                return Err(self.at_offset(DatabaseError::new("42601", message), offset));
            }
            label = Some(name);
        } else if !self.is_in_loop() {
            let message = match leaves {
                true => "EXIT cannot be used outside a loop, unless it has a label",
                false => "CONTINUE cannot be used outside a loop",
            };
            return Err(self.at_offset(DatabaseError::new("42601", message), self.peek().start));
        }
        let condition = match self.take_word("when") {
            true => Some(self.expression(&[";"], ";")?.fragment),
            false => {
                self.expect_symbol(";")?;
                None
            }
        };
        Ok(StatementKind::Exit {
            leaves,
            label,
            condition,
        })
    }

    fn returning(&mut self, line: u32) -> Result<StatementKind> {
        self.advance();
        let returns = &self.routine.returns;
        let wrong =
            |parser: &Self, message: &str| parser.at_offset(DatabaseError::new("42804", message), parser.peek().start);
        if self.is_word("next") && !self.ahead_is(1, ":=") {
            self.advance();
            if !returns.set {
                return Err(wrong(self, "cannot use RETURN NEXT in a non-SETOF function"));
            }
            if !self.outputs.is_empty() {
                if !self.take_symbol(";") {
                    return Err(wrong(
                        self,
                        "RETURN NEXT cannot have a parameter in function with OUT parameters",
                    ));
                }
                return Ok(StatementKind::ReturnNext(None));
            }
            let value = self.expression(&[";"], ";")?.fragment;
            return Ok(StatementKind::ReturnNext(Some(value)));
        }
        if self.is_word("query") && !self.ahead_is(1, ":=") {
            self.advance();
            if !returns.set {
                return Err(wrong(self, "cannot use RETURN QUERY in a non-SETOF function"));
            }
            if self.is_word("execute") {
                return Err(self.refuse("EXECUTE of a computed statement", Some("the statement itself"), line));
            }
            let query = self.query(&[";"], ";")?.fragment;
            return Ok(StatementKind::ReturnQuery(query));
        }
        if returns.set {
            if !self.take_symbol(";") {
                return Err(wrong(self, "RETURN cannot have a parameter in function returning set")
                    .hint("Use RETURN NEXT or RETURN QUERY."));
            }
            return Ok(StatementKind::Return(None));
        }
        if returns.ty == Type::Void {
            if !self.take_symbol(";") {
                return Err(wrong(self, "RETURN cannot have a parameter in function returning void"));
            }
            return Ok(StatementKind::Return(None));
        }
        if !self.outputs.is_empty() {
            if !self.take_symbol(";") {
                return Err(wrong(
                    self,
                    "RETURN cannot have a parameter in function with OUT parameters",
                ));
            }
            return Ok(StatementKind::Return(None));
        }
        if is_trigger(&returns.ty) && self.is_symbol(";") {
            return Err(self.error("missing expression"));
        }
        let value = self.expression(&[";"], ";")?.fragment;
        Ok(StatementKind::Return(Some(value)))
    }

    fn ahead_is(&self, count: usize, symbol: &str) -> bool {
        let token = self.ahead(count);
        token.kind == TokenKind::Symbol && self.spelled(token) == symbol
    }

    fn assertion(&mut self) -> Result<StatementKind> {
        self.advance();
        let taken = self.expression(&[",", ";"], ";")?;
        let message = match taken.end.as_str() {
            "," => Some(self.expression(&[";"], ";")?.fragment),
            _ => None,
        };
        Ok(StatementKind::Assert {
            condition: taken.fragment,
            message,
        })
    }

    fn perform(&mut self) -> Result<StatementKind> {
        self.advance();
        let query = self.expression(&[";"], ";")?.fragment;
        Ok(StatementKind::Perform(query))
    }

    fn diagnostics(&mut self) -> Result<StatementKind> {
        self.advance();
        let stacked = self.take_word("stacked");
        if !stacked {
            self.take_word("current");
        }
        self.expect_word("diagnostics")?;
        let mut items = Vec::new();
        loop {
            let offset = self.peek().start;
            let target = self.target()?;
            if self.is_row(&target) {
                let name = &self.variables[target.variable].name;
                let message = format!("\"{name}\" is not a scalar variable");
                return Err(self.at_offset(DatabaseError::new("42601", message), offset));
            }
            if !self.take_symbol(":=") && !self.take_symbol("=") {
                return Err(self.syntax_error());
            }
            items.push((target, self.diagnostic(stacked)?));
            if !self.take_symbol(",") {
                break;
            }
        }
        self.expect_symbol(";")?;
        Ok(StatementKind::Diagnostics(items))
    }

    fn diagnostic(&mut self, stacked: bool) -> Result<Diagnostic> {
        let line = self.line();
        let offset = self.peek().start;
        let word = match &self.peek().kind {
            TokenKind::Word(word) => word.clone(),
            _ => return Err(self.error("unrecognized GET DIAGNOSTICS item")),
        };
        let item = match word.as_str() {
            "row_count" => Diagnostic::RowCount,
            "returned_sqlstate" => Diagnostic::ReturnedSqlstate,
            "message_text" => Diagnostic::Message,
            "pg_exception_detail" => Diagnostic::Detail,
            "pg_exception_hint" => Diagnostic::Hint,
            "column_name" => Diagnostic::Column,
            "constraint_name" => Diagnostic::Constraint,
            "pg_datatype_name" => Diagnostic::Datatype,
            "table_name" => Diagnostic::Table,
            "schema_name" => Diagnostic::Schema,
            "pg_context" | "pg_exception_context" | "pg_routine_oid" => {
                let feature = format!("{} of GET DIAGNOSTICS", word.to_uppercase());
                return Err(self.refuse(&feature, None, line));
            }
            _ => return Err(self.error("unrecognized GET DIAGNOSTICS item")),
        };
        if stacked == (item == Diagnostic::RowCount) {
            let kind = if stacked { "STACKED" } else { "CURRENT" };
            let message = format!(
                "diagnostics item {} is not allowed in GET {kind} DIAGNOSTICS",
                word.to_uppercase()
            );
            return Err(self.at_offset(DatabaseError::new("42601", message), offset));
        }
        self.advance();
        Ok(item)
    }

    /// A query or DML statement, with its INTO taken out.
    fn sql(&mut self) -> Result<StatementKind> {
        let line = self.line();
        let first = self.peek().clone();
        let (names, count) = self.dotted();
        let behind = self.ahead(count);
        if !names.is_empty() && behind.kind == TokenKind::Symbol && matches!(self.spelled(behind), ":=" | "=" | "[") {
            return Err(self.unknown_variable());
        }
        let mut text = String::new();
        let mut copied = first.start;
        let mut into: Option<IntoClause> = None;
        let mut before = String::new();
        let mut depth = 0_usize;
        loop {
            let token = self.peek().clone();
            let spelled = match &token.kind {
                TokenKind::Word(word) => word.to_string(),
                TokenKind::Symbol => self.spelled(&token).to_owned(),
                TokenKind::End => return Err(self.error("unexpected end of function definition")),
                _ => String::new(),
            };
            match spelled.as_str() {
                ";" if depth == 0 => break,
                "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "into" if before != "insert" && before != "merge" => {
                    if into.is_some() {
                        return Err(self.error("INTO specified more than once"));
                    }
                    text.push_str(&self.copied(copied, token.start));
                    self.advance();
                    into = Some(self.destination()?);
                    copied = self.peek().start;
                    before = String::from("into");
                    continue;
                }
                _ => {}
            }
            before = spelled;
            self.advance();
        }
        let end = self.peek().start;
        text.push_str(&self.copied(copied, end));
        self.advance();
        let fragment = self.fragment(text.trim_end(), first.start);
        self.check_statement(&fragment)?;
        let is_schema_change = self.allowed(&fragment, into.is_some(), line)?;
        Ok(StatementKind::Sql(Sql {
            text: fragment,
            into,
            is_schema_change,
        }))
    }

    fn copied(&self, from: usize, to: usize) -> String {
        let text = self.text.get(from..to).unwrap_or_default();
        self.with_trigger_arguments(text, from)
    }

    /// True for a change of the schema, which only DO may have.
    ///
    /// Errors: 0A000 for statements that a function may not have here; 42601 for INTO where nothing is returned.
    fn allowed(&self, fragment: &Fragment, has_into: bool, line: u32) -> Result<bool> {
        let statements = sql::kept(&fragment.text)?;
        let Some(only) = statements.first() else {
            return Ok(false);
        };
        match &only.ast {
            ast::Statement::Query(_)
            | ast::Statement::Insert(_)
            | ast::Statement::Update(_)
            | ast::Statement::Delete(_) => Ok(false),
            // A DO block is run by the script that has it, so that it can change the schema.
            ast::Statement::Ddl(_) if self.is_script() && !has_into => Ok(true),
            ast::Statement::Ddl(ddl) if matches!(**ddl, ast::ddl::DdlStatement::Truncate(_)) => {
                Err(self.refuse("TRUNCATE in a function", Some("DELETE"), line))
            }
            ast::Statement::Ddl(_) => Err(self.refuse("schema changes in a function", Some("a migration"), line)),
            ast::Statement::Set(_) => Err(self.refuse("SET in a function", None, line)),
            ast::Statement::Do(_) => Err(self.refuse("DO in a function", None, line)),
            ast::Statement::Transaction(_) => Err(self.refuse("COMMIT and ROLLBACK in a function", None, line)),
            ast::Statement::Unsupported(refused) => {
                Err(self.refuse(&refused.feature, refused.alternative.as_deref(), line))
            }
        }
    }

    /// True for the body of DO.
    fn is_script(&self) -> bool {
        self.routine.name.name == *super::INLINE
    }

    /// A loop's query must be one. Errors: 0A000.
    fn only_query(&self, fragment: &Fragment, line: u32) -> Result<()> {
        match self.allowed(fragment, false, line)? {
            true => Err(self.syntax_error()),
            false => Ok(()),
        }
    }

    fn destination(&mut self) -> Result<IntoClause> {
        let strict = self.take_word("strict");
        let begin = self.peek().start;
        let first = self.target()?;
        if self.is_row(&first) {
            if self.is_symbol(",") {
                return Err(self.row_in_list(begin));
            }
            return Ok(IntoClause {
                strict,
                targets: vec![first],
            });
        }
        let mut targets = vec![first];
        while self.take_symbol(",") {
            targets.push(self.scalar_target()?);
        }
        Ok(IntoClause { strict, targets })
    }

    /// One more target of a list.
    fn scalar_target(&mut self) -> Result<Target> {
        let offset = self.peek().start;
        let target = self.target()?;
        if self.is_row(&target) {
            let name = &self.variables[target.variable].name;
            let message = format!("\"{name}\" is not a scalar variable");
            return Err(self.at_offset(DatabaseError::new("42601", message), offset));
        }
        Ok(target)
    }

    fn row_in_list(&self, offset: usize) -> DatabaseError {
        let message = "record variable cannot be part of multiple-item INTO list";
        self.at_offset(DatabaseError::new("42601", message), offset)
    }

    /// True for a whole row or record.
    pub(super) fn is_row(&self, target: &Target) -> bool {
        target.field.is_none() && !matches!(self.variables[target.variable].ty, VariableType::Scalar { .. })
    }
}
