//! Passwords: what they must be, and hashing them off the request's path.
//!
//! New hashes are Argon2id with OWASP's parameters. Hashes that came from elsewhere (bcrypt, other Argon2 parameters, Firebase's scrypt)
//! are verified and made anew at the next sign-in.
//! Invariant: a sign-in computes one hash whether or not there is a user, and whether or not the user has a password.
//!
//! Source: RFC 9106; OWASP, "Password Storage Cheat Sheet".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use mainstay_core::secret::Secret;
use tokio::sync::Semaphore;

use crate::config::{Characters, PasswordRules};
use crate::error::Error;
use crate::firebase_scrypt;

/// KiB, rounds, lanes.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);
/// KiB that an imported hash may ask for.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Rounds that an imported hash may ask for.
const ROUNDS_MAX: u32 = 16;
/// The cost that an imported bcrypt hash may ask for: about a second.
const BCRYPT_COST_MAX: u32 = 14;
/// Bytes of a hash, at most: what the column takes.
const HASH_BYTES_MAX: usize = 255;
/// Bytes of a password, at most, as the protocol has it.
const PASSWORD_BYTES_MAX: usize = 72;
/// Passwords waiting to be hashed, at most.
const WAITING_MAX: usize = 128;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    Right,
    /// Right, and kept in a form that is to be replaced.
    RightButOld,
}

/// Hashes passwords on threads of their own, a few at once.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    computed: Arc<AtomicU64>,
}

/// What a sign-in without a user is checked against: a hash of no known password, that takes as long as one.
const STAND_IN: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Passwords {
    /// As many at once as there are processors.
    pub fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords {
            slots: Arc::new(Semaphore::new(threads)),
            waiting: Arc::default(),
            computed: Arc::default(),
        }
    }

    /// Hashes computed so far.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Hashes a password for storage. Errors: `TooManyRequests` when too many wait.
    pub async fn hash(&self, password: &str) -> Result<Secret<String>, Error> {
        let password = Secret::new(password.to_owned());
        self.off_path(move || hash(password.expose()).map(Secret::new)).await?
    }

    /// Checks a password against what is stored, if anything is.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verdict, Error> {
        let stored = stored.filter(|hash| !hash.is_empty());
        let is_known = stored.is_some();
        let against = stored.unwrap_or(STAND_IN).to_owned();
        let password = Secret::new(password.to_owned());
        let verdict = self.off_path(move || verify(password.expose(), &against)).await?;
        Ok(if is_known { verdict } else { Verdict::Wrong })
    }

    async fn off_path<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        struct Place<'a>(&'a AtomicUsize);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let place = Place(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Error::TooManyRequests { retry_seconds: 1 });
        }
        let closed = |_| Error::Unexpected("the threads for passwords are gone".into());
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(closed)?;
        drop(place);
        self.computed.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || {
            // Held until the hash is done, even if nobody waits for it any more.
            let _slot = slot;
            work()
        })
        .await
        .map_err(|error| Error::Unexpected(format!("hashing failed: {error}")))
    }
}

fn hasher() -> Result<Argon2<'static>, Error> {
    let (memory, rounds, lanes) = PARAMETERS;
    let parameters = Params::new(memory, rounds, lanes, None)
        .map_err(|error| Error::Unexpected(format!("parameters of Argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &str) -> Result<String, Error> {
    let made = hasher()?
        .hash_password(password.as_bytes())
        .map_err(|error| Error::Unexpected(format!("hashing: {error}")))?;
    Ok(made.to_string())
}

fn verify(password: &str, stored: &str) -> Verdict {
    if is_bcrypt(stored) {
        return match bcrypt::verify(password, stored) {
            Ok(true) => Verdict::RightButOld,
            _ => Verdict::Wrong,
        };
    }
    if firebase_scrypt::is_firebase(stored) {
        return match firebase_scrypt::verify(password, stored) {
            true => Verdict::RightButOld,
            false => Verdict::Wrong,
        };
    }
    let Ok(parsed) = PasswordHash::new(stored) else {
        return Verdict::Wrong;
    };
    let Ok(parameters) = Params::try_from(&parsed) else {
        return Verdict::Wrong;
    };
    if parameters.m_cost() > MEMORY_KIB_MAX || parameters.t_cost() > ROUNDS_MAX {
        return Verdict::Wrong;
    }
    if Argon2::default().verify_password(password.as_bytes(), &parsed).is_err() {
        return Verdict::Wrong;
    }
    let (memory, rounds, lanes) = PARAMETERS;
    let is_ours = parsed.algorithm.as_str() == Algorithm::Argon2id.as_str()
        && (parameters.m_cost(), parameters.t_cost(), parameters.p_cost()) == (memory, rounds, lanes);
    if is_ours { Verdict::Right } else { Verdict::RightButOld }
}

fn is_bcrypt(stored: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .any(|prefix| stored.starts_with(prefix))
}

/// True if a hash from elsewhere can be verified here.
pub fn is_importable(stored: &str) -> bool {
    if stored.len() > HASH_BYTES_MAX {
        return false;
    }
    if is_bcrypt(stored) {
        return stored
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|parts| parts.get_cost() <= BCRYPT_COST_MAX);
    }
    if firebase_scrypt::is_firebase(stored) {
        return firebase_scrypt::is_valid(stored);
    }
    PasswordHash::new(stored).is_ok_and(|parsed| {
        Params::try_from(&parsed)
            .is_ok_and(|parameters| parameters.m_cost() <= MEMORY_KIB_MAX && parameters.t_cost() <= ROUNDS_MAX)
    })
}

/// Checks a new password. Errors: `WeakPassword` with everything that is missing, `Validation` for one that is too long.
pub fn check(password: &str, rules: &PasswordRules) -> Result<(), Error> {
    check_length(password)?;
    let (mut messages, mut reasons) = (Vec::new(), Vec::new());
    if password.chars().count() < rules.length_min {
        messages.push(format!("Password should be at least {} characters.", rules.length_min));
        reasons.push("length");
    }
    if !rules
        .required
        .iter()
        .all(|kind| password.chars().any(|letter| kind.has(letter)))
    {
        let kinds: Vec<&str> = rules.required.iter().map(|kind| kind.listed()).collect();
        messages.push(format!(
            "Password should contain at least one character of each: {}.",
            kinds.join(", ")
        ));
        reasons.push("characters");
    }
    if messages.is_empty() {
        return Ok(());
    }
    Err(Error::WeakPassword {
        message: messages.join(" "),
        reasons,
    })
}

/// Checks that a password is not too long. Errors: `Validation`.
pub fn check_length(password: &str) -> Result<(), Error> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::Validation(format!(
            "Password cannot be longer than {PASSWORD_BYTES_MAX} characters"
        )));
    }
    Ok(())
}

