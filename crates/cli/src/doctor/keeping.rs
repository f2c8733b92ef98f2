//! How timekeepers would fare here, in words and as JSON.

use super::words::Row;
use serde_json::{Value, json};
use std::time::Duration;
use tlease_clock::enclave::SimOpenFault;
use tlease_clock::machine::{Outlook, Serving, Survey, Usable};
use tlease_core::time::Span;

/// What was measured for the profiles that do not trust the kernel for time.
pub(super) struct Keeping {
    outlook: Outlook,
    survey: Result<Survey, SimOpenFault>,
}

impl Keeping {
    pub(super) fn watch(length: Span) -> Self {
        Self { outlook: Outlook::watch(length), survey: Survey::take(length) }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let Outlook { one, two, round_trip, .. } = &self.outlook;
        let mut rows = vec![
            ("one timekeeper", serving(one, "interrupted", *round_trip)),
            match two {
                Some(two) => ("two timekeepers", serving(two, "both away", *round_trip)),
                None => ("two timekeepers", "no: there is one core".into()),
            },
        ];
        match &self.survey {
            Ok(survey) => rows.extend(usable_rows(survey)),
            Err(why) => {
                rows.push(("machine profile", format!("none: {}", crate::exit::Chain(why))))
            }
        }
        rows
    }

    pub(super) fn json(&self) -> Value {
        let Outlook { watched, one, two, round_trip } = &self.outlook;
        json!({
            "watched_ns": watched.as_nanos(),
            "round_trip_ns": round_trip.as_nanos(),
            "one": serving_json(one),
            "two": two.as_ref().map(serving_json),
            "usable": self.survey.as_ref().ok().map(|survey| {
                let widened = WIDENINGS_PPM.iter().filter_map(|ppm| {
                    Some(usable_json(&Usable::widened(survey, *ppm)?, Some(*ppm)))
                });
                let own = survey.profile().ok().map(|own| Usable::of(&own, survey));
                json!({
                    "emitted_profile": own.map(|own| usable_json(&own, None)),
                    "widened": widened.collect::<Vec<_>>(),
                })
            }),
        })
    }
}

fn serving(serving: &Serving, what: &str, round_trip: Span) -> String {
    let Serving { breaks_per_second, longest_stretch, share } = serving;
    format!(
        "{what} {breaks_per_second:.0} times a second, longest stretch {:.1?}; acts need no round trip \
         (of {:.0?}) in {:.1} % of the time",
        Duration::from(*longest_stretch),
        Duration::from(round_trip),
        100.0 * share
    )
}

fn usable_rows(survey: &Survey) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Ok(profile) = survey.profile() {
        let Usable { held, freed_after } = Usable::of(&profile, survey);
        let own = format!(
            "{:.2} % of a term can be used, and a name that nobody gives back is free after {freed_after:.2} \
             terms, with the profile that --emit-profile writes",
            100.0 * held
        );
        rows.push(("usable share", own));
    }
    let widened = WIDENINGS_PPM.iter().filter_map(|ppm| {
        let usable = Usable::widened(survey, *ppm)?;
        let percent = Duration::from_micros(*ppm).as_secs_f64() * 100.0;
        Some(format!("{:.1} % at {percent} %", 100.0 * usable.of_the_time()))
    });
    let widened: Vec<String> = widened.collect();
    let shares = format!(
        "of the time for which a name is kept from others, by how much the admitted frequencies are \
         wider than those seen: {}",
        widened.join(", ")
    );
    rows.push(("", shares));
    rows
}

fn serving_json(serving: &Serving) -> Value {
    json!({
        "breaks_per_second": serving.breaks_per_second,
        "longest_stretch_ns": serving.longest_stretch.as_nanos(),
        "share_without_round_trips": serving.share,
    })
}

fn usable_json(usable: &Usable, widened_ppm: Option<u64>) -> Value {
    json!({
        "widened_ppm": widened_ppm,
        "held_share": usable.held,
        "freed_after_terms": usable.freed_after,
        "usable_share_of_the_time": usable.of_the_time(),
    })
}

/// From nothing to what a core without a stated turbo needs.
const WIDENINGS_PPM: [u64; 6] = [0, 1_000, 10_000, 50_000, 200_000, 500_000];
