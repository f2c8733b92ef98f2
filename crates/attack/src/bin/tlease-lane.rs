//! The processes of a lane: `victim LANE MECHANISM [storm] [aged]` and `successor LANE`.

use std::process::ExitCode;

use tlease_attack::lane::Lane;
use tlease_attack::{Mechanism, act, stress, succeed};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    match arguments {
        [role, lane] if role == "successor" => succeed(&Lane::open(lane)?),
        [role, lane, mechanism, stresses @ ..] if role == "victim" => {
            let lane = Lane::open(lane)?;
            let mechanism: Mechanism = mechanism.parse()?;
            let asked = |name: &str| stresses.iter().any(|stress| stress == name);
            let _storm = asked("storm").then(|| stress::signal_storm(10_000)).transpose()?;
            std::thread::scope(|scope| {
                if asked("aged") {
                    scope.spawn(|| {
                        while !lane.stopped() && stress::age_pages() {
                            stress::pause_us(10_000);
                        }
                    });
                }
                act(&lane, mechanism);
            });
        }
        _ => {
            return Err(
                "usage: tlease-lane victim LANE MECHANISM [storm] [aged] | successor LANE".into()
            );
        }
    }
    Ok(())
}