const SYMBOLS: &str = "!@#$%^&*()_+-=[]{};'\\:\"|<>?,./`~";

impl Characters {
    fn has(self, letter: char) -> bool {
        match self {
            Characters::Letters => letter.is_ascii_alphabetic(),
            Characters::Lower => letter.is_ascii_lowercase(),
            Characters::Upper => letter.is_ascii_uppercase(),
            Characters::Digits => letter.is_ascii_digit(),
            Characters::Symbols => SYMBOLS.contains(letter),
        }
    }

    /// As messages list them.
    fn listed(self) -> &'static str {
        match self {
            Characters::Letters => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Characters::Lower => "abcdefghijklmnopqrstuvwxyz",
            Characters::Upper => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Characters::Digits => "0123456789",
            Characters::Symbols => SYMBOLS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// bcrypt of `U*U`, cost 5: a published test vector of the algorithm.
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    #[tokio::test]
    async fn a_hash_is_computed_whether_or_not_there_is_a_user() {
        let passwords = Passwords::new();
        let stored = passwords.hash("right").await.unwrap();
        let computed = || passwords.computed.load(Ordering::Relaxed);
        let before = computed();
        let cases = [
            (Some(stored.expose().as_str()), "right", Verdict::Right),
            (Some(stored.expose().as_str()), "wrong", Verdict::Wrong),
            (Some(""), "right", Verdict::Wrong),
            (None, "right", Verdict::Wrong),
        ];
        for (stored, password, verdict) in cases {
            assert_eq!(passwords.verify(password, stored).await.unwrap(), verdict);
        }
        assert_eq!(computed() - before, 4);
        let (own, parsed) = (
            PasswordHash::new(stored.expose()).unwrap(),
            PasswordHash::new(STAND_IN).unwrap(),
        );
        let parameters = Params::try_from(&parsed).unwrap();
        // As long, to the byte.
        assert_eq!(STAND_IN.len(), stored.expose().len());
        assert_eq!((own.algorithm, own.version), (parsed.algorithm, parsed.version));
        assert_eq!(
            (parameters.m_cost(), parameters.t_cost(), parameters.p_cost()),
            PARAMETERS
        );
    }

    #[tokio::test]
    async fn what_waits_beyond_the_limit_is_refused() {
        let passwords = Passwords::new();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let held: Vec<_> = (0..threads)
            .map(|_| Arc::clone(&passwords.slots).try_acquire_owned().unwrap())
            .collect();
        let asked: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash("right").await.is_ok() })
            })
            .collect();
        while passwords.waiting.load(Ordering::Relaxed) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        let refused = passwords.verify("right", None).await;
        assert!(matches!(refused, Err(Error::TooManyRequests { .. })));
        assert_eq!(passwords.computed.load(Ordering::Relaxed), 0);
        drop(held);
        for one in asked {
            assert!(one.await.unwrap());
        }
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(passwords.verify("right", None).await.unwrap(), Verdict::Wrong);
    }

    #[test]
    fn old_hashes_are_verified_and_marked() {
        assert_eq!(verify("U*U", BCRYPT), Verdict::RightButOld);
        assert_eq!(verify("U*V", BCRYPT), Verdict::Wrong);
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let weak = weak.hash_password(b"right").unwrap().to_string();
        assert_eq!(verify("right", &weak), Verdict::RightButOld);
        assert_eq!(verify("right", "right"), Verdict::Wrong);
        assert_eq!(verify("", ""), Verdict::Wrong);
        assert!(is_importable(BCRYPT) && is_importable(&weak));
        let huge = weak.replace("m=8", "m=4000000");
        assert!(!is_importable(&huge) && !is_importable("right") && !is_importable("$2a$31$x"));
        assert_eq!(verify("right", &huge), Verdict::Wrong);
    }

    #[test]
    fn a_weak_password_is_told_everything_that_is_missing() {
        let rules = PasswordRules {
            length_min: 6,
            required: PasswordRules::required("lower_upper_letters_digits").unwrap(),
        };
        assert!(check("abCD12", &rules).is_ok());
        let Err(Error::WeakPassword { reasons, .. }) = check("a", &rules) else {
            panic!("it was taken");
        };
        assert_eq!(reasons, ["length", "characters"]);
        assert!(matches!(check(&"aB1".repeat(25), &rules), Err(Error::Validation(_))));
        assert!(PasswordRules::required("strong").is_none());
    }
}
