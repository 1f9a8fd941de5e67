//! A run over many seeds: threads, counts, the report.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::check::{shrink, verdicts};
use crate::compare::Verdict;
use crate::engines::{Failure, Server};
use crate::generate::surface::Surface;
use crate::generate::{Step, case};

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The first seed; the others follow it.
    pub seed: u64,
    /// Statements to compare.
    pub cases: u64,
    /// The longest that the run goes on.
    pub time: Option<Duration>,
    pub threads: usize,
    /// Differences after which the run ends.
    pub failures_max: usize,
    pub shrink: bool,
    /// Prints each statement with its verdict.
    pub verbose: bool,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    pub cases: u64,
    pub seeds: u64,
    pub same: u64,
    pub documented: BTreeMap<u8, u64>,
    pub refused: BTreeMap<String, u64>,
    /// Seed, script and difference.
    pub differences: Vec<(u64, String, String)>,
}

/// Runs seeds until the orders are fulfilled.
pub fn run(orders: &Orders, url: &str) -> Result<Report, Failure> {
    let begun = Instant::now();
    let next = AtomicU64::new(orders.seed);
    let stop = AtomicBool::new(false);
    let report = Mutex::new(Report::default());
    let work = || -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let surface = Surface::new();
            let server = Server::new(url).await?;
            while !stop.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let steps = case(seed, &surface);
                let verdicts = verdicts(&server, &steps).await?;
                if orders.verbose {
                    print(&steps, &verdicts);
                }
                let difference = match verdicts.last() {
                    Some(Verdict::Different(text)) => Some(text.clone()),
                    _ => None,
                };
                let finished = {
                    let mut report = report.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    report.add(&steps, &verdicts);
                    let late = orders.time.is_some_and(|time| begun.elapsed() >= time);
                    report.cases >= orders.cases || late
                };
                if let Some(text) = difference {
                    let failing = &steps[..verdicts.len()];
                    let (smallest, text) = if orders.shrink {
                        shrink(&server, failing, &text).await?
                    } else {
                        (failing.to_vec(), text)
                    };
                    let script = script(&smallest);
                    println!("seed {seed}:\n{script}\n    {text}\n");
                    let mut report = report.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    report.differences.push((seed, script, text));
                    if report.differences.len() >= orders.failures_max {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                if finished {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            server.close().await
        })
    };
    std::thread::scope(|scope| -> Result<(), Failure> {
        let threads: Vec<_> = (0..orders.threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => return Err("a thread of the run panicked".into()),
            }
        }
        Ok(())
    })?;
    Ok(report.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

impl Report {
    fn add(&mut self, steps: &[Step], verdicts: &[Verdict]) {
        self.seeds += 1;
        for (step, verdict) in steps.iter().zip(verdicts) {
            if step.is_care {
                continue;
            }
            self.cases += 1;
            match verdict {
                Verdict::Same => self.same += 1,
                Verdict::Documented(number) | Verdict::Apart(number) => {
                    *self.documented.entry(*number).or_default() += 1
                }
                Verdict::Refused(feature) => *self.refused.entry(feature.clone()).or_default() += 1,
                Verdict::Different(_) => {}
            }
        }
    }

    /// The last lines of a run.
    pub fn summary(&self, took: Duration) -> String {
        let refused: u64 = self.refused.values().sum();
        let documented: u64 = self.documented.values().sum();
        let mut lines = Vec::new();
        let mut features: Vec<(&String, &u64)> = self.refused.iter().collect();
        features.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (feature, count) in features.iter().take(25) {
            lines.push(format!("  refused {count:6}  {feature}"));
        }
        for (number, count) in &self.documented {
            lines.push(format!("  difference {number}: {count}"));
        }
        let seconds = took.as_secs_f64();
        lines.push(format!(
            "{} cases of {} seeds in {seconds:.0} s ({:.0} a second): {} same, {refused} refused ({:.1} %), {documented} documented, {} different",
            self.cases,
            self.seeds,
            self.cases as f64 / seconds.max(0.001),
            self.same,
            100.0 * refused as f64 / self.cases.max(1) as f64,
            self.differences.len(),
        ));
        lines.join("\n")
    }
}

fn script(steps: &[Step]) -> String {
    let texts = steps.iter().map(|step| match &step.person {
        None => format!("{};", step.node),
        Some(person) => format!(
            "/* {} {} */ {};",
            person.role,
            person.user.unwrap_or_default(),
            step.node
        ),
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn print(steps: &[Step], verdicts: &[Verdict]) {
    for (step, verdict) in steps.iter().zip(verdicts) {
        println!("{};\n    {verdict:?}", step.node);
    }
}
