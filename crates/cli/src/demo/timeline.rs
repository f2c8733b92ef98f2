//! Draws what happened in one round.

use super::lane::Round;
use super::stage::Outcome;
use std::time::Duration;

/// How a terminal is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Letters only.
    Plain,
    /// Blocks and colours.
    Coloured,
}

impl Ink {
    /// What standard output takes: colours on a terminal, unless NO_COLOR is set.
    pub(super) fn of_stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        match std::io::IsTerminal::is_terminal(&std::io::stdout()) && !plain && !dumb {
            true => Self::Coloured,
            false => Self::Plain,
        }
    }

    const fn marks(self) -> Marks {
        match self {
            Self::Plain => Marks { acts: "#", stopped: ".", succeeds: "=", wrong: "X", right: "o" },
            Self::Coloured => {
                Marks { acts: "█", stopped: "·", succeeds: "█", wrong: "✗", right: "✓" }
            }
        }
    }

    pub(super) fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Bad => "31;1",
            Colour::First => "33",
            Colour::Second => "36",
            Colour::Faint => "2",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Good,
    Bad,
    First,
    Second,
    Faint,
}

struct Marks {
    acts: &'static str,
    stopped: &'static str,
    succeeds: &'static str,
    wrong: &'static str,
    right: &'static str,
}

/// A round in two lines: the holder above its successor.
pub(super) fn draw(round: &Round, ink: Ink) -> String {
    let marks = ink.marks();
    let column = |at: Duration| {
        let columns = at.as_micros() * WIDTH as u128 / round.done.as_micros().max(1);
        usize::try_from(columns).unwrap_or(WIDTH).min(WIDTH)
    };
    let (held, stopped) = (column(round.held), column(round.stopped));
    let (succeeded, continued) = (column(round.succeeded), column(round.continued));
    let still = continued.saturating_sub(stopped);
    let acts = ink.paint(Colour::First, &marks.acts.repeat(stopped.saturating_sub(held).max(1)));
    let pause = ink.paint(Colour::Faint, &centred("stopped", still, marks.stopped));
    let end = match (round.stale, round.outcome) {
        (0, Outcome::Over) => ink.paint(Colour::Good, &format!("{} refused", marks.right)),
        (0, Outcome::Acted | Outcome::Other) => {
            ink.paint(Colour::Good, &format!("{} nothing", marks.right))
        }
        (_, _) => ink.paint(Colour::Bad, &format!("{} acts all the same", marks.wrong)),
    };
    let succeeds = WIDTH.saturating_sub(succeeded).max(1);
    let succeeds = ink.paint(Colour::Second, &marks.succeeds.repeat(succeeds));
    format!(
        "  {:<LABEL$}{}{acts}{pause}{end}\n  {:<LABEL$}{}{succeeds}",
        "first holder",
        " ".repeat(held),
        "second holder",
        " ".repeat(succeeded),
    )
}

/// A word in the middle of a stretch of marks, if there is room.
fn centred(word: &str, width: usize, mark: &str) -> String {
    let free = width.saturating_sub(word.len() + 2);
    if free == 0 {
        return mark.repeat(width);
    }
    let left = free / 2;
    format!("{} {word} {}", mark.repeat(left), mark.repeat(free - left))
}

const WIDTH: usize = 56;
const LABEL: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_is_drawn_where_it_succeeds() {
        let ms = Duration::from_millis;
        let round = Round {
            held: ms(0),
            stopped: ms(100),
            succeeded: ms(500),
            continued: ms(560),
            done: ms(560),
            outcome: Outcome::Acted,
            stale: 1,
        };
        let drawn = draw(&round, Ink::Plain);
        let lines: Vec<_> = drawn.lines().collect();
        assert!(lines[0].starts_with("  first holder   ##########......"), "{drawn}");
        assert!(lines[0].ends_with("X acts all the same"), "{drawn}");
        assert_eq!(lines[1].find('='), Some(2 + LABEL + 50), "{drawn}");
        assert!(!drawn.contains('\x1b'));
    }
}
