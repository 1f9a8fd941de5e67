//! Runs a case on both engines and makes a failing one smaller.

use std::time::{Duration, Instant};

use crate::compare::{Verdict, compare};
use crate::engines::{Answer, Embedded, Failure, Question, Server};
use crate::generate::Step;

/// The longest that a failing case is made smaller.
const SHRINK_TIME: Duration = Duration::from_secs(60);

/// What became of each step, up to the first difference.
pub async fn verdicts(server: &Server, steps: &[Step]) -> Result<Vec<Verdict>, Failure> {
    let embedded = Embedded::new()?;
    server.clear().await?;
    let mut questions: Vec<Question> = Vec::with_capacity(steps.len());
    let mut ours: Vec<Answer> = Vec::with_capacity(steps.len());
    for step in steps {
        let question = step.question();
        let answer = embedded.ask(&question).await;
        // What is refused here is not run there, so that both stay in step.
        if !matches!(answer, Answer::Refused(_)) {
            questions.push(question);
        }
        ours.push(answer);
    }
    embedded.close().await;
    let mut theirs = server.ask(&questions).await.into_iter();
    let mut verdicts = Vec::with_capacity(steps.len());
    for (step, ours) in steps.iter().zip(&ours) {
        let verdict = match ours {
            Answer::Refused(_) => compare(step.terms, ours, ours),
            _ => match theirs.next() {
                Some(theirs) => match compare(step.terms, ours, &theirs) {
                    Verdict::Different(_) if is_of_constants(server, step, &theirs).await => match ours {
                        Answer::Done(_) => Verdict::Apart(14),
                        _ => Verdict::Documented(14),
                    },
                    verdict => verdict,
                },
                None => break,
            },
        };
        let is_apart = matches!(verdict, Verdict::Different(_) | Verdict::Apart(_));
        verdicts.push(verdict);
        if is_apart {
            break;
        }
    }
    Ok(verdicts)
}

/// True for an error that PostgreSQL finds when it plans the statement: it computes constants first.
async fn is_of_constants(server: &Server, step: &Step, theirs: &Answer) -> bool {
    let Answer::Error { sqlstate, .. } = theirs else {
        return false;
    };
    if !sqlstate.starts_with("22") && sqlstate != "54000" {
        return false;
    }
    let question = step.question();
    let planned = Question {
        sql: format!("explain {}", question.sql),
        has_columns: false,
        ..question
    };
    let planned = server.ask(&[planned]).await;
    matches!(planned.first(), Some(Answer::Error { sqlstate: found, .. }) if found == sqlstate)
}

/// The difference that the last step shows, if it does.
async fn last_difference(server: &Server, steps: &[Step]) -> Result<Option<String>, Failure> {
    let verdicts = verdicts(server, steps).await?;
    Ok(match (verdicts.len() == steps.len(), verdicts.last()) {
        (true, Some(Verdict::Different(text))) => Some(text.clone()),
        _ => None,
    })
}

/// A smaller case whose last step still shows a difference of the same kind, and that difference.
pub async fn shrink(server: &Server, steps: &[Step], text: &str) -> Result<(Vec<Step>, String), Failure> {
    let end = Instant::now() + SHRINK_TIME;
    let (mut best, mut shown) = (steps.to_vec(), text.to_owned());
    let wanted = kind(text);
    // Whole statements first, from many to one.
    let mut chunk = best.len() / 2;
    while chunk > 0 && Instant::now() < end {
        let mut at = 0;
        while at + 1 < best.len() && Instant::now() < end {
            let mut fewer = best.clone();
            let last = (at + chunk).min(best.len() - 1);
            fewer.drain(at..last);
            match last_difference(server, &fewer).await? {
                Some(text) if kind(&text) == wanted => (best, shown) = (fewer, text),
                _ => at += chunk,
            }
        }
        chunk /= 2;
    }
    // Then parts of statements.
    'again: while Instant::now() < end {
        for at in (0..best.len()).rev() {
            for smaller in best[at].node.smaller() {
                if Instant::now() >= end {
                    break 'again;
                }
                let mut steps = best.clone();
                steps[at].node = smaller;
                if steps[at].node.to_string().len() >= best[at].node.to_string().len() {
                    continue;
                }
                match last_difference(server, &steps).await? {
                    Some(text) if kind(&text) == wanted => {
                        (best, shown) = (steps, text);
                        continue 'again;
                    }
                    _ => {}
                }
            }
        }
        break;
    }
    Ok((best, shown))
}

/// What a difference is about, without its values.
fn kind(text: &str) -> String {
    let words = text
        .split_whitespace()
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.take(4).collect::<Vec<_>>().join(" ")
}
