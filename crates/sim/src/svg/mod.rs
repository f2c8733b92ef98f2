//! Draws a trace as a timeline: what runs, what the granter has given, and who can act.

mod canvas;
mod story;

use crate::trace::Trace;
use crate::words::Nanos;
use canvas::{Anchor, Canvas};
use story::{Bar, Lane, Story};

/// A trace as an SVG image.
#[must_use]
pub fn draw(trace: &Trace) -> String {
    let story = Story::of(trace);
    let rows: u32 = story.lanes.iter().map(|lane| 1 + lane.rows.len() as u32).sum();
    let height = TOP + rows * ROW + story.lanes.len() as u32 * GAP + BOTTOM;
    let mut canvas = Canvas::new(WIDTH, height);
    canvas.text(16, 30, Anchor::Start, "title", &story.title);
    canvas.text(16, 52, Anchor::Start, "faint", &story.subtitle);
    let scale = Scale { from: 0, until: story.until.max(1) };
    axis(&mut canvas, &scale, height);
    if let Some(healed) = story.healed.filter(|healed| *healed < story.until) {
        let x = scale.x(healed);
        canvas.line(x, TOP - 6, x, height - BOTTOM, "healed");
        let (anchor, x) =
            if x + 60 > WIDTH { (Anchor::End, x - 4) } else { (Anchor::Start, x + 4) };
        canvas.text(x, TOP - 8, anchor, "healed", "healed");
    }
    let mut y = TOP;
    for lane in &story.lanes {
        y += GAP;
        draw_lane(&mut canvas, &scale, lane, &mut y);
    }
    if let Some((at, claim, what)) = &story.violation {
        let x = scale.x(*at);
        canvas.line(x, TOP - 6, x, height - BOTTOM, "violated");
        let (anchor, x) = if x > WIDTH / 2 { (Anchor::End, x - 6) } else { (Anchor::Start, x + 6) };
        canvas.text(
            x,
            TOP - 26,
            anchor,
            "violated",
            &format!("{claim} violated at {}", Nanos(*at)),
        );
        let short: String = what.chars().take(120).collect();
        canvas.text(16, height - 34, Anchor::Start, "violated", &short);
    }
    legend(&mut canvas, height);
    canvas.finish()
}

const WIDTH: u32 = 1240;
const LEFT: u32 = 130;
const RIGHT: u32 = 24;
const TOP: u32 = 104;
const BOTTOM: u32 = 78;
const ROW: u32 = 24;
const GAP: u32 = 12;

/// From true time to the page.
struct Scale {
    from: u64,
    until: u64,
}

impl Scale {
    fn x(&self, at: u64) -> u32 {
        let at = at.clamp(self.from, self.until) - self.from;
        let room = u128::from(WIDTH - LEFT - RIGHT);
        let along = u128::from(at) * room / u128::from(self.until - self.from);
        LEFT + u32::try_from(along).unwrap_or(0)
    }

    /// A round length of time that gives some eight marks.
    fn step(&self) -> u64 {
        let rough = (self.until - self.from) / 8;
        let mut power = 1_u64;
        while power <= rough / 10 {
            power *= 10;
        }
        [1, 2, 5, 10].map(|times| times * power).into_iter().find(|s| *s >= rough).unwrap_or(power)
    }
}

fn axis(canvas: &mut Canvas, scale: &Scale, height: u32) {
    let step = scale.step().max(1);
    let mut at = scale.from;
    while at <= scale.until {
        let x = scale.x(at);
        canvas.line(x, TOP, x, height - BOTTOM, "grid");
        canvas.text(x, height - BOTTOM + 16, Anchor::Middle, "faint", &Nanos(at).to_string());
        at += step;
    }
}

fn draw_lane(canvas: &mut Canvas, scale: &Scale, lane: &Lane, y: &mut u32) {
    canvas.text(16, *y + 16, Anchor::Start, "lane", &lane.title);
    canvas.line(16, *y + ROW, WIDTH - RIGHT, *y + ROW, "rule");
    *y += ROW;
    for row in &lane.rows {
        canvas.text(LEFT - 10, *y + 16, Anchor::End, "label", &row.label);
        for bar in &row.bars {
            draw_bar(canvas, scale, bar, *y);
        }
        for (at, good) in &row.acts {
            canvas.act(scale.x(*at), *y + ROW / 2, *good);
        }
        *y += ROW;
    }
}

fn draw_bar(canvas: &mut Canvas, scale: &Scale, bar: &Bar, y: u32) {
    let (from, until) = (scale.x(bar.from), scale.x(bar.until));
    let width = (until - from).max(2);
    canvas.bar(from, y + 4, width, ROW - 8, bar.look);
    canvas.title(&format!("{}, {} to {}", bar.label, Nanos(bar.from), Nanos(bar.until)));
    let room = width.saturating_sub(8) / 8;
    if !bar.label.is_empty() && bar.label.len() as u32 <= room {
        canvas.text(from + 5, y + 16, Anchor::Start, "bar", &bar.label);
    }
}

fn legend(canvas: &mut Canvas, height: u32) {
    let y = height - 16;
    canvas.bar(16, y - 11, 28, 14, story::Look::Fence(0));
    canvas.text(50, y, Anchor::Start, "faint", "a lease, coloured and numbered by its fence");
    canvas.bar(330, y - 11, 28, 14, story::Look::Paused);
    canvas.text(364, y, Anchor::Start, "faint", "paused, suspended or stopped");
    canvas.bar(570, y - 11, 28, 14, story::Look::Down);
    canvas.text(604, y, Anchor::Start, "faint", "granter down");
    canvas.bar(704, y - 11, 28, 14, story::Look::Waiting);
    canvas.text(738, y, Anchor::Start, "faint", "waits after a restart");
    canvas.act(884, y - 4, true);
    canvas.text(894, y, Anchor::Start, "faint", "an effect, or a write admitted");
    canvas.act(1094, y - 4, false);
    canvas.text(1104, y, Anchor::Start, "faint", "a write refused");
}
