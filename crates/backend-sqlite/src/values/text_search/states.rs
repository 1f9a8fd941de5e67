//! What the default parser's table is made of: tokens, states, classes of characters, rules.
//!
//! Source: PostgreSQL 15, the default parser's behaviour (manual, 12.5).

/// The kinds of token, in the order of PostgreSQL's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenKind {
    AsciiWord = 1,
    Word,
    NumWord,
    Email,
    Url,
    Host,
    Scientific,
    Version,
    NumHyphenPart,
    HyphenPart,
    AsciiHyphenPart,
    Blank,
    Tag,
    Protocol,
    NumHyphenWord,
    AsciiHyphenWord,
    HyphenWord,
    UrlPath,
    File,
    Float,
    SignedInt,
    UnsignedInt,
    Entity,
}

/// What the parser is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Base,
    NumWord,
    AsciiWord,
    Word,
    UnsignedInt,
    SignedIntFirst,
    SignedInt,
    Space,
    UnsignedDecimalFirst,
    UnsignedDecimal,
    DecimalFirst,
    Decimal,
    SignedVersion,
    SignedVersionSign,
    VersionFirst,
    Version,
    MantissaFirst,
    MantissaSign,
    Mantissa,
    EntityFirst,
    Entity,
    EntityNumFirst,
    EntityHexFirst,
    EntityNum,
    EntityHex,
    EntityEnd,
    TagFirst,
    XmlBegin,
    TagCloseFirst,
    TagName,
    TagBeginEnd,
    Tag,
    TagQuote,
    TagDoubleQuote,
    TagBackslash,
    TagEnd,
    CommentFirst,
    CommentLast,
    Comment,
    CommentCloseFirst,
    CommentCloseLast,
    CommentEnd,
    HostFirstDomain,
    HostDomainSecond,
    HostDomain,
    PortFirst,
    Port,
    HostFirstAlnum,
    Host,
    Email,
    FileFirst,
    FileTwiddle,
    PathFirst,
    PathFirstFirst,
    PathSecond,
    File,
    FileNext,
    UrlPathFirst,
    UrlPathStart,
    UrlPath,
    FullUrl,
    ProtocolFirst,
    ProtocolSecond,
    ProtocolEnd,
    HyphenAsciiWordFirst,
    HyphenAsciiWord,
    HyphenWordFirst,
    HyphenWord,
    HyphenNumWordFirst,
    HyphenNumWord,
    HyphenDigitLookahead,
    ParseHyphen,
    ParseHyphenHyphen,
    HyphenWordPart,
    HyphenAsciiWordPart,
    HyphenNumWordPart,
    HyphenUnsignedInt,
}

/// What a rule asks of the current character, or of the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The end of the text.
    End,
    Is(char),
    AsciiLetter,
    Letter,
    Digit,
    Alphanumeric,
    NotAlphanumeric,
    HexDigit,
    WhiteSpace,
    Mark,
    UrlCharacter,
    /// Inside `<script>` or `<style>`.
    Ignoring,
    /// A host was asked for; asks once.
    HostWanted,
    /// A host begins here; takes it.
    HostFollows,
    /// A URL's path begins here; takes it.
    UrlPathFollows,
    Any,
}

/// What happens to the states set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    Keep,
    Push,
    Pop,
    /// Forgets the last one.
    Drop,
    /// Forgets all.
    DropAll,
    /// Goes back to the last one, at the present place.
    Merge,
}

/// What else happens, before everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    /// `<script>` and `<style>` begin or end.
    NoteTag,
    /// Back to the token's beginning, which keeps its length.
    Rewind,
    /// The same, and the next token is to be a host.
    RewindForHost,
    /// Back to the token's beginning, as if nothing had been read.
    StartOver,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub on: Class,
    /// `None`: the same state.
    pub to: Option<State>,
    pub aside: Aside,
    /// The current character is looked at again.
    pub again: bool,
    pub token: Option<TokenKind>,
    pub effect: Effect,
}

pub const fn rule(on: Class, to: Option<State>, aside: Aside) -> Rule {
    Rule {
        on,
        to,
        aside,
        again: false,
        token: None,
        effect: Effect::None,
    }
}

pub const fn stay(on: Class) -> Rule {
    rule(on, None, Aside::Keep)
}

pub const fn next(on: Class, to: State) -> Rule {
    rule(on, Some(to), Aside::Keep)
}

pub const fn push(on: Class, to: State) -> Rule {
    rule(on, Some(to), Aside::Push)
}

pub const fn pop(on: Class) -> Rule {
    rule(on, None, Aside::Pop)
}

pub const fn clear(on: Class, to: State) -> Rule {
    rule(on, Some(to), Aside::Drop)
}

pub const fn merge(on: Class) -> Rule {
    rule(on, None, Aside::Merge)
}

pub const fn again(on: Class, to: State) -> Rule {
    Rule {
        again: true,
        ..rule(on, Some(to), Aside::Keep)
    }
}

pub const fn found(on: Class, to: State, token: TokenKind) -> Rule {
    Rule {
        token: Some(token),
        ..rule(on, Some(to), Aside::Keep)
    }
}

pub const fn found_for_good(on: Class, to: State, token: TokenKind) -> Rule {
    Rule {
        token: Some(token),
        ..rule(on, Some(to), Aside::DropAll)
    }
}

pub const fn found_dropping_one(on: Class, to: State, token: TokenKind) -> Rule {
    Rule {
        token: Some(token),
        ..rule(on, Some(to), Aside::Drop)
    }
}

impl Rule {
    pub const fn doing(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }
}
