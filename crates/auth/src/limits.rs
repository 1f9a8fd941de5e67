//! How often one address may sign in, and how often one account may be tried.
//!
//! Counted by address: sign-ups and sign-ins, refreshes, anonymous users, as `[auth.rate_limit]` says, and what concerns
//! second factors and passkeys. Counted by account, known or not: wrong passwords. The count is this process's own.
//! Not here: the limits on all requests (`http`).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use mainstay_http::limits::{Buckets, Rate, prefix};

use crate::config::{MailRules, PhoneRules, Rates};
use crate::error::Error;
use crate::sessions::Client;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);

/// Wrong passwords that an account takes in an hour, from wherever they come. More are refused unread.
const WRONG_PASSWORDS: Rate = Rate {
    quota: 60,
    window: HOUR,
};

/// Challenges of second factors, and answers to them, that an address may send.
const SECOND_FACTORS: Rate = Rate {
    quota: 15,
    window: Duration::from_secs(60),
};

/// Challenges of passkeys, and answers to them, that an address may send.
const PASSKEYS: Rate = Rate {
    quota: 30,
    window: FIVE_MINUTES,
};

/// Wrong codes that an address takes in an hour, from wherever they come. Links are not counted: nobody guesses one.
const WRONG_CODES: Rate = Rate {
    quota: 20,
    window: HOUR,
};

/// From where a request comes.
#[derive(Clone, Copy, Debug)]
pub struct From {
    pub address: IpAddr,
    /// The address's requests are counted.
    pub is_counted: bool,
}

/// What is counted by address.
#[derive(Clone, Copy, Debug, Hash)]
enum What {
    SignIn,
    Refresh,
    Anonymous,
    Web3,
    Challenge,
    Answer,
    Passkey,
    PasskeyAnswer,
    Verification,
    Mail,
}

/// The counts.
pub struct Limits {
    buckets: Buckets,
    began: Instant,
    sign_in: Rate,
    refresh: Rate,
    anonymous: Rate,
    web3: Rate,
    verification: Rate,
    /// Mails in all. `None`: they are not counted.
    mails: Option<Rate>,
    /// Between two mails to one address.
    pause: Option<Duration>,
    /// Text messages in all. `None`: they are not counted.
    texts: Option<Rate>,
    /// Between two text messages to one number.
    text_pause: Option<Duration>,
}

impl Limits {
    pub fn new(rates: &Rates, mail: &MailRules, phone: &PhoneRules) -> Self {
        let rate = |quota: u32, window| Rate {
            quota: u64::from(quota.max(1)),
            window,
        };
        Limits {
            buckets: Buckets::default(),
            began: Instant::now(),
            sign_in: rate(rates.sign_in_sign_ups, FIVE_MINUTES),
            refresh: rate(rates.token_refresh, FIVE_MINUTES),
            anonymous: rate(rates.anonymous_users, HOUR),
            web3: rate(rates.web3, FIVE_MINUTES),
            verification: rate(rates.token_verifications, FIVE_MINUTES),
            mails: mail.per_hour_max.map(|quota| rate(quota, HOUR)),
            texts: phone.per_hour_max.map(|quota| rate(quota, HOUR)),
            text_pause: phone.pause.try_into().ok().filter(|pause: &Duration| !pause.is_zero()),
            pause: mail.pause.try_into().ok().filter(|pause: &Duration| !pause.is_zero()),
        }
    }

