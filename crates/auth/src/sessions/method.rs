//! Ways to prove who one is, as sessions remember them.

use crate::factors::Kind;

/// How somebody has proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Password,
    Anonymous,
    /// A code, or a link whose tokens stand in the address.
    Otp,
    MagicLink,
    Recovery,
    Invite,
    EmailSignup,
    EmailChange,
    OAuth,
    /// A message that a wallet has signed.
    Web3,
    /// An application of somebody else's acts for the user.
    OAuthProvider,
    Passkey,
    Totp,
    MfaPhone,
    MfaWebAuthn,
    RecoveryCode,
}

impl Method {
    /// Those that a session can begin with.
    const FIRST: [Method; 12] = [
        Method::Password,
        Method::Anonymous,
        Method::Otp,
        Method::MagicLink,
        Method::Recovery,
        Method::Invite,
        Method::EmailSignup,
        Method::EmailChange,
        Method::OAuth,
        Method::Web3,
        Method::OAuthProvider,
        Method::Passkey,
    ];

    /// As `amr` has it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::Anonymous => "anonymous",
            Method::Otp => "otp",
            Method::MagicLink => "magiclink",
            Method::Recovery => "recovery",
            Method::Invite => "invite",
            Method::EmailSignup => "email/signup",
            Method::EmailChange => "email_change",
            Method::OAuth => "oauth",
            Method::Web3 => "web3",
            Method::OAuthProvider => "oauth_provider/authorization_code",
            Method::Passkey => "passkey",
            Method::Totp => "totp",
            Method::MfaPhone => "mfa/phone",
            Method::MfaWebAuthn => "mfa/webauthn",
            Method::RecoveryCode => "mfa/recovery_code",
        }
    }

    /// The method of this name by which a session begins.
    pub fn of_name(name: &str) -> Option<Self> {
        Method::FIRST.into_iter().find(|method| method.name() == name)
    }
}

impl From<Kind> for Method {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Totp => Method::Totp,
            Kind::Phone => Method::MfaPhone,
            Kind::WebAuthn => Method::MfaWebAuthn,
            Kind::RecoveryCode => Method::RecoveryCode,
        }
    }
}
