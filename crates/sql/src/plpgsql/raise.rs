//! `RAISE`.

use mainstay_core::error::DatabaseError;
use mainstay_core::name::Ident;

use super::conditions;
use super::lexer::TokenKind;
use super::parse::Parser;
use super::tree::*;

type Result<T> = std::result::Result<T, DatabaseError>;

impl Parser<'_> {
    pub(super) fn raise(&mut self) -> Result<StatementKind> {
        self.advance();
        let mut raise = Raise {
            level: Level::Exception,
            format: None,
            parameters: Vec::new(),
            condition: None,
            options: Vec::new(),
        };
        if self.take_symbol(";") {
            return Ok(StatementKind::Raise(raise));
        }
        let level = match &self.peek().kind {
            TokenKind::Word(word) => match word.as_str() {
                "exception" => Some(Level::Exception),
                "warning" => Some(Level::Warning),
                "notice" => Some(Level::Notice),
                "info" => Some(Level::Info),
                "log" => Some(Level::Log),
                "debug" => Some(Level::Debug),
                _ => None,
            },
            _ => None,
        };
        if let Some(level) = level {
            raise.level = level;
            self.advance();
            if self.peek().kind == TokenKind::End || self.is_symbol(";") {
                return Err(self.syntax_error());
            }
        }
        match self.peek().kind.clone() {
            TokenKind::Text(format) => {
                self.advance();
                self.parameters(&mut raise, format)?;
            }
            TokenKind::Word(word) if word == *"using" => {}
            TokenKind::Word(word) if word == *"sqlstate" => {
                self.advance();
                raise.condition = Some((self.sqlstate()?, None));
            }
            TokenKind::Word(_) | TokenKind::Quoted(_) => {
                let offset = self.peek().start;
                let name = self.any_name()?;
                match conditions::codes_of(&name).first() {
                    Some(code) => raise.condition = Some(((*code).to_owned(), Some(name))),
                    None => {
                        let message = format!("unrecognized exception condition \"{name}\"");
                        return Err(self.at_offset(DatabaseError::new("42704", message), offset));
                    }
                }
            }
            _ => return Err(self.syntax_error()),
        }
        if self.take_word("using") {
            self.options(&mut raise)?;
        } else {
            self.expect_symbol(";")?;
        }
        Ok(StatementKind::Raise(raise))
    }

    /// `, expression …` behind the format; leaves USING or the semicolon.
    fn parameters(&mut self, raise: &mut Raise, format: String) -> Result<()> {
        let begin = self.peek().start;
        while self.take_symbol(",") {
            let taken = self.raw(&[",", ";", "using"], ";", true)?;
            self.check_expression(&taken.fragment)?;
            raise.parameters.push(taken.fragment);
            self.step_back();
        }
        let mut wanted = 0;
        let mut bytes = format.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                continue;
            }
            if bytes.clone().next() == Some(b'%') {
                bytes.next();
            } else {
                wanted += 1;
            }
        }
        let message = match raise.parameters.len() {
            given if given < wanted => "too few parameters specified for RAISE",
            given if given > wanted => "too many parameters specified for RAISE",
            _ => {
                raise.format = Some(format);
                return Ok(());
            }
        };
        Err(self.at_offset(DatabaseError::new("42601", message), begin))
    }

    fn options(&mut self, raise: &mut Raise) -> Result<()> {
        loop {
            let word = match &self.peek().kind {
                TokenKind::Word(word) => word.clone(),
                _ => Ident::new(""),
            };
            let option = match word.as_str() {
                "errcode" => RaiseOption::Errcode,
                "message" => RaiseOption::Message,
                "detail" => RaiseOption::Detail,
                "hint" => RaiseOption::Hint,
                "column" => RaiseOption::Column,
                "constraint" => RaiseOption::Constraint,
                "datatype" => RaiseOption::Datatype,
                "table" => RaiseOption::Table,
                "schema" => RaiseOption::Schema,
                _ => return Err(self.error("unrecognized RAISE statement option")),
            };
            self.advance();
            if !self.take_symbol("=") && !self.take_symbol(":=") {
                return Err(self.error("syntax error, expected \"=\""));
            }
            let taken = self.raw(&[",", ";"], ";", true)?;
            self.check_expression(&taken.fragment)?;
            raise.options.push((option, taken.fragment));
            if taken.end == ";" {
                return Ok(());
            }
        }
    }
}
