//! The default parser's table: what leads from one state to the next.
//!
//! A state's rules are tried in order; the first whose class fits the current character is taken. A push sets the
//! present state aside, a pop goes back to the last one set aside, where the rule after the push is tried next.
//!
//! Source: PostgreSQL 15, the default parser's behaviour (manual, 12.5).

use super::states::Class::*;
use super::states::State::*;
use super::states::{
    Effect, Rule, State, TokenKind, again, clear, found, found_dropping_one, found_for_good, merge, next, pop, push,
    stay,
};

/// The rules of a state; the last one always fits, or the state ends at the end of the text.
pub fn rules(state: State) -> &'static [Rule] {
    match state {
        Base => {
            const {
                &[
                    stay(End),
                    push(Is('<'), TagFirst),
                    next(Ignoring, Space),
                    next(AsciiLetter, AsciiWord),
                    next(Letter, Word),
                    next(Digit, UnsignedInt),
                    push(Is('-'), SignedIntFirst),
                    push(Is('+'), SignedIntFirst),
                    push(Is('&'), EntityFirst),
                    push(Is('~'), FileTwiddle),
                    push(Is('/'), FileFirst),
                    push(Is('.'), PathFirstFirst),
                    next(Any, Space),
                ]
            }
        }
        NumWord => {
            const {
                &[
                    found(End, Base, TokenKind::NumWord),
                    stay(Alphanumeric),
                    stay(Mark),
                    push(Is('@'), Email),
                    push(Is('/'), FileFirst),
                    push(Is('.'), FileNext),
                    push(Is('-'), HyphenNumWordFirst),
                    found(Any, Base, TokenKind::NumWord),
                ]
            }
        }
        AsciiWord => {
            const {
                &[
                    found(End, Base, TokenKind::AsciiWord),
                    stay(AsciiLetter),
                    push(Is('.'), HostFirstDomain),
                    push(Is('.'), FileNext),
                    push(Is('-'), HostFirstAlnum),
                    push(Is('-'), HyphenAsciiWordFirst),
                    push(Is('_'), HostFirstAlnum),
                    push(Is('@'), Email),
                    push(Is(':'), ProtocolFirst),
                    push(Is('/'), FileFirst),
                    push(Digit, Host),
                    next(Digit, NumWord),
                    next(Letter, Word),
                    next(Mark, Word),
                    found(Any, Base, TokenKind::AsciiWord),
                ]
            }
        }
        Word => {
            const {
                &[
                    found(End, Base, TokenKind::Word),
                    stay(Letter),
                    stay(Mark),
                    next(Digit, NumWord),
                    push(Is('-'), HyphenWordFirst),
                    found(Any, Base, TokenKind::Word),
                ]
            }
        }
        UnsignedInt => {
            const {
                &[
                    found(End, Base, TokenKind::UnsignedInt),
                    stay(Digit),
                    push(Is('.'), HostFirstDomain),
                    push(Is('.'), UnsignedDecimalFirst),
                    push(Is('e'), MantissaFirst),
                    push(Is('E'), MantissaFirst),
                    push(Is('-'), HostFirstAlnum),
                    push(Is('_'), HostFirstAlnum),
                    push(Is('@'), Email),
                    push(AsciiLetter, Host),
                    next(Letter, NumWord),
                    next(Mark, NumWord),
                    push(Is('/'), FileFirst),
                    found(Any, Base, TokenKind::UnsignedInt),
                ]
            }
        }
        SignedIntFirst => const { &[pop(End), clear(Digit, SignedInt), pop(Any)] },
        SignedInt => {
            const {
                &[
                    found(End, Base, TokenKind::SignedInt),
                    stay(Digit),
                    push(Is('.'), DecimalFirst),
                    push(Is('e'), MantissaFirst),
                    push(Is('E'), MantissaFirst),
                    found(Any, Base, TokenKind::SignedInt),
                ]
            }
        }
        Space => {
            const {
                &[
                    found(End, Base, TokenKind::Blank),
                    found(Is('<'), Base, TokenKind::Blank),
                    stay(Ignoring),
                    found(Is('-'), Base, TokenKind::Blank),
                    found(Is('+'), Base, TokenKind::Blank),
                    found(Is('&'), Base, TokenKind::Blank),
                    found(Is('/'), Base, TokenKind::Blank),
                    stay(NotAlphanumeric),
                    found(Any, Base, TokenKind::Blank),
                ]
            }
        }
        UnsignedDecimalFirst => const { &[pop(End), clear(Digit, UnsignedDecimal), pop(Any)] },
        UnsignedDecimal => {
            const {
                &[
                    found(End, Base, TokenKind::Float),
                    stay(Digit),
                    push(Is('.'), VersionFirst),
                    push(Is('e'), MantissaFirst),
                    push(Is('E'), MantissaFirst),
                    found(Any, Base, TokenKind::Float),
                ]
            }
        }
        DecimalFirst => const { &[pop(End), clear(Digit, Decimal), pop(Any)] },
        Decimal => {
            const {
                &[
                    found(End, Base, TokenKind::Float),
                    stay(Digit),
                    push(Is('.'), SignedVersion),
                    push(Is('e'), MantissaFirst),
                    push(Is('E'), MantissaFirst),
                    found(Any, Base, TokenKind::Float),
                ]
            }
        }
        SignedVersion => {
            const {
                &[
                    pop(End),
                    again(Digit, SignedVersionSign).doing(Effect::StartOver),
                    pop(Any),
                ]
            }
        }
        SignedVersionSign => {
            const {
                &[
                    pop(End),
                    found_for_good(Digit, UnsignedInt, TokenKind::Blank),
                    stay(Any),
                ]
            }
        }
        VersionFirst => const { &[pop(End), clear(Digit, Version), pop(Any)] },
        Version => {
            const {
                &[
                    found(End, Base, TokenKind::Version),
                    stay(Digit),
                    push(Is('.'), VersionFirst),
                    found(Any, Base, TokenKind::Version),
                ]
            }
        }
        MantissaFirst => {
            const {
                &[
                    pop(End),
                    clear(Digit, Mantissa),
                    next(Is('+'), MantissaSign),
                    next(Is('-'), MantissaSign),
                    pop(Any),
                ]
            }
        }
        MantissaSign => const { &[pop(End), clear(Digit, Mantissa), pop(Any)] },
        Mantissa => {
            const {
                &[
                    found(End, Base, TokenKind::Scientific),
                    stay(Digit),
                    found(Any, Base, TokenKind::Scientific),
                ]
            }
        }
        EntityFirst => {
            const {
                &[
                    pop(End),
                    next(Is('#'), EntityNumFirst),
                    next(AsciiLetter, Entity),
                    next(Is(':'), Entity),
                    next(Is('_'), Entity),
                    pop(Any),
                ]
            }
        }
        Entity => {
            const {
                &[
                    pop(End),
                    stay(Alphanumeric),
                    stay(Is(':')),
                    stay(Is('_')),
                    stay(Is('.')),
                    stay(Is('-')),
                    next(Is(';'), EntityEnd),
                    pop(Any),
                ]
            }
        }
        EntityNumFirst => {
            const {
                &[
                    pop(End),
                    next(Is('x'), EntityHexFirst),
                    next(Is('X'), EntityHexFirst),
                    next(Digit, EntityNum),
                    pop(Any),
                ]
            }
        }
        EntityHexFirst => const { &[pop(End), next(HexDigit, EntityHex), pop(Any)] },
        EntityNum => const { &[pop(End), stay(Digit), next(Is(';'), EntityEnd), pop(Any)] },
        EntityHex => const { &[pop(End), stay(HexDigit), next(Is(';'), EntityEnd), pop(Any)] },
        EntityEnd => const { &[found_dropping_one(Any, Base, TokenKind::Entity)] },
        TagFirst => {
            const {
                &[
                    pop(End),
                    push(Is('/'), TagCloseFirst),
                    push(Is('!'), CommentFirst),
                    push(Is('?'), XmlBegin),
                    push(AsciiLetter, TagName),
                    push(Is(':'), TagName),
                    push(Is('_'), TagName),
                    pop(Any),
                ]
            }
        }
        XmlBegin => const { &[pop(End), next(Is('x'), Tag), pop(Any)] },
        TagCloseFirst => const { &[pop(End), next(AsciiLetter, TagName), pop(Any)] },
        TagName => {
            const {
                &[
                    pop(End),
                    next(Is('/'), TagBeginEnd),
                    next(Is('>'), TagEnd).doing(Effect::NoteTag),
                    next(WhiteSpace, Tag).doing(Effect::NoteTag),
                    stay(Alphanumeric),
                    stay(Is(':')),
                    stay(Is('_')),
                    stay(Is('.')),
                    stay(Is('-')),
                    pop(Any),
                ]
            }
        }
        TagBeginEnd => const { &[pop(End), next(Is('>'), TagEnd), pop(Any)] },
        Tag => {
            const {
                &[
                    pop(End),
                    next(Is('>'), TagEnd).doing(Effect::NoteTag),
                    next(Is('\''), TagQuote),
                    next(Is('"'), TagDoubleQuote),
                    stay(AsciiLetter),
                    stay(Digit),
                    stay(Is('=')),
                    stay(Is('-')),
                    stay(Is('_')),
                    stay(Is('#')),
                    stay(Is('/')),
                    stay(Is(':')),
                    stay(Is('.')),
                    stay(Is('&')),
                    stay(Is('?')),
                    stay(Is('%')),
                    stay(Is('~')),
                    stay(WhiteSpace).doing(Effect::NoteTag),
                    pop(Any),
                ]
            }
        }
        TagQuote => const { &[pop(End), push(Is('\\'), TagBackslash), next(Is('\''), Tag), stay(Any)] },
        TagDoubleQuote => const { &[pop(End), push(Is('\\'), TagBackslash), next(Is('"'), Tag), stay(Any)] },
        TagBackslash => const { &[pop(End), merge(Any)] },
        TagEnd => const { &[found_for_good(Any, Base, TokenKind::Tag)] },
        CommentFirst => {
            const {
                &[
                    pop(End),
                    next(Is('-'), CommentLast),
                    next(Is('D'), Tag),
                    next(Is('d'), Tag),
                    pop(Any),
                ]
            }
        }
        CommentLast => const { &[pop(End), next(Is('-'), Comment), pop(Any)] },
        Comment => const { &[pop(End), next(Is('-'), CommentCloseFirst), stay(Any)] },
        CommentCloseFirst => const { &[pop(End), next(Is('-'), CommentCloseLast), next(Any, Comment)] },
        CommentCloseLast => const { &[pop(End), stay(Is('-')), next(Is('>'), CommentEnd), next(Any, Comment)] },
        CommentEnd => const { &[found_for_good(Any, Base, TokenKind::Tag)] },
        HostFirstDomain => {
            const {
                &[
                    pop(End),
                    next(AsciiLetter, HostDomainSecond),
                    next(Digit, Host),
                    pop(Any),
                ]
            }
        }
        HostDomainSecond => {
            const {
                &[
                    pop(End),
                    next(AsciiLetter, HostDomain),
                    push(Digit, Host),
                    push(Is('-'), HostFirstAlnum),
                    push(Is('_'), HostFirstAlnum),
                    push(Is('.'), HostFirstDomain),
                    push(Is('@'), Email),
                    pop(Any),
                ]
            }
        }
        HostDomain => {
            const {
                &[
                    found_for_good(End, Base, TokenKind::Host),
                    stay(AsciiLetter),
                    push(Digit, Host),
                    push(Is(':'), PortFirst),
                    push(Is('-'), HostFirstAlnum),
                    push(Is('_'), HostFirstAlnum),
                    push(Is('.'), HostFirstDomain),
                    push(Is('@'), Email),
                    pop(Digit),
                    found_for_good(HostWanted, UrlPathStart, TokenKind::Host),
                    push(Is('/'), FullUrl),
                    found_for_good(Any, Base, TokenKind::Host),
                ]
            }
        }
        PortFirst => const { &[pop(End), next(Digit, Port), pop(Any)] },
        Port => {
            const {
                &[
                    found_for_good(End, Base, TokenKind::Host),
                    stay(Digit),
                    found_for_good(HostWanted, UrlPathStart, TokenKind::Host),
                    push(Is('/'), FullUrl),
                    found_for_good(Any, Base, TokenKind::Host),
                ]
            }
        }
        HostFirstAlnum => const { &[pop(End), next(Digit, Host), next(AsciiLetter, Host), pop(Any)] },
        Host => {
            const {
                &[
                    pop(End),
                    stay(Digit),
                    stay(AsciiLetter),
                    push(Is('@'), Email),
                    push(Is('.'), HostFirstDomain),
                    push(Is('-'), HostFirstAlnum),
                    push(Is('_'), HostFirstAlnum),
                    pop(Any),
                ]
            }
        }
        Email => {
            const {
                &[
                    pop(HostWanted),
                    found_for_good(HostFollows, Base, TokenKind::Email),
                    pop(Any),
                ]
            }
        }
        FileFirst => {
            const {
                &[
                    pop(End),
                    next(AsciiLetter, File),
                    next(Digit, File),
                    next(Is('.'), PathFirst),
                    next(Is('_'), File),
                    push(Is('~'), FileTwiddle),
                    pop(Any),
                ]
            }
        }
        FileTwiddle => {
            const {
                &[
                    pop(End),
                    next(AsciiLetter, File),
                    next(Digit, File),
                    next(Is('_'), File),
                    next(Is('/'), FileFirst),
                    pop(Any),
                ]
            }
        }
        PathFirst => {
            const {
                &[
                    pop(End),
                    next(AsciiLetter, File),
                    next(Digit, File),
                    next(Is('_'), File),
                    next(Is('.'), PathSecond),
                    next(Is('/'), FileFirst),
                    pop(Any),
                ]
            }
        }
        PathFirstFirst => const { &[pop(End), next(Is('.'), PathSecond), next(Is('/'), FileFirst), pop(Any)] },
        PathSecond => {
            const {
                &[
                    found_dropping_one(End, Base, TokenKind::File),
                    push(Is('/'), FileFirst),
                    found_dropping_one(Is('/'), Base, TokenKind::File),
                    found_dropping_one(WhiteSpace, Base, TokenKind::File),
                    pop(Any),
                ]
            }
        }
        File => {
            const {
                &[
                    found(End, Base, TokenKind::File),
                    stay(AsciiLetter),
                    stay(Digit),
                    push(Is('.'), FileNext),
                    stay(Is('_')),
                    stay(Is('-')),
                    push(Is('/'), FileFirst),
                    found(Any, Base, TokenKind::File),
                ]
            }
        }
        FileNext => {
            const {
                &[
                    pop(End),
                    clear(AsciiLetter, File),
                    clear(Digit, File),
                    clear(Is('_'), File),
                    pop(Any),
                ]
            }
        }
        UrlPathFirst => const { &[pop(End), next(UrlCharacter, UrlPath), pop(Any)] },
        UrlPathStart => const { &[next(Any, UrlPath)] },
        UrlPath => {
            const {
                &[
                    found(End, Base, TokenKind::UrlPath),
                    stay(UrlCharacter),
                    found(Any, Base, TokenKind::UrlPath),
                ]
            }
        }
        FullUrl => {
            const {
                &[
                    pop(End),
                    found_for_good(UrlPathFollows, Base, TokenKind::Url).doing(Effect::RewindForHost),
                    pop(Any),
                ]
            }
        }
        ProtocolFirst => const { &[pop(End), next(Is('/'), ProtocolSecond), pop(Any)] },
        ProtocolSecond => const { &[pop(End), next(Is('/'), ProtocolEnd), pop(Any)] },
        ProtocolEnd => const { &[found_for_good(Any, Base, TokenKind::Protocol)] },
        HyphenAsciiWordFirst => {
            const {
                &[
                    pop(End),
                    next(AsciiLetter, HyphenAsciiWord),
                    next(Letter, HyphenWord),
                    next(Digit, HyphenDigitLookahead),
                    pop(Any),
                ]
            }
        }
        HyphenAsciiWord => {
            const {
                &[
                    found_for_good(End, ParseHyphen, TokenKind::AsciiHyphenWord).doing(Effect::Rewind),
                    stay(AsciiLetter),
                    next(Letter, HyphenWord),
                    next(Mark, HyphenWord),
                    next(Digit, HyphenNumWord),
                    push(Is('-'), HyphenAsciiWordFirst),
                    found_for_good(Any, ParseHyphen, TokenKind::AsciiHyphenWord).doing(Effect::Rewind),
                ]
            }
        }
        HyphenWordFirst => {
            const {
                &[
                    pop(End),
                    next(Letter, HyphenWord),
                    next(Digit, HyphenDigitLookahead),
                    pop(Any),
                ]
            }
        }
        HyphenWord => {
            const {
                &[
                    found_for_good(End, ParseHyphen, TokenKind::HyphenWord).doing(Effect::Rewind),
                    stay(Letter),
                    stay(Mark),
                    next(Digit, HyphenNumWord),
                    push(Is('-'), HyphenWordFirst),
                    found_for_good(Any, ParseHyphen, TokenKind::HyphenWord).doing(Effect::Rewind),
                ]
            }
        }
        HyphenNumWordFirst => {
            const {
                &[
                    pop(End),
                    next(Letter, HyphenNumWord),
                    next(Digit, HyphenDigitLookahead),
                    pop(Any),
                ]
            }
        }
        HyphenNumWord => {
            const {
                &[
                    found_for_good(End, ParseHyphen, TokenKind::NumHyphenWord).doing(Effect::Rewind),
                    stay(Alphanumeric),
                    stay(Mark),
                    push(Is('-'), HyphenNumWordFirst),
                    found_for_good(Any, ParseHyphen, TokenKind::NumHyphenWord).doing(Effect::Rewind),
                ]
            }
        }
        HyphenDigitLookahead => {
            const {
                &[
                    pop(End),
                    stay(Digit),
                    next(Letter, HyphenNumWord),
                    next(Mark, HyphenNumWord),
                    pop(Any),
                ]
            }
        }
        ParseHyphen => {
            const {
                &[
                    again(End, Base),
                    next(AsciiLetter, HyphenAsciiWordPart),
                    next(Letter, HyphenWordPart),
                    push(Digit, HyphenUnsignedInt),
                    push(Is('-'), ParseHyphenHyphen),
                    again(Any, Base),
                ]
            }
        }
        ParseHyphenHyphen => {
            const {
                &[
                    pop(End),
                    found_dropping_one(Alphanumeric, ParseHyphen, TokenKind::Blank),
                    found_dropping_one(Mark, ParseHyphen, TokenKind::Blank),
                    pop(Any),
                ]
            }
        }
        HyphenWordPart => {
            const {
                &[
                    found(End, Base, TokenKind::HyphenPart),
                    stay(Letter),
                    stay(Mark),
                    next(Digit, HyphenNumWordPart),
                    found(Any, ParseHyphen, TokenKind::HyphenPart),
                ]
            }
        }
        HyphenAsciiWordPart => {
            const {
                &[
                    found(End, Base, TokenKind::AsciiHyphenPart),
                    stay(AsciiLetter),
                    next(Letter, HyphenWordPart),
                    next(Mark, HyphenWordPart),
                    next(Digit, HyphenNumWordPart),
                    found(Any, ParseHyphen, TokenKind::AsciiHyphenPart),
                ]
            }
        }
        HyphenNumWordPart => {
            const {
                &[
                    found(End, Base, TokenKind::NumHyphenPart),
                    stay(Alphanumeric),
                    stay(Mark),
                    found(Any, ParseHyphen, TokenKind::NumHyphenPart),
                ]
            }
        }
        HyphenUnsignedInt => {
            const {
                &[
                    pop(End),
                    stay(Digit),
                    clear(Letter, HyphenNumWordPart),
                    clear(Mark, HyphenNumWordPart),
                    pop(Any),
                ]
            }
        }
    }
}
