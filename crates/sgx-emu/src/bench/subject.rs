//! What the enclave under measurement says, and rows of tables made of it.

use super::Failure;

/// How long timekeepers went on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gaps {
    watched_s: f64,
    breaks: f64,
    stretches: f64,
    longest_ms: f64,
    gaps: f64,
    away_percent: f64,
    free_percent: f64,
}

impl Gaps {
    pub(super) const HEADER: &str = "\
| exits a second | timekeepers | breaks of each, a second | longest stretch | times that none serves, a \
second | together | no round trip needed |\n|---|---|---|---|---|---|---|";

    pub(super) fn row(&self, rate: &str, keepers: &str) -> String {
        let Self { breaks, longest_ms, gaps, away_percent, free_percent, .. } = self;
        format!(
            "| {rate} | {keepers} | {breaks:.0} | {longest_ms:.1} ms | {gaps:.1} | {away_percent:.2} % \
             | {free_percent:.1} % |"
        )
    }
}

/// Reads what `gaps` printed.
pub(super) fn gaps(said: &str) -> Result<Gaps, Failure> {
    let line = said.lines().find(|line| line.starts_with("watched"));
    let numbers = numbers(line.unwrap_or_default());
    let [watched_s, breaks, stretches, longest_ms, gaps, away_percent, free_percent] = numbers[..]
    else {
        return Err(format!("no figures of timekeepers: {said}").into());
    };
    Ok(Gaps { watched_s, breaks, stretches, longest_ms, gaps, away_percent, free_percent })
}

/// Ticks and microseconds of a round trip.
pub(super) fn trip(said: &str) -> Result<(u64, f64), Failure> {
    let line = said.lines().find_map(|line| line.strip_prefix("trip "));
    let mut words = line.unwrap_or_default().split(' ');
    match (words.next().and_then(|word| word.parse().ok()), words.next().map(str::parse)) {
        (Some(ticks), Some(Ok(micros))) => Ok((ticks, micros)),
        _ => Err(format!("no round trip: {said}").into()),
    }
}

/// What one step took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    name: String,
    nanos: f64,
    /// Beside the counter behind a fence, in the same run.
    ratio: f64,
}

impl Case {
    pub(super) const HEADER: &str = "\
| step | as it ships | beside the counter behind a fence | beside the same without fences |
|---|---|---|---|";

    /// A row for each step that all runs measured: medians over the runs, and over their pairs.
    pub(super) fn compare(fenced: &[Vec<Self>], plain: &[Vec<Self>]) -> Vec<String> {
        let of = |run: &[Self], name: &str| run.iter().find(|case| case.name == name).cloned();
        let names = fenced.first().into_iter().flatten().map(|case| case.name.as_str());
        let row = |name: &str| {
            let pairs = fenced.iter().zip(plain);
            let pairs: Vec<(Self, Self)> =
                pairs.filter_map(|(one, other)| Some((of(one, name)?, of(other, name)?))).collect();
            let over = |of: fn(&(Self, Self)) -> f64| median(pairs.iter().map(of).collect());
            let nanos = over(|(fenced, _)| fenced.nanos)?;
            let ratio = over(|(fenced, _)| fenced.ratio)?;
            let beside = over(|(fenced, plain)| fenced.nanos / plain.nanos)?;
            Some(format!("| {name} | {nanos:.1} ns | {ratio:.2} | {beside:.2} |"))
        };
        names.filter_map(row).collect()
    }
}

/// Reads what `cases` printed. A step for which the machine was too busy is left out.
pub(super) fn cases(said: &str) -> Result<Vec<Case>, Failure> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("case "));
    let cases: Vec<Case> = lines
        .filter_map(|line| {
            let (name, rest) = line.split_once(": ")?;
            let [nanos, ratio, _] = numbers(rest)[..] else { return None };
            Some(Case { name: name.to_owned(), nanos, ratio })
        })
        .collect();
    if cases.is_empty() { Err(format!("no steps: {said}").into()) } else { Ok(cases) }
}

/// What an answer of the application took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Served {
    name: String,
    nanos: f64,
    ratio: f64,
    low: f64,
    high: f64,
}

impl Served {
    pub(super) const HEADER: &str = "\
| requests | under | an answer takes | beside no lease | quartiles |\n|---|---|---|---|---|";

    pub(super) fn row(&self, requests: &str) -> String {
        let Self { name, nanos, ratio, low, high } = self;
        format!("| {requests} | {name} | {nanos:.0} ns | {ratio:.3} | {low:.3} to {high:.3} |")
    }
}

/// Reads what `serve` printed.
pub(super) fn served(said: &str) -> Result<Vec<Served>, Failure> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("serve "));
    let served: Vec<Served> = lines
        .filter_map(|line| {
            let (name, rest) = line.split_once(": ")?;
            let [nanos, ratio, low, high] = numbers(rest)[..] else { return None };
            Some(Served { name: name.to_owned(), nanos, ratio, low, high })
        })
        .collect();
    if served.is_empty() { Err(format!("nothing was served: {said}").into()) } else { Ok(served) }
}

/// The numbers in a text, in their order.
fn numbers(text: &str) -> Vec<f64> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.filter_map(|word| word.trim_matches('.').parse().ok()).collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_timekeepers_become_a_row() {
        let said = "hello\nwatched 9.874 s: breaks of a timekeeper 250.1 /s, stretches 17, longest \
                    4012.500 ms, gaps 1.7 /s, away 0.0021 %, no round trip 99.91 %\nExits {}";
        let gaps = gaps(said).expect("seven figures");
        assert_eq!((gaps.watched_s, gaps.stretches), (9.874, 17.0));
        let row = "| 250 | 2 | 250 | 4012.5 ms | 1.7 | 0.00 % | 99.9 % |";
        assert_eq!(gaps.row("250", "2"), row);
        assert!(super::gaps("watched nothing").is_err());
        assert_eq!(trip("trip 123 45.6\n").expect("two figures"), (123, 45.6));
        assert!(trip("trip 123").is_err());
    }

    #[test]
    fn steps_are_compared_by_pairs_of_runs() {
        let run = |nanos: &str| {
            cases(&format!("case a: {nanos} ns, 1.2000 of the floor, 100 slices\ncase b: too busy"))
                .expect("one step")
        };
        let fenced = [run("30.00"), run("20.00"), run("22.00")];
        let plain = [run("15.00"), run("10.00"), run("20.00")];
        assert_eq!(Case::compare(&fenced, &plain), ["| a | 22.0 ns | 1.20 | 2.00 |"]);
        assert!(cases("case b: too busy").is_err());
    }

    #[test]
    fn what_was_served_becomes_a_row() {
        let said = "serve a lease, by x: 101.4 ns, 1.0230 (0.9900 to 1.0500) of no lease\n";
        let row = served(said).expect("four figures")[0].row("in memory");
        assert_eq!(row, "| in memory | a lease, by x | 101 ns | 1.023 | 0.990 to 1.050 |");
        assert!(served("serve a: too busy").is_err());
    }
}
