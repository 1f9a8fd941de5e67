//! `cargo xtask timing`: whether the time that an answer takes tells if an address has an account.
//!
//! Known and unknown addresses are asked about in turns over one connection, and the two sets of times are compared by
//! rank (Mann–Whitney) and by mean (Welch). Nothing here fails on a time: the result is printed, and kept in
//! `docs/security.md`.
//!
//! Source: H. B. Mann, D. R. Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger than the
//! Other" (1947); B. L. Welch, "The Generalization of 'Student's' Problem" (1947).

use crate::http::Client;
use crate::postgres::Cluster;
use crate::process::say;
use crate::server::{Engine, Mainstay, Project};
use crate::setup::build_mainstay;
use crate::workspace::{root, write_section};
use crate::{Arguments, Error, Result};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const SECRET: &str = "a secret of forty characters for the timing";
const PASSWORD: &str = "correct horse 7 battery";
const SAMPLES: u64 = 500;
/// Known addresses: each takes a bounded number of wrong passwords.
const KNOWN: u64 = 50;
/// Answers before the first that counts: connections, statements and caches are warm then.
const WARM: u64 = 30;
/// Below this probability of the ranks by chance the two are told apart.
const CHANCE: f64 = 0.001;

/// A question about an address. `{}` stands for it.
struct Question {
    name: &'static str,
    path: &'static str,
    body: &'static str,
    /// An unknown address becomes a user by being asked about.
    makes: bool,
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "`/token`, a wrong password",
        path: "/token?grant_type=password",
        body: r#"{"email":"{}","password":"a wrong password"}"#,
        makes: false,
    },
    Question {
        name: "`/recover`",
        path: "/recover",
        body: r#"{"email":"{}"}"#,
        makes: false,
    },
    Question {
        name: "`/otp`, `create_user: false`",
        path: "/otp",
        body: r#"{"email":"{}","create_user":false}"#,
        makes: false,
    },
    Question {
        name: "`/otp`",
        path: "/otp",
        body: r#"{"email":"{}"}"#,
        makes: true,
    },
    Question {
        name: "`/magiclink`",
        path: "/magiclink",
        body: r#"{"email":"{}"}"#,
        makes: true,
    },
    Question {
        name: "`/resend`, `signup`",
        path: "/resend",
        body: r#"{"type":"signup","email":"{}"}"#,
        makes: false,
    },
    Question {
        name: "`/resend`, `email_change`",
        path: "/resend",
        body: r#"{"type":"email_change","email":"{}"}"#,
        makes: false,
    },
    Question {
        name: "`/signup`",
        path: "/signup",
        body: r#"{"email":"{}","password":"correct horse 7 battery"}"#,
        makes: true,
    },
];

pub fn run(arguments: &mut Arguments) -> Result<ExitCode> {
    let write = arguments.switch("--write");
    let samples = arguments.number("--samples")?.unwrap_or(SAMPLES).max(10);
    let engines = Engine::chosen(arguments)?;
    arguments.finish()?;
    let binary = build_mainstay("release")?;
    let cluster = Cluster::of(&engines)?;
    let mut text = format!(
        "Made by `cargo xtask timing --write`: {samples} answers for known and as many for unknown addresses, in turns, over one connection; addresses must be confirmed; {}. \
         `p` is the probability of such ranks by chance (Mann–Whitney), `t` Welch's; `share` is how often an answer for a known address takes longer than one for an unknown, one half if neither does.\n",
        crate::bench::machine()
    );
    for engine in engines {
        say(format_args!("── {}", engine.title()));
        let rows = measure(engine, &binary, cluster.as_ref(), samples)?;
        let _ = write!(text, "\n#### {}\n\n", crate::bench::capital(engine.title()));
        text.push_str("| question | known, median µs | unknown, median µs | share | p | t | told apart |\n");
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
        for (name, compared) in rows {
            let _ = writeln!(
                text,
                "| {name} | {:.0} | {:.0} | {:.3} | {:.4} | {:.1} | {} |",
                compared.known,
                compared.unknown,
                compared.share,
                compared.p,
                compared.t,
                if compared.p < CHANCE { "**yes**" } else { "no" }
            );
        }
    }
    println!("\n{text}");
    if write {
        let path = root().join("docs/security.md");
        write_section(&path, "<!-- timing -->\n<!-- /timing -->\n", "timing", &text)?;
        say(format_args!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    engine: Engine,
    binary: &Path,
    cluster: Option<&Cluster>,
    samples: u64,
) -> Result<Vec<(&'static str, Compared)>> {
    let mut project = Project::new("timing", engine, cluster)?;
    let config = "project_id = \"timing\"\n\n[mainstay]\ngrants = \"closed\"\nlog_requests = false\n\n\
                  [auth.email]\nmax_frequency = \"0s\"\nenable_confirmations = true\n";
    project.write("supabase/config.toml", config)?;
    project.set("PGRST_JWT_SECRET", SECRET);
    project.set("RUST_LOG", "warn");
    let service = project.keys(binary)?.service_role;
    let mut rows = Vec::new();
    for question in QUESTIONS {
        // Each on a server of its own, so that no question finds what another left. `dev` takes the mails.
        let server = project.serve(binary, &["dev", "--migrate"])?;
        let compared = ask(&server, question, &service, samples)?;
        say(format_args!("{:30}: {compared}", question.name));
        rows.push((question.name, compared));
        server.stop()?;
    }
    Ok(rows)
}

fn ask(server: &Mainstay, question: &Question, service: &str, samples: u64) -> Result<Compared> {
    let bearer = format!("Bearer {service}");
    let mut admin = Client::connect(&server.url())?.with("authorization", &bearer);
    let name: String = question
        .name
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(char::from)
        .collect();
    let known = |number: u64| format!("known-{name}-{}@example.com", number % KNOWN);
    for number in 0..KNOWN {
        let body = format!(
            r#"{{"email":"{}","password":"{PASSWORD}","email_confirm":true}}"#,
            known(number)
        );
        admin.send("POST", "/auth/v1/admin/users", &body)?.good()?;
    }
    let mut client = Client::connect(&server.url())?;
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..WARM + samples {
        // The order alternates too: what follows what must not make a difference.
        let order = if number % 2 == 0 { [true, false] } else { [false, true] };
        for is_known in order {
            let email = match is_known {
                true => known(number),
                // As long as the others. One that becomes a user is unknown once.
                false => format!(
                    "other-{name}-{}@example.com",
                    if question.makes { number + 100 } else { number % KNOWN }
                ),
            };
            let body = question.body.replace("{}", &email);
            let path = format!("/auth/v1{}", question.path);
            let start = Instant::now();
            let answer = client.send("POST", &path, &body)?;
            let micros = start.elapsed().as_secs_f64() * 1e6;
            if answer.status == 429 || answer.status >= 500 {
                return Err(Error::new(format!(
                    "{}: {} {}",
                    question.name, answer.status, answer.body
                )));
            }
            if number >= WARM {
                times[usize::from(!is_known)].push(micros);
            }
        }
    }
    Ok(Compared::of(&times[0], &times[1]))
}

/// Two sets of times beside each other.
struct Compared {
    /// Medians, in microseconds.
    known: f64,
    unknown: f64,
    /// How often one of the known is above one of the unknown.
    share: f64,
    /// Of both sides, by the normal approximation with ties.
    p: f64,
    t: f64,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "known {:.0} µs, unknown {:.0} µs, share {:.3}, p {:.4}, t {:.1}",
            self.known, self.unknown, self.share, self.p, self.t
        )
    }
}

