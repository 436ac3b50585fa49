//! What was seen of each rule, and the verdict.

use std::collections::BTreeMap;

use serde::Serialize;

use super::rules::{ALL, Level, Rule};

/// How a rule came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    /// Held whenever it was looked at.
    Pass,
    /// A rule of weight was broken.
    Fail,
    /// A recommendation was not followed.
    Warn,
    /// The stream has nothing the rule speaks of.
    NotApplicable,
    /// It could not be checked.
    Skipped,
}

impl Verdict {
    /// As the table says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::NotApplicable => "n/a",
            Self::Skipped => "skipped",
        }
    }
}

/// A rule with its verdict.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ruling {
    pub rule: &'static str,
    /// What it is about.
    pub group: &'static str,
    pub section: &'static str,
    pub level: Level,
    pub verdict: Verdict,
    pub demand: &'static str,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// How often it was looked at.
    pub checks: u64,
    /// How often it was broken.
    pub broken: u64,
}

/// Collects what is seen.
#[derive(Debug, Default)]
pub(super) struct Judge {
    tallies: BTreeMap<&'static str, Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    checks: u64,
    broken: u64,
    /// What was seen when it was first broken.
    breach: String,
    /// What was seen when it last held.
    held: String,
    absent: Option<String>,
    skipped: Option<String>,
}

impl Judge {
    /// The rule was looked at: whether it holds, and what was seen.
    pub(super) fn check(&mut self, rule: &'static Rule, holds: bool, seen: impl Into<String>) {
        let tally = self.tallies.entry(rule.name).or_default();
        tally.checks += 1;
        if holds {
            tally.held = seen.into();
        } else {
            if tally.broken == 0 {
                tally.breach = seen.into();
            }
            tally.broken += 1;
        }
    }

    /// The stream has nothing that the rule speaks of.
    pub(super) fn absent(&mut self, rule: &'static Rule, why: impl Into<String>) {
        self.tallies.entry(rule.name).or_default().absent = Some(why.into());
    }

    /// The rule could not be checked.
    pub(super) fn skip(&mut self, rule: &'static Rule, why: impl Into<String>) {
        self.tallies.entry(rule.name).or_default().skipped = Some(why.into());
    }

    /// How often a rule was looked at.
    pub(super) fn count(&self, rule: &Rule) -> u64 {
        self.tallies.get(rule.name).map_or(0, |tally| tally.checks)
    }

    /// A verdict for every rule there is.
    pub(super) fn rulings(&self) -> Vec<Ruling> {
        ALL.iter().map(|rule| self.ruling(rule)).collect()
    }

    fn ruling(&self, rule: &'static Rule) -> Ruling {
        let untouched = Tally::default();
        let tally = self.tallies.get(rule.name).unwrap_or(&untouched);
        let (verdict, seen) = if tally.broken > 0 {
            let verdict = match rule.level {
                Level::Must => Verdict::Fail,
                Level::Should => Verdict::Warn,
            };
            (verdict, tally.breach.clone())
        } else if tally.checks > 0 {
            (Verdict::Pass, tally.held.clone())
        } else if let Some(why) = &tally.absent {
            (Verdict::NotApplicable, why.clone())
        } else {
            let why = tally.skipped.clone();
            (Verdict::Skipped, why.unwrap_or_else(|| "nothing was seen that shows it".to_owned()))
        };
        Ruling {
            rule: rule.name,
            group: rule.group,
            section: rule.section,
            level: rule.level,
            verdict,
            demand: rule.demand,
            seen,
            checks: tally.checks,
            broken: tally.broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{CADENCE, HINT, OVERDUE, TARGET, WINDOW};
    use super::*;

    #[test]
    fn one_breach_outweighs_all_that_held_and_nothing_seen_is_no_pass() {
        let mut judge = Judge::default();
        judge.check(&TARGET, true, "fine");
        judge.check(&TARGET, false, "too long");
        judge.check(&TARGET, false, "again");
        judge.check(&CADENCE, false, "late");
        judge.check(&WINDOW, true, "6 s");
        judge.absent(&HINT, "no parts");
        judge.skip(&OVERDUE, "it never stalled");
        let rulings = judge.rulings();
        let of = |rule: &Rule| {
            let ruling = rulings.iter().find(|ruling| ruling.rule == rule.name).unwrap();
            (ruling.verdict, ruling.seen.as_str())
        };
        assert_eq!(of(&TARGET), (Verdict::Fail, "too long"));
        assert_eq!(of(&CADENCE), (Verdict::Warn, "late"));
        assert_eq!(of(&WINDOW), (Verdict::Pass, "6 s"));
        assert_eq!(of(&HINT), (Verdict::NotApplicable, "no parts"));
        assert_eq!(of(&OVERDUE), (Verdict::Skipped, "it never stalled"));
        assert!(rulings.iter().filter(|ruling| ruling.checks == 0).all(|r| r.verdict != Verdict::Pass));
    }
}
