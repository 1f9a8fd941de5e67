//! Being a provider: applications of others sign users in here and act for them, as far as the users agree.
//!
//! | module | what |
//! |---|---|
//! | [`clients`] | the applications, and how they prove who they are |
//! | [`redirect_uris`] | where users may be sent back to |
//! | [`authorizations`] | what an application asks a user for, from the question to the code |
//! | [`consents`] | what users have agreed to |
//! | [`acting`] | sessions in which they act |
//! | [`scopes`] | what may be asked for |
//! | [`subject`] | what is told of a user |
//!
//! Not here: routes; sessions and their tokens, which an application's are like any other's.
//!
//! Source: OAuth 2.1 (draft-ietf-oauth-v2-1), RFC 7009, 7591, 7636, 7662, 8252, 8414, 8707, 9207; OpenID Connect Core 1.0;
//! Supabase Auth's published interface.

pub mod acting;
pub mod authorizations;
pub mod clients;
pub mod consents;
pub mod redirect_uris;
pub mod scopes;
pub mod subject;