impl Compared {
    fn of(known: &[f64], unknown: &[f64]) -> Self {
        let (share, z) = ranks(known, unknown);
        Compared {
            known: crate::bench::median(&mut known.to_vec()),
            unknown: crate::bench::median(&mut unknown.to_vec()),
            share,
            p: 2.0 * (1.0 - normal(z.abs())),
            t: welch(known, unknown),
        }
    }
}

/// The share of pairs in which the first is above the second, and how many standard deviations its rank sum is off.
fn ranks(first: &[f64], second: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> = first.iter().map(|time| (*time, true)).collect();
    all.extend(second.iter().map(|time| (*time, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut ties, mut from) = (0.0, 0.0, 0);
    while from < all.len() {
        let to = (from..all.len())
            .find(|at| all[*at].0 != all[from].0)
            .unwrap_or(all.len());
        let rank = (from + to + 1) as f64 / 2.0;
        sum += rank * all[from..to].iter().filter(|(_, is_first)| *is_first).count() as f64;
        let tied = (to - from) as f64;
        ties += tied.powi(3) - tied;
        from = to;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let u = sum - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * ((n + m + 1.0) - ties / ((n + m) * (n + m - 1.0)));
    let z = if variance > 0.0 {
        (u - n * m / 2.0) / variance.sqrt()
    } else {
        0.0
    };
    (u / (n * m), z)
}

/// Welch's t.
fn welch(first: &[f64], second: &[f64]) -> f64 {
    let of = |times: &[f64]| {
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    let ((a, va), (b, vb)) = (of(first), of(second));
    if va + vb > 0.0 { (a - b) / (va + vb).sqrt() } else { 0.0 }
}

/// The normal distribution below `z`, which is not negative. Source: Abramowitz and Stegun, 26.2.17.
fn normal(z: f64) -> f64 {
    let k = 1.0 / (1.0 + 0.231_641_9 * z);
    let terms = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let sum: f64 = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * k);
    1.0 - (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_the_tables() {
        for (z, below) in [(0.0, 0.5), (1.0, 0.841_345), (1.96, 0.975_002), (3.29, 0.999_499)] {
            assert!((normal(z) - below).abs() < 1e-5, "{z}: {}", normal(z));
        }
    }

    #[test]
    fn ranks_of_a_worked_example() {
        // Mann and Whitney's own counting: each of the first above as many of the second.
        let (share, _) = ranks(&[3.0, 5.0, 9.0], &[1.0, 4.0, 8.0, 10.0]);
        assert!((share - 6.0 / 12.0).abs() < 1e-9, "{share}");
        let (share, z) = ranks(&[1.0, 1.0, 1.0], &[1.0, 1.0]);
        assert!((share - 0.5).abs() < 1e-9 && z == 0.0);
    }

    #[test]
    fn what_differs_is_told_apart_and_what_does_not_is_not() {
        // A sequence without a pattern, the same in every run.
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) * 100.0
        };
        let one: Vec<f64> = (0..500).map(|_| next()).collect();
        let other: Vec<f64> = (0..500).map(|_| next()).collect();
        let slower: Vec<f64> = other.iter().map(|time| time + 15.0).collect();
        let alike = Compared::of(&one, &other);
        assert!(alike.p > CHANCE && alike.t.abs() < 3.3, "{alike}");
        let apart = Compared::of(&slower, &one);
        assert!(apart.p < CHANCE && apart.t > 3.3 && apart.share > 0.55, "{apart}");
    }
}
