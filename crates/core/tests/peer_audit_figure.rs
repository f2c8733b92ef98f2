//! `docs/peer-audit.svg` and `.csv`: how long a lie of the clocks goes unseen, by its size and the round
//! trip. The committed files are what this makes of the audit that ships.
//!
//! `TLEASE_REGENERATE=1 cargo test -p tlease-core --test peer_audit_figure` writes them anew.

#![allow(clippy::as_conversions, reason = "places on a picture, in a test")]

mod audit;

use std::fmt::Write as _;
use std::path::PathBuf;

use audit::{BILLION, Lie, PPB};

/// Lies beyond what drift allows, in parts in a million.
const LIES: [u64; 16] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000,
    500_000, 1_000_000,
];

/// Round trips in microseconds, each with how it is drawn.
const ROUND_TRIPS: [(u64, &str, &str); 5] = [
    (100, "0.1 ms", "#1b9e77"),
    (1_000, "1 ms", "#d95f02"),
    (10_000, "10 ms", "#7570b3"),
    (100_000, "0.1 s", "#e7298a"),
    (1_000_000, "1 s", "#66a61e"),
];

/// From one renewal to the next: a third of a term of three seconds.
const PERIOD: u64 = BILLION;

/// What is not found in a day is left out.
const LIMIT: u64 = 24 * 3_600 * BILLION;

/// One point of the picture.
struct Point {
    lie_ppm: u64,
    round_trip_us: u64,
    /// Until the lie was found, and what that is at most, in seconds.
    found: f64,
    bound: f64,
}

#[test]
fn the_picture_is_of_the_audit_that_ships() {
    let points = points();
    for point in &points {
        let Point { lie_ppm, round_trip_us, found, bound } = point;
        assert!(found <= bound, "{lie_ppm} ppm, {round_trip_us} us: {found} s, {bound} s");
    }
    compare("peer-audit.csv", &csv(&points));
    compare("peer-audit.svg", &svg(&points));
}

fn points() -> Vec<Point> {
    let mut points = Vec::new();
    for (round_trip_us, _, _) in ROUND_TRIPS {
        for lie_ppm in LIES {
            let delay = round_trip_us * 1_000 / 2;
            let lie = Lie { granter: runs_at(lie_ppm), holder: BILLION, delay, period: PERIOD };
            let Some((found, _)) = lie.found_after(LIMIT) else { continue };
            let (found, bound) = (found as f64 / 1e9, lie.bound() / 1e9);
            points.push(Point { lie_ppm, round_trip_us, found, bound });
        }
    }
    points
}

/// What a granter's source shows, in parts in a billion, if its slow hand runs so much ahead of an
/// honest holder's fast hand.
fn runs_at(lie_ppm: u64) -> u64 {
    let allowed = u128::from(BILLION - u64::from(PPB));
    let ahead = u128::from(BILLION + lie_ppm * 1_000);
    let billion = u128::from(BILLION);
    let rate = (billion * billion).div_ceil(allowed) * ahead / allowed;
    u64::try_from(rate).expect("at most three times as fast")
}

fn csv(points: &[Point]) -> String {
    let mut text = "lie_beyond_slack_ppm,round_trip_us,found_after_s,bound_s\n".to_owned();
    for Point { lie_ppm, round_trip_us, found, bound } in points {
        writeln!(text, "{lie_ppm},{round_trip_us},{found:.3},{bound:.3}").expect("a string");
    }
    text
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 62.0;
/// Decades of parts in a million, and of seconds.
const X: (f64, f64) = (1.0, 6.0);
const Y: (f64, f64) = (0.0, 5.0);

fn x(lie_ppm: u64) -> f64 {
    LEFT + ((lie_ppm as f64).log10() - X.0) / (X.1 - X.0) * (WIDTH - LEFT - RIGHT)
}

fn y(seconds: f64) -> f64 {
    let part = (seconds.log10().max(Y.0) - Y.0) / (Y.1 - Y.0);
    HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
}

fn svg(points: &[Point]) -> String {
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <title>How long a lie of the clocks goes unseen</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"16\" font-weight=\"bold\">How long a lie of the \
         clocks goes unseen</text>\n\
         <text x=\"{LEFT}\" y=\"41\" fill=\"#555\">by round trip; dots: found, with one renewal a second; \
         lines: the promised bound (P12)</text>"
    )
    .expect("a string");
    axes(&mut svg);
    for (round_trip, name, colour) in ROUND_TRIPS {
        let line: Vec<&Point> = points.iter().filter(|p| p.round_trip_us == round_trip).collect();
        let at = |p: &Point, seconds| format!("{:.1},{:.1}", x(p.lie_ppm), y(seconds));
        let path: Vec<String> = line.iter().map(|p| at(p, p.bound)).collect();
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            path.join(" ")
        )
        .expect("a string");
        for point in &line {
            let (cx, cy) = (x(point.lie_ppm), y(point.found));
            writeln!(svg, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.2\" fill=\"{colour}\"/>")
                .expect("a string");
        }
        label(&mut svg, &line, name, colour);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Names a line at its upper end.
fn label(svg: &mut String, line: &[&Point], name: &str, colour: &str) {
    let Some(first) = line.first() else { return };
    let (x, y) = (x(first.lie_ppm) + 8.0, y(first.bound) - 6.0);
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>")
        .expect("a string");
}

fn axes(svg: &mut String) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let lies =
        [(10, "10 ppm"), (100, "100 ppm"), (1_000, "0.1 %"), (10_000, "1 %"), (100_000, "10 %")];
    for (lie, name) in lies.into_iter().chain([(1_000_000, "100 %")]) {
        let at = x(lie);
        writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\n\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
            bottom + 18.0
        )
        .expect("a string");
    }
    let times = [(1.0, "1 s"), (10.0, "10 s"), (100.0, "100 s"), (1e3, "17 min"), (1e4, "2.8 h")];
    for (seconds, name) in times.into_iter().chain([(1e5, "28 h")]) {
        let at = y(seconds);
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 8.0,
            at + 4.0
        )
        .expect("a string");
    }
    let (middle, foot) = (f64::midpoint(LEFT, right), HEIGHT - 14.0);
    writeln!(
        svg,
        "<text x=\"{middle:.1}\" y=\"{foot}\" text-anchor=\"middle\">how far the granter's slow hand \
         outruns the holder's fast hand, beyond the drift that both allow</text>"
    )
    .expect("a string");
}

fn compare(file: &str, made: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", file].iter().collect();
    if std::env::var_os("TLEASE_REGENERATE").is_some() {
        std::fs::write(&path, made).expect("the file is written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "docs/{file} is stale: TLEASE_REGENERATE=1 writes it anew");
}
