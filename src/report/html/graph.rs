//! The wait-for graph: sessions on a circle, an arrow from each that waits to each that is in its way.

use std::f64::consts::PI;

use askama::Template;

use crate::report::plain::{one_line, shortened, width};
use crate::report::waits::wait_for_graph;
use crate::report::{Report, from_the_first};

/// How high a session's box is, …
const HEIGHT: f64 = 36.0;
/// … how much of a circle it needs, …
const ROOM: f64 = 120.0;
/// … and how much room its label and those of the arrows need at the sides at least, above and below.
const MARGIN: (f64, f64) = (96.0, 46.0);
/// A line of a session's name has so many characters at most; what is longer goes on in a second one.
const NAME: usize = 16;
/// What is waited for is told by so many characters, in a ring, and of two, between whom there is more room.
const LABEL: (usize, usize) = (22, 44);
/// How wide a character of it is.
const CHARACTER: f64 = 6.8;

/// A length, to a tenth of a pixel.
struct Px(f64);

impl std::fmt::Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No negative zero.
        write!(f, "{:.1}", self.0 + 0.0)
    }
}

struct Node {
    x: Px,
    y: Px,
    left: Px,
    top: Px,
    width: Px,
    /// One line, or two.
    name: Vec<String>,
    class: &'static str,
}

struct Arrow {
    path: String,
    x: Px,
    y: Px,
    anchor: &'static str,
    label: String,
    sentence: String,
    in_cycle: bool,
}

/// The graph, ready to be drawn.
#[derive(Template)]
#[template(path = "graph.html", config = "src/report/html/askama.toml")]
pub(super) struct Graph {
    id: String,
    width: Px,
    height: Px,
    title: String,
    nodes: Vec<Node>,
    arrows: Vec<Arrow>,
}

impl Graph {
    /// The graph of a report; none where nobody waited.
    pub(super) fn of(report: &Report, id: &str) -> Option<Self> {
        let waits = wait_for_graph(report);
        if waits.is_empty() {
            return None;
        }
        let cycle = from_the_first(&report.cycle, &report.names());
        let mut names: Vec<&str> = cycle.iter().map(String::as_str).collect();
        for name in waits.iter().flat_map(|wait| [wait.waiter.as_str(), wait.holder.as_str()]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let most = if names.len() < 3 { LABEL.1 } else { LABEL.0 };
        let longest = waits.iter().map(|wait| width(&one_line(&wait.step)).min(most)).max().unwrap_or_default();
        let circle = Circle::of(&names, longest);
        let place = |name: &str| names.iter().position(|other| *other == name).unwrap_or_default();
        let nodes = names.iter().enumerate().map(|(index, name)| node(report, &circle, index, name)).collect();
        let arrows = waits
            .iter()
            .map(|wait| {
                let (waiter, holder) = (one_line(&wait.waiter), one_line(&wait.holder));
                let lock = wait.lock.as_deref().map(|lock| format!(" ({})", one_line(lock))).unwrap_or_default();
                let step = one_line(&wait.step);
                let sentence = format!("{waiter} waits for {step}{lock}, held by {holder}");
                circle.arrow(place(&wait.waiter), place(&wait.holder), shortened(&step, most), sentence, wait.in_cycle)
            })
            .collect();
        let title = match report.told_cycle() {
            none if none.is_empty() => "Wait-for graph: no cycle".to_owned(),
            cycle => format!("Wait-for graph: the cycle {cycle}"),
        };
        let (width, height) = (Px(circle.width()), Px(circle.height()));
        Some(Self { id: id.to_owned(), width, height, title: one_line(&title), nodes, arrows })
    }
}

fn node(report: &Report, circle: &Circle, index: usize, name: &str) -> Node {
    let (x, y) = circle.point(index);
    let wide = 2.0 * circle.half(index);
    let class = if report.victims.iter().any(|victim| victim == name) {
        "victim"
    } else if report.session(name).is_none() {
        "outside"
    } else {
        ""
    };
    Node {
        x: Px(x),
        y: Px(y),
        left: Px(x - wide / 2.0),
        top: Px(y - HEIGHT / 2.0),
        width: Px(wide),
        name: on_two_lines(&one_line(name)),
        class,
    }
}

/// A name as it stands in its box: where it is too long for one line, the second begins after a break in it, if there is
/// one.
fn on_two_lines(name: &str) -> Vec<String> {
    if width(name) <= NAME {
        return vec![name.to_owned()];
    }
    let (mut used, mut end, mut after_break) = (0, name.len(), None);
    for (at, character) in name.char_indices() {
        used += width(character.encode_utf8(&mut [0; 4]));
        if used > NAME {
            end = at;
            break;
        }
        if !character.is_alphanumeric() {
            after_break = Some(at + character.len_utf8());
        }
    }
    let (first, second) = name.split_at(after_break.unwrap_or(end));
    vec![first.trim_end().to_owned(), shortened(second.trim_start(), NAME)]
}

/// Half of how wide a session's box is.
fn half_width(name: &str) -> f64 {
    let columns = on_two_lines(&one_line(name)).iter().map(|line| width(line)).max().unwrap_or_default();
    let columns = u32::try_from(columns).unwrap_or_default();
    f64::from(columns).mul_add(4.25, 12.0).max(24.0)
}

struct Circle {
    nodes: f64,
    radius: f64,
    /// At the sides.
    margin: f64,
    halves: Vec<f64>,
}

impl Circle {
    fn of(names: &[&str], longest_label: usize) -> Self {
        let nodes = f64::from(u32::try_from(names.len()).unwrap_or(u32::MAX));
        let halves: Vec<f64> = names.iter().map(|name| half_width(name)).collect();
        let label = f64::from(u32::try_from(longest_label).unwrap_or_default()) * CHARACTER;
        if names.len() < 3 {
            // The boxes stand side by side, with room for an arrow between them; the labels, above and below the middle.
            let radius = (halves.iter().sum::<f64>() / 2.0 + 30.0).max(84.0);
            return Self { nodes, radius, margin: (label / 2.0 + 8.0 - radius).max(MARGIN.0), halves };
        }
        let radius = (nodes * ROOM / (2.0 * PI)).max(84.0);
        Self { nodes, radius, margin: label.max(MARGIN.0), halves }
    }

