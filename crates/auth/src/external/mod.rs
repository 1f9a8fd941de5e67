//! Signing in by somebody else's word: OAuth 2 and OpenID Connect providers.
//!
//! | module | what |
//! |---|---|
//! | [`catalog`] | the providers that are known by name, as data |
//! | [`settings`] | which of them the project uses, and as whom |
//! | [`id_token`] | what an ID token must hold |
//! | [`person`] | what a provider says of somebody, in the protocol's words |
//! | [`exchange`] | a code for tokens, tokens for a person |
//! | [`flows`] | sign-ins that are on their way to a provider and back |
//! | [`linking`] | whose account it is |
//!
//! Not here: what issuers publish (`mainstay_http::issuers`), routes, redirects into applications, sessions.
//!
//! Source: RFC 6749, 7636, 9207, 9700; OpenID Connect Core and Discovery 1.0; Supabase Auth's published interface.

pub(crate) mod catalog;
pub(crate) mod exchange;
pub(crate) mod flows;
pub(crate) mod id_token;
pub(crate) mod linking;
pub(crate) mod person;
pub(crate) mod settings;

pub use settings::{CUSTOM, Provider, described};
