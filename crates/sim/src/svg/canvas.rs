//! The little of SVG that is needed.

use super::story::Look;

/// An image that is being drawn.
pub(super) struct Canvas {
    body: String,
    width: u32,
    height: u32,
}

/// Which end of a text stands at its place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    pub(super) const fn new(width: u32, height: u32) -> Self {
        Self { body: String::new(), width, height }
    }

    pub(super) fn text(&mut self, x: u32, y: u32, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.put(format_args!(
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    pub(super) fn line(&mut self, x1: u32, y1: u32, x2: u32, y2: u32, class: &str) {
        self.put(format_args!(
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#
        ));
    }

    pub(super) fn bar(&mut self, x: u32, y: u32, width: u32, height: u32, look: Look) {
        let fill = match look {
            Look::Fence(fence) => PALETTE[usize::try_from(fence % 8).unwrap_or(0)],
            Look::Paused => "url(#paused)",
            Look::Down => "#3a3f4a",
            Look::Waiting => "url(#waiting)",
            Look::Up => "#dfe5ec",
        };
        self.put(format_args!(
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="{fill}"/>"#
        ));
    }

    /// A dot for an effect, a cross for a refusal.
    pub(super) fn act(&mut self, x: u32, y: u32, good: bool) {
        if good {
            self.put(format_args!(r#"<circle cx="{x}" cy="{y}" r="3.5" class="act"/>"#));
        } else {
            let (a, b, c, d) = (x - 3, y - 3, x + 3, y + 3);
            self.put(format_args!(r#"<path d="M{a} {b}L{c} {d}M{a} {d}L{c} {b}" class="no"/>"#));
        }
    }

    /// Shown when somebody points at what was drawn last.
    pub(super) fn title(&mut self, text: &str) {
        if self.body.ends_with("/>\n") {
            self.body.truncate(self.body.len() - 3);
            self.body.push_str(&format!("><title>{}</title></rect>\n", escaped(text)));
        }
    }

    pub(super) fn finish(self) -> String {
        let Self { body, width, height } = self;
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="system-ui, 'DejaVu Sans', sans-serif">
<style>{STYLE}</style>
<defs>{PATTERNS}</defs>
<rect width="100%" height="100%" fill="#ffffff"/>
{body}</svg>
"##
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.push_str(&element.to_string());
        self.body.push('\n');
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Told apart by most eyes (Okabe and Ito, 2008), light enough for dark letters.
const PALETTE: [&str; 8] =
    ["#8cc5ea", "#f2b661", "#7fcfb0", "#f0e68c", "#b9a7e0", "#f2a38f", "#a9d18e", "#d9b8a0"];

const STYLE: &str = "text{font-size:12px;fill:#20242c}.title{font-size:18px;font-weight:600}\
.lane{font-size:13px;font-weight:600}.label{fill:#4a5160}.faint{fill:#6b7280;font-size:11.5px}\
.bar{font-size:11px;font-weight:600}.grid{stroke:#eceff3}.rule{stroke:#cfd5dd}\
.healed{stroke:#2e8b57;stroke-dasharray:4 3;fill:#2e8b57}text.healed{stroke:none;font-size:11.5px}\
.violated{stroke:#c62828;stroke-width:2;fill:#c62828}text.violated{stroke:none;font-weight:600}\
.act{fill:#14181f;stroke:#fff;stroke-width:1}.no{stroke:#c62828;stroke-width:1.8;fill:none}";

const PATTERNS: &str = r##"<pattern id="paused" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="7" height="7" fill="#eef0f3"/><rect width="3" height="7" fill="#b4bbc6"/></pattern><pattern id="waiting" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="7" height="7" fill="#fdf1dc"/><rect width="3" height="7" fill="#e8b04b"/></pattern>"##;