    fn half(&self, index: usize) -> f64 {
        self.halves.get(index).copied().unwrap_or(24.0)
    }

    /// Two sessions stand side by side and need no height.
    fn is_pair(&self) -> bool {
        self.nodes < 3.0
    }

    fn width(&self) -> f64 {
        2.0 * (self.radius + self.margin)
    }

    fn height(&self) -> f64 {
        if self.is_pair() { 3.4 * MARGIN.1 } else { 2.0 * (self.radius + MARGIN.1) }
    }

    fn centre(&self) -> (f64, f64) {
        (self.width() / 2.0, self.height() / 2.0)
    }

    fn point(&self, index: usize) -> (f64, f64) {
        let turn = f64::from(u32::try_from(index).unwrap_or_default()) / self.nodes;
        // A pair begins at the left, a ring at the top.
        let angle = if self.is_pair() { PI } else { -PI / 2.0 } + 2.0 * PI * turn;
        let (x, y) = self.centre();
        (self.radius.mul_add(angle.cos(), x), self.radius.mul_add(angle.sin(), y))
    }

    /// A loop, of a session that waits for another connection of its own; it is on the side where there is room.
    fn round_trip(&self, at: usize, label: String, sentence: String, in_cycle: bool) -> Arrow {
        let (x, y) = self.point(at);
        let side: f64 = if y > self.centre().1 { -1.0 } else { 1.0 };
        let (edge, far) = (side.mul_add(HEIGHT / 2.0, y), side.mul_add(HEIGHT / 2.0 + 40.0, y));
        let path = format!(
            "M{} {} C{} {} {} {} {} {}",
            Px(x - 14.0),
            Px(side.mul_add(2.0, edge)),
            Px(x - 40.0),
            Px(far),
            Px(x + 40.0),
            Px(far),
            Px(x + 14.0),
            Px(side.mul_add(7.0, edge))
        );
        Arrow { path, x: Px(x), y: Px(side.mul_add(4.0, far) + 4.0), anchor: "middle", label, sentence, in_cycle }
    }

    /// A curve that leaves the straight line to its left, so that an arrow and its opposite keep apart.
    fn arrow(&self, from: usize, to: usize, label: String, sentence: String, in_cycle: bool) -> Arrow {
        if from == to {
            return self.round_trip(from, label, sentence, in_cycle);
        }
        let ((x1, y1), (x2, y2)) = (self.point(from), self.point(to));
        let (dx, dy) = (x2 - x1, y2 - y1);
        let length = dx.hypot(dy).max(1.0);
        let bend = if self.is_pair() { 52.0 } else { (length / 5.0).min(40.0) };
        let (normal_x, normal_y) = (dy / length, -dx / length);
        let (cx, cy) = (normal_x.mul_add(bend, f64::midpoint(x1, x2)), normal_y.mul_add(bend, f64::midpoint(y1, y2)));
        let ((sx, sy), (ex, ey)) =
            (edge((x1, y1), (cx, cy), self.half(from), 2.0), edge((x2, y2), (cx, cy), self.half(to), 7.0));
        // A pair's arrows leave from above and below the middle of its boxes.
        let outward = bend / 2.0 + if self.is_pair() { 20.0 } else { 8.0f64.mul_add(normal_y.abs(), 12.0) };
        let (x, y) =
            (normal_x.mul_add(outward, f64::midpoint(x1, x2)), normal_y.mul_add(outward, f64::midpoint(y1, y2)));
        let anchor = if normal_x > 0.3 {
            "start"
        } else if normal_x < -0.3 {
            "end"
        } else {
            "middle"
        };
        let path = format!("M{} {} Q{} {} {} {}", Px(sx), Px(sy), Px(cx), Px(cy), Px(ex), Px(ey));
        Arrow { path, x: Px(x), y: Px(y + 4.0), anchor, label, sentence, in_cycle }
    }
}

/// Where the line from a box's centre towards a point leaves the box, and `gap` beyond.
fn edge((x, y): (f64, f64), (towards_x, towards_y): (f64, f64), half_width: f64, gap: f64) -> (f64, f64) {
    let (dx, dy) = (towards_x - x, towards_y - y);
    let length = dx.hypot(dy).max(1.0);
    let scale = (half_width / dx.abs().max(0.01)).min(HEIGHT / 2.0 / dy.abs().max(0.01)) + gap / length;
    (dx.mul_add(scale, x), dy.mul_add(scale, y))
}
