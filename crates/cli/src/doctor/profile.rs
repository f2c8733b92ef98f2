//! `tlease doctor --emit-profile`: the machine profile, with what each line means and rests on.

use crate::exit::{Chain, Exit, Failure};
use crate::show::{Form, object};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use tlease_clock::enclave::{Hertz, HzRange, MachineProfile, Shown, SimOpenFault, Smt};
use tlease_clock::machine::Survey;
use tlease_core::time::Span;

/// Measures for this long, and writes the profile to a file, or prints it.
pub(super) fn emit(path: &Path, watch: Span, form: Form) -> Result<Exit, Failure> {
    let survey = Survey::take(watch).map_err(|why| no_profile(&why))?;
    let profile = survey.profile().map_err(|why| no_profile(&SimOpenFault::NotAdmitted(why)))?;
    let text = annotated(&survey, &profile);
    if path == Path::new(STANDARD_OUTPUT) {
        form.print(text.trim_end(), &object([("machine_profile", text.clone().into())]))?;
        return Ok(Exit::Done);
    }
    write_new(path, &text).map_err(|why| {
        let sentence = if why.kind() == io::ErrorKind::AlreadyExists {
            format!("{} is there already; a profile is not overwritten", path.display())
        } else {
            format!("cannot write {}: {why}", path.display())
        };
        Failure::new(Exit::Broken, sentence)
    })?;
    let said = format!(
        "wrote {}\nEverything in it is assumed from now on. Compare core_hz_max with the highest \
         single-core turbo that the vendor states, and correct the file.",
        path.display()
    );
    form.print(&said, &object([("written", path.display().to_string().into())]))?;
    Ok(Exit::Done)
}

fn no_profile(why: &SimOpenFault) -> Failure {
    Failure::new(Exit::Unstartable, format!("no machine profile can be made: {}", Chain(why)))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The lines of the profile, each under comments.
fn annotated(survey: &Survey, profile: &MachineProfile) -> String {
    let mut text = String::from(HEAD);
    for line in profile.to_string().lines() {
        let (key, _) = line.split_once(" = ").unwrap_or((line, ""));
        for sentence in meaning(key, survey) {
            // Writing to a string does not fail.
            let _ = write!(text, "\n# {sentence}");
        }
        let _ = write!(text, "\n{line}\n");
    }
    text
}

/// What a line means, and how far it can be trusted.
fn meaning(key: &str, survey: &Survey) -> Vec<String> {
    match key {
        "format" => vec!["The format of this file.".into()],
        "vendor" => vec![
            "The processor, as CPUID reports it: the hypervisor's word in a virtual machine, the host's"
                .into(),
            format!(
                "in an enclave (A14). It stands for {} core cycles a multiplication, {}.",
                survey.cycles.0.get(),
                shown(survey.cycles.1)
            ),
        ],
        "family" => vec!["As in /proc/cpuinfo.".into()],
        "model" => vec![
            "As in /proc/cpuinfo. A model that multiplies faster than its row of the table says would make"
                .into(),
            "a granter's clock run fast: one that nobody has looked up is refused.".into(),
        ],
        "stepping" => vec!["Another stepping is another machine: take its profile there.".into()],
        "core_hz_min" => vec![
            "The slowest core. A slower one counts as interrupted, so too high a value only costs time. Too"
                .into(),
            "low a value lets longer gaps pass for work, and finds fewer lies of the counter. Half of the"
                .into(),
            format!(
                "slowest seen, {}, and no less than an eighth of the fastest.",
                mhz(survey.core_hz_seen.min())
            ),
        ],
        "core_hz_max" => core_hz_max(survey),
        "tsc_hz_min" => vec![
            "The counter's rate. HOLDERS' SAFETY RESTS ON tsc_hz_min (A2): a counter that is slower lets"
                .into(),
            format!("them act after their leases. Seen: {} by the kernel's clock, widened here by", khz(survey.tsc_hz)),
            "the 300 ppm that that clock is taken to be off by. Each ppm costs as much of every term.".into(),
        ],
        "tsc_hz_max" => vec![
            "How far apart two cores' counters can run follows from both ends; bounds that are carried from"
                .into(),
            "one timekeeper to the other part by as much.".into(),
        ],
        "smt" => vec![match survey.smt {
            Some(Smt::Off) => "The kernel says that threads do not share cores.".into(),
            Some(Smt::On) => {
                "The kernel says that threads share cores: a sibling slows a timekeeper to half.".into()
            }
            None => "Whether threads share cores is not known: taken to be so.".into(),
        }],
        other => vec![format!("`{other}`: see docs/operating.md.")],
    }
}

fn core_hz_max(survey: &Survey) -> Vec<String> {
    let seen = mhz(survey.core_hz_seen.max());
    let from = match survey.core_hz_stated {
        Some(stated) => {
            format!("The kernel states {}, and {seen} was seen.", mhz(stated))
        }
        None => format!(
            "Nobody states it here: the {seen} seen and a half. It may have been slow. CORRECT IT."
        ),
    };
    vec![
        "The fastest core: the highest single-core turbo, overclocking excluded (A15). GRANTERS' SAFETY"
            .into(),
        "RESTS ON IT: a core that is faster frees a name before its holder's lease is over. Too high a"
            .into(),
        "value only makes them free later, by as much.".into(),
        from,
    ]
}

const fn shown(shown: Shown) -> &'static str {
    match shown {
        Shown::Measured => "measured by this project",
        Shown::Published => "from published tables",
    }
}

fn mhz(hertz: Hertz) -> String {
    format!("{} MHz", hertz.get().div_euclid(1_000_000))
}

fn khz(range: HzRange) -> String {
    range.to_string()
}

pub(super) const STANDARD_OUTPUT: &str = "-";

const HEAD: &str = "\
# What the profiles enclave and enclave-sim assume of this machine's processor. Written by
# 'tlease doctor --emit-profile'. It was measured with the kernel's clock, and is as true as the
# kernel and the hypervisor were at that moment. Nothing can prove it later.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_explained_and_the_text_is_the_profile() {
        let survey = match Survey::take(Span::from_millis(20)) {
            Ok(survey) => survey,
            Err(why) => return println!("skipped: {why}"),
        };
        let profile = survey.profile().unwrap();
        let text = annotated(&survey, &profile);
        assert_eq!(text.parse(), Ok(profile));
        let lines: Vec<&str> = text.lines().collect();
        let explained = |pair: &[&str]| !pair[1].contains(" = ") || pair[0].starts_with('#');
        assert!(lines.windows(2).all(explained), "{text}");
        assert!(!text.contains("see docs/operating.md"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
