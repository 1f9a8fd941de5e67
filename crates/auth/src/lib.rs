//! Users and their sessions: sign-up, sign-in, refresh, sign-out, and the tokens that say who somebody is.
//!
//! | module | what |
//! |---|---|
//! | [`routes`] | paths to what answers them |
//! | [`request`] [`response`] | bodies read and written |
//! | [`users`] [`identities`] | who there is |
//! | [`external`] | signing in by somebody else's word |
//! | [`web3`] | signing in by a wallet's signature |
//! | [`oauth`] | being a provider for applications of others |
//! | [`sessions`] | sessions, their refresh tokens, the claims of access tokens |
//! | [`redirect`] [`landing`] [`flow_state`] | sending browsers back to applications, and the codes that they bring |
//! | [`one_time_tokens`] [`dispatch`] | codes and links that prove an address, and sending them |
//! | [`html`] [`page_sessions`] | the ready pages: markup, browsers that are signed in on them |
//! | [`messages`] | mails and text messages: what they say, queue, delivery |
//! | [`standing`] | whose tokens still hold, in every room |
//! | [`factors`] | second factors, their challenges, codes that were used and guessed |
//! | [`passkeys`] [`webauthn`] | keys that sign their users in; what makes a signature count |
//! | [`sealing`] | secrets that have to be read again |
//! | [`captcha`] [`leaked`] | people only; no password that others know |
//! | [`passwords`] [`firebase_scrypt`] | rules, hashing off the request's path |
//! | [`audit`] | the log of what has happened |
//! | [`hooks`] | what a project has to say before something happens |
//! | [`secrets`] | random values, digests as text |
//! | [`beat`] | answers that take as long whoever is named |
//! | [`limits`] | how often one address, and one account, may try |
//! | [`sweep`] | what nobody can use any more goes |
//! | [`asked`] [`issuing`] | what transactions need to know beside the database |
//! | [`duration`] | times as settings write them |
//! | [`store`] | statements of our own, run on either engine |
//!
//! Not here: verifying tokens and keeping keys (`http`), the tables' text (`sql::platform`).
//!
//! Source: Supabase Auth's published HTTP interface; differences are listed in `docs/guides/sign-in.md`.

mod asked;
mod audit;
mod beat;
pub mod captcha;
pub mod config;
mod dispatch;
pub mod duration;
pub mod error;
pub mod external;
mod factors;
mod firebase_scrypt;
mod flow_state;
pub mod hooks;
mod html;
mod identities;
mod issuing;
mod landing;
mod leaked;
mod limits;
pub mod messages;
mod oauth;
mod one_time_tokens;
mod page_sessions;
mod passkeys;
mod passwords;
pub mod redirect;
mod request;
mod response;
mod room;
mod routes;
mod sealing;
mod secrets;
mod sessions;
mod standing;
mod store;
mod sweep;
mod users;
mod web3;
pub mod webauthn;

pub use config::Config;
pub use error::Error;
pub use limits::From;
pub use room::AuthRoom;
pub use routes::{Access, JWKS_SECONDS, table};
pub use sealing::Seals;