    /// Counts a sign-up or sign-in. Errors: `TooManyRequests`.
    pub fn sign_in(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::SignIn, self.sign_in)
    }

    /// Counts a refresh. Errors: `TooManyRequests`.
    pub fn refresh(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Refresh, self.refresh)
    }

    /// Counts an anonymous user. Errors: `TooManyRequests`.
    pub fn anonymous(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Anonymous, self.anonymous)
    }

    /// Counts a sign-in by a wallet. Errors: `TooManyRequests`.
    pub fn web3(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Web3, self.web3)
    }

    /// Counts a challenge of a second factor. Errors: `TooManyRequests`.
    pub fn challenge(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Challenge, SECOND_FACTORS)
    }

    /// Counts an answer to such a challenge. Errors: `TooManyRequests`.
    pub fn challenge_answer(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Answer, SECOND_FACTORS)
    }

    /// Counts a challenge of a passkey. Errors: `TooManyRequests`.
    pub fn passkey(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Passkey, PASSKEYS)
    }

    /// Counts an answer to such a challenge. Errors: `TooManyRequests`.
    pub fn passkey_answer(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::PasskeyAnswer, PASSKEYS)
    }

    /// Counts a code or a link that is tried. Errors: `TooManyRequests`.
    pub fn verification(&self, client: &Client) -> Result<(), Error> {
        self.count(client, What::Verification, self.verification)
    }

    /// Counts a mail that is asked for: against whoever asks, against its address and its kind, and against all mails.
    /// Whether the address has a user plays no part. Errors: `TooManyRequests`, `TooManyMails`, `TooEarly`.
    pub fn mail(&self, client: &Client, kind: &str, address: &str) -> Result<(), Error> {
        self.count(client, What::Mail, self.sign_in)?;
        if let Some(wait) = self.early("mail", kind, address, self.pause) {
            return Err(Error::TooEarly {
                retry_seconds: wait.as_secs() + 1,
            });
        }
        self.one_mail()
    }

    /// The same for a text message to a number. Errors: `TooManyRequests`, `TooManyTexts`, `TextTooEarly`.
    pub fn text(&self, client: &Client, kind: &str, phone: &str) -> Result<(), Error> {
        self.text_after(client, kind, phone, self.text_pause)
    }

    /// The same for a code of a phone factor, which has a pause of its own.
    pub fn factor_text(&self, client: &Client, kind: &str, phone: &str, pause: SignedDuration) -> Result<(), Error> {
        let pause = pause.try_into().ok().filter(|pause: &Duration| !pause.is_zero());
        self.text_after(client, kind, phone, pause)
    }

    fn text_after(&self, client: &Client, kind: &str, phone: &str, pause: Option<Duration>) -> Result<(), Error> {
        self.count(client, What::Mail, self.sign_in)?;
        if let Some(wait) = self.early("text", kind, phone, pause) {
            return Err(Error::TextTooEarly {
                retry_seconds: wait.as_secs() + 1,
            });
        }
        let Some(rate) = self.texts else { return Ok(()) };
        let bucket = self.buckets.of(&"texts");
        match self.buckets.draw(bucket, rate, self.began.elapsed()).retry_in() {
            None => Ok(()),
            Some(wait) => Err(Error::TooManyTexts {
                retry_seconds: wait.as_secs() + 1,
            }),
        }
    }

    /// How long another message of the kind has to wait.
    fn early(&self, what: &str, kind: &str, address: &str, pause: Option<Duration>) -> Option<Duration> {
        let rate = Rate {
            quota: 1,
            window: pause?,
        };
        let bucket = self.buckets.of(&(what, kind, address));
        self.buckets.draw(bucket, rate, self.began.elapsed()).retry_in()
    }

    /// Counts a mail against all mails. Errors: `TooManyMails`.
    pub fn one_mail(&self) -> Result<(), Error> {
        let Some(rate) = self.mails else { return Ok(()) };
        let bucket = self.buckets.of(&"mails");
        match self.buckets.draw(bucket, rate, self.began.elapsed()).retry_in() {
            None => Ok(()),
            Some(wait) => Err(Error::TooManyMails {
                retry_seconds: wait.as_secs() + 1,
            }),
        }
    }

    /// Looks whether the address takes another code; whether there is such an address plays no part.
    /// Errors: `TooManyRequests`.
    pub fn codes(&self, address: &str) -> Result<(), Error> {
        let bucket = self.buckets.of(&("code", address));
        refused(self.buckets.wait(bucket, WRONG_CODES, self.began.elapsed()))
    }

    /// Counts a wrong code.
    pub fn wrong_code(&self, address: &str) {
        let bucket = self.buckets.of(&("code", address));
        let _ = self.buckets.draw(bucket, WRONG_CODES, self.began.elapsed());
    }

    fn count(&self, client: &Client, what: What, rate: Rate) -> Result<(), Error> {
        let (Some(address), true) = (client.address, client.is_counted) else {
            return Ok(());
        };
        let bucket = self.buckets.of(&(what, prefix(address)));
        refused(self.buckets.draw(bucket, rate, self.began.elapsed()).retry_in())
    }

    /// Looks whether the account takes another password; whether there is such an account plays no part.
    /// Errors: `TooManyRequests`.
    pub fn account(&self, address: &str) -> Result<(), Error> {
        let bucket = self.buckets.of(&("account", address));
        refused(self.buckets.wait(bucket, WRONG_PASSWORDS, self.began.elapsed()))
    }

    /// Counts a wrong password.
    pub fn failed(&self, address: &str) {
        let bucket = self.buckets.of(&("account", address));
        let _ = self.buckets.draw(bucket, WRONG_PASSWORDS, self.began.elapsed());
    }
}

fn refused(retry_in: Option<Duration>) -> Result<(), Error> {
    match retry_in {
        None => Ok(()),
        Some(wait) => Err(Error::TooManyRequests {
            retry_seconds: wait.as_secs() + 1,
        }),
    }
}
